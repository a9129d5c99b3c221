//! What one version of a sidecar brings: containers, volumes, pod fields, and changes in the user's own containers.

use super::application::Application;
use super::container::InjectedContainer;
use super::pieces::{self, Pieces, read_list, read_map, read_ordered};
use super::{Known, variables};
use crate::read::{Node, Problems};
use crate::schema::Schema;

/// Everything that one version of a sidecar brings.
#[derive(Debug, Default)]
pub struct Inject {
    /// Containers of any form.
    pub containers: Vec<InjectedContainer>,
    /// Volumes.
    pub volumes: Pieces,
    /// Labels of the pod.
    pub labels: Pieces,
    /// Annotations of the pod.
    pub annotations: Pieces,
    /// Other pod fields, as one object.
    pub pod: Pieces,
    /// Keys of annotations that are taken away.
    pub removed_annotations: Pieces,
    /// Keys of labels that are taken away.
    pub removed_labels: Pieces,
    /// Changes in the user's own containers.
    pub applications: Vec<Application>,
}

impl Inject {
    pub(super) fn read(node: &Node<'_>, known: &Known, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let mut inject = Self::default();
        if let Some(items) = fields.optional("containers").and_then(|list| list.items(problems)) {
            inject.containers =
                items.iter().filter_map(|item| InjectedContainer::read(item, known, problems)).collect();
        }
        inject.volumes = read_ordered(fields.optional("volumes"), &variables::VERSION, known, problems);
        for volume in inject.volumes.constants() {
            super::sidecar::check_name("volume", volume, node, "volumes", problems);
        }
        inject.labels = read_map(fields.optional("labels"), &variables::VERSION, known, problems);
        inject.annotations = read_map(fields.optional("annotations"), &variables::VERSION, known, problems);
        if let Some(mut remove) = fields.optional("remove").and_then(|node| node.fields(problems)) {
            inject.removed_annotations =
                read_list(remove.optional("annotations"), &variables::VERSION, known, problems);
            inject.removed_labels = read_list(remove.optional("labels"), &variables::VERSION, known, problems);
            remove.finish(problems);
        }
        let pod = fields.optional("pod");
        if let Some(map) = pod.as_ref().and_then(|pod| pod.value.as_object()) {
            for (key, instead) in POD_FIELDS_ELSEWHERE {
                if map.contains_key(key) {
                    problems.add(crate::read::child(&format!("{}/pod", node.pointer), key), instead);
                }
            }
        }
        inject.pod = read_map(pod, &variables::VERSION, known, problems);
        if let Some(items) = fields.optional("applications").and_then(|list| list.items(problems)) {
            inject.applications = items.iter().filter_map(|item| Application::read(item, known, problems)).collect();
        }
        fields.finish(problems);
        Some(inject)
    }

    pub(super) fn schema() -> Schema {
        let remove = Schema::object(["annotations", "labels"].map(|key| (key, pieces::list_schema())));
        Schema::object([
            ("containers", Schema::list_of(InjectedContainer::schema())),
            ("volumes", pieces::list_schema().says("Volumes of Kubernetes.")),
            ("labels", pieces::map_schema()),
            ("annotations", pieces::map_schema()),
            ("remove", remove.says("Keys that are taken away.")),
            ("pod", pieces::map_schema().says("Any other field of a pod's spec.")),
            ("applications", Schema::list_of(Application::schema()).says("What changes in the user's own containers.")),
        ])
    }

    /// Whether the text of any expression in here passes a test.
    pub(super) fn any_expression(&self, test: &dyn Fn(&str) -> bool) -> bool {
        let removed = [&self.removed_annotations, &self.removed_labels];
        let parts = [&self.volumes, &self.labels, &self.annotations, &self.pod].into_iter().chain(removed);
        self.containers.iter().any(|container| container.any_expression(test))
            || parts.into_iter().any(|part| part.any_expression(test))
            || self.applications.iter().any(|change| change.any_expression(test))
    }
}

/// Pod fields that have a place of their own in a sidecar.
const POD_FIELDS_ELSEWHERE: [(&str, &str); 4] = [
    ("containers", "containers belong under `inject.containers`"),
    ("initContainers", "init containers belong under `inject.containers`, with `form: init`"),
    ("ephemeralContainers", "ephemeral containers cannot be injected: the API server refuses them in a new pod"),
    ("volumes", "volumes belong under `inject.volumes`"),
];
