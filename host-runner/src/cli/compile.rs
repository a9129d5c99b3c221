//! `fedcar compile`: a federation as final files, one folder for each member. It asks nobody but the documents, and with
//! `--resolve` the registry of the module.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::{Args, ValueEnum};
use fedcar_policy::digest::hex;
use fedcar_policy::federation::{Compiled, Engine, Member};
use fedcar_policy::settings::is_dns_label;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::exit::{Exit, Failure};
use super::explain::Form;
use super::incompatible::AllowArguments;
use super::install::InstallArguments;
use super::json;
use super::registry::{RegistryArguments, not_pinned};
use super::talk::Talk;
use crate::artifact::{
    Carrier, Change, Install, MemberArtifact, ModuleReference, NotPinned, Place, Repository, assemble, can_be_a_folder,
    engine_name,
};
use crate::documents::{self, Loaded};
use crate::engine::MODULE;
use crate::problem::Diagnostic;

/// How many members make somebody wait long enough to be told how far it is.
const MANY_MEMBERS: usize = 100;
/// How many notes are told on standard error.
const MOST_NOTES: usize = 30;

/// Compile a federation to final files: for each member a folder of YAML that fits its cluster
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The folder with the documents of the federation
    #[arg(value_name = "DIR")]
    documents: PathBuf,
    /// The folder to compile into; it is replaced as a whole, or not at all
    #[arg(long, short, value_name = "DIR")]
    out: PathBuf,
    /// Compare with what is there instead of writing; exit code 1 where it is different
    #[arg(long, conflicts_with = "force")]
    check: bool,
    /// Replace the folder also where it holds files that compile has not written
    #[arg(long)]
    force: bool,
    /// Where policy servers fetch the module, with its digest (`registry://HOST/REPOSITORY@sha256:…`); needed where
    /// a member runs Kubewarden
    #[arg(long, value_name = "REFERENCE")]
    module: Option<String>,
    /// Ask the registry of --module for its digest, and whether a policy server can use what is there; nothing else asks
    #[arg(long, requires = "module")]
    resolve: bool,
    #[command(flatten)]
    registry: RegistryArguments,
    /// The image of Kubewarden's policy server, best by digest; needed where a member runs Kubewarden
    #[arg(long, value_name = "IMAGE")]
    policy_server_image: Option<String>,
    /// The image of the host runner, best by digest; needed where a member runs it
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    #[command(flatten)]
    install: InstallArguments,
    /// Who carries the folders to the members: also write what that needs, and say which guarantees are lost
    #[arg(long = "for", value_enum, value_name = "CARRIER")]
    carrier: Option<CarrierName>,
    /// The URL of the repository that the folder is committed to; needed for argo and flux
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
    /// The branch of that repository
    #[arg(long, value_name = "NAME", default_value = "main")]
    branch: String,
    /// The folder of that repository which is compiled into [default: its root]
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true)]
    path: String,
    #[command(flatten)]
    allow: AllowArguments,
    /// The form of the summary
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Text)]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CarrierName {
    /// A person or a pipeline with `kubectl apply -k`
    Kustomize,
    /// Argo CD, by one Application for each member
    Argo,
    /// Flux in each member, by Kustomizations
    Flux,
    /// Karmada, by Works
    Karmada,
}

const EXAMPLES: &str = "\
Examples:
  fedcar compile retail -o clusters --module registry://registry.example/fedcar/policy@sha256:… \\
    --policy-server-image registry.example/policy-server@sha256:… --image registry.example/fedcar@sha256:…
  fedcar compile retail -o clusters --for flux --repository https://git.example/clusters.git --image …
  fedcar compile retail -o clusters --check --image …";

/// The summary for programs.
#[derive(Serialize)]
struct Summary<'s> {
    out: String,
    federation: &'s str,
    revision: &'s str,
    /// `written`, `unchanged` or `different`.
    status: &'static str,
    members: Vec<MemberSummary<'s>>,
    warnings: &'s [String],
    changes: Vec<ChangeSummary<'s>>,
}

#[derive(Serialize)]
struct MemberSummary<'s> {
    name: &'s str,
    engine: &'static str,
    notes: &'s [String],
    warnings: &'s [String],
    /// How many verdicts of compatibility are unknown.
    unknown: usize,
}

#[derive(Serialize)]
struct ChangeSummary<'s> {
    path: &'s str,
    change: &'static str,
}

pub(super) fn run(arguments: &Arguments, talk: Talk) -> Result<Exit, Failure> {
    let carrier = arguments.carrier()?;
    let loaded = documents::load(&arguments.documents, documents::today()).map_err(Failure::Problems)?;
    let module = arguments.module(&loaded, talk)?;
    let mut members = members(arguments, &loaded, module.as_ref(), carrier.as_ref(), talk)?;
    let federation = loaded.federation();
    let artifact = assemble(federation, &mut members, module.as_ref(), carrier.as_ref());
    tell(&members, talk);
    for warning in &artifact.warnings {
        talk.warning(warning);
    }
    let place = Place::survey(&arguments.out)?;
    let changes = place.changes(&artifact.files);
    let (status, exit) = match (changes.is_empty(), arguments.check) {
        (true, _) => ("unchanged", Exit::Done),
        (false, true) => ("different", Exit::Denied),
        (false, false) => {
            place.write(&artifact.files, arguments.force)?;
            ("written", Exit::Done)
        }
    };
    let summary = Summary {
        out: arguments.out.display().to_string(),
        federation: federation.name(),
        revision: federation.revision(),
        status,
        members: members.iter().map(MemberSummary::of).collect(),
        warnings: &artifact.warnings,
        changes: changes.iter().map(|change| ChangeSummary { path: change.path(), change: change.word() }).collect(),
    };
    match arguments.output {
        Form::Json => json::line(&summary).map_err(Failure::stdout)?,
        Form::Text => text(&summary, &changes, talk).map_err(Failure::stdout)?,
    }
    Ok(exit)
}

/// What was adapted to the members and what may not be meant; of many members only the beginning.
fn tell(members: &[MemberArtifact], talk: Talk) {
    let notes: Vec<&String> = members.iter().flat_map(|member| &member.notes).collect();
    for note in notes.iter().take(MOST_NOTES) {
        talk.note(note);
    }
    if let Some(more @ 1..) = notes.len().checked_sub(MOST_NOTES) {
        talk.note(format_args!(
            "and {more} more that were adapted: `--output json` and MANIFEST.json tell all of them"
        ));
    }
    for member in members {
        for warning in &member.warnings {
            talk.warning(format_args!("{}: {warning}", member.name));
        }
    }
    let unknown: usize = members.iter().map(|member| member.unknown).sum();
    if unknown > 0 {
        talk.note(format_args!(
            "{unknown} verdicts of compatibility are unknown, because facts are missing: `fedcar report compatibility` \
             lists them, `fedcar probe` looks them up"
        ));
    }
}

fn text(summary: &Summary<'_>, changes: &[Change], talk: Talk) -> io::Result<()> {
    let Summary { out, federation, revision, status, members, .. } = summary;
    if *status == "different" {
        let mut stdout = io::stdout().lock();
        for change in changes {
            writeln!(stdout, "{out}/{}: would be {}", change.path(), change.word())?;
        }
        talk.error(format_args!("{out} is not what {federation} compiles to: {} files differ", changes.len()));
    } else {
        let count = members.len();
        talk.note(format_args!("{out}: {federation} {revision} for {count} members, {status}"));
    }
    Ok(())
}

/// Compiles every member, and tells every problem of all of them.
fn members(
    arguments: &Arguments,
    loaded: &Loaded,
    module: Option<&ModuleReference>,
    carrier: Option<&Carrier>,
    talk: Talk,
) -> Result<Vec<MemberArtifact>, Failure> {
    let install = arguments.install(module)?;
    let count = loaded.federation().members().count();
    let done = AtomicUsize::new(0);
    let make = |member: &Member, compiled: &Compiled| {
        let made = one(arguments, loaded, (member, compiled), &install, carrier);
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(MANY_MEMBERS) && done < count {
            talk.note(format_args!("compiled {done} of {count} members"));
        }
        made
    };
    loaded.each_member(&arguments.allow.rules(), make).map_err(Failure::Problems)
}

fn one(
    arguments: &Arguments,
    loaded: &Loaded,
    (member, compiled): (&Member, &Compiled),
    install: &Install<'_>,
    carrier: Option<&Carrier>,
) -> Result<MemberArtifact, Vec<Diagnostic>> {
    let at = format!("{} (member {})", arguments.documents.display(), member.name);
    let problem = |message: String, hint: Option<&str>| {
        let hint = hint.map(str::to_owned);
        vec![Diagnostic { hint, ..Diagnostic::of_file(at.as_str(), message) }]
    };
    if !can_be_a_folder(&member.name) {
        let message = format!("expected a name that can be a folder and a namespace, found `{}`", member.name);
        return Err(problem(message, Some("lower-case letters, digits, `-` and `.`, at most 63 of them")));
    }
    if !is_dns_label(&member.engine_namespace) {
        let message = format!("expected the name of a namespace, found engineNamespace `{}`", member.engine_namespace);
        return Err(problem(message, None));
    }
    let mut artifact = MemberArtifact::build(loaded, member, compiled, install, carrier)
        .map_err(|error| problem(error.to_string(), None))?;
    if member.engine == Engine::HostRunner {
        artifact.warnings.extend(arguments.install.waits_for(&member.engine_namespace));
    }
    Ok(artifact)
}

impl Arguments {
    fn carrier(&self) -> Result<Option<Carrier>, Failure> {
        let repository = || match &self.repository {
            Some(url) => Ok(Repository { url: url.clone(), branch: self.branch.clone(), path: self.path.clone() }),
            None => Err(Failure::Usage("`--for argo` and `--for flux` need `--repository URL`".to_owned())),
        };
        Ok(match self.carrier {
            None => None,
            Some(CarrierName::Kustomize) => Some(Carrier::Kustomize),
            Some(CarrierName::Argo) => Some(Carrier::Argo(repository()?)),
            Some(CarrierName::Flux) => Some(Carrier::Flux(repository()?)),
            Some(CarrierName::Karmada) => Some(Carrier::Karmada),
        })
    }

    /// The module, and whether every image is named that a member needs.
    fn module(&self, loaded: &Loaded, talk: Talk) -> Result<Option<ModuleReference>, Failure> {
        let first = |engine: Engine| loaded.federation().members().find(|member| member.engine == engine);
        let mut missing = Vec::new();
        for (engine, flag, given) in [
            (Engine::Kubewarden, "--module", &self.module),
            (Engine::Kubewarden, "--policy-server-image", &self.policy_server_image),
            (Engine::HostRunner, "--image", &self.image),
        ] {
            if let (Some(member), None) = (first(engine), given) {
                missing.push(format!("`{flag}`, because member `{}` runs {}", member.name, engine_name(engine)));
            }
        }
        if !missing.is_empty() {
            return Err(Failure::Usage(format!("expected {}", missing.join("; and "))));
        }
        let Some(text) = &self.module else { return Ok(None) };
        if let Ok(bytes) = fs::read(text.strip_prefix("file://").unwrap_or(text)) {
            return Err(Failure::Problems(vec![local_module(text, &bytes)]));
        }
        if self.resolve {
            return self.registry.module(text, talk).map(Some);
        }
        text.parse().map(Some).map_err(|error: NotPinned| not_pinned(&error))
    }

    fn install<'i>(&'i self, module: Option<&'i ModuleReference>) -> Result<Install<'i>, Failure> {
        let InstallArguments {
            replicas, failure_policy, timeout_seconds, namespace_labels, network_policy, prove, ..
        } = self.install;
        Ok(Install {
            runner_image: self.image.as_deref().unwrap_or_default(),
            policy_server_image: self.policy_server_image.as_deref().unwrap_or_default(),
            module: module.map(ModuleReference::as_str).unwrap_or_default(),
            replicas,
            tls: self.install.tls()?,
            failure_policy,
            timeout_seconds,
            namespace_labels,
            priority_class: &self.install.priority_class,
            network_policy,
            proof: prove,
        })
    }
}

/// A file here is nothing that a policy server could fetch.
fn local_module(file: &str, bytes: &[u8]) -> Diagnostic {
    let digest = format!("sha256:{}", hex(Sha256::digest(bytes)));
    let which = if bytes == MODULE { "this program's module" } else { "not the module of this program" };
    let message = format!("expected a module in a registry, found a file ({digest}, {which})");
    let hint = "`kwctl push` uploads it and prints the reference with its digest, which is another one than the file's";
    Diagnostic { hint: Some(hint.to_owned()), ..Diagnostic::of_file(file, message) }
}

impl<'s> MemberSummary<'s> {
    fn of(member: &'s MemberArtifact) -> Self {
        let MemberArtifact { name, engine, notes, warnings, unknown, .. } = member;
        Self { name, engine: engine_name(*engine), notes, warnings, unknown: *unknown }
    }
}
