//! Comprehensions: running a body for each element with its variables bound.

use std::rc::Rc;

use super::ast::{Loop, LoopKind, Node};
use super::evaluate::{Evaluated, Evaluator, overload};
use super::fault::Fault;
use super::join;
use super::value::{Text, Val};

/// What the variables stand for in one step: the only one, or index (key) and value.
type Step<'a> = (Val<'a>, Option<Val<'a>>);

impl<'a> Evaluator<'a, '_> {
    pub(super) fn run(&mut self, inner: &'a Loop, node: &'a Node) -> Evaluated<'a> {
        let range = self.evaluate(&inner.range)?;
        match inner.kind {
            LoopKind::Bind => self.within((range, None), &inner.body),
            LoopKind::OptMap | LoopKind::OptFlatMap => self.optional(inner, range, node),
            LoopKind::All => self.quantify(inner, &range, false, node),
            LoopKind::Exists => self.quantify(inner, &range, true, node),
            LoopKind::ExistsOne => {
                let mut hits = 0_u32;
                for step in self.steps(inner, &range, node)? {
                    self.spend(1, node)?;
                    hits += u32::from(self.condition(step, &inner.body)?);
                }
                Ok(Val::Bool(hits == 1))
            }
            LoopKind::Filter => {
                let mut kept = Vec::new();
                for step in self.steps(inner, &range, node)? {
                    self.spend(1, node)?;
                    let item = step.0.clone();
                    if self.condition(step, &inner.body)? {
                        kept.push(item);
                    }
                }
                Ok(Val::list(kept))
            }
            LoopKind::Map => {
                let mut made = Vec::new();
                for step in self.steps(inner, &range, node)? {
                    self.spend(1, node)?;
                    if self.passes(inner, &step)? {
                        made.push(self.within(step, &inner.body)?);
                    }
                }
                Ok(Val::list(made))
            }
            LoopKind::TransformMap | LoopKind::TransformMapEntry => self.transform(inner, &range, node),
        }
    }

    /// The steps over a list (elements, or index and element) or a map (keys, or key and value).
    fn steps(&mut self, inner: &Loop, range: &Val<'a>, node: &Node) -> Result<Vec<Step<'a>>, Fault> {
        if let Some(list) = range.as_list() {
            self.spend(list.len() / 4, node)?;
            return Ok(if inner.pair {
                list.iter().enumerate().map(|(index, item)| (Val::count(index), Some(item))).collect()
            } else {
                list.iter().map(|item| (item, None)).collect()
            });
        }
        let map = range.as_map().ok_or_else(|| {
            Fault::new(join(&["expected a list or a map to go through, found ", range.type_name()]), node.offset)
        })?;
        self.spend(map.len() / 4, node)?;
        let entries = map.entries().into_iter();
        Ok(entries.map(|(key, value)| (Val::Text(key), inner.pair.then_some(value))).collect())
    }

    /// Evaluates with the variables of one step bound.
    fn within(&mut self, (first, second): Step<'a>, body: &'a Node) -> Evaluated<'a> {
        let outside = self.locals.len();
        self.locals.push(first);
        self.locals.extend(second);
        let result = self.evaluate(body);
        self.locals.truncate(outside);
        result
    }

    fn condition(&mut self, step: Step<'a>, body: &'a Node) -> Result<bool, Fault> {
        match self.within(step, body)? {
            Val::Bool(value) => Ok(value),
            other => Err(Fault::new(join(&["expected a bool, found ", other.type_name()]), body.offset)),
        }
    }

    fn passes(&mut self, inner: &'a Loop, step: &Step<'a>) -> Result<bool, Fault> {
        match &inner.filter {
            Some(filter) => self.condition(step.clone(), filter),
            None => Ok(true),
        }
    }

    /// `all` (decided by false) and `exists` (decided by true): as with `&&`, a step that decides makes up for errors.
    fn quantify(&mut self, inner: &'a Loop, range: &Val<'a>, decides: bool, node: &Node) -> Evaluated<'a> {
        let mut first_fault = None;
        for step in self.steps(inner, range, node)? {
            self.spend(1, node)?;
            match self.condition(step, &inner.body) {
                Ok(value) if value == decides => return Ok(Val::Bool(decides)),
                Ok(_) => {}
                Err(fault) if fault.is_fatal() => return Err(fault),
                Err(fault) => first_fault = first_fault.or(Some(fault)),
            }
        }
        first_fault.map_or(Ok(Val::Bool(!decides)), Err)
    }

    fn transform(&mut self, inner: &'a Loop, range: &Val<'a>, node: &Node) -> Evaluated<'a> {
        let mut made: Vec<(Text<'a>, Val<'a>)> = Vec::new();
        for (position, step) in self.steps(inner, range, node)?.into_iter().enumerate() {
            self.spend(1, node)?;
            if !self.passes(inner, &step)? {
                continue;
            }
            if inner.kind == LoopKind::TransformMap {
                let Val::Text(key) = step.0.clone() else {
                    return Err(Fault::new("a map key must be a string, this range is a list", node.offset));
                };
                made.push((key, self.within(step, &inner.body)?));
                continue;
            }
            let entry = self.within(step, &inner.body)?;
            let Some(entry) = entry.as_map() else {
                return Err(overload("transformMapEntry", &[entry], node));
            };
            for (key, value) in entry.entries() {
                self.spend(position / 4, node)?;
                if made.iter().any(|(known, _)| **known == *key) {
                    return Err(Fault::new(join(&["map key `", &key, "` occurs twice"]), node.offset));
                }
                made.push((key, value));
            }
        }
        Ok(Val::Map(Rc::from(made)))
    }

    fn optional(&mut self, inner: &'a Loop, target: Val<'a>, node: &Node) -> Evaluated<'a> {
        let value = match target {
            Val::Optional(Some(value)) => Val::clone(&value),
            Val::Optional(None) => return Ok(target),
            other => return Err(overload("optMap", &[other], node)),
        };
        let made = self.within((value, None), &inner.body)?;
        match made {
            made if inner.kind == LoopKind::OptMap => Ok(Val::some(made)),
            Val::Optional(_) => Ok(made),
            other => Err(overload("optFlatMap", &[other], node)),
        }
    }
}
