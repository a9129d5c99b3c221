//! The report as objects for a cluster: one for each member, in either of the two groups that are read today.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Line, MemberFacts, Report};

/// Who reads the objects. Both groups have the same fields as far as they are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// `wgpolicyk8s.io/v1alpha2`: what Kyverno writes unless it is told otherwise, and Policy Reporter reads.
    PolicyReport,
    /// `openreports.io/v1alpha1`: its successor, which Kubewarden's audit scanner writes since 1.33.
    OpenReport,
}

/// The results that a report knows; a summary counts each.
const RESULTS: [&str; 5] = ["pass", "fail", "warn", "error", "skip"];

/// An object for each member.
pub(crate) fn policy_reports(report: &Report, group: Group) -> Vec<Value> {
    report.members.iter().map(|member| policy_report(report, member, group)).collect()
}

fn policy_report(report: &Report, member: &MemberFacts, group: Group) -> Value {
    let (api_version, kind) = match group {
        Group::PolicyReport => ("wgpolicyk8s.io/v1alpha2", "ClusterPolicyReport"),
        Group::OpenReport => ("openreports.io/v1alpha1", "ClusterReport"),
    };
    let lines: Vec<&Line> = report.rows.iter().filter(|line| line.member == member.name).collect();
    let mut summary: BTreeMap<&str, usize> = RESULTS.into_iter().map(|result| (result, 0)).collect();
    for line in &lines {
        *summary.entry(result_of(line)).or_default() += 1;
    }
    let mut annotations = Map::new();
    let noted = [
        ("day", Some(&report.day)),
        ("revision", Some(&report.revision)),
        ("lock", report.lock.as_ref()),
        ("facts-taken", member.facts_taken.as_ref()),
    ];
    for (key, value) in noted {
        annotations.extend(value.map(|value| (format!("fedcar.dev/{key}"), Value::from(value.as_str()))));
    }
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": "fedcar-compliance",
            "labels": {"app.kubernetes.io/name": "fedcar"},
            "annotations": annotations,
        },
        "summary": summary,
        "results": lines.iter().map(|line| result(line)).collect::<Vec<_>>(),
    })
}

/// An exemption is what Kyverno calls an exception, whose result is `skip`; what is open is neither kept nor broken.
fn result_of(line: &Line) -> &'static str {
    match line.verdict {
        "kept" => "pass",
        "broken" => "fail",
        "open" => "warn",
        _ => "skip",
    }
}

fn result(line: &Line) -> Value {
    let mut properties = Map::new();
    let mut put = |key: &str, value: Option<String>| {
        properties.extend(value.map(|value| (key.to_owned(), Value::from(value))));
    };
    let images: Vec<String> = line
        .evidence
        .images
        .iter()
        .map(|image| match &image.digest {
            Some(digest) if !image.reference.contains('@') => format!("{}@{digest}", image.reference),
            _ => image.reference.clone(),
        })
        .collect();
    let exemption = line.exemption.as_ref();
    put("member", Some(line.member.clone()));
    put("sidecar", line.sidecar.clone());
    put("verdict", Some(line.verdict.to_owned()));
    put("controls", (!line.controls.is_empty()).then(|| line.controls.join(", ")));
    put("place", Some(line.evidence.place.clone()));
    put("settings", line.evidence.settings.clone());
    put("admissionPolicy", line.evidence.admission_policy.clone());
    put("images", (!images.is_empty()).then(|| images.join(", ")));
    put("exemptionOwner", exemption.map(|one| one.owner.clone()));
    put("exemptionExpires", exemption.map(|one| one.expires.clone()));
    let mut result = json!({
        "source": "fedcar",
        "policy": line.guardrail,
        "rule": line.rule,
        "category": "Sidecar guardrails",
        "result": result_of(line),
        "scored": true,
        "message": line.message,
        "properties": properties,
    });
    if let (Value::Object(result), "broken") = (&mut result, line.verdict) {
        result.insert("severity".to_owned(), "high".into());
    }
    result
}
