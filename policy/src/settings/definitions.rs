//! `let` and `validations`: what a sidecar works out once for each pod, and what must hold for it.
//!
//! `validations` follow those of Kubernetes' `ValidatingAdmissionPolicy`.

use super::pieces::{compile, sound};
use super::{Known, variables};
use crate::expression::is_name;
use crate::expression::template::{Condition, Template};
use crate::read::{Node, Problems, child};
use crate::schema::Schema;

/// A value with a name: `let.NAME` in every expression behind it.
#[derive(Debug, Clone)]
pub struct Definition {
    /// A CEL identifier, unique in the sidecar.
    pub name: String,
    /// Its value; absent values are left out of `let`.
    pub value: Template,
    /// The value as it was written, with the keys of its objects sorted.
    pub(super) written: String,
}

/// Something that must hold for a pod, or the sidecar is not injected.
#[derive(Debug)]
pub struct Validation {
    /// What must hold.
    pub expression: Condition,
    /// What to tell where it does not; absent where the rendered message is.
    pub message: Template,
}

impl Definition {
    /// A list of definitions.
    pub(crate) fn schema() -> Schema {
        let one = Schema::object([("name", Schema::pattern("^[A-Za-z_][A-Za-z0-9_]*$")), ("value", Schema::any())]);
        Schema::list_of(one.requires(&["name", "value"]))
    }

    /// Reads a `let` that stands behind others; the names become known to the templates that are read afterwards.
    pub(super) fn read_all(
        node: Option<Node<'_>>,
        earlier: &[Self],
        names: &[&str],
        known: &mut Known,
        problems: &mut Problems,
    ) -> Vec<Self> {
        known.define(&earlier.iter().collect::<Vec<_>>());
        let mut definitions: Vec<Self> = Vec::new();
        for item in node.and_then(|node| node.items(problems)).unwrap_or_default() {
            let Some(definition) = Self::read(&item, names, known, problems) else { continue };
            if earlier.iter().chain(&definitions).any(|one| one.name == definition.name) {
                problems.add(child(&item.pointer, "name"), format!("`{}` is there twice", definition.name));
            }
            definitions.push(definition);
            known.define(&earlier.iter().chain(&definitions).collect::<Vec<_>>());
        }
        definitions
    }

    fn read(node: &Node<'_>, names: &[&str], known: &Known, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems).and_then(|node| read_identifier(&node, problems));
        let value = fields.required("value", problems);
        let written = value.as_ref().map(|node| {
            let mut value = node.value.clone();
            value.sort_all_objects();
            value.to_string()
        });
        let value = value.and_then(|node| compile(node.value, &node.pointer, "", names, known, problems));
        fields.finish(problems);
        Some(Self { name: name?, value: value?, written: written? })
    }

    /// Whether the text of an expression may read it.
    pub(super) fn is_read_by(&self, expression: &str) -> bool {
        let fields = expression.split("let.").skip(1);
        fields.into_iter().any(|field| field.trim_start_matches('?').starts_with(&self.name))
    }

    /// Whether the text of its expressions passes a test.
    pub(super) fn any_expression(&self, test: &dyn Fn(&str) -> bool) -> bool {
        self.value.any_expression(test)
    }
}

impl Validation {
    /// A list of validations.
    pub(super) fn schema() -> Schema {
        let one = Schema::object([("expression", Schema::condition()), ("message", Schema::filled())]);
        Schema::list_of(one.requires(&["expression", "message"]))
    }

    /// Reads `validations`.
    pub(super) fn read_all(node: Option<Node<'_>>, known: &Known, problems: &mut Problems) -> Vec<Self> {
        let items = node.and_then(|node| node.items(problems)).unwrap_or_default();
        items.iter().filter_map(|item| Self::read(item, known, problems)).collect()
    }

    fn read(node: &Node<'_>, known: &Known, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let expression = fields.required("expression", problems);
        let expression = expression.and_then(|node| read_condition(&node, &variables::VERSION, known, problems));
        let message = fields.required("message", problems).and_then(|node| {
            node.filled_text(problems)?;
            compile(node.value, &node.pointer, "", &variables::VERSION, known, problems)
        });
        fields.finish(problems);
        Some(Self { expression: expression?, message: message? })
    }

    /// Whether the text of its expressions passes a test.
    pub(super) fn any_expression(&self, test: &dyn Fn(&str) -> bool) -> bool {
        self.expression.any_expression(test) || self.message.any_expression(test)
    }
}

/// A condition, at its place.
pub(super) fn read_condition(
    node: &Node<'_>,
    names: &[&str],
    known: &Known,
    problems: &mut Problems,
) -> Option<Condition> {
    sound(Condition::compile(node.value, names, known), &node.pointer, "", problems)
}

/// A name that can stand behind a dot in an expression.
fn read_identifier(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let name = node.filled_text(problems)?;
    if !is_name(name) {
        problems
            .add(&node.pointer, format!("expected a name such as `statusPort` (letters, digits, `_`), found `{name}`"));
        return None;
    }
    Some(name.to_owned())
}
