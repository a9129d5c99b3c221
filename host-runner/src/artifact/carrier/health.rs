//! When a `ClusterAdmissionPolicy` works: no carrier knows, and `status.policyStatus` alone does not tell, because it stays
//! `active` while a later version is still rolling out.

/// What must be true of a policy that is really served.
const CONDITIONS: [&str; 3] = ["PolicyActive", "PolicyServerConfigurationUpToDate", "PolicyUniquelyReachable"];

/// In CEL, with the fields of the object as names.
pub(super) fn cel() -> String {
    let holds = |name: &str| format!("status.conditions.exists(c, c.type == \"{name}\" && c.status == \"True\")");
    let all = CONDITIONS.map(holds).join(" && ");
    format!("has(status.conditions) && {all} && status.mode == spec.mode")
}

/// As a health check of Argo CD, in Lua.
pub(super) fn lua() -> String {
    let names = CONDITIONS.map(|name| format!("\"{name}\"")).join(", ");
    format!(
        r#"local hs = {{ status = "Progressing", message = "waiting for the policy server" }}
if obj.status == nil then
  return hs
end
if obj.status.policyStatus == "unscheduled" then
  return {{ status = "Degraded", message = "there is no such policy server" }}
end
local holds = {{}}
for _, condition in ipairs(obj.status.conditions or {{}}) do
  holds[condition.type] = condition.status == "True"
end
for _, name in ipairs({{ {names} }}) do
  if not holds[name] then
    hs.message = "waiting for " .. name
    return hs
  end
end
if obj.status.mode ~= obj.spec.mode then
  hs.message = "waiting for mode " .. obj.spec.mode
  return hs
end
return {{ status = "Healthy", message = "every policy server serves it" }}
"#
    )
}
