//! What the sidecars of a member request in its pods, added up against the budgets of its guardrails.
//!
//! Invariant: the memory grows with the namespaces at most. What is not known, such as the labels of a namespace that a
//! guardrail asks for, counts as meant: a budget is never kept by ignorance.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use super::super::Federation;
use super::super::compatibility::arithmetic::{Kind, Role, Share, declared, effective};
use super::super::facts::Amounts as Sums;
use super::{Amounts, Overhead, Rule};
use crate::expression::quantity::Quantity;
use crate::injection::{WorkloadKind, is_meant};
use crate::read::{Node, Problems};
use crate::settings::{Match, Settings};

/// The budgets of one member and what was spent of them.
#[derive(Debug)]
pub struct Spending {
    settings: Settings,
    accounts: Vec<Account>,
    listed: usize,
}

/// One guardrail's budgets.
#[derive(Debug)]
struct Account {
    guardrail: String,
    place: String,
    matching: Match,
    /// Namespaces that are let off.
    exempt: Vec<String>,
    budgets: Overhead,
    pods: BTreeMap<&'static str, Excess>,
    namespaces: BTreeMap<String, Sums>,
    member: Sums,
}

/// A workload with what becomes of its pods.
#[derive(Debug, Clone, Copy)]
pub struct Workload<'w> {
    /// Its name, for people.
    pub name: &'w str,
    /// The object, by which guardrails choose.
    pub object: &'w Value,
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its namespace.
    pub namespace: &'w str,
    /// The labels of that namespace, where they are known.
    pub namespace_labels: Option<&'w Map<String, Value>>,
    /// The `spec` of its pods without sidecars of ours.
    pub before: &'w Value,
    /// The `spec` with them.
    pub after: &'w Value,
    /// How many pods it stands for.
    pub copies: u64,
}

/// What a budget is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Budgeted {
    /// Each pod.
    Pod,
    /// A namespace.
    Namespace(String),
    /// The member.
    Member,
}

/// A budget that is exceeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// The guardrail.
    pub guardrail: String,
    /// `file:line` of its document.
    pub place: String,
    /// What the budget is for.
    pub budgeted: Budgeted,
    /// The resource.
    pub resource: &'static str,
    /// What sidecars request: of pods the most.
    pub found: Quantity,
    /// What they may.
    pub budget: Quantity,
    /// How many workloads have such pods.
    pub workloads: u64,
    /// The first of them.
    pub first: Vec<String>,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guardrail, place, budgeted, resource, found, budget, .. } = self;
        let (found, budget) = (found.canonical(), budget.canonical());
        match budgeted {
            Budgeted::Pod => write!(f, "sidecars request up to {found} of {resource} in a pod")?,
            Budgeted::Namespace(name) => write!(f, "sidecars request {found} of {resource} in namespace {name}")?,
            Budgeted::Member => write!(f, "sidecars request {found} of {resource} in the member")?,
        }
        write!(f, ", and the budget is {budget} (Guardrail `{guardrail}`, {place})")
    }
}

impl Federation {
    /// The budgets of a member with nothing spent; `None` where there are none. `settings` are those that
    /// [`Federation::compile`] makes for it; `listed` names are kept of the workloads whose pods exceed one.
    pub fn spending(&self, member: &str, settings: &Value, listed: usize) -> Option<Spending> {
        let member = self.members().find(|one| one.name == member)?;
        let account = |guardrail: &super::Guardrail| {
            let budgets = guardrail.overhead.clone()?;
            if !member.selected_by(&guardrail.members) || guardrail.exempts(Rule::Overhead, None, member) {
                return None;
            }
            // It was read without a problem when the document was. Who will send the pods is not known.
            let node = guardrail.selection.as_ref().map(Node::root);
            let matching = Match { callers: None, ..Match::read(node, &mut Problems::default()) };
            let exempt = guardrail.exempt_namespaces(Rule::Overhead, None, member);
            Some(Account {
                guardrail: guardrail.name.clone(),
                place: format!("{}:{}", guardrail.file, guardrail.line),
                matching,
                exempt: exempt.into_iter().map(str::to_owned).collect(),
                budgets,
                pods: BTreeMap::new(),
                namespaces: BTreeMap::new(),
                member: Sums::new(),
            })
        };
        let accounts: Vec<Account> = self.guardrails.iter().filter_map(account).collect();
        if accounts.is_empty() {
            return None;
        }
        Some(Spending { settings: Settings::read(settings).ok()?, accounts, listed })
    }
}

impl Spending {
    /// Adds what sidecars request in the pods of a workload.
    pub fn add(&mut self, workload: &Workload<'_>) {
        let added = difference(&requests(workload.after), &requests(workload.before));
        if added.is_empty() {
            return;
        }
        let copies = Quantity::from_units(i64::try_from(workload.copies.saturating_mul(100)).unwrap_or(i64::MAX));
        for account in &mut self.accounts {
            let Workload { object, kind, namespace, namespace_labels, .. } = *workload;
            let meant = is_meant(&self.settings, &account.matching, object, kind, namespace, namespace_labels);
            if meant == Some(false) || account.exempt.iter().any(|name| name == namespace) {
                continue;
            }
            account.add_pods(workload.name, &added, self.listed);
            let namespaced = &account.budgets.namespace.of;
            let of_namespace = account.namespaces.entry(namespace.to_owned()).or_default();
            for (name, amount) in &added {
                let all = amount.scale_percent(copies);
                let add = |sums: &mut Sums| {
                    sums.entry(name.clone()).and_modify(|sum| *sum = sum.saturating_add(all)).or_insert(all);
                };
                if namespaced.iter().any(|(resource, _)| resource == name) {
                    add(of_namespace);
                }
                add(&mut account.member);
            }
        }
    }

    /// Every budget that is exceeded, in the order of the guardrails: by pod, by namespace, in the member.
    pub fn excesses(&self) -> Vec<Excess> {
        let mut excesses = Vec::new();
        for account in &self.accounts {
            excesses.extend(account.pods.values().cloned());
            let namespaces = account.namespaces.iter();
            let namespaces =
                namespaces.map(|(name, sums)| (Budgeted::Namespace(name.clone()), sums, &account.budgets.namespace));
            let member = [(Budgeted::Member, &account.member, &account.budgets.member)];
            for (budgeted, sums, budgets) in namespaces.chain(member) {
                let over = over(sums, budgets);
                excesses
                    .extend(over.map(|(resource, found, budget)| account.excess(&budgeted, resource, found, budget)));
            }
        }
        excesses
    }
}

impl Account {
    fn add_pods(&mut self, workload: &str, added: &Sums, listed: usize) {
        let found: Vec<_> = over(added, &self.budgets.pod).collect();
        for (resource, found, budget) in found {
            let fresh = self.excess(&Budgeted::Pod, resource, found, budget);
            let excess = self.pods.entry(resource).or_insert(fresh);
            excess.found = excess.found.max(found);
            excess.workloads += 1;
            if excess.first.len() < listed {
                excess.first.push(workload.to_owned());
            }
        }
    }

    fn excess(&self, budgeted: &Budgeted, resource: &'static str, found: Quantity, budget: Quantity) -> Excess {
        let (guardrail, place) = (self.guardrail.clone(), self.place.clone());
        Excess {
            guardrail,
            place,
            budgeted: budgeted.clone(),
            resource,
            found,
            budget,
            workloads: 0,
            first: Vec::new(),
        }
    }
}

/// The budgets that some sums exceed.
fn over<'s>(sums: &'s Sums, budgets: &'s Amounts) -> impl Iterator<Item = (&'static str, Quantity, Quantity)> + 's {
    budgets.of.iter().filter_map(|(resource, budget)| {
        let found = sums.get(*resource).filter(|found| *found > budget)?;
        Some((*resource, *found, *budget))
    })
}

/// What a pod requests as a whole. A request of the pod itself stands for those of its containers (KEP-2837); an amount
/// that cannot be read is none: the pod was refused because of it, or will be.
fn requests(spec: &Value) -> Sums {
    let list = |key: &str| spec.get(key).and_then(Value::as_array).into_iter().flatten();
    let share =
        |container: &Value, role| Share { role, amounts: declared(container, Kind::Requests).unwrap_or_default() };
    let init = |container: &Value| {
        let native = container.get("restartPolicy").is_some_and(|when| when == "Always");
        share(container, if native { Role::Sidecar } else { Role::Init })
    };
    let containers = list("containers").map(|container| share(container, Role::Container));
    let mut sums = effective(&list("initContainers").map(init).chain(containers).collect::<Vec<_>>());
    let whole = spec.pointer("/resources/requests").and_then(Value::as_object).into_iter().flatten();
    sums.extend(whole.filter_map(|(name, amount)| Some((name.clone(), Quantity::of(amount)?))));
    sums
}

/// What is more than before.
fn difference(after: &Sums, before: &Sums) -> Sums {
    let zero = Quantity::from_units(0);
    let more = |(name, amount): (&String, &Quantity)| {
        let more = amount.checked_sub(before.get(name).copied().unwrap_or(zero))?;
        (more > zero).then(|| (name.clone(), more))
    };
    after.iter().filter_map(more).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(cpu: &str) -> Value {
        json!({"name": "c", "resources": {"requests": {"cpu": cpu}}})
    }

    #[test]
    fn what_sidecars_add_is_what_kubernetes_charges() {
        let native = |cpu: &str| {
            let mut native = container(cpu);
            native["restartPolicy"] = json!("Always");
            native
        };
        let app = json!({"containers": [container("1")]});
        let starting = json!({"containers": [container("1")], "initContainers": [container("2")]});
        for (before, after, added) in [
            (&app, json!({"containers": [container("1"), container("250m")]}), Some("250m")),
            (&app, json!({"containers": [container("1")], "initContainers": [native("250m")]}), Some("250m")),
            // An ordinary init container counts only where it is more than all that runs afterwards.
            (&app, json!({"containers": [container("1")], "initContainers": [container("1")]}), None),
            (&app, json!({"containers": [container("1")], "initContainers": [container("1500m")]}), Some("500m")),
            // A native sidecar runs beside the init containers behind it.
            (
                &starting,
                json!({"containers": [container("1")], "initContainers": [native("250m"), container("2")]}),
                Some("250m"),
            ),
            (
                &starting,
                json!({"containers": [container("1")], "initContainers": [container("2"), native("250m")]}),
                None,
            ),
            // What the pod requests as a whole does not grow.
            (
                &json!({"resources": {"requests": {"cpu": "2"}}, "containers": [container("1")]}),
                json!({"resources": {"requests": {"cpu": "2"}}, "containers": [container("1"), container("250m")]}),
                None,
            ),
        ] {
            let found = difference(&requests(&after), &requests(before));
            assert_eq!(found.get("cpu").map(Quantity::canonical).as_deref(), added, "{before} {after}");
        }
    }
}
