//! `fedcar manifests`: the objects that install the host runner in one cluster.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use fedcar_policy::federation::Version;
use fedcar_policy::settings::is_dns_label;
use serde_json::{Value, json};

use super::exit::{Exit, Failure};
use super::install::InstallArguments;
use super::settings::SettingsArguments;
use super::talk::Talk;
use super::whole_file;
use crate::manifests::{ManifestError, Manifests, Request, build, read};
use crate::problem::Diagnostic;
use crate::yaml;

/// Print the objects that install the host runner in a cluster: `fedcar serve`, its webhook and what stands behind it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// The runner's own namespace, in which nothing is injected
    #[arg(long, value_name = "NAME", default_value = "fedcar-system", value_parser = namespace)]
    namespace: String,
    /// The image of the runner, best by digest
    #[arg(long, value_name = "IMAGE")]
    image: String,
    #[command(flatten)]
    install: InstallArguments,
    /// The version of the API server [default: the fact of the federation, else 1.30 or newer]
    #[arg(long, value_name = "VERSION", value_parser = kubernetes)]
    kubernetes: Option<Version>,
    /// The form of the result; json is one line for each object
    #[arg(long, short, value_enum, value_name = "FORM", default_value_t = Form::Yaml, conflicts_with = "out")]
    output: Form,
    /// Write runner.yaml, admission.yaml and kustomization.yaml into this folder instead
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// Documents in the order in which they are applied
    Yaml,
    /// One line with each object
    Json,
}

const EXAMPLES: &str = "\
Examples:
  fedcar manifests --federation retail --cluster edge-1 --image registry.example/fedcar@sha256:… --out install
  fedcar manifests --settings eu-1.yaml --image fedcar:dev --tls secret --ca-bundle tls/ca-bundle.crt";

pub(super) fn run(arguments: &Arguments, talk: Talk) -> Result<Exit, Failure> {
    let install = &arguments.install;
    let tls = install.tls()?;
    let cluster = arguments.settings.load(talk)?;
    let settings = read(&cluster.settings).map_err(|error| failure(&error))?;
    let request = Request {
        settings: &cluster.settings,
        read: &settings,
        namespace: &arguments.namespace,
        image: &arguments.image,
        replicas: install.replicas,
        tls,
        failure_policy: install.failure_policy,
        timeout_seconds: install.timeout_seconds,
        namespace_labels: install.namespace_labels,
        priority_class: &install.priority_class,
        network_policy: install.network_policy,
        kubernetes: arguments.kubernetes.or(cluster.kubernetes),
        proof: install.prove,
    };
    let manifests = build(&request).map_err(|error| failure(&error))?;
    for warning in &manifests.warnings {
        talk.warning(warning);
    }
    match &arguments.out {
        Some(folder) => write(folder, &manifests, talk)?,
        None => print(&manifests, arguments.output).map_err(Failure::stdout)?,
    }
    if let Some(waits) = install.waits_for(&arguments.namespace) {
        talk.note(waits);
    }
    talk.note(format_args!("to take fedcar out at once: {}", manifests.break_glass));
    Ok(Exit::Done)
}

fn failure(error: &ManifestError) -> Failure {
    match error {
        ManifestError::NamespaceLabelsNeeded => Failure::Usage(error.to_string()),
        ManifestError::TooLarge { .. } | ManifestError::Settings(_) => {
            Failure::Problems(vec![Diagnostic::of_file("settings", error.to_string())])
        }
    }
}

fn print(manifests: &Manifests, form: Form) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let objects = manifests.engine.iter().chain(&manifests.admission).chain(&manifests.policies);
    match form {
        Form::Yaml => stdout.write_all(documents(objects, &manifests.break_glass).as_bytes())?,
        Form::Json => {
            for object in objects {
                writeln!(stdout, "{object}")?;
            }
        }
    }
    stdout.flush()
}

/// Two steps, because a webhook that nobody answers yet would hold up the whole cluster.
fn write(folder: &Path, manifests: &Manifests, talk: Talk) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|source| Failure::Write { to: folder.display().to_string(), source })?;
    let names = ["runner.yaml", "admission.yaml"];
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": names,
    });
    let kustomization = [kustomization];
    let files = names.into_iter().chain(["kustomization.yaml"]);
    let admission = [&manifests.admission[..], &manifests.policies[..]].concat();
    let contents = [&manifests.engine[..], &admission[..], &kustomization[..]];
    for (name, objects) in files.zip(contents) {
        let path = folder.join(name);
        whole_file::write(&path, documents(objects.iter(), &manifests.break_glass).as_bytes())?;
        talk.note(format_args!("wrote {}", path.display()));
    }
    Ok(())
}

fn documents<'o>(objects: impl Iterator<Item = &'o Value>, break_glass: &str) -> String {
    let documents: Vec<String> = objects.map(yaml::write).collect();
    format!(
        "# Written by `fedcar manifests`; write it anew instead of editing it.\n\
         # To take fedcar out at once: {break_glass}\n{}",
        documents.join("---\n")
    )
}

fn namespace(text: &str) -> Result<String, String> {
    if is_dns_label(text) { Ok(text.to_owned()) } else { Err("expected a name such as `fedcar-system`".to_owned()) }
}

fn kubernetes(text: &str) -> Result<Version, String> {
    text.parse().map_err(|_| "expected a version of Kubernetes such as 1.33".to_owned())
}
