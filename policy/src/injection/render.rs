//! From a selected sidecar to what it brings for this pod, before anything is changed.
//!
//! All expressions see the pod as it was without us, so what one sidecar brings never depends on another, and a second
//! admission renders the same as the first.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::foreign;
use super::pod::PodView;
use super::reason::Reason;
use super::workload::Workload;
use crate::expression::template::RenderError;
use crate::expression::{Budget, Scope};
use crate::settings::{Form, JobFallback, Piece, Position, Settings, Sidecar, Version};

/// What the expressions of one sidecar may cost for one pod; the largest catalogue entry spends a hundredth of it.
const EXPRESSION_UNITS: u64 = 500_000;

/// What one sidecar brings for this pod.
#[derive(Debug, Default)]
pub(super) struct Rendering<'s> {
    pub(super) containers: Vec<RenderedContainer<'s>>,
    pub(super) volumes: Vec<Piece<'s>>,
    pub(super) labels: Vec<Piece<'s>>,
    pub(super) annotations: Vec<Piece<'s>>,
    pub(super) pod: Vec<Piece<'s>>,
    pub(super) applications: Vec<RenderedApplication<'s>>,
}

#[derive(Debug)]
pub(super) struct RenderedContainer<'s> {
    pub(super) form: Form,
    pub(super) position: &'s Position,
    pub(super) piece: Piece<'s>,
}

/// What changes in one of the user's own containers.
#[derive(Debug)]
pub(super) struct RenderedApplication<'s> {
    pub(super) list: &'static str,
    /// Where it stood in its list without us; now there or further behind.
    pub(super) index: usize,
    pub(super) container: String,
    pub(super) env: Vec<Piece<'s>>,
    pub(super) env_from: Vec<Piece<'s>>,
    pub(super) volume_mounts: Vec<Piece<'s>>,
    pub(super) lifecycle: Vec<Piece<'s>>,
}

/// Why a sidecar does not come to be injected after all.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) details: Vec<String>,
    /// Whether the document itself asks for a denial here, required or not.
    pub(super) deny: bool,
}

impl Failure {
    pub(super) fn new(reason: Reason, details: Vec<String>) -> Self {
        Self { reason, details, deny: false }
    }
}

/// The names that exist at the time of a request.
pub(super) struct RequestScope<'a> {
    pod: Cow<'a, Value>,
    workload: Value,
    namespace: Value,
}

impl<'a> RequestScope<'a> {
    pub(super) fn new(
        pod: &'a Value,
        workload: &Workload,
        namespace: &str,
        namespace_labels: Option<&Map<String, Value>>,
    ) -> Self {
        let mut fields = Map::new();
        fields.insert("name".to_owned(), Value::from(namespace));
        fields.extend(namespace_labels.map(|labels| ("labels".to_owned(), Value::Object(labels.clone()))));
        // A template may come without metadata; the pod that it makes never does.
        let pod = if pod.get("metadata").is_some_and(Value::is_object) {
            Cow::Borrowed(pod)
        } else {
            let mut made = pod.clone();
            if let Value::Object(made) = &mut made {
                made.insert("metadata".to_owned(), Value::Object(Map::new()));
            }
            Cow::Owned(made)
        };
        Self { pod, workload: workload.to_value(), namespace: Value::Object(fields) }
    }

    /// Whether the sidecar's own condition holds.
    pub(super) fn holds(&self, sidecar: &Sidecar) -> Result<bool, Failure> {
        let mut budget = Budget::new(EXPRESSION_UNITS);
        Ok(sidecar.when.as_ref().map_or(Ok(true), |condition| condition.holds(self, &mut budget))?)
    }

    /// Renders one version of a sidecar.
    pub(super) fn render<'s>(
        &self,
        settings: &Settings,
        version: &'s Version,
        completes: bool,
    ) -> Result<Rendering<'s>, Failure> {
        let inject = &version.inject;
        let mut budget = Budget::new(EXPRESSION_UNITS);
        let mut rendering = Rendering::default();
        for container in &inject.containers {
            let form = match (container.form, settings.cluster.native_sidecars, container.fallback.jobs) {
                (Form::Sidecar, false, JobFallback::Skip | JobFallback::Reject) if completes => {
                    let mut failure = Failure::new(Reason::JobWithoutNativeSidecars, Vec::new());
                    failure.deny = container.fallback.jobs == JobFallback::Reject;
                    return Err(failure);
                }
                (Form::Sidecar, false, _) => container.fallback.form,
                (form, _, _) => form,
            };
            let pieces = container.pieces.render(self, &mut budget)?;
            rendering.containers.extend(pieces.into_iter().map(|piece| RenderedContainer {
                form,
                position: &container.position,
                piece,
            }));
        }
        rendering.volumes = inject.volumes.render(self, &mut budget)?;
        rendering.labels = inject.labels.render(self, &mut budget)?;
        rendering.annotations = inject.annotations.render(self, &mut budget)?;
        rendering.pod = inject.pod.render(self, &mut budget)?;
        let foreign = foreign::containers(&self.pod);
        for (list, init) in [("containers", false), ("initContainers", true)] {
            for (index, container) in PodView(&self.pod).list(list).iter().enumerate() {
                let Some(name) = container.get("name").and_then(Value::as_str) else { continue };
                let scope = ContainerScope { request: self, container };
                for application in inject.applications.iter().filter(|one| one.select.selects(name, init)) {
                    if foreign.contains(name) {
                        continue;
                    }
                    rendering.applications.push(RenderedApplication {
                        list,
                        index,
                        container: name.to_owned(),
                        env: application.env.render(&scope, &mut budget)?,
                        env_from: application.env_from.render(&scope, &mut budget)?,
                        volume_mounts: application.volume_mounts.render(&scope, &mut budget)?,
                        lifecycle: application.lifecycle.render(&scope, &mut budget)?,
                    });
                }
            }
        }
        Ok(rendering)
    }
}

impl Scope for RequestScope<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            "pod" => Some(&self.pod),
            "workload" => Some(&self.workload),
            "namespace" => Some(&self.namespace),
            _ => None,
        }
    }
}

/// The names that exist for one of the user's own containers.
struct ContainerScope<'a> {
    request: &'a RequestScope<'a>,
    container: &'a Value,
}

impl Scope for ContainerScope<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        match name {
            "container" => Some(self.container),
            _ => self.request.get(name),
        }
    }
}

impl From<RenderError> for Failure {
    fn from(error: RenderError) -> Self {
        let place = crate::read::dotted(&error.path);
        let at = if place.is_empty() { "" } else { " at " };
        let detail = format!("`{}`{at}{place}: {}", error.expression, error.message);
        Self::new(Reason::ExpressionFailed, vec![detail])
    }
}
