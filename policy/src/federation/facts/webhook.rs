//! Mutating webhooks of others, as far as they share new pods with fedcar.

use crate::read::{Node, Problems};

/// One webhook of a `MutatingWebhookConfiguration` that is called for new pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MutatingWebhook {
    /// The name of its configuration, by which the API server orders webhooks.
    pub configuration: String,
    /// Its own name.
    pub name: String,
    /// Whether it is called again when others have changed the pod after it.
    pub reinvoked: bool,
}

impl MutatingWebhook {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let configuration = fields.required("configuration", problems).and_then(|node| node.filled_text(problems));
        let name = fields.required("name", problems).and_then(|node| node.filled_text(problems));
        let policies = [("IfNeeded", true), ("Never", false)];
        let reinvoked =
            fields.optional("reinvocationPolicy").map_or(Some(false), |node| node.choice(&policies, problems));
        fields.finish(problems);
        Some(Self { configuration: configuration?.to_owned(), name: name?.to_owned(), reinvoked: reinvoked? })
    }
}
