//! Budgets for what sidecars request. They are judged where workloads are known.

use crate::expression::quantity::Quantity;
use crate::read::{Node, Problems, describe};
use crate::schema::Schema;

/// What all sidecars together may request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overhead {
    /// In one pod.
    pub pod: Amounts,
    /// In one namespace.
    pub namespace: Amounts,
    /// In one member.
    pub member: Amounts,
}

/// At most so much of each resource; of one that is not there as much as anybody likes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amounts {
    /// By name of the resource, in the order of [`Amounts::RESOURCES`].
    pub of: Vec<(&'static str, Quantity)>,
}

impl Overhead {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let [pod, namespace, member] = ["pod", "namespace", "member"].map(|key| {
            let amounts = fields.optional(key).and_then(|node| Amounts::read(&node, problems));
            amounts.unwrap_or_default()
        });
        fields.finish(problems);
        Some(Self { pod, namespace, member })
    }

    pub(super) fn schema() -> Schema {
        Schema::object(["pod", "namespace", "member"].map(|key| (key, Amounts::schema())))
    }
}

impl Amounts {
    /// The resources that have a budget.
    pub const RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let mut amounts = Self::default();
        for resource in Self::RESOURCES {
            let Some(node) = fields.optional(resource) else { continue };
            match Quantity::of(node.value).filter(|amount| amount.sign() >= 0) {
                Some(amount) => amounts.of.push((resource, amount)),
                None => problems.add(
                    &node.pointer,
                    format!("expected a quantity such as `500m`, not below 0, found {}", describe(node.value)),
                ),
            }
        }
        fields.finish(problems);
        Some(amounts)
    }

    fn schema() -> Schema {
        Schema::object(Self::RESOURCES.map(|resource| (resource, Schema::quantity())))
    }
}
