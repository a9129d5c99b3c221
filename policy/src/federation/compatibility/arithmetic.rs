//! What a pod asks of a node, a quota and a limit range: the sums and maxima of Kubernetes.
//!
//! `k8s.io/component-helpers/resource`, `AggregateContainerRequests` (KEP-753): containers and native sidecars add up;
//! an ordinary init container runs beside the native sidecars that stand before it, and only the largest of these counts.

use serde_json::Value;

use super::candidate::is_open;
use crate::expression::quantity::Quantity;
use crate::federation::facts::Amounts;

/// Requests or limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::federation) enum Kind {
    Requests,
    Limits,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Requests, Self::Limits];

    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Limits => "limits",
        }
    }
}

/// An amount that hangs on the pod, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::federation) struct Open(pub(in crate::federation) String);

/// What a container says itself; a limit stands in for a request that is missing, as the API server fills it in.
pub(in crate::federation) fn declared(container: &Value, kind: Kind) -> Result<Amounts, Open> {
    let mut amounts = read(container, kind)?;
    if kind == Kind::Requests {
        for (name, amount) in read(container, Kind::Limits)? {
            amounts.entry(name).or_insert(amount);
        }
    }
    Ok(amounts)
}

fn read(container: &Value, kind: Kind) -> Result<Amounts, Open> {
    let name = container["name"].as_str().unwrap_or_default();
    let open = || Open(format!("`resources.{}` of container `{name}`", kind.key()));
    let Some(found) = container.pointer(&format!("/resources/{}", kind.key())) else {
        return if container.get("resources").is_some_and(Value::is_string) { Err(open()) } else { Ok(Amounts::new()) };
    };
    if is_open(found) {
        return Err(open());
    }
    let entries = found.as_object().into_iter().flatten();
    entries
        .map(|(name, amount)| {
            let text = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
            Ok((name.clone(), Quantity::parse(&text).map_err(|_| open())?))
        })
        .collect()
}

/// A container of a pod, and what it asks for.
#[derive(Debug, Clone)]
pub(in crate::federation) struct Share {
    pub(in crate::federation) role: Role,
    pub(in crate::federation) amounts: Amounts,
}

/// How a container counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::federation) enum Role {
    /// It runs all the time, from its own start on.
    Container,
    /// So does a native sidecar, which stands among the init containers.
    Sidecar,
    /// It ends before the next one starts.
    Init,
}

/// What the pod asks for as a whole; init containers in the order of their list.
pub(in crate::federation) fn effective(shares: &[Share]) -> Amounts {
    let mut running = Amounts::new();
    let mut sidecars = Amounts::new();
    let mut starting = Amounts::new();
    for share in shares {
        match share.role {
            Role::Container => add(&mut running, &share.amounts),
            Role::Sidecar => {
                add(&mut running, &share.amounts);
                add(&mut sidecars, &share.amounts);
                raise(&mut starting, &sidecars);
            }
            Role::Init => {
                let mut together = share.amounts.clone();
                add(&mut together, &sidecars);
                raise(&mut starting, &together);
            }
        }
    }
    raise(&mut running, &starting);
    running
}

fn add(to: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        to.entry(name.clone()).and_modify(|sum| *sum = sum.saturating_add(*amount)).or_insert(*amount);
    }
}

fn raise(to: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        to.entry(name.clone()).and_modify(|most| *most = (*most).max(*amount)).or_insert(*amount);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cpu(shares: &[(Role, &str)]) -> String {
        let share = |(role, cpu): &(Role, &str)| {
            let amounts = Amounts::from([("cpu".to_owned(), Quantity::parse(cpu).unwrap())]);
            Share { role: *role, amounts }
        };
        effective(&shares.iter().map(share).collect::<Vec<_>>())["cpu"].canonical()
    }

    #[test]
    fn pods_are_added_up_as_kep_753_says() {
        use Role::{Container, Init, Sidecar};
        for (shares, total) in [
            (vec![(Container, "1"), (Container, "2")], "3"),
            // Init containers run one after the other: the largest counts, and only if it is more than the rest together.
            (vec![(Init, "5"), (Init, "4"), (Container, "1")], "5"),
            (vec![(Init, "1"), (Container, "2")], "2"),
            // A native sidecar counts beside every init container behind it ...
            (vec![(Sidecar, "2"), (Init, "5"), (Container, "1")], "7"),
            // ... and not beside those before it.
            (vec![(Init, "5"), (Sidecar, "2"), (Container, "1")], "5"),
            (vec![(Init, "5"), (Sidecar, "1"), (Sidecar, "2"), (Init, "3"), (Container, "1")], "6"),
            (vec![(Sidecar, "2"), (Container, "500m"), (Container, "500m")], "3"),
        ] {
            assert_eq!(cpu(&shares), total, "{shares:?}");
        }
    }

    #[test]
    fn a_limit_stands_in_for_a_missing_request() {
        let container =
            json!({"name": "c", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": 0.5}}});
        let requests = declared(&container, Kind::Requests).unwrap();
        assert_eq!(requests["cpu"].canonical(), "500m");
        assert_eq!(requests["memory"].canonical(), "1Gi");
        let open = json!({"name": "c", "resources": {"requests": {"cpu": "${pod.x}"}}});
        assert_eq!(declared(&open, Kind::Requests), Err(Open("`resources.requests` of container `c`".to_owned())));
        assert_eq!(declared(&open, Kind::Limits), Ok(Amounts::new()));
    }
}
