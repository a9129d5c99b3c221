//! Budgets for what sidecars request, and what of them can be judged before there is any pod.
//!
//! What every pod with some sidecars requests for them is judged here; what hangs on the pod is judged with the workloads
//! ([`super::Spending`]). Sidecars stand together in a pod for certain where nothing narrows them, or all by the same words.

use serde_json::{Map, Value};

use super::super::SourceProblem;
use super::super::compatibility::arithmetic::{Role, Share, effective};
use super::super::facts;
use super::super::member::Member;
use super::super::sidecar::Sidecar;
use super::known::{Leaf, Version};
use super::{Guardrail, Rule};
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

/// What can be said of a guardrail's budgets without workloads.
#[derive(Default)]
pub(in super::super) struct Judged {
    /// The budgets of a pod that some pods exceed.
    pub(in super::super) over: Vec<SourceProblem>,
    /// Whether anything is left to be judged with the workloads.
    pub(in super::super) is_open: bool,
}

/// Compares the budget of a pod with what is certain.
pub(in super::super) fn judge(
    guardrail: &Guardrail,
    sidecars: &[&Sidecar],
    member: &Member,
    settings: &Value,
) -> Judged {
    let Some(overhead) = guardrail.overhead.as_ref().filter(|_| !guardrail.exempts(Rule::Overhead, None, member))
    else {
        return Judged::default();
    };
    let mut judged =
        Judged { over: Vec::new(), is_open: !(overhead.namespace.of.is_empty() && overhead.member.of.is_empty()) };
    if overhead.pod.of.is_empty() {
        return judged;
    }
    let asked: Vec<Asked<'_>> = sidecars.iter().map(|sidecar| Asked::of(sidecar, settings)).collect();
    let own = guardrail.selection.as_ref();
    judged.is_open |= asked.iter().any(|one| one.is_open || one.beside(own).is_some());
    let mut groups: Vec<Option<Narrowed<'_>>> = vec![None];
    for group in asked.iter().map(|one| one.beside(own)) {
        // Whether a guardrail for some pods and a sidecar for others ever meet is not known.
        if !groups.contains(&group) && own.is_none() {
            groups.push(group);
        }
    }
    for (resource, budget) in &overhead.pod.of {
        let over = groups.iter().find_map(|group| {
            let together = asked.iter().filter(|one| one.beside(own).is_none_or(|narrowed| Some(narrowed) == *group));
            let together: Vec<&Asked<'_>> = together.collect();
            // While versions are rolled out, either may be the one that asks for more.
            [0, 1].iter().find_map(|version| exceeded(&together, *version, resource, *budget))
        });
        if let Some((sum, parts)) = over {
            let message = format!(
                "sidecars request {} of {resource} in a pod of member `{}` ({parts}), and the budget is {}",
                sum.canonical(),
                member.name,
                budget.canonical()
            );
            let hint = "let the sidecars request less, raise the budget, or let an exemption say who answers for it";
            let pointer = format!("/spec/overhead/pod/{resource}");
            judged.over.push(SourceProblem::at(guardrail.document, pointer, message, Some(hint.to_owned())));
        }
    }
    judged
}

/// `match` and `when`, where they say anything.
type Narrowed<'s> = [Option<&'s Value>; 2];

/// What the containers of a sidecar request in every pod that gets it.
struct Asked<'s> {
    sidecar: &'s str,
    narrowed: Option<Narrowed<'s>>,
    /// By version: the current one, then the one before.
    versions: Vec<Vec<Share>>,
    /// Whether some of it hangs on the pod.
    is_open: bool,
}

impl<'s> Asked<'s> {
    fn of(sidecar: &'s Sidecar, settings: &Value) -> Self {
        let native = settings.pointer("/cluster/capabilities/nativeSidecars") == Some(&Value::Bool(true));
        let said = |key: &str| {
            let empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
            sidecar.settings.get(key).filter(|value| !empty(value))
        };
        let narrowed = [said("match"), said("when")];
        let mut is_open = false;
        let mut versions = Vec::new();
        for version in Version::all(sidecar, settings) {
            let mut shares = Vec::new();
            for (_, container) in version.containers() {
                let share = share(sidecar, &version, container, native);
                is_open |= share.is_none();
                shares.extend(share);
            }
            versions.push(shares);
        }
        Self {
            sidecar: &sidecar.name,
            narrowed: narrowed.iter().any(Option::is_some).then_some(narrowed),
            versions,
            is_open,
        }
    }

    /// What narrows it beside a guardrail's own `match`.
    fn beside(&self, own: Option<&Value>) -> Option<Narrowed<'s>> {
        self.narrowed.filter(|[matched, when]| when.is_some() || *matched != own)
    }

    fn version(&self, index: usize) -> &[Share] {
        self.versions.get(index).or(self.versions.first()).map_or(&[], Vec::as_slice)
    }
}

/// What a container requests; `None` where that hangs on the pod.
fn share(sidecar: &Sidecar, version: &Version<'_>, container: &Map<String, Value>, native: bool) -> Option<Share> {
    let name = container.get("name").and_then(Value::as_str)?;
    let set = format!("containers.{name}.resources");
    let is_sized = container.get("sizing").is_some_and(|sizing| !sizing.is_null());
    let mut overrides = sidecar.overrides().filter_map(|(_, one)| one.get("sets").and_then(Value::as_str));
    if is_sized || !version.is_certain(container) || overrides.any(|sets| sets.starts_with(&set)) {
        return None;
    }
    let word = |path: &[&str]| match version.leaf(container, path) {
        Leaf::Missing => Some("container".to_owned()),
        leaf => leaf.text().map(str::to_owned),
    };
    let form = match word(&["form"])?.as_str() {
        "sidecar" if !native => word(&["fallback", "form"])?,
        form => form.to_owned(),
    };
    let role = match form.as_str() {
        "sidecar" => Role::Sidecar,
        "init" => Role::Init,
        _ => Role::Container,
    };
    let mut amounts = facts::Amounts::new();
    for resource in Amounts::RESOURCES {
        let found = match version.leaf(container, &["resources", "requests", resource]) {
            Leaf::Missing => version.leaf(container, &["resources", "limits", resource]),
            found => found,
        };
        match found {
            Leaf::Missing => {}
            Leaf::Known(amount) => amounts.extend(Quantity::of(&amount).map(|amount| (resource.to_owned(), amount))),
            Leaf::Depends => return None,
        }
    }
    Some(Share { role, amounts })
}

/// What some sidecars request together, with their parts in words, where that is more than the budget.
fn exceeded(together: &[&Asked<'_>], version: usize, resource: &str, budget: Quantity) -> Option<(Quantity, String)> {
    let shares: Vec<Share> = together.iter().flat_map(|one| one.version(version)).cloned().collect();
    let sum = effective(&shares).get(resource).copied().filter(|sum| *sum > budget)?;
    let part = |one: &&Asked<'_>| {
        let amount = effective(one.version(version)).get(resource).copied()?;
        Some(format!("`{}` {}", one.sidecar, amount.canonical()))
    };
    let parts: Vec<String> = together.iter().filter_map(part).collect();
    Some((sum, parts.join(", ")))
}
