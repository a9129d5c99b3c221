//! Which objects hold a pod, where in them it stands, and which workload owns it.

use serde_json::{Value, json};

/// A kind of object that holds a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkloadKind {
    /// `v1` Pod.
    Pod,
    /// `apps` Deployment.
    Deployment,
    /// `apps` `StatefulSet`.
    StatefulSet,
    /// `apps` `DaemonSet`.
    DaemonSet,
    /// `apps` `ReplicaSet`.
    ReplicaSet,
    /// `v1` `ReplicationController`.
    ReplicationController,
    /// `batch` Job.
    Job,
    /// `batch` `CronJob`.
    CronJob,
    /// OpenShift's `apps.openshift.io` `DeploymentConfig`.
    DeploymentConfig,
}

impl WorkloadKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Pod,
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::ReplicaSet,
        Self::ReplicationController,
        Self::Job,
        Self::CronJob,
        Self::DeploymentConfig,
    ];

    /// The Kubernetes kind.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::ReplicationController => "ReplicationController",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::DeploymentConfig => "DeploymentConfig",
        }
    }

    /// The API groups that serve the kind: the present one, and `extensions` of old manifests.
    const fn groups(self) -> &'static [&'static str] {
        match self {
            Self::Pod | Self::ReplicationController => &[""],
            Self::Deployment | Self::DaemonSet | Self::ReplicaSet => &["apps", "extensions"],
            Self::StatefulSet => &["apps"],
            Self::Job | Self::CronJob => &["batch"],
            // The second is that of OpenShift 3.
            Self::DeploymentConfig => &["apps.openshift.io", ""],
        }
    }

    /// The kind of an object by its group and kind; `None` for anything that holds no pod.
    pub fn find(group: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == kind && one.groups().contains(&group))
    }

    /// Where the pod (its `metadata` and `spec`) stands in the object, as keys from the root.
    pub const fn template(self) -> &'static [&'static str] {
        match self {
            Self::Pod => &[],
            Self::CronJob => &["spec", "jobTemplate", "spec", "template"],
            _ => &["spec", "template"],
        }
    }

    /// The pod (its `metadata` and `spec`) in an object of this kind.
    pub(super) fn pod(self, object: &Value) -> Option<&Value> {
        self.template().iter().try_fold(object, |value, key| value.get(key))
    }

    /// The same, to be changed.
    pub(super) fn pod_mut(self, object: &mut Value) -> Option<&mut Value> {
        self.template().iter().try_fold(object, |value, key| value.get_mut(key))
    }

    /// Whether its pods must end by themselves.
    pub const fn completes(self) -> bool {
        matches!(self, Self::Job | Self::CronJob)
    }
}

/// The top owner of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its kind; of a kind unknown to Kubernetes where a custom controller owns the pod directly.
    pub kind: String,
    /// Its API version, as the owner reference or the object itself says it.
    pub api_version: String,
    /// Its name; for a pod that is named by the API server, the prefix of its name.
    pub name: String,
    /// How it was found.
    pub found: Found,
}

/// How the owner was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The object is the workload.
    Itself,
    /// An owner reference names it.
    Reference,
    /// An owner reference names its `ReplicaSet` or Job, and the suffix of that name is known for certain.
    Derived,
    /// As [`Found::Derived`], but the name could also be that of the `ReplicaSet` or Job itself.
    Ambiguous,
}

impl Workload {
    /// The top owner, from the object alone: no look-up.
    ///
    /// A `ReplicaSet` that a Deployment made is called `<deployment>-<pod-template-hash>`, and its pods carry that hash
    /// as a label (kubernetes: `pkg/controller/deployment/sync.go`). A Job that a `CronJob` made is called
    /// `<cronjob>-<minutes since 1970>` (kubernetes: `pkg/controller/cronjob/utils.go`); a name that ends so may also
    /// have been chosen by a person, so that case is [`Found::Ambiguous`].
    pub fn of(kind: WorkloadKind, object: &Value) -> Self {
        let metadata = object.get("metadata").and_then(Value::as_object);
        let text = |key: &str| metadata.and_then(|metadata| metadata.get(key)).and_then(Value::as_str);
        let own_name = || text("name").or_else(|| text("generateName")).unwrap_or_default().trim_end_matches('-');
        let itself = || Self {
            kind: kind.name().to_owned(),
            api_version: object.get("apiVersion").and_then(Value::as_str).unwrap_or_default().to_owned(),
            name: own_name().to_owned(),
            found: Found::Itself,
        };
        let owner = metadata
            .and_then(|metadata| metadata.get("ownerReferences"))
            .and_then(Value::as_array)
            .and_then(|owners| owners.iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true))));
        let Some(owner) = owner else { return itself() };
        let field = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
        let (owner_kind, name) = (field("kind"), field("name"));
        if name.is_empty() {
            return itself();
        }
        let api_version = field("apiVersion").to_owned();
        let reference =
            |kind: &str, name: &str, found| Self { kind: kind.to_owned(), api_version, name: name.to_owned(), found };
        match owner_kind {
            "ReplicaSet" => {
                let hash = metadata
                    .and_then(|metadata| metadata.get("labels"))
                    .and_then(|labels| labels.get("pod-template-hash"))
                    .and_then(Value::as_str);
                match hash.and_then(|hash| name.strip_suffix(hash)).and_then(|rest| rest.strip_suffix('-')) {
                    Some(deployment) if !deployment.is_empty() => reference("Deployment", deployment, Found::Derived),
                    _ => reference("ReplicaSet", name, Found::Reference),
                }
            }
            "Job" => match cron_job_name(name) {
                Some(cron_job) => reference("CronJob", cron_job, Found::Ambiguous),
                None => reference("Job", name, Found::Reference),
            },
            other => reference(other, name, Found::Reference),
        }
    }

    /// Whether its pods must end by themselves.
    pub fn completes(&self) -> bool {
        matches!(self.kind.as_str(), "Job" | "CronJob")
    }

    /// The variable `workload` of expressions.
    pub fn to_value(&self) -> Value {
        json!({
            "kind": self.kind,
            "apiVersion": self.api_version,
            "name": self.name,
            "completes": self.completes(),
        })
    }
}

/// The `CronJob` of a Job called `<cronjob>-<minutes since 1970>`: eight digits since 1989 and until 2160.
fn cron_job_name(job: &str) -> Option<&str> {
    const MINUTE_DIGITS: usize = 8;
    let (name, minutes) = job.rsplit_once('-')?;
    let is_time = minutes.len() == MINUTE_DIGITS && minutes.bytes().all(|byte| byte.is_ascii_digit());
    (is_time && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_group_too() {
        for (group, kind, found) in [
            ("", "Pod", Some(WorkloadKind::Pod)),
            ("apps", "Pod", None),
            ("apps", "Deployment", Some(WorkloadKind::Deployment)),
            ("extensions", "ReplicaSet", Some(WorkloadKind::ReplicaSet)),
            ("batch", "CronJob", Some(WorkloadKind::CronJob)),
            ("serving.knative.dev", "Deployment", None),
        ] {
            assert_eq!(WorkloadKind::find(group, kind), found, "{group}/{kind}");
        }
    }

    #[test]
    fn the_owner_comes_from_the_reference_alone() {
        let owned = |kind: &str, name: &str, hash: Option<&str>| {
            json!({"name": "p-x", "labels": {"pod-template-hash": hash},
                   "ownerReferences": [{"kind": "Node", "name": "n"}, {"kind": kind, "name": name, "controller": true}]})
        };
        for (metadata, kind, name, found) in [
            (json!({"name": "web"}), "Pod", "web", Found::Itself),
            (json!({"generateName": "web-"}), "Pod", "web", Found::Itself),
            (owned("ReplicaSet", "web-6d4", Some("6d4")), "Deployment", "web", Found::Derived),
            (owned("ReplicaSet", "web-6d4", None), "ReplicaSet", "web-6d4", Found::Reference),
            (owned("ReplicaSet", "6d4", Some("6d4")), "ReplicaSet", "6d4", Found::Reference),
            (owned("StatefulSet", "db", None), "StatefulSet", "db", Found::Reference),
            (owned("Job", "report-29231490", None), "CronJob", "report", Found::Ambiguous),
            (owned("Job", "report-1", None), "Job", "report-1", Found::Reference),
            (owned("Workflow", "w", None), "Workflow", "w", Found::Reference),
            (json!({"name": "p", "ownerReferences": 7}), "Pod", "p", Found::Itself),
        ] {
            let workload = Workload::of(WorkloadKind::Pod, &json!({"metadata": metadata}));
            assert_eq!(
                (workload.kind.as_str(), workload.name.as_str(), workload.found),
                (kind, name, found),
                "{metadata}"
            );
        }
    }
}
