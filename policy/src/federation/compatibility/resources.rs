//! `LimitRange` and `ResourceQuota` against what a sidecar asks for.
//!
//! As Kubernetes does it: the limit ranges of the namespace fill in what a container leaves out (the admission plugin runs
//! again after webhooks), then limits are checked for each container and for the pod, at last quotas. Of the pod only what
//! the sidecar brings is known, so what needs the rest of it is not said to work.

use super::Case;
use super::arithmetic::{Kind, Open, Role, Share, declared, effective};
use super::candidate::Container;
use super::outcome::Outcomes;
use crate::expression::quantity::Quantity;
use crate::federation::facts::{Amounts, Limit, LimitRange, LimitType, Namespace, Quota, Scope};
use crate::settings::Form;

/// What a container asks for once the limit ranges have filled it in.
#[derive(Debug, Clone)]
struct Asked<'c> {
    container: &'c Container,
    requests: Amounts,
    limits: Amounts,
}

impl Asked<'_> {
    fn of(&self, kind: Kind) -> &Amounts {
        match kind {
            Kind::Requests => &self.requests,
            Kind::Limits => &self.limits,
        }
    }
}

/// What the containers of a sidecar ask for in a namespace.
fn asked<'c>(case: &'c Case<'_>, ranges: &[LimitRange]) -> Result<Vec<Asked<'c>>, Open> {
    let ask = |container: &'c Container| {
        if container.sized {
            return Err(Open(format!("`sizing` of container `{}`", container.name)));
        }
        let mut requests = declared(&container.value, Kind::Requests)?;
        let mut limits = declared(&container.value, Kind::Limits)?;
        let entries = ranges.iter().flat_map(|range| &range.limits).filter(|limit| limit.of == LimitType::Container);
        for limit in entries {
            fill(&mut limits, &limit.default);
            fill(&mut requests, &limit.default_request);
        }
        Ok(Asked { container, requests, limits })
    };
    case.candidate.containers.iter().map(ask).collect()
}

fn fill(amounts: &mut Amounts, defaults: &Amounts) {
    for (name, amount) in defaults {
        amounts.entry(name.clone()).or_insert(*amount);
    }
}

/// What the sidecar alone makes a pod ask for; a pod never asks for less, and grows by this at most.
fn alone(asked: &[Asked<'_>], kind: Kind) -> Amounts {
    let share = |one: &Asked<'_>| {
        let role = match one.container.stands_as {
            Some(Form::Init) => Role::Init,
            Some(Form::Sidecar) => Role::Sidecar,
            Some(Form::Container) | None => Role::Container,
        };
        Share { role, amounts: one.of(kind).clone() }
    };
    effective(&asked.iter().map(share).collect::<Vec<_>>())
}

/// Goes through the namespaces in which something of the kind is known.
fn each_namespace<T>(
    case: &Case<'_>,
    what: (&str, &str),
    of: impl Fn(&Namespace) -> Option<&[T]>,
    outcomes: &mut Outcomes,
    judge: impl Fn(&Namespace, &[T], &mut Outcomes),
) {
    if case.candidate.containers.is_empty() {
        return;
    }
    let (kind, key) = what;
    let unknown = |outcomes: &mut Outcomes| {
        let fix = format!("probe the cluster, or pin `facts.namespaces.*.{key}`");
        outcomes.unknown(format!("no fact says which {kind} there are"), fix);
    };
    let Some(namespaces) = case.namespaces() else {
        unknown(outcomes);
        return;
    };
    for (name, namespace) in namespaces {
        outcomes.enter(name);
        match of(namespace) {
            Some(objects) => judge(namespace, objects, outcomes),
            None => unknown(outcomes),
        }
    }
}

/// Limit ranges.
pub(super) fn limit_ranges(case: &Case<'_>, outcomes: &mut Outcomes) {
    let judge = |_: &Namespace, ranges: &[LimitRange], outcomes: &mut Outcomes| {
        if ranges.is_empty() {
            outcomes.compatible("there is no LimitRange");
            return;
        }
        let before = outcomes.len();
        match asked(case, ranges) {
            Err(Open(place)) => open(&place, "LimitRange", outcomes),
            Ok(asked) => {
                for one in &asked {
                    check_defaults(one, outcomes);
                }
                for range in ranges {
                    check_range(range, &asked, outcomes);
                }
                if outcomes.len() == before {
                    outcomes.compatible("every container is within the LimitRanges");
                }
            }
        }
    };
    each_namespace(case, ("LimitRanges", "limitRanges"), |one| one.limit_ranges.as_deref(), outcomes, judge);
}

fn open(place: &str, what: &str, outcomes: &mut Outcomes) {
    outcomes.unknown(
        format!("there is a {what}, and {place} hangs on the pod"),
        "preview it with the workloads, or write the amount without expressions",
    );
}

/// A default limit may be below the container's own request, which the API server then refuses.
fn check_defaults(one: &Asked<'_>, outcomes: &mut Outcomes) {
    for (name, request) in &one.requests {
        if let Some(limit) = one.limits.get(name).filter(|limit| *limit < request) {
            outcomes.incompatible(
                format!(
                    "container `{}` requests {} of {name}, and gets a limit of {}",
                    one.container.name,
                    request.canonical(),
                    limit.canonical()
                ),
                format!("set `resources.limits.{name}` of the container to what it requests or more"),
            );
        }
    }
}

fn check_range(range: &LimitRange, asked: &[Asked<'_>], outcomes: &mut Outcomes) {
    for limit in &range.limits {
        match limit.of {
            LimitType::Other => {}
            LimitType::Container => {
                for one in asked {
                    let whose = format!("container `{}`", one.container.name);
                    for (broken, fix) in constraints(limit, &one.requests, &one.limits) {
                        outcomes.incompatible(format!("LimitRange `{}`: {whose} {broken}", range.name), fix);
                    }
                }
            }
            LimitType::Pod => check_pod(range, limit, asked, outcomes),
        }
    }
}

/// Of a limit for the whole pod only `max` can be known to be broken: the pod has containers of its own.
fn check_pod(range: &LimitRange, limit: &Limit, asked: &[Asked<'_>], outcomes: &mut Outcomes) {
    let (requests, limits) = (alone(asked, Kind::Requests), alone(asked, Kind::Limits));
    let before = outcomes.len();
    for (name, most) in &limit.max {
        let found = requests.get(name).max(limits.get(name)).filter(|found| *found > most);
        if let Some(found) = found {
            outcomes.incompatible(
                format!(
                    "LimitRange `{}`: a pod may have {} of {name}, and the sidecar alone has {}",
                    range.name,
                    most.canonical(),
                    found.canonical()
                ),
                format!("raise the limit, or give the sidecar less {name}"),
            );
        }
    }
    if outcomes.len() == before {
        let kept: Vec<String> =
            limit.max.keys().filter_map(|name| Some(format!("{} of {name}", limits.get(name)?.canonical()))).collect();
        let kept = if kept.is_empty() { "nothing".to_owned() } else { kept.join(", ") };
        outcomes.unknown(
            format!("LimitRange `{}` limits whole pods, of which the sidecar takes {kept}", range.name),
            "preview it with the workloads",
        );
    }
}

/// What `min`, `max` and `maxLimitRequestRatio` find wrong (`PodValidateLimitFunc`).
fn constraints(limit: &Limit, requests: &Amounts, limits: &Amounts) -> Vec<(String, String)> {
    let mut broken = Vec::new();
    let mut add = |what: String, fix: String| broken.push((what, fix));
    for (name, least) in &limit.min {
        let least_text = least.canonical();
        let fix = format!("set `resources.requests.{name}` of the container to {least_text} or more");
        match requests.get(name) {
            None => add(format!("must request {name}, {least_text} or more"), fix),
            Some(found) if found < least => {
                add(format!("requests {} of {name}, and the least is {least_text}", found.canonical()), fix);
            }
            Some(_) => {
                if let Some(found) = limits.get(name).filter(|found| *found < least) {
                    add(format!("has a limit of {} of {name}, and the least is {least_text}", found.canonical()), fix);
                }
            }
        }
    }
    for (name, most) in &limit.max {
        let most_text = most.canonical();
        let fix = format!("set `resources.limits.{name}` of the container to {most_text} or less");
        match limits.get(name) {
            None => add(format!("must have a limit of {name}, {most_text} or less"), fix),
            Some(found) if found > most => {
                add(format!("has a limit of {} of {name}, and the most is {most_text}", found.canonical()), fix);
            }
            Some(_) => {
                if let Some(found) = requests.get(name).filter(|found| *found > most) {
                    add(format!("requests {} of {name}, and the most is {most_text}", found.canonical()), fix);
                }
            }
        }
    }
    let zero = Quantity::from_units(0);
    for (name, ratio) in &limit.ratio {
        let pair = (requests.get(name).filter(|one| **one != zero), limits.get(name).filter(|one| **one != zero));
        let fix = format!("set request and limit of {name}, the limit {} times the request at most", ratio.canonical());
        match pair {
            (Some(request), Some(limit)) => {
                // limit / request > ratio, without dividing.
                let most = request.scale_percent(ratio.scale_percent(Quantity::from_units(10_000)));
                if *limit > most {
                    add(
                        format!(
                            "has a limit of {} of {name} for a request of {}, more than {} times as much",
                            limit.canonical(),
                            request.canonical(),
                            ratio.canonical()
                        ),
                        fix,
                    );
                }
            }
            _ => add(format!("must have request and limit of {name}"), fix),
        }
    }
    broken
}

/// Resources of which a quota makes every container say how much it wants (`validationSet` of the pod evaluator).
const MUST_BE_SAID: [&str; 6] = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/// Which sum a name in a quota is about.
fn counted(name: &str) -> (Kind, &str) {
    match (name.strip_prefix("requests."), name.strip_prefix("limits.")) {
        (Some(resource), _) => (Kind::Requests, resource),
        (_, Some(resource)) => (Kind::Limits, resource),
        _ => (Kind::Requests, name),
    }
}

/// Quotas.
pub(super) fn quotas(case: &Case<'_>, outcomes: &mut Outcomes) {
    let judge = |namespace: &Namespace, quotas: &[Quota], outcomes: &mut Outcomes| {
        if quotas.is_empty() {
            outcomes.compatible("there is no ResourceQuota");
            return;
        }
        // Without limit ranges being known a default may yet fill in what is missing, so it is asked without any.
        match asked(case, namespace.limit_ranges.as_deref().unwrap_or_default()) {
            Err(Open(place)) => open(&place, "ResourceQuota", outcomes),
            Ok(asked) => {
                let before = outcomes.len();
                for quota in quotas {
                    check_quota(quota, namespace, &asked, outcomes);
                }
                if outcomes.len() == before {
                    outcomes.compatible(
                        "the ResourceQuotas count nothing that the sidecar asks for, or leave enough of it",
                    );
                }
            }
        }
    };
    each_namespace(case, ("ResourceQuotas", "resourceQuotas"), |one| one.quotas.as_deref(), outcomes, judge);
}

fn check_quota(quota: &Quota, namespace: &Namespace, asked: &[Asked<'_>], outcomes: &mut Outcomes) {
    let has_requests = asked
        .iter()
        .any(|one| Kind::ALL.iter().any(|kind| ["cpu", "memory"].iter().any(|name| one.of(*kind).contains_key(*name))));
    let counts: Vec<Option<bool>> = quota
        .scopes
        .iter()
        .map(|scope| match scope {
            Scope::BestEffort if has_requests => Some(false),
            Scope::NotBestEffort if has_requests => Some(true),
            Scope::BestEffort | Scope::NotBestEffort | Scope::OfThePod => None,
        })
        .collect();
    if counts.contains(&Some(false)) {
        return;
    }
    let certain = counts.iter().all(|one| *one == Some(true));
    let say = |sentence: String, fix: String, outcomes: &mut Outcomes| {
        if certain {
            outcomes.incompatible(sentence, fix);
        } else {
            outcomes.unknown(format!("{sentence}, for the pods in its scope"), fix);
        }
    };
    for (name, _) in quota.hard.iter().filter(|(name, _)| MUST_BE_SAID.contains(&name.as_str())) {
        let (kind, resource) = counted(name);
        for one in asked.iter().filter(|one| !one.of(kind).contains_key(resource)) {
            let who = &one.container.name;
            say(
                format!(
                    "ResourceQuota `{}` counts {name}, and container `{who}` does not say how much it wants",
                    quota.name
                ),
                format!("set `resources.{}.{resource}` of the container", kind.key()),
                outcomes,
            );
        }
    }
    for (name, hard) in &quota.hard {
        let (kind, resource) = counted(name);
        let sum = alone(asked, kind);
        let Some(extra) = sum.get(resource).filter(|extra| extra.sign() > 0) else { continue };
        let used = quota.used.get(name).copied().unwrap_or(Quantity::from_units(0));
        let Some(left) = hard.checked_sub(used) else { continue };
        if *extra > left {
            let needed = used.saturating_add(*extra);
            say(
                format!(
                    "ResourceQuota `{}` leaves {} of {name}, and the sidecar alone takes {} in a new pod",
                    quota.name,
                    left.canonical(),
                    extra.canonical()
                ),
                format!("raise {name} to {} or more", needed.canonical()),
                outcomes,
            );
            continue;
        }
        check_growth(quota, name, (*extra, left, used), namespace.pods, outcomes);
    }
}

/// Whether all pods of the namespace fit once each of them has the sidecar.
fn check_growth(
    quota: &Quota,
    name: &str,
    (extra, left, used): (Quantity, Quantity, Quantity),
    pods: Option<u64>,
    outcomes: &mut Outcomes,
) {
    let leaves = format!("ResourceQuota `{}` leaves {} of {name}", quota.name, left.canonical());
    let Some(pods) = pods else {
        outcomes.unknown(
            format!(
                "{leaves}, each pod takes up to {} more, and no fact says how many pods there are",
                extra.canonical()
            ),
            "probe the cluster, or pin `pods` of the namespace",
        );
        return;
    };
    let percent = Quantity::from_units(i64::try_from(pods).unwrap_or(i64::MAX).saturating_mul(100));
    let growth = extra.scale_percent(percent);
    if growth > left {
        outcomes.unknown(
            format!(
                "{leaves}, and its {pods} pods may take up to {} more, {} each",
                growth.canonical(),
                extra.canonical()
            ),
            format!("preview it with the workloads, or raise {name} to {}", used.saturating_add(growth).canonical()),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(pairs: &[(&str, &str)]) -> Amounts {
        pairs.iter().map(|(name, amount)| ((*name).to_owned(), Quantity::parse(amount).unwrap())).collect()
    }

    fn limit(min: &[(&str, &str)], max: &[(&str, &str)], ratio: &[(&str, &str)]) -> Limit {
        Limit {
            of: LimitType::Container,
            min: amounts(min),
            max: amounts(max),
            default: Amounts::new(),
            default_request: Amounts::new(),
            ratio: amounts(ratio),
        }
    }

    #[test]
    fn constraints_are_those_of_the_limit_ranger() {
        for (case, limit, requests, limits, broken) in [
            ("at the least", limit(&[("cpu", "10m")], &[], &[]), &[("cpu", "0.01")][..], &[][..], None),
            ("below the least", limit(&[("cpu", "10m")], &[], &[]), &[("cpu", "9m")], &[], Some("requests 9m of cpu")),
            ("a least without a request", limit(&[("cpu", "10m")], &[], &[]), &[], &[], Some("must request cpu")),
            ("at the most", limit(&[], &[("memory", "1Gi")], &[]), &[], &[("memory", "1024Mi")], None),
            (
                "above the most",
                limit(&[], &[("memory", "1Gi")], &[]),
                &[],
                &[("memory", "1025Mi")],
                Some("has a limit of"),
            ),
            (
                "a most without a limit",
                limit(&[], &[("memory", "1Gi")], &[]),
                &[("memory", "1Mi")],
                &[],
                Some("must have a limit"),
            ),
            ("at the ratio", limit(&[], &[], &[("cpu", "1.5")]), &[("cpu", "100m")], &[("cpu", "150m")], None),
            (
                "above the ratio",
                limit(&[], &[], &[("cpu", "1.5")]),
                &[("cpu", "100m")],
                &[("cpu", "151m")],
                Some("more than"),
            ),
            (
                "a ratio without a request",
                limit(&[], &[], &[("cpu", "2")]),
                &[],
                &[("cpu", "1")],
                Some("must have request"),
            ),
            (
                "a ratio to nothing",
                limit(&[], &[], &[("cpu", "2")]),
                &[("cpu", "0")],
                &[("cpu", "1")],
                Some("must have request"),
            ),
        ] {
            let found = constraints(&limit, &amounts(requests), &amounts(limits));
            match broken {
                None => assert!(found.is_empty(), "{case}: {found:?}"),
                Some(words) => {
                    assert_eq!(found.len(), 1, "{case}: {found:?}");
                    assert!(found[0].0.contains(words), "{case}: {found:?}");
                }
            }
        }
    }
}
