//! One cluster's settings, written by hand or compiled from a federation, handed to the policy module.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use fedcar_policy::read::dotted;
use serde::Deserialize;
use serde_json::Value;

use super::exit::Failure;
use super::talk::Talk;
use crate::documents;
use crate::engine::{Cache, Engine, Limits, MODULE, PrepareError, PreparedPolicy};
use crate::input::InputError;
use crate::problem::Diagnostic;
use crate::yaml::{self, Locations};

/// Which settings.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("policy").required(true))]
pub(super) struct SettingsArguments {
    /// The settings of one cluster
    #[arg(long, value_name = "FILE", group = "policy", conflicts_with = "cluster")]
    settings: Option<PathBuf>,
    /// The folder with the documents of a federation
    #[arg(long, value_name = "DIR", group = "policy", requires = "cluster")]
    federation: Option<PathBuf>,
    /// The member of the federation whose settings are compiled
    #[arg(long, value_name = "NAME", requires = "federation")]
    cluster: Option<String>,
}

/// Settings as a person wrote them.
pub(super) struct SettingsFile {
    file: String,
    text: String,
    /// The settings themselves.
    pub(super) value: Value,
    locations: Locations,
}

/// A problem as the module reports it.
#[derive(Debug, Deserialize)]
pub(super) struct Problem {
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
    /// The path as people write it, and what is wrong there.
    fn sentence(&self) -> String {
        match dotted(&self.pointer).as_str() {
            "" => self.message.clone(),
            path => format!("{path}: {}", self.message),
        }
    }
}

impl SettingsArguments {
    /// The policy module with these settings in its memory.
    pub(super) fn prepare(&self, talk: Talk) -> Result<PreparedPolicy, Failure> {
        let engine = engine()?;
        match (&self.settings, &self.federation, &self.cluster) {
            (Some(file), ..) => {
                let file = SettingsFile::read(file)?;
                prepare(&engine, &file.value)?.map_err(|problems| Failure::Problems(file.diagnostics(problems)))
            }
            (None, Some(folder), Some(cluster)) => {
                let loaded = documents::load(folder).map_err(Failure::Problems)?;
                let (settings, notes) = loaded.settings(cluster).map_err(Failure::Problems)?;
                for note in notes {
                    talk.note(note);
                }
                let at = format!("the settings of {cluster}");
                prepare(&engine, &settings)?.map_err(|problems| Failure::Problems(without_text(&at, problems)))
            }
            _ => Err(Failure::Usage("expected --settings FILE, or --federation DIR with --cluster NAME".to_owned())),
        }
    }
}

impl SettingsFile {
    /// Reads a file that must hold one document.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| InputError::Read { file: file.clone(), source })?;
        let found = yaml::read_located(&text)
            .map_err(|error| Failure::Problems(vec![Diagnostic::of_yaml(&file, &text, error)]))?;
        match <[_; 1]>::try_from(found) {
            Ok([(document, locations)]) => Ok(Self { file, text, value: document.value, locations }),
            Err(found) => {
                let message = format!("expected one document with settings, found {}", found.len());
                Err(Failure::Problems(vec![Diagnostic::of_file(file, message)]))
            }
        }
    }

    /// The problems where they stand in the text.
    pub(super) fn diagnostics(&self, problems: Vec<Problem>) -> Vec<Diagnostic> {
        let place = |problem: Problem| {
            let place = self.locations.find(&problem.pointer);
            Diagnostic::at(&self.file, &self.text, place, problem.sentence(), problem.hint)
        };
        problems.into_iter().map(place).collect()
    }
}

/// Hands settings to the module; the inner error is what the module finds wrong with them.
pub(super) fn prepare(engine: &Engine, settings: &Value) -> Result<Result<PreparedPolicy, Vec<Problem>>, Failure> {
    #[derive(Deserialize)]
    struct Reply {
        problems: Vec<Problem>,
    }
    match engine.prepare(MODULE, settings.to_string().as_bytes()) {
        Ok(policy) => Ok(Ok(policy)),
        Err(PrepareError::Settings { reply }) => {
            let Reply { problems } = serde_json::from_slice(&reply).map_err(Failure::Problem)?;
            Ok(Err(problems))
        }
        Err(error) => Err(Failure::Prepare(error)),
    }
}

/// Problems of settings that nobody wrote: compiled settings that the module does not take.
pub(super) fn without_text(at: &str, problems: Vec<Problem>) -> Vec<Diagnostic> {
    let whole = |problem: Problem| {
        let diagnostic = Diagnostic::of_file(at, problem.sentence());
        Diagnostic { hint: problem.hint, ..diagnostic }
    };
    problems.into_iter().map(whole).collect()
}

/// The engine of a command: one call at a time, and nobody waits for it behind a webhook.
pub(super) fn engine() -> Result<Engine, Failure> {
    let limits = Limits { concurrent_calls: 1, deadline: std::time::Duration::from_secs(10), ..Limits::default() };
    // Without a private folder the code is compiled anew each time, which is slower and nothing else.
    let cache = Cache::of_user().unwrap_or_else(|_| Cache::none());
    Ok(Engine::new(limits, cache)?)
}
