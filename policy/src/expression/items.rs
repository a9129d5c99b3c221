//! Compiling lists, whose items may carry `when`, `forEach` and `as`.

use serde_json::{Map, Value};

use super::compile::{Compiler, constant};
use super::template::{Each, Item, Part, Test};
use super::{Layer, Scope};

/// Keys that an item with `forEach` does not hand on.
const REPEATED: [&str; 3] = ["when", "forEach", "as"];

impl Compiler<'_> {
    pub(super) fn list(&mut self, items: &[Value], known: &dyn Scope) -> Part {
        let mut compiled = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            self.below(&index.to_string(), |compiler| match item {
                Value::Object(map) if map.contains_key("forEach") => {
                    compiler.repeated(map, index, known, &mut compiled);
                }
                Value::Object(map) => compiler.single(map, index, &["when"], known, &mut compiled),
                other => {
                    let body = compiler.part(other, known);
                    push(&mut compiled, Item { index, each: None, when: None, body });
                }
            });
        }
        let is_constant = |item: &Item| item.when.is_none() && matches!(item.body, Part::Constant(..));
        if !compiled.iter().all(|item| item.each.is_none() && is_constant(item)) {
            return Part::List(compiled);
        }
        let values = compiled.into_iter().filter_map(|item| match item.body {
            Part::Constant(value, _) => Some(value),
            Part::Absent | Part::Whole(_) | Part::Text(_) | Part::List(_) | Part::Object(_) => None,
        });
        constant(Value::Array(values.collect()))
    }

    /// An item that is an object, perhaps with `when`.
    fn single(
        &mut self,
        map: &Map<String, Value>,
        index: usize,
        special: &[&str],
        known: &dyn Scope,
        into: &mut Vec<Item>,
    ) {
        let test = map.get("when").map(|value| self.below("when", |compiler| compiler.test(value, known)));
        let body = self.object(map, special, known);
        let when = match test {
            Some(Test::Settled(false)) => return,
            Some(Test::Settled(true)) | None => None,
            Some(Test::Depends(source)) => Some(source),
        };
        push(into, Item { index, each: None, when, body });
    }

    /// An item with `forEach`. Where the list is known it is unrolled.
    fn repeated(&mut self, map: &Map<String, Value>, index: usize, known: &dyn Scope, into: &mut Vec<Item>) {
        let name = match map.get("as") {
            None => "item",
            Some(Value::String(name)) if is_name(name) => name,
            Some(_) => {
                self.below("as", |compiler| {
                    compiler.problem("not a variable name", Some("use letters, digits and `_`"));
                });
                return;
            }
        };
        let list = map.get("forEach").and_then(|value| {
            self.below("forEach", |compiler| compiler.single_expression(value, known, "expected `${...}` with a list"))
        });
        let elements = list.as_ref().filter(|list| list.expression.is_settled()).and_then(|list| {
            match list.elements(known, &mut self.budget) {
                Ok(elements) => Some(elements),
                Err(error) => {
                    self.below("forEach", |compiler| compiler.value_problem(list, &error));
                    None
                }
            }
        });
        // Once without a value, so that names are checked also where the list is empty.
        let problems = self.problems.len();
        let hidden = Layer { outer: known, name, value: None };
        let mut open = Vec::new();
        self.in_loop(name, |compiler| {
            compiler.single(map, index, &REPEATED, &hidden, &mut open);
        });
        let Some(list) = list else { return };
        match elements {
            Some(elements) if self.problems.len() == problems => {
                for element in &elements {
                    let layer = Layer { outer: known, name, value: Some(element) };
                    self.in_loop(name, |compiler| compiler.single(map, index, &REPEATED, &layer, into));
                }
            }
            // Compiled once, it is one item, or none where `when` is settled.
            _ => into.extend(open.pop().map(|item| {
                let each = Some(Each { list, name: name.to_owned() });
                Item { each, ..item }
            })),
        }
    }

    /// Compiles with one more name.
    fn in_loop(&mut self, name: &str, compile: impl FnOnce(&mut Compiler<'_>)) {
        let mut names = self.names.clone();
        names.push(name);
        let mut inner = Compiler {
            names,
            budget: self.budget,
            path: std::mem::take(&mut self.path),
            problems: std::mem::take(&mut self.problems),
        };
        compile(&mut inner);
        let Compiler { budget, path, problems, .. } = inner;
        self.budget = budget;
        self.path = path;
        self.problems = problems;
    }
}

/// Whether a text can be a name in an expression.
pub(crate) fn is_name(text: &str) -> bool {
    !text.starts_with(|first: char| first.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn push(items: &mut Vec<Item>, item: Item) {
    if !matches!(item.body, Part::Absent) {
        items.push(item);
    }
}
