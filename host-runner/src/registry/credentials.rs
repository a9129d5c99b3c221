//! Credentials from the configuration file of Docker: what stands in `auths`.
//!
//! Invariant: nothing is run. A credential helper is a program that a file names, and a compiler starts none.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::HeaderValue;
use serde::Deserialize;

use crate::problem::Diagnostic;

/// How Docker calls its hub in the file.
const DOCKER_HUB: (&str, &str) = ("index.docker.io", "docker.io");

/// Credentials by registry, or by registry and the head of repositories. They are never printed.
#[derive(Default)]
pub(super) struct Credentials(BTreeMap<String, HeaderValue>);

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl Credentials {
    /// Reads `config.json` in the folder that `DOCKER_CONFIG` names, or else in `.docker` of the home folder.
    pub(super) fn of_docker() -> Result<Self, Diagnostic> {
        let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = named("DOCKER_CONFIG").or_else(|| named("HOME").map(|home| home.join(".docker")));
        folder.map_or_else(|| Ok(Self::default()), |folder| Self::read(&folder.join("config.json")))
    }

    /// Reads a file; one that is not there holds no credentials.
    fn read(path: &Path) -> Result<Self, Diagnostic> {
        let problem = |message: String| Diagnostic::of_file(path.display().to_string(), message);
        match std::fs::read(path) {
            Ok(bytes) => Self::parse(&bytes).map_err(problem),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(problem(format!("cannot read the file: {error}"))),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        // The parser's own words could show what stands in the file.
        let file: File = serde_json::from_slice(bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("expected Docker's configuration as JSON, found something else at {line}:{column}")
        })?;
        let entries = file.auths.into_iter().filter_map(|(name, auth)| {
            let pair = match auth {
                Entry { auth: Some(pair), .. } if !pair.is_empty() => pair,
                Entry { username: Some(name), password: Some(password), .. } => {
                    BASE64_STANDARD.encode(format!("{name}:{password}"))
                }
                _ => return None,
            };
            let mut value = HeaderValue::from_str(&format!("Basic {pair}")).ok()?;
            value.set_sensitive(true);
            Some((place(&name), value))
        });
        Ok(Self(entries.collect()))
    }

    /// The credentials for a repository, as a header says them. The nearest entry counts.
    pub(super) fn of(&self, registry: &str, repository: &str) -> Option<&HeaderValue> {
        let mut place = format!("{registry}/{repository}");
        loop {
            if let Some(found) = self.0.get(&place) {
                return Some(found);
            }
            place.truncate(place.rfind('/')?);
        }
    }
}

/// The key of an entry without scheme and version of the API.
fn place(name: &str) -> String {
    let bare = name.split_once("://").map_or(name, |(_, bare)| bare).trim_end_matches('/');
    let bare = ["/v1", "/v2"].iter().find_map(|version| bare.strip_suffix(version)).unwrap_or(bare);
    if bare == DOCKER_HUB.0 { DOCKER_HUB.1.to_owned() } else { bare.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_nearest_entry_counts() {
        let file = json!({"credsStore": "desktop", "auths": {
            "https://index.docker.io/v1/": {"auth": "aHVi"},
            "registry.example": {"auth": "d2hvbGU="},
            "registry.example/team": {"username": "team", "password": "secret"},
            "helped.example": {},
        }});
        let found = Credentials::parse(file.to_string().as_bytes()).unwrap();
        let of = |registry: &str, repository: &str| {
            found.of(registry, repository).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(of("docker.io", "library/nginx").as_deref(), Some("Basic aHVi"));
        assert_eq!(of("registry.example", "other/a").as_deref(), Some("Basic d2hvbGU="));
        assert_eq!(of("registry.example", "team/a").as_deref(), Some("Basic dGVhbTpzZWNyZXQ="));
        assert_eq!(of("registry.example", "teams").as_deref(), Some("Basic d2hvbGU="));
        assert_eq!(of("helped.example", "a"), None);
        assert_eq!(of("registry.example.evil", "a"), None);
    }

    #[test]
    fn a_broken_file_is_told_without_what_is_in_it() {
        let Err(message) = Credentials::parse(br#"{"auths": {"a": {"auth": ["secret"]}}}"#) else { panic!() };
        assert!(message.starts_with("expected Docker's configuration") && !message.contains("secret"), "{message}");
    }
}
