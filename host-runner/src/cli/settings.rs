//! One cluster's settings, written by hand or compiled from a federation, handed to the policy module.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use fedcar_policy::federation::Version;
use serde_json::Value;

use super::exit::Failure;
use super::talk::Talk;
use crate::admission::settings_file::{Problem, SettingsFile, SettingsProblem};
use crate::documents;
use crate::engine::{Cache, Engine, Limits, MODULE, Policy, PrepareError};
use crate::input::InputError;
use crate::problem::Diagnostic;

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

/// Settings that the module takes, and what the documents say about their cluster.
pub(super) struct ClusterSettings {
    /// The settings.
    pub(super) settings: Value,
    /// The version of the API server, where a document says it.
    pub(super) kubernetes: Option<Version>,
    policy: Policy,
}

impl SettingsArguments {
    /// The policy module with these settings in its memory.
    pub(super) fn prepare(&self, talk: Talk) -> Result<Policy, Failure> {
        self.load(talk).map(|cluster| cluster.policy)
    }

    /// The settings, after the module has taken them.
    pub(super) fn load(&self, talk: Talk) -> Result<ClusterSettings, Failure> {
        let engine = engine()?;
        match (&self.settings, &self.federation, &self.cluster) {
            (Some(file), ..) => {
                let file = read(file)?;
                let policy =
                    prepare(&engine, &file.value)?.map_err(|problems| Failure::Problems(file.diagnostics(problems)))?;
                Ok(ClusterSettings { settings: file.value, kubernetes: None, policy })
            }
            (None, Some(folder), Some(cluster)) => {
                let loaded = documents::load(folder, documents::today()).map_err(Failure::Problems)?;
                let (settings, notes) = loaded.settings(cluster).map_err(Failure::Problems)?;
                for note in notes {
                    talk.note(note);
                }
                let at = format!("the settings of {cluster}");
                let policy =
                    prepare(&engine, &settings)?.map_err(|problems| Failure::Problems(without_text(&at, problems)))?;
                let member = loaded.federation().members().find(|member| member.name == *cluster);
                Ok(ClusterSettings { settings, kubernetes: member.and_then(|member| member.facts.kubernetes), policy })
            }
            _ => Err(Failure::Usage("expected --settings FILE, or --federation DIR with --cluster NAME".to_owned())),
        }
    }
}

/// Reads the settings of one cluster.
pub(super) fn read(path: &Path) -> Result<SettingsFile, Failure> {
    SettingsFile::read(path).map_err(|problem| match problem {
        SettingsProblem::Read(source) => InputError::Read { file: path.display().to_string(), source }.into(),
        SettingsProblem::Problems(problems) => Failure::Problems(problems),
    })
}

/// Hands settings to the module; the inner error is what the module finds wrong with them.
pub(super) fn prepare(engine: &Engine, settings: &Value) -> Result<Result<Policy, Vec<Problem>>, Failure> {
    match engine.prepare(MODULE, settings.to_string().as_bytes()) {
        Ok(policy) => Ok(Ok(policy)),
        Err(PrepareError::Settings { reply }) => Problem::in_reply(&reply).map(Err).map_err(Failure::Problem),
        Err(error) => Err(Failure::Prepare(error)),
    }
}

/// Problems of settings that nobody wrote: compiled settings that the module does not take.
pub(super) fn without_text(at: &str, problems: Vec<Problem>) -> Vec<Diagnostic> {
    problems.into_iter().map(|problem| problem.of_whole(at)).collect()
}

/// The engine of a command: one call at a time.
pub(super) fn engine() -> Result<Engine, Failure> {
    engine_of(NonZero::<usize>::MIN)
}

/// An engine for so many calls at a time; nobody waits for it behind a webhook.
pub(super) fn engine_of(concurrent_calls: NonZero<usize>) -> Result<Engine, Failure> {
    let concurrent_calls = u32::try_from(concurrent_calls.get()).unwrap_or(u32::MAX);
    let limits = Limits { concurrent_calls, deadline: std::time::Duration::from_secs(10), ..Limits::default() };
    // Without a private folder the code is compiled anew each time, which is slower and nothing else.
    let cache = Cache::of_user().unwrap_or_else(|_| Cache::none());
    Ok(Engine::new(limits, cache)?)
}
