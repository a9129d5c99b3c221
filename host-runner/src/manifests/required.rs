//! Which sidecars are required, of which pods, and by whom: rows 4 to 6 of the selection table (DESIGN section 4).

use fedcar_policy::settings::{Guardrail, Mode, Rule, Settings, Sidecar, Version};
use serde_json::Value;

use super::containers::{Demand, demands};
use super::{Ground, cel, matching};

/// A required sidecar that can be proven.
pub(super) struct Required {
    /// The sidecar's name.
    pub(super) name: String,
    /// True for the pods that must carry it.
    pub(super) scope: String,
    /// True for the pods that do carry it.
    pub(super) carried: String,
    /// Who says so, and what is demanded, for the person whose pod lacks it.
    pub(super) message: String,
}

/// Why a required sidecar cannot be proven.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unprovable(pub(super) &'static str);

/// Whether any pod must carry any sidecar.
pub(super) fn any(settings: &Settings) -> bool {
    settings.sidecars.iter().any(|sidecar| is_required(settings, sidecar))
}

/// Whether some pods must carry it.
pub(super) fn is_required(settings: &Settings, sidecar: &Sidecar) -> bool {
    let by_guardrail = settings.guardrails.iter().any(|guardrail| guardrail.required.contains(&sidecar.name));
    sidecar.mode == Mode::Required || by_guardrail
}

/// What must be proven of a sidecar that [`is_required`].
pub(super) fn read(ground: &Ground<'_>, sidecar: &Sidecar, source: &Value) -> Result<Required, Unprovable> {
    let guardrails: Vec<(&Guardrail, Option<&Value>)> = ground
        .settings
        .guardrails
        .iter()
        .zip(sources(ground, "guardrails"))
        .map(|(guardrail, source)| (guardrail, matched(source)))
        .collect();
    let requiring: Vec<_> =
        guardrails.iter().filter(|(guardrail, _)| guardrail.required.contains(&sidecar.name)).collect();
    let forbidding: Vec<_> =
        guardrails.iter().filter(|(guardrail, _)| guardrail.never.contains(&sidecar.name)).collect();

    if source.get("when").is_some_and(|when| !when.is_null() && *when != Value::Bool(true)) {
        return Err(Unprovable("its `when` is known only to the module"));
    }
    let matches: Vec<Option<&Value>> =
        requiring.iter().chain(&forbidding).map(|(_, matched)| *matched).chain([matched(source)]).collect();
    if matches.iter().any(|one| matching::pod_labels(*one).iter().any(|label| is_injected(ground, "labels", label))) {
        return Err(Unprovable("its `match` asks for a pod label that a sidecar injects"));
    }
    let injects_account = ["serviceAccountName", "serviceAccount"].iter().any(|key| is_injected(ground, "pod", key));
    if injects_account && matches.iter().any(|one| matching::asks_for_service_account(*one)) {
        return Err(Unprovable("its `match` asks for the service account, which a sidecar injects"));
    }

    if is_replaced(ground, sidecar, source) {
        return Err(Unprovable("another sidecar may replace a container of it"));
    }

    let mut scope = vec![matching::expression(matched(source))];
    if sidecar.mode != Mode::Required {
        let by_any: Vec<String> = requiring.iter().map(|(_, matched)| matching::expression(*matched)).collect();
        scope.push(cel::any(&by_any));
    }
    scope.extend(forbidding.iter().map(|(_, matched)| cel::not(&matching::expression(*matched))));
    scope.retain(|clause| clause != "true");

    let versions = versions(ground, sidecar, source)?;
    let carried: Vec<String> =
        versions.iter().map(|demands| cel::all(&demands.iter().map(Demand::expression).collect::<Vec<_>>())).collect();
    let by = if sidecar.mode == Mode::Required {
        "by its mode".to_owned()
    } else {
        let names: Vec<String> = requiring.iter().map(|(guardrail, _)| format!("`{}`", guardrail.name)).collect();
        format!("by guardrail {}", names.join(" or "))
    };
    let words: Vec<String> =
        versions.iter().map(|demands| demands.iter().map(Demand::words).collect::<Vec<_>>().join(" and ")).collect();
    Ok(Required {
        name: sidecar.name.clone(),
        scope: cel::all(&scope),
        carried: cel::any(&carried),
        message: format!(
            "sidecar `{}` is required here {by}, and the pod does not carry it (expected {}): fedcar was not reached, \
             or what it injected was changed afterwards",
            sidecar.name,
            words.join(", or ")
        ),
    })
}

/// What each version that a pod may get must have put into it.
fn versions(ground: &Ground<'_>, sidecar: &Sidecar, source: &Value) -> Result<Vec<Vec<Demand>>, Unprovable> {
    let current = (&sidecar.versions.current, source.get("inject"));
    let mut given: Vec<(&Version, Option<&Value>)> = Vec::new();
    match &sidecar.versions.rollout {
        None => given.push(current),
        Some(rollout) => {
            if rollout.percent > 0 {
                given.push(current);
            }
            if rollout.percent < 100 {
                let previous = rollout.previous.as_ref();
                let previous = previous.ok_or(Unprovable("its rollout leaves some pods without it"))?;
                given.push((previous, source.pointer("/rollout/previous/inject")));
            }
        }
    }
    let settings = (ground.settings, ground.source);
    let mut versions = Vec::new();
    for (version, inject) in given {
        let demands = demands(settings, sidecar, version, inject, ground.proof);
        if demands.is_empty() {
            return Err(Unprovable("no container of it is in every pod under a known name"));
        }
        if !versions.contains(&demands) {
            versions.push(demands);
        }
    }
    Ok(versions)
}

/// Whether any sidecar sets this key: then a pod that has been injected is not the pod that was selected.
fn is_injected(ground: &Ground<'_>, part: &str, key: &str) -> bool {
    sources(ground, "sidecars").iter().any(|sidecar| {
        ["/inject", "/rollout/previous/inject"].iter().any(|inject| {
            let Some(inject) = sidecar.pointer(inject) else { return false };
            // A whole map or list by an expression may hold any key.
            let injected = inject.get(part).is_some_and(|map| map.is_string() || map.get(key).is_some());
            let removed = inject.pointer(&format!("/remove/{part}")).is_some_and(|keys| match keys {
                Value::Array(keys) => keys.iter().filter_map(Value::as_str).any(|one| one == key || one.contains("${")),
                keys => keys.is_string(),
            });
            injected || removed
        })
    })
}

/// Whether another sidecar may put a container of its own in the place of one of these.
fn is_replaced(ground: &Ground<'_>, sidecar: &Sidecar, source: &Value) -> bool {
    let names = container_names(source);
    ground.settings.sidecars.iter().zip(sources(ground, "sidecars")).any(|(other, source)| {
        let clashes = |name: &str| name.contains("${") || names.contains(&name);
        other.name != sidecar.name
            && other.conflicts.containers == Rule::Replace
            && container_names(source).into_iter().any(clashes)
    })
}

/// The names of all containers that any version of a sidecar may bring.
fn container_names(source: &Value) -> Vec<&str> {
    let lists = ["/inject/containers", "/rollout/previous/inject/containers"];
    let containers = lists.iter().filter_map(|list| source.pointer(list)?.as_array()).flatten();
    containers.filter_map(|container| container.get("name")?.as_str()).collect()
}

/// The items of a list of the settings, which are in the order of what was read from them.
pub(super) fn sources<'p>(ground: &Ground<'p>, list: &str) -> &'p [Value] {
    ground.source.get(list).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn matched(source: &Value) -> Option<&Value> {
    source.get("match").filter(|matched| !matched.is_null())
}
