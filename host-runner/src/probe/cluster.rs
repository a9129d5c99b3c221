//! One live cluster: every kind that says something, in pages, with the least that each needs.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io;
use std::time::Duration;

use fedcar_policy::federation::{KUBEWARDEN_GROUP, Observation, ProbedKind, Reading};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIResourceList};
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::Client;
use kube::api::ListParams;
use kube::client::AuthError;
use kube::core::Request;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::connection::ContextError;
use crate::capabilities::Trouble;

/// How many objects are asked for at once, as kubectl does it.
const PAGE: u32 = 500;

/// Pods that have ended hold nothing any more, and their metadata does not say that they have.
const PODS_THAT_RUN: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// What was seen of a cluster.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) observation: Observation,
    /// What could not be seen, in sentences.
    pub(crate) notes: Vec<String>,
}

/// Why a cluster could not be looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unseen {
    /// One answer took too long.
    #[error("expected an answer within {} seconds", .0.as_secs())]
    Late(Duration),
    /// Nobody is there, or nobody who can be understood.
    #[error("the API server cannot be reached{}", .0.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Unreachable(Option<String>),
    /// The credentials are refused, or there are none.
    #[error("the API server does not accept the credentials of the context, or it gives none")]
    Credentials,
    /// The kubeconfig gives no client.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// It answered with an error.
    #[error(transparent)]
    Answered(Trouble),
}

/// A list as far as it matters here, of whatever kind.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    /// Absent or null where there are none.
    items: Option<Vec<Value>>,
}

#[derive(Deserialize, Default)]
struct PageMetadata {
    #[serde(rename = "continue")]
    more: Option<String>,
}

/// The kinds of a group that are served: by version, the names in paths.
type Served = BTreeMap<String, BTreeSet<String>>;

/// Reads everything that is asked of a cluster; each answer may take `patience`.
///
/// # Errors
///
/// Whatever is neither an answer nor a refusal of one kind: half of a cluster is worth less than what was known before.
pub(crate) async fn look(client: Client, patience: Duration) -> Result<Seen, Unseen> {
    let mut look = Look { client, patience, groups: BTreeMap::new(), notes: Vec::new() };
    let mut observation = Observation::default();
    match look.get::<Info>("/version").await? {
        Answer::Given(version) => observation.kubernetes = Some(version.git_version),
        refused => look.note(&refused, "the version of the API server"),
    }
    for kind in &ProbedKind::ALL {
        match kind.reading {
            Reading::Discovery => look.definitions(kind, &mut observation).await?,
            Reading::Objects | Reading::Metadata => look.kind(kind, &mut observation).await?,
        }
    }
    Ok(Seen { observation, notes: look.notes })
}

struct Look {
    client: Client,
    patience: Duration,
    /// What was asked before.
    groups: BTreeMap<&'static str, Option<Served>>,
    notes: Vec<String>,
}

/// What an API server says to a question.
enum Answer<T> {
    Given(T),
    Forbidden,
    NotFound,
}

impl Look {
    /// Adds every object of a kind in a version that is known, or says why not.
    async fn kind(&mut self, kind: &'static ProbedKind, observation: &mut Observation) -> Result<(), Unseen> {
        let Some(served) = self.served(kind.group).await? else { return Ok(()) };
        let having: Vec<&String> =
            served.iter().filter(|(_, plurals)| plurals.contains(kind.plural)).map(|(version, _)| version).collect();
        if having.is_empty() {
            if kind.group.is_empty() {
                let why = format!("what answers is no API server, as it serves no {}", kind.plural);
                return Err(Unseen::Unreachable(Some(why)));
            }
            observation.list(kind);
            return Ok(());
        }
        let Some(version) = kind.versions.iter().find(|version| having.iter().any(|one| one == *version)) else {
            let (plural, known) = (kind.plural, kind.versions.join(", "));
            let versions = having.iter().map(|version| version.as_str()).collect::<Vec<_>>().join(", ");
            self.notes.push(format!("{plural}: expected version {known}, found only {versions}; they stay unknown"));
            return Ok(());
        };
        let (path, api_version) = match kind.group {
            "" => (format!("/api/{version}/{}", kind.plural), (*version).to_owned()),
            group => (format!("/apis/{group}/{version}/{}", kind.plural), format!("{group}/{version}")),
        };
        let mut page = match self.page(kind, &path, None).await? {
            Answer::Given(page) => page,
            refused => {
                self.note(&refused, kind.plural);
                return Ok(());
            }
        };
        loop {
            for mut item in page.items.into_iter().flatten() {
                // Items of a list carry neither, and those of metadata carry those of metadata.
                if let Value::Object(fields) = &mut item {
                    fields.insert("apiVersion".to_owned(), Value::from(api_version.as_str()));
                    fields.insert("kind".to_owned(), Value::from(kind.name));
                }
                observation.add(item);
            }
            let Some(more) = page.metadata.more.filter(|more| !more.is_empty()) else { break };
            page = match self.page(kind, &path, Some(more)).await? {
                Answer::Given(page) => page,
                Answer::Forbidden | Answer::NotFound => {
                    return Err(Unseen::Unreachable(Some(format!("its list of {} has no end", kind.plural))));
                }
            };
        }
        observation.list(kind);
        Ok(())
    }

    /// Adds Kubewarden's definitions as far as they are served.
    async fn definitions(&mut self, kind: &'static ProbedKind, observation: &mut Observation) -> Result<(), Unseen> {
        let Some(served) = self.served(KUBEWARDEN_GROUP).await? else { return Ok(()) };
        let mut versions: BTreeMap<&String, Vec<Value>> = BTreeMap::new();
        for (version, plurals) in served {
            for plural in plurals {
                versions.entry(plural).or_default().push(json!({"name": version, "served": true}));
            }
        }
        for (plural, versions) in versions {
            observation.add(json!({
                "kind": kind.name,
                "metadata": {"name": format!("{plural}.{KUBEWARDEN_GROUP}")},
                "spec": {"group": KUBEWARDEN_GROUP, "versions": versions},
            }));
        }
        observation.list(kind);
        Ok(())
    }

    /// What is served of a group, nothing where it is not there; `None` where that cannot be known.
    async fn served(&mut self, group: &'static str) -> Result<Option<&Served>, Unseen> {
        if !self.groups.contains_key(group) {
            let served = self.discover(group).await?;
            self.groups.insert(group, served);
        }
        Ok(self.groups.get(group).and_then(Option::as_ref))
    }

    async fn discover(&mut self, group: &'static str) -> Result<Option<Served>, Unseen> {
        let versions = match group {
            "" => vec![("/api/v1".to_owned(), "v1".to_owned())],
            group => match self.get::<APIGroup>(&format!("/apis/{group}")).await? {
                Answer::Given(found) => {
                    let all = found.versions.into_iter().map(|one| one.version);
                    all.map(|version| (format!("/apis/{group}/{version}"), version)).collect()
                }
                Answer::NotFound => Vec::new(),
                Answer::Forbidden => {
                    self.note(&Answer::<()>::Forbidden, &format!("which kinds of {group} are served"));
                    return Ok(None);
                }
            },
        };
        let mut served = Served::new();
        for (path, version) in versions {
            let found = match self.get::<APIResourceList>(&path).await? {
                Answer::Given(found) => found,
                // A version that went away meanwhile.
                Answer::NotFound => continue,
                Answer::Forbidden => {
                    self.note(&Answer::<()>::Forbidden, &format!("which kinds {path} serves"));
                    return Ok(None);
                }
            };
            let names = found.resources.into_iter().map(|one| one.name);
            // With a slash it is a part of another one, such as `pods/log`.
            served.insert(version, names.filter(|name| !name.contains('/')).collect());
        }
        Ok(Some(served))
    }

    /// Says that something cannot be known.
    fn note<T>(&mut self, refused: &Answer<T>, what: &str) {
        let why = match refused {
            Answer::Given(_) => return,
            Answer::Forbidden => "forbidden",
            Answer::NotFound => "not found",
        };
        self.notes.push(format!("{what}: {why}, and stays unknown"));
    }

    async fn page(&self, kind: &ProbedKind, path: &str, next: Option<String>) -> Result<Answer<Page>, Unseen> {
        let mut parameters = ListParams::default().limit(PAGE);
        parameters.continue_token = next;
        if kind.name == "Pod" {
            parameters = parameters.fields(PODS_THAT_RUN);
        }
        let request = Request::new(path);
        let request = match kind.reading {
            Reading::Metadata => request.list_metadata(&parameters),
            Reading::Objects | Reading::Discovery => request.list(&parameters),
        };
        self.ask(request).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, Unseen> {
        self.ask(hyper::Request::get(path).body(Vec::new())).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        request: Result<hyper::Request<Vec<u8>>, impl Error>,
    ) -> Result<Answer<T>, Unseen> {
        let request = request.map_err(|error| Unseen::Unreachable(Some(error.to_string())))?;
        let answer = tokio::time::timeout(self.patience, self.client.request_text(request));
        let error = match answer.await.map_err(|_| Unseen::Late(self.patience))? {
            Ok(text) => {
                let read = serde_json::from_str(&text);
                return read
                    .map(Answer::Given)
                    .map_err(|_| Unseen::Unreachable(Some("its answer is not JSON".to_owned())));
            }
            Err(error) => error,
        };
        match Trouble::from(&error) {
            Trouble::Forbidden => Ok(Answer::Forbidden),
            Trouble::NotFound => Ok(Answer::NotFound),
            Trouble::Unauthorized => Err(Unseen::Credentials),
            trouble @ Trouble::Answered { .. } => Err(Unseen::Answered(trouble)),
            Trouble::Unreachable => Err(unreachable(&error)),
        }
    }
}

/// The cause that is in the system or in TLS: of the others, some hold what a credential plugin has printed.
fn unreachable(error: &kube::Error) -> Unseen {
    let mut cause: Option<&dyn Error> = Some(error);
    let mut why = None;
    while let Some(error) = cause {
        if error.is::<AuthError>() {
            return Unseen::Credentials;
        }
        why = error.downcast_ref::<io::Error>().map(ToString::to_string).or(why);
        cause = error.source();
    }
    Unseen::Unreachable(why)
}
