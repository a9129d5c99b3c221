//! The syntax tree of an expression.
//!
//! Invariant: no tree is deeper than [`MAX_DEPTH`], so everything that walks one may recurse. Loop variables are resolved
//! to slots when the tree is built; only free variables keep their names.

use serde_json::Value;

use super::functions::Function;

/// Deepest tree. A chain such as `a + b + c` is as deep as it is long; the specification asks for 32 of everything.
pub(super) const MAX_DEPTH: u16 = 160;

/// One operation and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Byte offset of the token that names the operation.
    pub(super) offset: u32,
    pub(super) depth: u16,
}

/// What a node does.
#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(Box<str>),
    /// A part of a known variable, put in place of the expression that led there.
    Known(Box<Value>),
    /// A free variable.
    Name(Box<str>),
    /// The variable of a comprehension, counted from the outermost.
    Local(usize),
    List(Box<[Element]>),
    Map(Box<[Entry]>),
    Select {
        target: Box<Node>,
        field: Box<str>,
        optional: bool,
    },
    Index {
        target: Box<Node>,
        index: Box<Node>,
        optional: bool,
    },
    /// `has(target.field)`.
    Has {
        target: Box<Node>,
        field: Box<str>,
    },
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    /// Condition, then, otherwise.
    Choose(Box<[Node; 3]>),
    Binary(Operator, Box<[Node; 2]>),
    Call(&'static Function, Box<[Node]>),
    /// `target.orValue(fallback)`, and `target.or(fallback)`, which stays optional.
    OrElse {
        target: Box<Node>,
        fallback: Box<Node>,
        optional: bool,
    },
    Loop(Box<Loop>),
}

/// Operators that need both of their operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

impl Operator {
    pub(super) const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
        }
    }
}

/// An element of a list literal; an absent optional one is left out.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) value: Node,
    pub(super) optional: bool,
}

/// An entry of a map literal; one with an absent optional value is left out.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Node,
    pub(super) value: Node,
    pub(super) optional: bool,
}

/// A macro that binds variables: over a range, or (`bind`, `optMap`) to one value.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) kind: LoopKind,
    /// Whether two variables are bound: index or key, and value.
    pub(super) pair: bool,
    pub(super) range: Node,
    /// Steps for which this is false are left out.
    pub(super) filter: Option<Node>,
    pub(super) body: Node,
}

/// What a loop makes of its body's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoopKind {
    All,
    Exists,
    ExistsOne,
    Filter,
    /// `map`, and with two variables `transformList`.
    Map,
    TransformMap,
    TransformMapEntry,
    Bind,
    OptMap,
    OptFlatMap,
}

impl Loop {
    /// How many variables it binds.
    pub(super) const fn variables(&self) -> usize {
        if self.pair { 2 } else { 1 }
    }
}

impl Kind {
    /// The free variable and the field of `name.field`, in any of its forms.
    pub(super) fn field_of_name(&self) -> Option<(&str, &str)> {
        let (Self::Select { target, field, .. } | Self::Has { target, field }) = self else { return None };
        if let Self::Name(name) = &target.kind { Some((name, field)) } else { None }
    }

    /// Every node directly below, with the number of variables that this node binds for it.
    pub(super) fn children(&self) -> Vec<(&Node, usize)> {
        match self {
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::UInt(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Known(_)
            | Self::Name(_)
            | Self::Local(_) => Vec::new(),
            Self::List(elements) => elements.iter().map(|element| (&element.value, 0)).collect(),
            Self::Map(entries) => entries.iter().flat_map(|entry| [(&entry.key, 0), (&entry.value, 0)]).collect(),
            Self::Select { target, .. } | Self::Has { target, .. } | Self::Not(target) | Self::Negate(target) => {
                vec![(target, 0)]
            }
            Self::Index { target, index, .. } => vec![(target, 0), (index, 0)],
            Self::OrElse { target, fallback, .. } => vec![(target, 0), (fallback, 0)],
            Self::And(pair) | Self::Or(pair) | Self::Binary(_, pair) => pair.iter().map(|node| (node, 0)).collect(),
            Self::Choose(three) => three.iter().map(|node| (node, 0)).collect(),
            Self::Call(_, arguments) => arguments.iter().map(|node| (node, 0)).collect(),
            Self::Loop(inner) => {
                let bound = inner.variables();
                let within = inner.filter.iter().chain([&inner.body]).map(|node| (node, bound));
                [(&inner.range, 0)].into_iter().chain(within).collect()
            }
        }
    }

    /// As [`Self::children`], to change them.
    pub(super) fn children_mut(&mut self) -> Vec<(&mut Node, usize)> {
        match self {
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::UInt(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Known(_)
            | Self::Name(_)
            | Self::Local(_) => Vec::new(),
            Self::List(elements) => elements.iter_mut().map(|element| (&mut element.value, 0)).collect(),
            Self::Map(entries) => {
                entries.iter_mut().flat_map(|entry| [(&mut entry.key, 0), (&mut entry.value, 0)]).collect()
            }
            Self::Select { target, .. } | Self::Has { target, .. } | Self::Not(target) | Self::Negate(target) => {
                vec![(target, 0)]
            }
            Self::Index { target, index, .. } => vec![(target, 0), (index, 0)],
            Self::OrElse { target, fallback, .. } => vec![(target, 0), (fallback, 0)],
            Self::And(pair) | Self::Or(pair) | Self::Binary(_, pair) => pair.iter_mut().map(|node| (node, 0)).collect(),
            Self::Choose(three) => three.iter_mut().map(|node| (node, 0)).collect(),
            Self::Call(_, arguments) => arguments.iter_mut().map(|node| (node, 0)).collect(),
            Self::Loop(inner) => {
                let bound = inner.variables();
                let Loop { range, filter, body, .. } = &mut **inner;
                let within = filter.iter_mut().chain([body]).map(|node| (node, bound));
                [(range, 0)].into_iter().chain(within).collect()
            }
        }
    }
}
