//! Which version of each sidecar every member gets by intent, and whether these are too far apart.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::outcome::{Finding, Verdict};

/// The versions of one sidecar, by member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alignment {
    /// The sidecar's name.
    pub sidecar: String,
    /// What each member that has it gets, by the member's name.
    pub members: BTreeMap<String, Intent>,
}

/// What a member gets of a sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The version that it gets, or is being rolled out to.
    pub version: String,
    /// While it is rolled out: to how many percent of workloads, and which version the others have.
    pub rollout: Option<(u64, Option<String>)>,
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)?;
        match &self.rollout {
            None => Ok(()),
            Some((percent, Some(previous))) => write!(f, " ({percent} %, else {previous})"),
            Some((percent, None)) => write!(f, " ({percent} %, else none)"),
        }
    }
}

/// How far versions of a sidecar may be apart: so many steps of one of their numbers, the numbers before it being equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Which number.
    pub part: VersionPart,
    /// How many steps at most.
    pub at_most: u64,
}

/// A number of a version such as `1.28.3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionPart {
    /// The first.
    Major,
    /// The second.
    Minor,
    /// The third.
    Patch,
}

impl VersionPart {
    const fn index(self) -> usize {
        match self {
            Self::Major => 0,
            Self::Minor => 1,
            Self::Patch => 2,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Major => "major",
            Self::Minor => "minor",
            Self::Patch => "patch",
        }
    }
}

/// What the settings of one member say about each sidecar, by its name.
pub fn intents(settings: &Value) -> Vec<(String, Intent)> {
    let sidecars = settings["sidecars"].as_array().into_iter().flatten();
    let intent = |sidecar: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or("0").to_owned();
        let rollout = sidecar.get("rollout").filter(|rollout| rollout.is_object()).map(|rollout| {
            let previous = rollout.get("previous").filter(|previous| previous.is_object());
            (rollout["percent"].as_u64().unwrap_or(100), previous.map(|previous| text(&previous["version"])))
        });
        Some((sidecar["name"].as_str()?.to_owned(), Intent { version: text(&sidecar["version"]), rollout }))
    };
    sidecars.filter_map(intent).collect()
}

/// The table of sidecars and members, from the [`intents`] of each member; in the order of the sidecars' names.
pub fn align<'m>(members: impl IntoIterator<Item = (&'m str, Vec<(String, Intent)>)>) -> Vec<Alignment> {
    let mut rows: BTreeMap<String, BTreeMap<String, Intent>> = BTreeMap::new();
    for (member, intents) in members {
        for (sidecar, intent) in intents {
            rows.entry(sidecar).or_default().insert(member.to_owned(), intent);
        }
    }
    rows.into_iter().map(|(sidecar, members)| Alignment { sidecar, members }).collect()
}

impl Alignment {
    /// A verdict for each member whose versions are further from another member's than the window allows, or that have no
    /// numbers; one compatible verdict for the others.
    pub fn judge(&self, window: Window, rule: &super::Rule) -> Vec<Finding> {
        let finding = |member: &str, verdict, sentence, fix: Option<String>| Finding {
            member: member.to_owned(),
            sidecar: self.sidecar.clone(),
            rule: rule.code,
            verdict,
            sentence,
            fix,
            evidence: rule.evidence,
            companions: Vec::new(),
        };
        let newest = self.running().filter_map(|(member, text)| Some((numbers(text)?, member, text))).max();
        let mut findings = Vec::new();
        for (member, intent) in &self.members {
            let mut said = Vec::new();
            for text in intent.running() {
                let Some(found) = numbers(text) else {
                    let sentence = format!("version `{text}` has no numbers to compare");
                    said.push(finding(
                        member,
                        Verdict::Unknown,
                        sentence,
                        Some("use versions such as 1.28.3".to_owned()),
                    ));
                    continue;
                };
                if let Some((_, where_it_is, newest)) = newest.as_ref().filter(|(most, ..)| !window.holds(&found, most))
                {
                    said.push(finding(
                        member,
                        Verdict::Incompatible,
                        format!("has {text} while `{where_it_is}` has {newest}: the window is {window}"),
                        Some(format!("roll {newest} out here, or hold it back elsewhere")),
                    ));
                }
            }
            if said.is_empty() {
                let sentence = format!("has {intent}, within the window of {window}");
                said.push(finding(member, Verdict::Compatible, sentence, None));
            }
            findings.extend(said);
        }
        findings
    }

    fn running(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().flat_map(|(member, intent)| intent.running().map(move |text| (member.as_str(), text)))
    }
}

impl Intent {
    /// Every version that runs in the member at once.
    fn running(&self) -> impl Iterator<Item = &str> {
        let (new, old) = match &self.rollout {
            None => (true, None),
            Some((percent, previous)) => (*percent > 0, previous.as_deref().filter(|_| *percent < 100)),
        };
        new.then_some(self.version.as_str()).into_iter().chain(old)
    }
}

impl Window {
    fn holds(self, one: &[u64; 3], other: &[u64; 3]) -> bool {
        let index = self.part.index();
        let pairs = || one.iter().zip(other).enumerate();
        pairs().all(|(position, (one, other))| match position.cmp(&index) {
            std::cmp::Ordering::Less => one == other,
            std::cmp::Ordering::Equal => one.abs_diff(*other) <= self.at_most,
            std::cmp::Ordering::Greater => true,
        })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.at_most == 1 { "version" } else { "versions" };
        write!(f, "{} {} {plural}", self.at_most, self.part.name())
    }
}

/// The numbers of `v1.28.3-suffix`; missing ones are zero.
fn numbers(text: &str) -> Option<[u64; 3]> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let mut found = text.get(..end)?.split('.').map(|part| part.parse::<u64>().ok());
    let major = found.next()??;
    let mut next = || found.next().map_or(Some(0), |number| number);
    let (minor, patch) = (next()?, next()?);
    found.next().is_none().then_some([major, minor, patch])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(version: &str, rollout: Value) -> Value {
        let mut sidecar = json!({"name": "agent", "version": version});
        if !rollout.is_null() {
            sidecar["rollout"] = rollout;
        }
        json!({"sidecars": [sidecar]})
    }

    #[test]
    fn the_table_says_what_runs_where() {
        let (eu, us) = (
            settings("1.2.0", json!({"percent": 20, "previous": {"version": "1.1.0"}})),
            settings("1.2.0", json!({"percent": 5})),
        );
        let edge = settings("1.1.0", Value::Null);
        let rows = align([("us", intents(&us)), ("eu", intents(&eu)), ("edge", intents(&edge))]);
        assert_eq!(rows.len(), 1);
        let shown: Vec<String> = rows[0].members.iter().map(|(member, intent)| format!("{member} {intent}")).collect();
        assert_eq!(shown, ["edge 1.1.0", "eu 1.2.0 (20 %, else 1.1.0)", "us 1.2.0 (5 %, else none)"]);
    }

    #[test]
    fn windows_hold_at_their_edge() {
        let minor = |at_most| Window { part: VersionPart::Minor, at_most };
        for (one, other, window, holds) in [
            ("1.28.0", "1.29.5", minor(1), true),
            ("1.28.0", "1.30.0", minor(1), false),
            ("1.28.0", "2.28.0", minor(1), false),
            ("v1.28", "1.28.9-rc.1", minor(0), true),
            ("1.28.0", "1.28.2", Window { part: VersionPart::Patch, at_most: 1 }, false),
            ("1.28.0", "2.0.0", Window { part: VersionPart::Major, at_most: 1 }, true),
        ] {
            assert_eq!(window.holds(&numbers(one).unwrap(), &numbers(other).unwrap()), holds, "{one} {other} {window}");
        }
        for text in ["latest", "1.x", "1.2.3.4", ""] {
            assert_eq!(numbers(text), None, "{text}");
        }
    }

    #[test]
    fn a_member_that_is_too_far_behind_is_told_from_whom() {
        let settings = ["1.30.0", "1.28.0", "latest"].map(|version| settings(version, Value::Null));
        let rows = align(["eu", "edge", "lab"].into_iter().zip(settings.iter().map(intents)));
        let rule = super::super::rule("version-skew").unwrap();
        let found = rows[0].judge(Window { part: VersionPart::Minor, at_most: 1 }, rule);
        let shown: Vec<String> =
            found.iter().map(|one| format!("{} {} {}", one.member, one.verdict.code(), one.sentence)).collect();
        assert_eq!(
            shown,
            [
                "edge incompatible has 1.28.0 while `eu` has 1.30.0: the window is 1 minor version",
                "eu compatible has 1.30.0, within the window of 1 minor version",
                "lab unknown version `latest` has no numbers to compare",
            ]
        );
    }
}
