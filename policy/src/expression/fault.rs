//! Why an evaluation has no value.

use std::borrow::Cow;

use super::ExprError;

/// The budget is spent.
pub(super) struct Exhausted;

/// What an operation finds wrong; it does not know where it stands.
pub(super) enum Problem {
    Exhausted,
    /// The operation is not defined for operands of these types.
    Overload,
    Says(Cow<'static, str>),
}

impl Problem {
    pub(super) const fn says(message: &'static str) -> Self {
        Self::Says(Cow::Borrowed(message))
    }

    pub(super) const fn tells(message: String) -> Self {
        Self::Says(Cow::Owned(message))
    }
}

impl From<Exhausted> for Problem {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

/// An error of evaluation with its place. Boxed, because it travels through every level of the tree.
pub(super) struct Fault(Box<Inner>);

struct Inner {
    message: Cow<'static, str>,
    offset: u32,
    fatal: bool,
}

impl Fault {
    #[cold]
    #[inline(never)]
    pub(super) fn new(message: impl Into<Cow<'static, str>>, offset: u32) -> Self {
        Self(Box::new(Inner { message: message.into(), offset, fatal: false }))
    }

    #[cold]
    #[inline(never)]
    pub(super) fn exhausted(offset: u32) -> Self {
        Self(Box::new(Inner { message: Cow::Borrowed("expression cost limit exceeded"), offset, fatal: true }))
    }

    /// Whether no other operand can make up for it.
    pub(super) const fn is_fatal(&self) -> bool {
        self.0.fatal
    }

    pub(super) fn into_error(self) -> ExprError {
        ExprError { message: self.0.message.into_owned(), offset: self.0.offset as usize, hint: None }
    }
}
