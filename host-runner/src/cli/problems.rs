//! Problems as the result of a command: for people, for programs, and for what shows them beside the changed lines.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};

use super::talk::ERROR;
use crate::output::sarif::{document, location};
use crate::problem::Diagnostic;

/// How problems are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people
    Text,
    /// One line for each problem
    Json,
    /// Commands by which a GitHub workflow marks the lines
    Github,
    /// One SARIF 2.1.0 document, also where nothing is wrong
    Sarif,
}

/// One line of JSON output.
#[derive(Serialize)]
struct JsonLine<'p> {
    file: &'p str,
    line: Option<u32>,
    column: u32,
    message: &'p str,
    hint: Option<&'p str>,
}

/// Prints all of them.
pub(super) fn print(problems: &[Diagnostic], form: Form) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    match form {
        Form::Text => problems.iter().try_for_each(|problem| writeln!(stdout, "{ERROR}error{ERROR:#}: {problem}\n")),
        Form::Json => problems.iter().try_for_each(|problem| {
            let Diagnostic { file, line, column, message, hint, .. } = problem;
            let line = JsonLine { file, line: *line, column: *column, message, hint: hint.as_deref() };
            writeln!(stdout, "{}", serde_json::to_string(&line)?)
        }),
        Form::Github => problems.iter().try_for_each(|problem| writeln!(stdout, "{}", workflow_command(problem))),
        Form::Sarif => writeln!(stdout, "{:#}", sarif(problems)),
    }
}

/// The message, and the hint on a line of its own.
fn in_words(problem: &Diagnostic) -> String {
    match &problem.hint {
        Some(hint) => format!("{}\nhint: {hint}", problem.message),
        None => problem.message.clone(),
    }
}

/// <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>
fn workflow_command(problem: &Diagnostic) -> String {
    let place = match problem.line {
        Some(line) => format!(",line={line},col={}", problem.column),
        None => String::new(),
    };
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    format!("::error file={}{place},title=fedcar::{}", property(&problem.file), data(&in_words(problem)))
}

fn sarif(problems: &[Diagnostic]) -> Value {
    const RULE: &str = "document";
    let result = |problem: &Diagnostic| {
        json!({
            "ruleId": RULE,
            "level": "error",
            "message": {"text": in_words(problem)},
            "locations": [location(&problem.file, problem.line.map(|line| (line, problem.column)))],
        })
    };
    let rule = json!({
        "id": RULE,
        "shortDescription": {"text": "A document of the federation is not valid"},
    });
    document(&[rule], &problems.iter().map(result).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(file: &str, hint: Option<&str>) -> Diagnostic {
        let hint = hint.map(str::to_owned);
        Diagnostic::at(file, "a: 1\n", (1, 4), "expected 100%, found 1", hint)
    }

    #[test]
    fn a_workflow_command_is_one_line() {
        let command = workflow_command(&problem("a,b:c.yaml", Some("write\nmore")));
        assert_eq!(
            command,
            "::error file=a%2Cb%3Ac.yaml,line=1,col=4,title=fedcar::expected 100%25, found 1%0Ahint: write%0Amore"
        );
        let whole = workflow_command(&Diagnostic::of_file("x", "bad"));
        assert_eq!(whole, "::error file=x,title=fedcar::bad");
    }

    #[test]
    fn sarif_names_each_place() {
        let found = sarif(&[problem("a b/ä.yaml", None), Diagnostic::of_file("x", "bad")]);
        let results = &found["runs"][0]["results"];
        let place = &results[0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b/%C3%A4.yaml");
        assert_eq!(place["region"], json!({"startLine": 1, "startColumn": 4}));
        assert_eq!(results[1]["locations"][0]["physicalLocation"], json!({"artifactLocation": {"uri": "x"}}));
        assert_eq!(sarif(&[])["runs"][0]["results"], json!([]));
    }
}
