//! Everything that is said on standard error. Results never pass here.
//!
//! Colour appears on a terminal only (`NO_COLOR` and `CLICOLOR_FORCE` are honoured), and no meaning rests on it alone.

use std::error::Error;
use std::fmt::Display;
use std::io::Write as _;

use anstyle::{AnsiColor, Style};

use super::exit::Failure;
use crate::problem::Diagnostic;

pub(super) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(super) const WARNING: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const HINT: Style = AnsiColor::Cyan.on_default();

/// Says things, or keeps quiet about what went well.
#[derive(Debug, Clone, Copy)]
pub(super) struct Talk {
    pub(super) quiet: bool,
}

impl Talk {
    /// What was done.
    pub(super) fn note(self, text: impl Display) {
        if !self.quiet {
            say(format_args!("{text}"));
        }
    }

    /// What may not be as it should.
    #[expect(clippy::unused_self, reason = "a warning is said even when quiet, by whoever talks")]
    pub(super) fn warning(self, text: impl Display) {
        say(format_args!("{WARNING}warning{WARNING:#}: {text}"));
    }

    /// What is wrong, with its causes.
    #[expect(clippy::unused_self, reason = "an error is said even when quiet, by whoever talks")]
    pub(super) fn error(self, text: impl Display) {
        say(format_args!("{ERROR}error{ERROR:#}: {text}"));
    }

    /// Why a command stops.
    pub(super) fn failure(self, failure: &Failure) {
        if let Failure::Problems(problems) = failure {
            self.problems(problems);
            return;
        }
        self.error(failure);
        let mut cause = failure.source();
        while let Some(error) = cause {
            say(format_args!("  caused by: {error}"));
            cause = error.source();
        }
    }

    /// All problems of an input.
    pub(super) fn problems(self, problems: &[Diagnostic]) {
        for problem in problems {
            self.error(problem);
        }
    }

    /// What to try instead.
    #[expect(clippy::unused_self, reason = "a hint belongs to an error, by whoever talks")]
    pub(super) fn hint(self, text: impl Display) {
        say(format_args!("{HINT}hint{HINT:#}: {text}"));
    }
}

/// Nobody can be told that standard error is closed.
fn say(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(anstream::stderr(), "{text}");
}
