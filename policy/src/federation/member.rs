//! A member cluster: what a document says about it.

use serde_json::{Map, Value};

use super::facts::Facts;
use crate::read::{Node, Problems};
use crate::schema::Schema;
use crate::settings::Selector;

/// The label under which a selector sees a member's name.
pub(super) const MEMBER_LABEL: &str = "fedcar.dev/member";

/// One cluster of the federation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, which is also the label `fedcar.dev/member` in selectors.
    pub name: String,
    /// Its labels, each of them text: what selectors match, and `cluster.labels` in expressions.
    pub labels: Map<String, Value>,
    /// What runs the policy module there.
    pub engine: Engine,
    /// The namespace of that engine, in which nothing is injected.
    pub engine_namespace: String,
    /// The context of a kubeconfig by which delivery reaches the cluster.
    pub context: Option<String>,
    /// What is known about it: as the document says, or also by a lock ([`super::Federation::with_lock`]).
    pub facts: Facts,
    pub(super) variables: Map<String, Value>,
    /// Its place in the document.
    pub(super) pointer: String,
}

/// What runs the policy module in a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Kubewarden's policy-server.
    Kubewarden,
    /// fedcar's own `fedcar serve`.
    HostRunner,
}

impl Engine {
    const ALL: [(&str, Self); 2] = [("kubewarden", Self::Kubewarden), ("host-runner", Self::HostRunner)];

    /// Its name in documents.
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, engine)| *engine == self).map_or("", |(name, _)| name)
    }

    /// The namespace into which the engine is installed by its own instructions.
    const fn usual_namespace(self) -> &'static str {
        match self {
            Self::Kubewarden => "kubewarden",
            Self::HostRunner => "fedcar-system",
        }
    }
}

impl Member {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems).and_then(|node| node.filled_text(problems));
        let labels = fields.optional("labels").and_then(|node| node.entries(problems)).unwrap_or_default();
        let labels = labels
            .iter()
            .filter_map(|(key, value)| Some(((*key).to_owned(), Value::from(value.text(problems)?))))
            .collect();
        let engine = fields.required("engine", problems).and_then(|node| node.choice(&Engine::ALL, problems));
        let namespace = fields.optional("engineNamespace").and_then(|node| node.filled_text(problems));
        let context = fields.optional("kubeconfig").and_then(|node| context(&node, problems));
        let variables = fields.optional("variables").and_then(|node| variables(&node, problems));
        let facts = fields.optional("facts").and_then(|node| Facts::read(&node, problems));
        fields.finish(problems);
        let engine = engine?;
        Some(Self {
            name: name?.to_owned(),
            labels,
            engine,
            engine_namespace: namespace.unwrap_or(engine.usual_namespace()).to_owned(),
            context: context.map(str::to_owned),
            facts: facts.unwrap_or_default(),
            variables: variables.unwrap_or_default(),
            pointer: node.pointer.clone(),
        })
    }

    pub(super) fn schema() -> Schema {
        let kubeconfig = Schema::object([("context", Schema::filled())]).requires(&["context"]);
        Schema::object([
            ("name", Schema::label()),
            ("labels", Schema::map_of(Schema::text()).says("What selectors match.")),
            ("engine", Schema::choice(&Engine::ALL).says("What runs the policy module there.")),
            ("engineNamespace", Schema::filled()),
            ("kubeconfig", kubeconfig.says("How delivery reaches it.")),
            ("variables", Schema::map_of(Schema::any()).says("Each in place of the federation's of the same name.")),
            ("facts", Facts::schema().says("What is known about it; what is missing is unknown.")),
        ])
        .requires(&["name", "engine"])
    }

    /// Whether a selector of members means it.
    pub fn selected_by(&self, selector: &Selector) -> bool {
        let mut labels = self.labels.clone();
        labels.insert(MEMBER_LABEL.to_owned(), Value::from(self.name.as_str()));
        selector.matches(Some(&labels))
    }
}

fn context<'v>(kubeconfig: &Node<'v>, problems: &mut Problems) -> Option<&'v str> {
    let mut fields = kubeconfig.fields(problems)?;
    let context = fields.required("context", problems).and_then(|node| node.filled_text(problems));
    fields.finish(problems);
    context
}

/// Variables are JSON of any shape; only the map itself is checked.
pub(super) fn variables(node: &Node<'_>, problems: &mut Problems) -> Option<Map<String, Value>> {
    let entries = node.entries(problems)?;
    Some(entries.into_iter().map(|(key, node)| (key.to_owned(), node.value.clone())).collect())
}

/// A list of texts, none of them empty.
pub(super) fn texts(node: &Node<'_>, problems: &mut Problems) -> Vec<String> {
    let items = node.items(problems).unwrap_or_default();
    items.iter().filter_map(|item| item.filled_text(problems)).map(str::to_owned).collect()
}
