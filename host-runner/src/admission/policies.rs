//! The policies that are served, as loaded from files: read, checked, tried, and only then in use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Deserialize;

use super::granting::Granting;
use super::policies_file::{self, ModuleSource, PolicyEntry, PolicyMode};
use super::policy::{Protocol, Runs, ServedPolicy};
use super::respond::Terms;
use super::settings_file::{Problem, SettingsFile, SettingsProblem};
use super::trial;
use super::turns::Share;
use crate::capabilities::PolicyCapabilities;
use crate::engine::{Engine, LoadError, MODULE, Outcome, Policy, PrepareError};
use crate::problem::Diagnostic;
use crate::telemetry::Metrics;

/// The id of the policy that a settings file makes.
pub const SETTINGS_ID: &str = "fedcar";

/// Where policies come from.
#[derive(Debug, Clone)]
pub enum PoliciesSource {
    /// One cluster's settings, for the embedded module.
    Settings(PathBuf),
    /// policy-server's `policies.yml`.
    Policies(PathBuf),
}

/// What policies are loaded with.
pub struct Loader {
    /// Runs them.
    pub engine: Engine,
    /// Where they come from.
    pub source: PoliciesSource,
    /// What gives them what they may ask of the host.
    pub granting: Granting,
    /// Where their figures go.
    pub metrics: Arc<Metrics>,
}

/// All policies, by id.
pub struct Policies {
    by_id: BTreeMap<String, Arc<ServedPolicy>>,
}

/// Files at one moment: the text of the document, and of modules, which are large, what the file system says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    text: Option<String>,
    modules: Vec<(PathBuf, Option<(SystemTime, u64)>)>,
}

/// Why policies cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LoadFailure {
    /// A file cannot be read.
    #[error("cannot read {file}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// Problems in a file, with their places.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<Diagnostic>),
    /// The module's problems with its settings cannot be read.
    #[error("cannot read the problems that the module found")]
    Reply(#[source] serde_json::Error),
    /// A module cannot be used.
    #[error("policy `{id}`: cannot load the module")]
    Module {
        /// The policy.
        id: String,
        /// Why.
        source: LoadError,
    },
    /// The embedded module did not take its settings, for another reason than their problems.
    #[error("policy `{id}`: cannot prepare the module")]
    Prepare {
        /// The policy.
        id: String,
        /// Why.
        source: PrepareError,
    },
    /// The module does not answer about its settings.
    #[error("policy `{id}`: the module does not say whether its settings are valid")]
    Silent {
        /// The policy.
        id: String,
    },
    /// The module does not accept its settings.
    #[error("policy `{id}`: the settings are not valid: {message}")]
    Settings {
        /// The policy.
        id: String,
        /// What the module said.
        message: String,
    },
    /// What it should be granted cannot be.
    #[error("policy `{id}`: {message}")]
    Grant {
        /// The policy.
        id: String,
        /// Why.
        message: String,
    },
    /// The policy does not pass its trial.
    #[error("policy `{id}`: the trial request failed: {message}")]
    Trial {
        /// The policy.
        id: String,
        /// Why.
        message: String,
    },
}

impl Policies {
    /// The policy of an id.
    pub fn find(&self, id: &str) -> Option<&Arc<ServedPolicy>> {
        self.by_id.get(id)
    }

    /// The only policy, which the short path means.
    pub fn only(&self) -> Option<&Arc<ServedPolicy>> {
        self.by_id.values().next().filter(|_| self.by_id.len() == 1)
    }

    /// Every id, in order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(String::as_str)
    }

    /// Policies that were made in another way than from files.
    pub fn of(policies: impl IntoIterator<Item = ServedPolicy>) -> Self {
        Self { by_id: policies.into_iter().map(|policy| (policy.terms.id.clone(), Arc::new(policy))).collect() }
    }
}

impl Loader {
    /// Reads, checks and tries everything. Takes seconds where a module has to be compiled.
    pub fn load(&self) -> Result<Policies, LoadFailure> {
        let policies = match &self.source {
            PoliciesSource::Settings(path) => vec![self.of_settings(path)?],
            PoliciesSource::Policies(path) => {
                let file = path.display().to_string();
                let text = read_text(path)?;
                let entries = policies_file::read(&file, &text).map_err(LoadFailure::Problems)?;
                // One policy may use all instances, several leave some for each other.
                let share = if entries.len() == 1 { self.calls() } else { self.calls().div_ceil(2) };
                entries.iter().map(|entry| self.of_entry(entry, share)).collect::<Result<_, _>>()?
            }
        };
        for policy in policies.iter().filter(|policy| matches!(policy.protocol, Protocol::Fedcar)) {
            trial::run(policy).map_err(|message| LoadFailure::Trial { id: policy.terms.id.clone(), message })?;
        }
        Ok(Policies::of(policies))
    }

    /// What the files are like that the policies are made of, now.
    pub fn look(&self) -> Look {
        self.look_again(&Look::default())
    }

    /// The same after an earlier look: a document that has not changed is not read for its modules again.
    pub fn look_again(&self, before: &Look) -> Look {
        let (PoliciesSource::Settings(path) | PoliciesSource::Policies(path)) = &self.source;
        let text = std::fs::read_to_string(path).ok();
        let named = match (&self.source, &text) {
            _ if text == before.text => before.modules.iter().map(|(path, _)| path.clone()).collect(),
            (PoliciesSource::Policies(_), Some(text)) => modules_in(text),
            _ => Vec::new(),
        };
        let modules = named.into_iter().map(|path| {
            let file = std::fs::metadata(&path).ok();
            let state = file.and_then(|file| Some((file.modified().ok()?, file.len())));
            (path, state)
        });
        Look { modules: modules.collect(), text }
    }

    /// Calls that can run at the same time, all policies together.
    fn calls(&self) -> usize {
        self.engine.limits().concurrent_calls as usize
    }

    fn of_settings(&self, path: &Path) -> Result<ServedPolicy, LoadFailure> {
        let file = SettingsFile::read(path).map_err(|problem| match problem {
            SettingsProblem::Read(source) => LoadFailure::Read { file: path.display().to_string(), source },
            SettingsProblem::Problems(problems) => LoadFailure::Problems(problems),
        })?;
        let prepared = match self.engine.prepare(MODULE, file.value.to_string().as_bytes()) {
            Ok(prepared) => prepared,
            Err(PrepareError::Settings { reply }) => {
                let problems = Problem::in_reply(&reply).map_err(LoadFailure::Reply)?;
                return Err(LoadFailure::Problems(file.diagnostics(problems)));
            }
            Err(source) => return Err(LoadFailure::Prepare { id: SETTINGS_ID.to_owned(), source }),
        };
        let terms =
            Terms { id: SETTINGS_ID.to_owned(), mode: PolicyMode::Protect, allowed_to_mutate: true, message: None };
        Ok(self.served((Box::new(prepared), Protocol::Fedcar, true), terms, None, None, self.calls()))
    }

    fn of_entry(&self, entry: &PolicyEntry, share: usize) -> Result<ServedPolicy, LoadFailure> {
        let id = || entry.id.clone();
        let (module, protocol) = match &entry.module {
            ModuleSource::Embedded => self.of_module(entry, MODULE)?,
            ModuleSource::File(path) => {
                let read = std::fs::read(path);
                let bytes = read.map_err(|source| LoadFailure::Read { file: path.display().to_string(), source })?;
                self.of_module(entry, &bytes)?
            }
        };
        let granted = self.granting.grant(entry).map_err(|message| LoadFailure::Grant { id: id(), message })?;
        let ours = entry.module == ModuleSource::Embedded;
        Ok(self.served((module, protocol, ours), Terms::of(entry), entry.timeout, Some(granted), share))
    }

    /// A module that knows fedcar's own operations is asked by them, every other one by Kubewarden's.
    fn of_module(&self, entry: &PolicyEntry, bytes: &[u8]) -> Result<(Box<dyn Runs>, Protocol), LoadFailure> {
        let id = || entry.id.clone();
        let settings = entry.settings.to_string().into_bytes();
        match self.engine.prepare(bytes, &settings) {
            Ok(prepared) => return Ok((Box::new(prepared), Protocol::Fedcar)),
            Err(PrepareError::Settings { reply }) => {
                let problems = Problem::in_reply(&reply).map_err(LoadFailure::Reply)?;
                let at = format!("the settings of policy `{}`", entry.id);
                return Err(LoadFailure::Problems(problems.into_iter().map(|problem| problem.of_whole(&at)).collect()));
            }
            Err(PrepareError::Load(error @ LoadError::Compile(_))) => {
                return Err(LoadFailure::Module { id: id(), source: error });
            }
            // Not one of fedcar's.
            Err(_) => {}
        }
        let module = self.engine.load_with_wasi(bytes).map_err(|source| LoadFailure::Module { id: id(), source })?;
        check_settings(&module, &settings).map_err(|message| match message {
            Some(message) => LoadFailure::Settings { id: id(), message },
            None => LoadFailure::Silent { id: id() },
        })?;
        Ok((Box::new(module), Protocol::Kubewarden { settings: settings.into() }))
    }

    fn served(
        &self,
        (module, protocol, ours): (Box<dyn Runs>, Protocol, bool),
        terms: Terms,
        timeout: Option<Duration>,
        capabilities: Option<Arc<PolicyCapabilities>>,
        share: usize,
    ) -> ServedPolicy {
        let longest = self.engine.limits().deadline;
        ServedPolicy {
            module,
            protocol,
            ours,
            timeout: timeout.map_or(longest, |timeout| timeout.min(longest)),
            capabilities,
            share: Share::new(share),
            metrics: self.metrics.policy(&terms.id),
            terms,
        }
    }
}

/// Asks a module about its settings as policy-server does; `None` where there is no answer.
fn check_settings(module: &Policy, settings: &[u8]) -> Result<(), Option<String>> {
    #[derive(Deserialize)]
    struct Reply {
        valid: bool,
        #[serde(default)]
        message: Option<String>,
    }
    let Outcome::Answer(reply) = module.call("validate_settings", settings) else { return Err(None) };
    match serde_json::from_slice(&reply) {
        Ok(Reply { valid: true, .. }) => Ok(()),
        Ok(Reply { message, .. }) => Err(Some(message.unwrap_or_else(|| "no reason is given".to_owned()))),
        Err(_) => Err(None),
    }
}

/// The files of modules that a document names; none where it cannot be read.
fn modules_in(policies: &str) -> Vec<PathBuf> {
    let entries = policies_file::read("", policies).unwrap_or_default();
    let modules = entries.into_iter().filter_map(|entry| match entry.module {
        ModuleSource::File(path) => Some(path),
        ModuleSource::Embedded => None,
    });
    modules.collect()
}

fn read_text(path: &Path) -> Result<String, LoadFailure> {
    std::fs::read_to_string(path).map_err(|source| LoadFailure::Read { file: path.display().to_string(), source })
}
