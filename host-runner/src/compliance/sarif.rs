//! The report as SARIF: a rule for each rule of a guardrail, a result for each row.
//!
//! What is kept has a result too, by its `kind`; who shows open problems only reads those of `fail` (SARIF 2.1.0, 3.27.9).

use serde_json::{Value, json};

use super::{Line, Report};
use crate::output::sarif::{document, location};

/// One document.
pub(crate) fn sarif(report: &Report) -> Value {
    let mut ids: Vec<String> = Vec::new();
    let mut rules = Vec::new();
    for line in &report.rows {
        let id = rule_id(line);
        if !ids.contains(&id) {
            let text = line.reason.clone().unwrap_or_else(|| format!("The rule `{}` of a Guardrail", line.rule));
            rules.push(json!({"id": id, "shortDescription": {"text": text}, "properties": {"tags": line.controls}}));
            ids.push(id);
        }
    }
    document(&rules, &report.rows.iter().map(result).collect::<Vec<_>>())
}

fn rule_id(line: &Line) -> String {
    format!("{}/{}", line.guardrail, line.rule)
}

fn result(line: &Line) -> Value {
    let (kind, level) = match line.verdict {
        "broken" => ("fail", "error"),
        "exempted" => ("fail", "warning"),
        "open" => ("open", "none"),
        "kept" => ("pass", "none"),
        _ => ("notApplicable", "none"),
    };
    let about = line.sidecar.as_ref().map(|name| format!(", sidecar {name}")).unwrap_or_default();
    let mut result = json!({
        "ruleId": rule_id(line),
        "kind": kind,
        "level": level,
        "message": {"text": format!("{}{about}: {}", line.member, line.message)},
        "locations": [location(&line.at.path, Some((line.at.line, line.at.column)))],
        "properties": {"member": line.member, "sidecar": line.sidecar, "controls": line.controls, "evidence": line.evidence},
    });
    if let (Some(exemption), Value::Object(result)) = (&line.exemption, &mut result) {
        let why = format!("{} until {}: {}", exemption.owner, exemption.expires, exemption.reason);
        result.insert(
            "suppressions".to_owned(),
            json!([{"kind": "external", "status": "accepted", "justification": why}]),
        );
    }
    result
}
