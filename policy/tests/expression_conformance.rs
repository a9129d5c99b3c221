//! The expression language against its oracles: the specification's cases, Kubernetes quantities, and tables of our own.
//!
//! Each file below `expression/` is a table that names its source. Values are compared as JSON, numbers by amount.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests are not in test functions, where clippy.toml allows these; tables are read from files"
)]

#[path = "expression/cases.rs"]
mod cases;
#[path = "expression/cel_crate.rs"]
mod cel_crate;
#[path = "expression/hostile.rs"]
mod hostile;
#[path = "expression/properties.rs"]
mod properties;
#[path = "expression/quantities.rs"]
mod quantities;
#[path = "expression/templates.rs"]
mod templates;

use fedcar_policy::expression::Scope;
use serde_json::Value;

/// A scope whose names are the keys of a JSON object.
struct Names<'a>(&'a Value);

impl Scope for Names<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

/// A table below `expression/`.
fn table(name: &str) -> Value {
    let path = format!("{}/tests/expression/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The cases of a table, which stand in named sections.
fn cases(table: &Value) -> impl Iterator<Item = (String, &Value)> {
    table["sections"].as_array().unwrap().iter().flat_map(|section| {
        let name = section["section"].as_str().unwrap();
        section["cases"].as_array().unwrap().iter().enumerate().map(move |(index, case)| {
            let case_name = case["name"].as_str().map_or_else(|| index.to_string(), str::to_owned);
            (format!("{name}/{case_name}"), case)
        })
    })
}

/// JSON equality with `1`, `1.0` and `1e0` as one number.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// Fails with every line that was collected.
fn report(failures: &[String], checked: usize) {
    assert!(failures.is_empty(), "{} of {checked} cases failed:\n{}", failures.len(), failures.join("\n"));
}
