//! Pairs of other injectors: what a user wrote, and what that injector makes of it. A bundle of documents has to make
//! the same.
//!
//! A bundle is a federation whose members are the configurations that the upstream tests ran with; `cases/pairs.yaml` in
//! it says which pair ran with which, and `cases/namespaces.yaml` holds the namespaces (`cases` is the folder that is no
//! part of a federation). Invariant: the harness knows nothing of any project; whatever is particular to one stands in
//! its bundle, and no pair is treated unlike the others.

mod bundle;
mod difference;
mod inject;
mod normal;
mod promises;
mod run;
mod unknown_fields;

pub use self::bundle::{Bundle, Pair, pairs};
pub use self::difference::Difference;
pub use self::run::{Report, run};

/// Each project: the folder of its pairs, and that of its bundle below `policies/parity`.
pub const PROJECTS: [(&str, &str); 4] =
    [("istio", "istio"), ("linkerd", "linkerd"), ("kuma", "kuma"), ("eks", "eks-pod-identity")];
