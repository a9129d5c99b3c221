//! Working out beforehand what depends only on names that are known already.

use super::ast::{Kind, Node};
use super::evaluate::Evaluator;
use super::template::price;
use super::value::Val;
use super::{Budget, Expression, Scope};

impl Expression {
    /// Puts values in place of what `known` settles. What has an error stays, because it may never be evaluated.
    pub(super) fn fold(&mut self, known: &dyn Scope, budget: &mut Budget) {
        put_known_fields(&mut self.root, known, budget);
        fold(&mut self.root, known, budget, 0);
        let Self { root, free } = self;
        free.retain(|name| mentions(root, &name.text));
    }

    /// Whether nothing of the scope is left in it.
    pub(super) fn is_settled(&self) -> bool {
        self.free.is_empty()
    }
}

/// Puts in the fields that are known before the others of their name are.
fn put_known_fields(node: &mut Node, known: &dyn Scope, budget: &mut Budget) {
    let field = match &node.kind {
        Kind::Select { optional: false, .. } => node.kind.field_of_name(),
        _ => None,
    };
    if let Some(value) = field.and_then(|(name, field)| known.known_field(name, field))
        && budget.spend(price(value)).is_ok()
    {
        *node = Node { kind: Kind::Known(Box::new(value.clone())), offset: node.offset, depth: 1 };
        return;
    }
    for (child, _) in node.kind.children_mut() {
        put_known_fields(child, known, budget);
    }
}

fn mentions(node: &Node, name: &str) -> bool {
    match &node.kind {
        Kind::Name(mentioned) => **mentioned == *name,
        other => other.children().into_iter().any(|(child, _)| mentions(child, name)),
    }
}

/// `bound` is the number of comprehension variables around `node`.
fn fold(node: &mut Node, known: &dyn Scope, budget: &mut Budget, bound: usize) {
    if is_settled(node, known, bound)
        && let Some(kind) = settle(node, known, budget, bound)
    {
        *node = Node { kind, offset: node.offset, depth: 1 };
        return;
    }
    for (child, variables) in node.kind.children_mut() {
        fold(child, known, budget, bound + variables);
    }
    prune(node);
}

fn is_settled(node: &Node, known: &dyn Scope, bound: usize) -> bool {
    match &node.kind {
        Kind::Name(name) => known.get(name).is_some(),
        Kind::Local(slot) => *slot >= bound,
        other => other.children().into_iter().all(|(child, _)| is_settled(child, known, bound)),
    }
}

/// The value of a node, if it has one that can stand in the tree without a change of type.
fn settle(node: &Node, known: &dyn Scope, budget: &mut Budget, bound: usize) -> Option<Kind> {
    let mut evaluator = Evaluator::new(known, budget);
    // Variables around are not looked at, but those within are counted from the outermost.
    evaluator.locals.resize(bound, Val::Null);
    match evaluator.evaluate(node).ok()? {
        Val::Null => Some(Kind::Null),
        Val::Bool(value) => Some(Kind::Bool(value)),
        Val::Int(value) => Some(Kind::Int(value)),
        Val::UInt(value) => Some(Kind::UInt(value)),
        Val::Double(value) => Some(Kind::Double(value)),
        Val::Text(text) => Some(Kind::Text(Box::from(&*text))),
        part @ (Val::Number(_) | Val::Array(_) | Val::Object(_)) => {
            part.to_json(evaluator.budget).ok().map(|value| Kind::Known(Box::new(value)))
        }
        Val::List(_) | Val::Map(_) | Val::Quantity(_) | Val::Optional(_) => None,
    }
}

/// Takes the branch that a settled condition has chosen, so that the other need not be rendered.
fn prune(node: &mut Node) {
    let chosen = match &mut node.kind {
        Kind::Choose(three) => {
            let [condition, then, otherwise] = &mut **three;
            match condition.kind {
                Kind::Bool(true) => then,
                Kind::Bool(false) => otherwise,
                _ => return,
            }
        }
        Kind::And(operands) => match operands.iter_mut().find(|operand| matches!(operand.kind, Kind::Bool(false))) {
            Some(decides) => decides,
            None => return,
        },
        Kind::Or(operands) => match operands.iter_mut().find(|operand| matches!(operand.kind, Kind::Bool(true))) {
            Some(decides) => decides,
            None => return,
        },
        _ => return,
    };
    let offset = chosen.offset;
    *node = std::mem::replace(chosen, Node { kind: Kind::Null, offset, depth: 1 });
}
