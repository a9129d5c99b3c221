//! Values while an expression is evaluated: views into the scope's JSON where possible, built ones where not.
//!
//! Invariant: cloning a value copies no text, list or map. A JSON number keeps its text until it is calculated with.

use std::cmp::Ordering;
use std::ops::Deref;
use std::rc::Rc;

use serde_json::{Map, Number, Value};

use super::Budget;
use super::fault::{Exhausted, Problem};
use super::number::{Num, double_json};
use super::quantity::Quantity;

/// A value; `'a` is the life of the scope and of the expression.
#[derive(Debug, Clone)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    /// A number of the scope, not looked at yet.
    Number(&'a Number),
    Text(Text<'a>),
    Array(&'a [Value]),
    List(Rc<[Val<'a>]>),
    Object(&'a Map<String, Value>),
    /// In order, keys unique.
    Map(Rc<[(Text<'a>, Val<'a>)]>),
    Quantity(Rc<Quantity>),
    Optional(Option<Rc<Val<'a>>>),
}

/// A string of the scope or of the expression, or a built one.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Shared(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

/// A list of either kind.
#[derive(Clone, Copy)]
pub(super) enum ListView<'v, 'a> {
    Json(&'a [Value]),
    Built(&'v [Val<'a>]),
}

impl<'a> ListView<'_, 'a> {
    pub(super) const fn len(self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Built(items) => items.len(),
        }
    }

    /// Never inlined, like the other large helpers below: each function would have its own copy of it in the module.
    #[inline(never)]
    pub(super) fn get(self, index: usize) -> Option<Val<'a>> {
        match self {
            Self::Json(items) => items.get(index).map(Val::from_json),
            Self::Built(items) => items.get(index).cloned(),
        }
    }

    pub(super) fn to_vec(self) -> Vec<Val<'a>> {
        self.iter().collect()
    }

    pub(super) fn iter(self) -> impl DoubleEndedIterator<Item = Val<'a>> {
        (0..self.len()).filter_map(move |index| self.get(index))
    }
}

/// So few keys are looked through one by one.
const FEW_KEYS: usize = 8;

/// A map of either kind.
#[derive(Clone, Copy)]
pub(super) enum MapView<'v, 'a> {
    Json(&'a Map<String, Value>),
    Built(&'v [(Text<'a>, Val<'a>)]),
}

impl<'a> MapView<'_, 'a> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Json(map) => map.len(),
            Self::Built(entries) => entries.len(),
        }
    }

    /// Looking a key up in a built map is a walk, so it has a price.
    pub(super) fn get(self, key: &str, budget: &mut Budget) -> Result<Option<Val<'a>>, Exhausted> {
        match self {
            // Comparing a few keys takes less time than hashing one.
            Self::Json(map) if map.len() <= FEW_KEYS => {
                Ok(map.iter().find(|(known, _)| *known == key).map(|(_, value)| Val::from_json(value)))
            }
            Self::Json(map) => Ok(map.get(key).map(Val::from_json)),
            Self::Built(entries) => {
                budget.spend(entries.len() / 4)?;
                Ok(entries.iter().find(|(known, _)| **known == *key).map(|(_, value)| value.clone()))
            }
        }
    }

    /// In the order of the keys: some hosts hand objects over sorted, some as they were written.
    #[inline(never)]
    pub(super) fn entries(self) -> Vec<(Text<'a>, Val<'a>)> {
        let mut entries: Vec<(Text<'a>, Val<'a>)> = match self {
            Self::Json(map) => map.iter().map(|(key, value)| (Text::Borrowed(key), Val::from_json(value))).collect(),
            Self::Built(entries) => entries.to_vec(),
        };
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
        entries
    }
}

impl<'a> Val<'a> {
    pub(super) fn from_json(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(Text::Borrowed(text)),
            Value::Array(items) => Self::Array(items),
            Value::Object(map) => Self::Object(map),
        }
    }

    /// A value of its own; `None` where a number is beyond the range of double.
    pub(super) fn built(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::number(Num::from_json(number)?),
            Value::String(text) => Self::text(text),
            Value::Array(items) => Self::list(items.iter().map(Self::built).collect::<Option<_>>()?),
            Value::Object(map) => {
                let entry =
                    |(key, value): (&String, &Value)| Some((Text::Shared(Rc::from(key.as_str())), Self::built(value)?));
                Self::Map(map.iter().map(entry).collect::<Option<_>>()?)
            }
        })
    }

    /// A text that was built.
    pub(super) fn text(text: &str) -> Self {
        Self::Text(Text::Shared(Rc::from(text)))
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::from(items))
    }

    pub(super) fn some(value: Self) -> Self {
        Self::Optional(Some(Rc::new(value)))
    }

    /// What an optional holds, or the value itself where it is none.
    pub(super) fn present(mut self) -> Option<Self> {
        while let Self::Optional(inner) = self {
            self = Self::clone(&*inner?);
        }
        Some(self)
    }

    pub(super) fn quantity(quantity: Quantity) -> Self {
        Self::Quantity(Rc::new(quantity))
    }

    pub(super) fn number(number: Num) -> Self {
        match number {
            Num::Int(value) => Self::Int(value),
            Num::UInt(value) => Self::UInt(value),
            Num::Double(value) => Self::Double(value),
        }
    }

    /// A length or a position.
    pub(super) fn count(count: usize) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    #[inline(never)]
    pub(super) fn as_number(&self) -> Option<Num> {
        match self {
            Self::Int(value) => Some(Num::Int(*value)),
            Self::UInt(value) => Some(Num::UInt(*value)),
            Self::Double(value) => Some(Num::Double(*value)),
            Self::Number(number) => Num::from_json(number),
            _ => None,
        }
    }

    pub(super) fn as_text(&self) -> Option<&Text<'a>> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn as_list(&self) -> Option<ListView<'_, 'a>> {
        match self {
            Self::Array(items) => Some(ListView::Json(items)),
            Self::List(items) => Some(ListView::Built(items)),
            _ => None,
        }
    }

    pub(super) fn as_map(&self) -> Option<MapView<'_, 'a>> {
        match self {
            Self::Object(map) => Some(MapView::Json(map)),
            Self::Map(entries) => Some(MapView::Built(entries)),
            _ => None,
        }
    }

    /// The CEL name of its type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::UInt(_) => "uint",
            Self::Double(_) => "double",
            Self::Number(_) => match self.as_number() {
                Some(number) => Self::number(number).type_name(),
                None => "number beyond the range of double",
            },
            Self::Text(_) => "string",
            Self::Array(_) | Self::List(_) => "list",
            Self::Object(_) | Self::Map(_) => "map",
            Self::Quantity(_) => "quantity",
            Self::Optional(_) => "optional",
        }
    }

    /// CEL equality: numbers by their amount, anything else only with its own type.
    pub(super) fn equals(&self, other: &Self, budget: &mut Budget) -> Result<bool, Exhausted> {
        if let (Some(a), Some(b)) = (self.as_number(), other.as_number()) {
            return Ok(a.compare(b) == Some(Ordering::Equal));
        }
        if let (Some(a), Some(b)) = (self.as_list(), other.as_list()) {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b.iter()) {
                budget.spend(1)?;
                if !a.equals(&b, budget)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        if let (Some(a), Some(b)) = (self.as_map(), other.as_map()) {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (key, a) in a.entries() {
                budget.spend(1)?;
                match b.get(&key, budget)? {
                    Some(b) if a.equals(&b, budget)? => {}
                    _ => return Ok(false),
                }
            }
            return Ok(true);
        }
        match (self, other) {
            (Self::Null, Self::Null) | (Self::Optional(None), Self::Optional(None)) => Ok(true),
            (Self::Bool(a), Self::Bool(b)) => Ok(a == b),
            (Self::Text(a), Self::Text(b)) => {
                budget.spend_text(a.len().min(b.len()))?;
                Ok(**a == **b)
            }
            (Self::Quantity(a), Self::Quantity(b)) => Ok(a == b),
            (Self::Optional(Some(a)), Self::Optional(Some(b))) => a.equals(b, budget),
            _ => Ok(false),
        }
    }

    /// Order, within a type or between numbers; `Ok(None)` with NaN.
    pub(super) fn compare(&self, other: &Self, budget: &mut Budget) -> Result<Option<Ordering>, Problem> {
        if let (Some(a), Some(b)) = (self.as_number(), other.as_number()) {
            return Ok(a.compare(b));
        }
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Ok(Some(a.cmp(b))),
            (Self::Text(a), Self::Text(b)) => {
                budget.spend_text(a.len().min(b.len()))?;
                Ok(Some((**a).cmp(&**b)))
            }
            (Self::Quantity(a), Self::Quantity(b)) => Ok(Some(a.cmp(b))),
            _ => Err(Problem::Overload),
        }
    }

    /// As JSON. A whole double becomes an integer where it fits, a quantity its canonical text; an optional has to be
    /// resolved before.
    pub(super) fn to_json(&self, budget: &mut Budget) -> Result<Value, Problem> {
        budget.spend(1)?;
        if let Some(list) = self.as_list() {
            return list.iter().map(|item| item.to_json(budget)).collect::<Result<_, _>>().map(Value::Array);
        }
        if let Some(map) = self.as_map() {
            let mut copy = Map::with_capacity(map.len());
            for (key, value) in map.entries() {
                copy.insert(String::from(&*key), value.to_json(budget)?);
            }
            return Ok(Value::Object(copy));
        }
        Ok(match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::from(*value),
            Self::UInt(value) => Value::from(*value),
            Self::Double(value) => {
                Value::Number(double_json(*value).ok_or(Problem::says("JSON has no infinity and no NaN"))?)
            }
            Self::Number(number) => Value::Number((*number).clone()),
            Self::Text(text) => {
                budget.spend_text(text.len())?;
                Value::from(&**text)
            }
            Self::Quantity(quantity) => Value::from(quantity.canonical()),
            Self::Optional(_) => {
                let message = "an optional value cannot be part of the result, resolve it with `.orValue(...)`";
                return Err(Problem::says(message));
            }
            Self::Null | Self::Array(_) | Self::List(_) | Self::Object(_) | Self::Map(_) => Value::Null,
        })
    }
}
