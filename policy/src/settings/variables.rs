//! Which variables exist where in a sidecar (docs/expressions.md).

/// In the sidecar's own `when`: what is known of a request.
pub(super) const REQUEST: [&str; 9] =
    ["cluster", "federation", "vars", "sidecar", "pod", "workload", "namespace", "applications", "handlers"];
/// In what all sidecars share.
pub(super) const SHARED: [&str; 9] =
    ["cluster", "federation", "vars", "pod", "workload", "namespace", "applications", "handlers", "let"];
/// In what one version of it brings.
pub const VERSION: [&str; 11] = [
    "cluster",
    "federation",
    "vars",
    "sidecar",
    "pod",
    "workload",
    "namespace",
    "applications",
    "handlers",
    "let",
    "overrides",
];
/// Below `applications`.
pub(super) const APPLICATION: [&str; 12] = {
    let [a, b, c, d, e, f, g, h, i, j, k] = VERSION;
    [a, b, c, d, e, f, g, h, i, j, k, "container"]
};
/// Below `applications[].handlers`, which has every name that any expression of a sidecar may have.
pub(crate) const HANDLER: [&str; 13] = {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = APPLICATION;
    [a, b, c, d, e, f, g, h, i, j, k, l, "handler"]
};
