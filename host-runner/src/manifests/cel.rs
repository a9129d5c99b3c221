//! Pieces of CEL text. What comes from settings enters an expression only through [`text`] and [`list`].

use serde_json::{Value, json};

/// A string literal. What JSON escapes, CEL reads in the same way, and JSON text escapes nothing else.
pub(super) fn text(value: &str) -> String {
    Value::from(value).to_string()
}

/// A list of string literals.
pub(super) fn list<S: AsRef<str>>(values: &[S]) -> String {
    let values: Vec<String> = values.iter().map(|value| text(value.as_ref())).collect();
    format!("[{}]", values.join(", "))
}

/// True where every clause is; each stands on a line of its own.
pub(super) fn all(clauses: &[String]) -> String {
    joined(clauses, "&&", "true")
}

/// True where any clause is.
pub(super) fn any(clauses: &[String]) -> String {
    joined(clauses, "||", "false")
}

fn joined(clauses: &[String], operator: &str, empty: &str) -> String {
    match clauses {
        [] => empty.to_owned(),
        [one] => one.clone(),
        several => {
            let several: Vec<String> = several.iter().map(|clause| grouped(clause)).collect();
            several.join(&format!("\n{operator} "))
        }
    }
}

/// In parentheses where an operator around it could take it apart.
fn grouped(clause: &str) -> String {
    if ["&&", "||", "?"].iter().any(|operator| clause.contains(operator)) {
        format!("({clause})")
    } else {
        clause.to_owned()
    }
}

/// What is not so.
pub(super) fn not(clause: &str) -> String {
    format!("!({clause})")
}

/// A condition under which an object of admission is looked at.
pub(super) fn condition(name: &str, expression: &str) -> Value {
    json!({"name": name, "expression": expression})
}

/// True of an object that another object made.
pub(super) const CONTROLLED: &str = "has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(o, has(o.controller) && o.controller)";

/// True of an object that carries our mark.
pub(super) const INJECTED: &str =
    "has(object.metadata.annotations) && \"fedcar.dev/injected\" in object.metadata.annotations";

/// Nothing may hang on an answer about an object that is going away.
pub(super) fn not_being_deleted() -> Value {
    condition("not-being-deleted", "!has(object.metadata.deletionTimestamp)")
}

/// Row 3 of the selection table (DESIGN section 4), and no more than that: whoever is not a node does not escape by an
/// annotation, and a node escapes only with a pod that no admission could change.
pub(super) fn not_a_mirror_pod() -> Value {
    let mirror = [
        "has(object.metadata.annotations)",
        "\"kubernetes.io/config.mirror\" in object.metadata.annotations",
        "has(request.userInfo.groups)",
        "\"system:nodes\" in request.userInfo.groups",
    ];
    condition("not-a-mirror-pod", &not(&all(&mirror.map(str::to_owned))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_settings_stays_text() {
        assert_eq!(text("a\"b\\c\nd\u{1}é"), "\"a\\\"b\\\\c\\nd\\u0001é\"");
        assert_eq!(list(&["a", "b"]), "[\"a\", \"b\"]");
        assert_eq!(list::<&str>(&[]), "[]");
    }

    #[test]
    fn clauses_keep_together() {
        let clauses = ["a".to_owned(), "b || c".to_owned()];
        assert_eq!(all(&clauses), "a\n&& (b || c)");
        assert_eq!(all(&[]), "true");
        assert_eq!(any(&[]), "false");
        assert_eq!(not(&any(&clauses)), "!(a\n|| (b || c))");
    }
}
