//! What is wrong with an input, shown where it stands: file, line, column, the line itself, and what to try instead.
//!
//! The message says what was expected and what was found; the hint is a different thing and printed apart. Whoever
//! prints a [`Diagnostic`] puts the severity in front of it.

use std::error::Error;
use std::fmt;

use crate::yaml::YamlError;

/// How many characters of a line are shown: JSON documents stand on one line.
const SHOWN_CHARS: usize = 120;

/// A problem with a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as the user named it.
    pub file: String,
    /// The line, from 1; absent where the problem is with the file as a whole.
    pub line: Option<u32>,
    /// The column in characters, from 1.
    pub column: u32,
    /// What was expected and what was found.
    pub message: String,
    /// What to try instead.
    pub hint: Option<String>,
    /// The line of the file that the problem is on.
    pub snippet: Option<String>,
}

impl Diagnostic {
    /// A problem with a file as a whole.
    pub fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, column: 1, message: message.into(), hint: None, snippet: None }
    }

    /// A problem at a place in a file whose text is at hand.
    pub fn at(
        file: impl Into<String>,
        text: &str,
        (line, column): (u32, u32),
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Self {
        let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        let snippet = text.lines().nth(index).map(ToOwned::to_owned);
        Self { file: file.into(), line: Some(line), column, message: message.into(), hint, snippet }
    }

    /// Text that is not YAML.
    pub fn of_yaml(file: impl Into<String>, text: &str, error: YamlError) -> Self {
        Self::at(file, text, (error.line, error.column), error.message, error.hint)
    }

    /// `file:line:column`, as editors and terminals make it a link.
    pub fn place(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}:{}", self.file, self.column),
            None => self.file.clone(),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|line| line.to_string()).unwrap_or_default();
        let margin = " ".repeat(line.len());
        write!(f, "{}\n{margin}--> {}", self.message, self.place())?;
        if let Some(snippet) = &self.snippet {
            let (shown, caret) = window(snippet, self.column);
            write!(f, "\n{margin} |\n{line} | {shown}\n{margin} | {}^", " ".repeat(caret))?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n{margin} = hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// An error with its causes on one line, for logs.
pub fn in_full(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The part of a line around a column, safe to print, and how far from its start the column is.
fn window(line: &str, column: u32) -> (String, usize) {
    let column = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    let skipped = if column < SHOWN_CHARS { 0 } else { column - SHOWN_CHARS / 2 };
    let printable = |character: char| if character.is_control() { ' ' } else { character };
    let shown: String = line.chars().skip(skipped).take(SHOWN_CHARS).map(printable).collect();
    let caret = (column - skipped).min(shown.chars().count());
    (shown.trim_end().to_owned(), caret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_shows_its_line() {
        let text = "a: 1\nspec:\n    containers: x\n";
        let hint = Some("write a list".to_owned());
        let problem = Diagnostic::at("retail/otel.yaml", text, (3, 5), "expected a list, found text `x`", hint);
        assert_eq!(
            problem.to_string(),
            "expected a list, found text `x`
 --> retail/otel.yaml:3:5
  |
3 |     containers: x
  |     ^
  = hint: write a list"
        );
    }

    #[test]
    fn a_problem_of_a_whole_file_has_no_line() {
        assert_eq!(Diagnostic::of_file("x.yaml", "cannot be read").to_string(), "cannot be read\n--> x.yaml");
    }

    #[test]
    fn long_lines_are_shown_around_the_column() {
        let text = format!("{}X{}", "a".repeat(1000), "b".repeat(1000));
        let problem = Diagnostic::at("x.json", &text, (1, 1001), "bad", None).to_string();
        let lines: Vec<&str> = problem.lines().collect();
        assert_eq!(lines[3].chars().nth(lines[4].find('^').unwrap()), Some('X'));
        assert!(lines[3].len() < 150);
    }
}
