//! What one policy entry grants: host capabilities by pattern, and the kinds of objects that may be read.
//!
//! Nothing is granted by default. Patterns are expanded when they are read, so what is granted is a set of known
//! operations, and an operation that a later Kubewarden adds is not granted by an old `*`.

use std::collections::BTreeSet;

use fedcar_policy::read::{clip, did_you_mean};

/// The host capabilities of Kubewarden 1.36 (its documentation, "Host capabilities"). Those that this host cannot carry
/// out may be granted all the same, so that entries written for policy-server load.
const CAPABILITIES: [&str; 11] = [
    "crypto/v1/is_certificate_trusted",
    "kubernetes/can_i",
    GET_RESOURCE,
    LIST_RESOURCES_ALL,
    LIST_RESOURCES_BY_NAMESPACE,
    "net/v1/dns_lookup_host",
    "oci/v1/manifest_digest",
    "oci/v1/oci_manifest",
    "oci/v1/oci_manifest_config",
    "oci/v1/verify",
    "oci/v2/verify",
];

/// One object by its name.
pub(super) const GET_RESOURCE: &str = "kubernetes/get_resource";
/// The objects of a kind, of all namespaces or cluster-wide.
pub(super) const LIST_RESOURCES_ALL: &str = "kubernetes/list_resources_all";
/// The objects of a kind in one namespace.
pub(super) const LIST_RESOURCES_BY_NAMESPACE: &str = "kubernetes/list_resources_by_namespace";

/// What this host carries out.
const SUPPORTED: [&str; 3] = [GET_RESOURCE, LIST_RESOURCES_ALL, LIST_RESOURCES_BY_NAMESPACE];

/// What one policy entry grants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    capabilities: BTreeSet<&'static str>,
    /// Granted in so many words, which a `*` is not.
    named: BTreeSet<&'static str>,
    resources: BTreeSet<(String, String)>,
}

/// What is wrong with one item of a policy entry's grants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{list}[{index}]: {error}")]
pub struct GrantProblem {
    /// The key of the list: `hostCapabilities` or `contextAwareResources`.
    pub list: &'static str,
    /// The item's position in it, from 0.
    pub index: usize,
    /// What is wrong.
    pub error: GrantError,
}

/// Why an item grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The pattern is empty.
    #[error("expected a host capability, found an empty text")]
    Empty,
    /// There is a `*` within a segment, or before the last one.
    #[error("expected `*` alone or as the last segment, found `{}`", clip(.pattern))]
    Wildcard {
        /// The pattern.
        pattern: String,
    },
    /// A segment that no host capability has at that place.
    #[error("expected one of {} in `{}`, found `{}`", .expected.join(", "), clip(.pattern), clip(.segment))]
    Segment {
        /// The pattern.
        pattern: String,
        /// The segment.
        segment: String,
        /// What can stand there.
        expected: Vec<&'static str>,
    },
    /// The pattern goes on where a host capability ends.
    #[error("expected nothing after `{capability}`, found `{}`", clip(.pattern))]
    TooLong {
        /// The pattern.
        pattern: String,
        /// The host capability that it begins with.
        capability: &'static str,
    },
    /// The pattern ends before a host capability does.
    #[error("expected a whole host capability, found the group `{pattern}`")]
    Group {
        /// The pattern.
        pattern: String,
    },
    /// Not an `apiVersion`.
    #[error("expected an apiVersion such as `v1` or `apps/v1`, found `{}`", clip(.found))]
    ApiVersion {
        /// What stands there.
        found: String,
    },
    /// Not a kind.
    #[error("expected a kind such as `Namespace`, found `{}`", clip(.found))]
    Kind {
        /// What stands there.
        found: String,
    },
}

impl GrantError {
    /// What to write instead.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty => Some("leave the list empty to grant nothing".to_owned()),
            Self::Wildcard { pattern } => {
                let group = pattern.split_once('*')?.0.trim_end_matches('/');
                let known = CAPABILITIES.iter().any(|capability| below(capability, group).is_some());
                known.then(|| format!("write `{group}/*`"))
            }
            Self::Segment { segment, expected, .. } => did_you_mean(segment, expected.iter().copied()),
            Self::TooLong { capability, .. } => Some(format!("write `{capability}`")),
            Self::Group { pattern } => Some(format!("write `{pattern}/*` for all of it")),
            Self::ApiVersion { found } if found == "core/v1" => Some("write `v1`".to_owned()),
            Self::ApiVersion { found } if found.contains('*') => {
                Some("name each kind; there are no patterns".to_owned())
            }
            Self::ApiVersion { found } if is_group(found) => Some(format!("write its version too: `{found}/v1`")),
            Self::ApiVersion { .. } => None,
            Self::Kind { .. } => Some("a kind is singular and begins with a capital letter".to_owned()),
        }
    }
}

impl Grants {
    /// Nothing is granted.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a policy entry's `hostCapabilities`, and its `contextAwareResources` as pairs of `apiVersion` and `kind`.
    ///
    /// Patterns are those of policy-server: `*`, `oci/*`, `oci/v1/*`, or a whole path. All problems come at once.
    pub fn parse<'a>(
        host_capabilities: impl IntoIterator<Item = &'a str>,
        context_aware_resources: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Vec<GrantProblem>> {
        let mut grants = Self::none();
        let mut problems = Vec::new();
        for (index, pattern) in host_capabilities.into_iter().enumerate() {
            if let Err(error) = grants.grant(pattern.trim()) {
                problems.push(GrantProblem { list: "hostCapabilities", index, error });
            }
        }
        for (index, (api_version, kind)) in context_aware_resources.into_iter().enumerate() {
            match check_resource(api_version, kind) {
                Ok(()) => {
                    grants.resources.insert((api_version.to_owned(), kind.to_owned()));
                }
                Err(error) => problems.push(GrantProblem { list: "contextAwareResources", index, error }),
            }
        }
        if problems.is_empty() { Ok(grants) } else { Err(problems) }
    }

    /// What is granted by its whole name and this host cannot carry out: calls of it will be refused.
    pub fn unsupported(&self) -> impl Iterator<Item = &'static str> {
        self.named.iter().copied().filter(|capability| !SUPPORTED.contains(capability))
    }

    /// True where a call could need the API server.
    pub fn reads_objects(&self) -> bool {
        !self.resources.is_empty() && SUPPORTED.iter().any(|capability| self.capabilities.contains(capability))
    }

    /// True where the operation is granted.
    pub(super) fn allows(&self, capability: &str) -> bool {
        self.capabilities.contains(capability)
    }

    /// True where objects of the kind may be read.
    pub(super) fn allows_resource(&self, api_version: &str, kind: &str) -> bool {
        self.resources.iter().any(|(version, name)| version == api_version && name == kind)
    }

    /// The kinds that may be read, as `apiVersion` and `kind`.
    pub(super) fn resources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.resources.iter().map(|(api_version, kind)| (api_version.as_str(), kind.as_str()))
    }

    fn grant(&mut self, pattern: &str) -> Result<(), GrantError> {
        if pattern.is_empty() {
            return Err(GrantError::Empty);
        }
        if pattern == "*" {
            self.capabilities.extend(CAPABILITIES);
            return Ok(());
        }
        let group = pattern.strip_suffix("/*");
        if group.unwrap_or(pattern).contains('*') {
            return Err(GrantError::Wildcard { pattern: pattern.to_owned() });
        }
        check_path(pattern, group.unwrap_or(pattern))?;
        match (group, CAPABILITIES.iter().find(|capability| **capability == pattern)) {
            (Some(group), _) => {
                self.capabilities.extend(CAPABILITIES.iter().filter(|capability| below(capability, group).is_some()));
            }
            (None, Some(capability)) => {
                self.capabilities.insert(capability);
                self.named.insert(capability);
            }
            (None, None) => return Err(GrantError::Group { pattern: pattern.to_owned() }),
        }
        Ok(())
    }
}

/// The known name of an operation.
pub(super) fn capability(namespace: &str, operation: &str) -> Option<&'static str> {
    CAPABILITIES.into_iter().find(|capability| below(capability, namespace) == Some(operation))
}

/// What follows `group/` in a path.
fn below<'p>(path: &'p str, group: &str) -> Option<&'p str> {
    path.strip_prefix(group)?.strip_prefix('/')
}

/// Every segment of `path` is one that a host capability has at its place, and before a wildcard it is not the last.
fn check_path(pattern: &str, path: &str) -> Result<(), GrantError> {
    let mut candidates: Vec<(&'static str, &'static str)> = CAPABILITIES.map(|whole| (whole, whole)).to_vec();
    for segment in path.split('/') {
        let mut expected: Vec<&'static str> =
            candidates.iter().filter_map(|(_, rest)| rest.split('/').next()).collect();
        expected.dedup();
        let matching: Vec<_> = candidates
            .iter()
            .filter(|(_, rest)| rest.split('/').next() == Some(segment))
            .map(|(whole, rest)| (*whole, below(rest, segment).unwrap_or_default()))
            .collect();
        match candidates.as_slice() {
            [(capability, "")] => return Err(GrantError::TooLong { pattern: pattern.to_owned(), capability }),
            _ if matching.is_empty() => {
                return Err(GrantError::Segment { pattern: pattern.to_owned(), segment: segment.to_owned(), expected });
            }
            _ => candidates = matching,
        }
    }
    match candidates.as_slice() {
        [(capability, "")] if pattern != path => Err(GrantError::TooLong { pattern: pattern.to_owned(), capability }),
        _ => Ok(()),
    }
}

/// An API group (RFC 1123 subdomain).
fn is_group(group: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    !group.is_empty() && group.bytes().all(allowed)
}

/// An `apiVersion` and a kind as Kubernetes writes them (API conventions, "Types (Kinds)"); patterns are not.
fn check_resource(api_version: &str, kind: &str) -> Result<(), GrantError> {
    let is_version = |version: &str| {
        version.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
            && version.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let known = match api_version.split_once('/') {
        None => is_version(api_version),
        Some((group, version)) => group != "core" && is_group(group) && is_version(version),
    };
    if !known {
        return Err(GrantError::ApiVersion { found: api_version.to_owned() });
    }
    let is_kind = kind.starts_with(|first: char| first.is_ascii_uppercase())
        && kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_kind { Ok(()) } else { Err(GrantError::Kind { found: kind.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(patterns: &[&str]) -> Vec<&'static str> {
        Grants::parse(patterns.iter().copied(), []).expect("valid patterns").capabilities.into_iter().collect()
    }

    fn problems(patterns: &[&str], resources: &[(&str, &str)]) -> Vec<String> {
        let problems = Grants::parse(patterns.iter().copied(), resources.iter().copied()).expect_err("problems");
        let show = |problem: GrantProblem| match problem.error.hint() {
            Some(hint) => format!("{problem} ({hint})"),
            None => problem.to_string(),
        };
        problems.into_iter().map(show).collect()
    }

    #[test]
    fn patterns_grant_what_they_name() {
        assert_eq!(granted(&[]), [""; 0]);
        assert_eq!(granted(&["*"]), CAPABILITIES);
        assert_eq!(granted(&["oci/v1/verify", "oci/v1/verify"]), ["oci/v1/verify"]);
        assert_eq!(granted(&["oci/v2/*", " net/* "]), ["net/v1/dns_lookup_host", "oci/v2/verify"]);
        assert_eq!(granted(&["kubernetes/*"]), &CAPABILITIES[1..5]);
        assert_eq!(granted(&["oci/*"]), &CAPABILITIES[6..]);
    }

    #[test]
    fn problems_name_the_item_the_options_and_the_fix() {
        let patterns = [
            "",
            "oci*",
            "oci/v1/oci_*",
            "kubernetes/*/x",
            "kubernets/*",
            "oci/v3/verify",
            "oci",
            "oci/v1",
            "kubernetes/get_resource/x",
            "kubernetes/get_resource/*",
            "kubernetes/get_ressource",
            "/",
        ];
        assert_eq!(
            problems(&patterns, &[]),
            [
                "hostCapabilities[0]: expected a host capability, found an empty text (leave the list empty to grant \
                 nothing)",
                "hostCapabilities[1]: expected `*` alone or as the last segment, found `oci*` (write `oci/*`)",
                "hostCapabilities[2]: expected `*` alone or as the last segment, found `oci/v1/oci_*`",
                "hostCapabilities[3]: expected `*` alone or as the last segment, found `kubernetes/*/x` (write \
                 `kubernetes/*`)",
                "hostCapabilities[4]: expected one of crypto, kubernetes, net, oci in `kubernets/*`, found `kubernets` \
                 (did you mean `kubernetes`?)",
                "hostCapabilities[5]: expected one of v1, v2 in `oci/v3/verify`, found `v3` (did you mean `v1`?)",
                "hostCapabilities[6]: expected a whole host capability, found the group `oci` (write `oci/*` for all \
                 of it)",
                "hostCapabilities[7]: expected a whole host capability, found the group `oci/v1` (write `oci/v1/*` for \
                 all of it)",
                "hostCapabilities[8]: expected nothing after `kubernetes/get_resource`, found \
                 `kubernetes/get_resource/x` (write `kubernetes/get_resource`)",
                "hostCapabilities[9]: expected nothing after `kubernetes/get_resource`, found \
                 `kubernetes/get_resource/*` (write `kubernetes/get_resource`)",
                "hostCapabilities[10]: expected one of can_i, get_resource, list_resources_all, \
                 list_resources_by_namespace in `kubernetes/get_ressource`, found `get_ressource` (did you mean \
                 `get_resource`?)",
                "hostCapabilities[11]: expected one of crypto, kubernetes, net, oci in `/`, found ``",
            ]
        );
    }

    #[test]
    fn kinds_are_exact() {
        let resources = [("v1", "Pod"), ("rbac.authorization.k8s.io/v1beta1", "Role")];
        let grants = Grants::parse([], resources).expect("valid resources");
        assert_eq!(grants.resources().collect::<Vec<_>>(), [resources[1], resources[0]]);
        assert!(grants.allows_resource("v1", "Pod"));
        assert!(!grants.allows_resource("v1", "pod") && !grants.allows_resource("v2", "Pod"));
        assert_eq!(
            problems(&[], &[("core/v1", "Pod"), ("*", "Pod"), ("", "Pod"), ("apps", "x"), ("v1", "pods"), ("v1", "*")]),
            [
                "contextAwareResources[0]: expected an apiVersion such as `v1` or `apps/v1`, found `core/v1` (write \
                 `v1`)",
                "contextAwareResources[1]: expected an apiVersion such as `v1` or `apps/v1`, found `*` (name each \
                 kind; there are no patterns)",
                "contextAwareResources[2]: expected an apiVersion such as `v1` or `apps/v1`, found ``",
                "contextAwareResources[3]: expected an apiVersion such as `v1` or `apps/v1`, found `apps` (write \
                 its version too: `apps/v1`)",
                "contextAwareResources[4]: expected a kind such as `Namespace`, found `pods` (a kind is singular and \
                 begins with a capital letter)",
                "contextAwareResources[5]: expected a kind such as `Namespace`, found `*` (a kind is singular and \
                 begins with a capital letter)",
            ]
        );
    }

    #[test]
    fn what_is_named_and_not_supported_is_known() {
        let grants = Grants::parse(["oci/v1/verify", "kubernetes/*", "kubernetes/can_i"], []).expect("valid patterns");
        assert_eq!(grants.unsupported().collect::<Vec<_>>(), ["kubernetes/can_i", "oci/v1/verify"]);
        assert!(!grants.reads_objects());
        assert!(Grants::parse(["*"], [("v1", "Pod")]).expect("valid").reads_objects());
        assert!(!Grants::parse(["oci/*"], [("v1", "Pod")]).expect("valid").reads_objects());
    }

    #[test]
    fn operations_are_found_by_both_their_names() {
        assert_eq!(capability("kubernetes", "get_resource"), Some(GET_RESOURCE));
        assert_eq!(capability("oci", "v1/verify"), Some("oci/v1/verify"));
        assert_eq!(capability("oci/v1", "verify"), Some("oci/v1/verify"));
        assert_eq!(capability("kubernetes", ""), None);
        assert_eq!(capability("", "kubernetes/can_i"), None);
    }
}
