//! Versions of Kubernetes, and what a document asks of them.

use std::fmt;
use std::str::FromStr;

use crate::read::{Node, Problems};
use crate::schema::Schema;

/// A minor version of Kubernetes, as `1.33`. Patch levels and vendors' suffixes (`v1.33.4-eks-1`) are left out: no
/// feature that fedcar asks about depends on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// The first version whose API server and kubelet run sidecar containers (an init container with
    /// `restartPolicy: Always`) without a feature gate being set: beta and on by default since 1.29, stable since 1.33.
    pub const NATIVE_SIDECARS: Self = Self { major: 1, minor: 29 };

    pub(super) fn schema() -> Schema {
        Schema::pattern(r"^v?[0-9]+[.][0-9]+([.+-].*)?$")
    }

    /// The first version that has sidecar containers behind the feature gate `SidecarContainers`.
    pub(super) const NATIVE_SIDECARS_BY_GATE: Self = Self { major: 1, minor: 28 };

    /// A version of Kubernetes 1.
    pub(super) const fn one(minor: u32) -> Self {
        Self { major: 1, minor }
    }

    /// So many minor versions earlier.
    pub(super) const fn before(self, minors: u32) -> Self {
        Self { major: self.major, minor: self.minor.saturating_sub(minors) }
    }

    /// Reads a version that stands in a document as text.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        if node.value.is_number() {
            problems.add_with_hint(
                &node.pointer,
                format!("expected text such as \"1.33\", found the number {}", node.value),
                Some("put it in quotes: the number 1.30 is 1.3"),
            );
            return None;
        }
        let text = node.text(problems)?;
        let version = text.parse().ok();
        if version.is_none() {
            problems.add(
                &node.pointer,
                format!("expected a version of Kubernetes such as \"1.33\", found `{}`", crate::read::clip(text)),
            );
        }
        version
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The text is no version of Kubernetes, or no comparison with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAVersion;

impl FromStr for Version {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let (major, rest) = text.strip_prefix('v').unwrap_or(text).split_once('.').ok_or(NotAVersion)?;
        let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
        let (minor, suffix) = rest.split_at(end);
        if !(suffix.is_empty() || suffix.starts_with(['.', '-', '+'])) || !digits(major) || !digits(minor) {
            return Err(NotAVersion);
        }
        Ok(Self { major: major.parse().or(Err(NotAVersion))?, minor: minor.parse().or(Err(NotAVersion))? })
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// One or more comparisons which must all hold: `>=1.27`, `>=1.27, <1.35`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    text: String,
    comparisons: Vec<(Comparison, Version)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    AtMost,
    Above,
    Below,
    Exactly,
}

impl Comparison {
    /// Longer signs first, so that `>=` is not read as `>`.
    const SIGNS: [(&str, Self); 5] =
        [(">=", Self::AtLeast), ("<=", Self::AtMost), (">", Self::Above), ("<", Self::Below), ("=", Self::Exactly)];
}

impl Requirement {
    pub(super) fn schema() -> Schema {
        Schema::pattern(r"^\s*(>=|<=|>|<|=)\s*v?[0-9]+[.][0-9]+")
    }

    /// Reads a requirement that stands in a document.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let text = node.text(problems)?;
        let requirement = text.parse().ok();
        if requirement.is_none() {
            problems.add(
                &node.pointer,
                format!(
                    "expected comparisons such as `>=1.27` or `>=1.27, <1.35`, found `{}`",
                    crate::read::clip(text)
                ),
            );
        }
        requirement
    }

    /// Does this version meet every comparison?
    pub fn holds(&self, version: Version) -> bool {
        self.comparisons.iter().all(|(comparison, limit)| match comparison {
            Comparison::AtLeast => version >= *limit,
            Comparison::AtMost => version <= *limit,
            Comparison::Above => version > *limit,
            Comparison::Below => version < *limit,
            Comparison::Exactly => version == *limit,
        })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Requirement {
    type Err = NotAVersion;

    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let comparisons = text
            .split(',')
            .map(str::trim)
            .map(|part| {
                let (comparison, version) = Comparison::SIGNS
                    .iter()
                    .find_map(|(sign, comparison)| part.strip_prefix(sign).map(|rest| (*comparison, rest)))
                    .ok_or(NotAVersion)?;
                Ok((comparison, version.trim().parse()?))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { text: text.to_owned(), comparisons })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_clusters_report_them() {
        for (text, expected) in [
            ("1.33", Some("1.33")),
            ("v1.33.4", Some("1.33")),
            ("1.31.9-eks-5d4a308", Some("1.31")),
            ("1.29+", Some("1.29")),
            ("1", None),
            ("1.", None),
            ("1.x", None),
            ("1.30beta", None),
            ("+1.30", None),
            ("1.99999999999", None),
            ("", None),
        ] {
            let found = text.parse::<Version>().ok().map(|version| version.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn versions_compare_by_number_not_by_text() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("1.9") < version("1.30"));
        assert_eq!(version("1.30"), version("v1.30.2"));
    }

    #[test]
    fn requirements_hold_when_all_comparisons_do() {
        for (requirement, version, holds) in [
            (">=1.27", "1.27", true),
            (">=1.27", "1.26", false),
            (">= 1.27, <1.30", "1.29", true),
            (">= 1.27, <1.30", "1.30", false),
            (">1.27", "1.27", false),
            ("<=1.27", "1.27", true),
            ("=1.30", "1.30.4", true),
        ] {
            let found = requirement.parse::<Requirement>().unwrap().holds(version.parse().unwrap());
            assert_eq!(found, holds, "{version} {requirement}");
        }
        for wrong in ["", "1.27", ">=", ">=1", "=>1.27", ">=1.27,"] {
            assert_eq!(wrong.parse::<Requirement>(), Err(NotAVersion), "{wrong}");
        }
    }
}
