//! One cluster's settings as a person wrote them, and the module's problems with them in their places.

use std::path::Path;

use fedcar_policy::read::dotted;
use serde::Deserialize;
use serde_json::Value;

use crate::problem::Diagnostic;
use crate::yaml::{self, Locations};

/// Settings with their text.
pub struct SettingsFile {
    file: String,
    text: String,
    /// The settings themselves.
    pub value: Value,
    locations: Locations,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsProblem {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[source] std::io::Error),
    /// It is not one document.
    #[error("the file is not valid")]
    Problems(Vec<Diagnostic>),
}

/// A problem as the module reports it.
#[derive(Debug, Deserialize)]
pub struct Problem {
    pointer: String,
    message: String,
    hint: Option<String>,
}

impl From<fedcar_policy::read::Problem> for Problem {
    fn from(problem: fedcar_policy::read::Problem) -> Self {
        Self { pointer: problem.pointer, message: problem.message, hint: problem.hint }
    }
}

impl Problem {
    /// The problems in the module's reply to `fedcar.prepare`.
    pub fn in_reply(reply: &[u8]) -> serde_json::Result<Vec<Self>> {
        #[derive(Deserialize)]
        struct Reply {
            problems: Vec<Problem>,
        }
        serde_json::from_slice::<Reply>(reply).map(|reply| reply.problems)
    }

    /// The path as people write it, and what is wrong there.
    pub fn sentence(&self) -> String {
        match dotted(&self.pointer).as_str() {
            "" => self.message.clone(),
            path => format!("{path}: {}", self.message),
        }
    }

    /// The same without a text to show: of settings that nobody wrote by hand.
    pub fn of_whole(self, at: &str) -> Diagnostic {
        Diagnostic { hint: self.hint.clone(), ..Diagnostic::of_file(at, self.sentence()) }
    }
}

impl SettingsFile {
    /// Reads a file that must hold one document.
    pub fn read(path: &Path) -> Result<Self, SettingsProblem> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(SettingsProblem::Read)?;
        let found = yaml::read_located(&text)
            .map_err(|error| SettingsProblem::Problems(vec![Diagnostic::of_yaml(&file, &text, error)]))?;
        match <[_; 1]>::try_from(found) {
            Ok([(document, locations)]) => Ok(Self { file, text, value: document.value, locations }),
            Err(found) => {
                let message = format!("expected one document with settings, found {}", found.len());
                Err(SettingsProblem::Problems(vec![Diagnostic::of_file(file, message)]))
            }
        }
    }

    /// The problems where they stand in the text.
    pub fn diagnostics(&self, problems: Vec<Problem>) -> Vec<Diagnostic> {
        let place = |problem: Problem| {
            let place = self.locations.find(&problem.pointer);
            Diagnostic::at(&self.file, &self.text, place, problem.sentence(), problem.hint)
        };
        problems.into_iter().map(place).collect()
    }
}
