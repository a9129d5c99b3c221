//! `fedcar manifests`: the objects that install the host runner in one cluster.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use fedcar_policy::federation::Version;
use fedcar_policy::settings::is_dns_label;
use serde_json::{Value, json};

use super::exit::{Exit, Failure};
use super::settings::SettingsArguments;
use super::talk::Talk;
use super::whole_file;
use crate::input::InputError;
use crate::manifests::{
    CaBundle, FailurePolicy, ManifestError, Manifests, NamespaceLabels, Proof, Request, TLS_SECRET, Tls, build,
};
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
    /// How many runners
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    replicas: u32,
    /// Where the runner's certificate comes from
    #[arg(long, value_enum, value_name = "FROM", default_value_t = Certificates::CertManager)]
    tls: Certificates,
    /// The certificates by which the API server knows the runner, as PEM; needed with `--tls secret`
    #[arg(long, value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// What happens to a new pod while no runner answers [default: Fail where a sidecar is required, else Ignore]
    #[arg(long, value_enum, value_name = "POLICY", ignore_case = true)]
    failure_policy: Option<FailurePolicy>,
    /// How long the API server waits for the runner when a pod is created
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=30))]
    timeout_seconds: u32,
    /// Whether the runner knows the labels of namespaces
    #[arg(long, value_enum, value_name = "HOW", default_value_t = NamespaceLabels::Watch)]
    namespace_labels: NamespaceLabels,
    /// The priority class of the runner's pods
    #[arg(long, value_name = "NAME", default_value = "system-cluster-critical")]
    priority_class: String,
    /// Close what the runner does not need with a network policy
    #[arg(long)]
    network_policy: bool,
    /// What the API server itself proves of a required sidecar in a new pod
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Proof::Image)]
    prove: Proof,
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
enum Certificates {
    /// cert-manager, which must be in the cluster, makes and renews it
    CertManager,
    /// A Secret that somebody makes, for example with `fedcar certificate`
    Secret,
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
    let tls = tls(arguments.tls, arguments.ca_bundle.as_deref())?;
    let cluster = arguments.settings.load(talk)?;
    let request = Request {
        settings: &cluster.settings,
        namespace: &arguments.namespace,
        image: &arguments.image,
        replicas: arguments.replicas,
        tls,
        failure_policy: arguments.failure_policy,
        timeout_seconds: arguments.timeout_seconds,
        namespace_labels: arguments.namespace_labels,
        priority_class: &arguments.priority_class,
        network_policy: arguments.network_policy,
        kubernetes: arguments.kubernetes.or(cluster.kubernetes),
        proof: arguments.prove,
    };
    let manifests = build(&request).map_err(|error| failure(&error))?;
    for warning in &manifests.warnings {
        talk.warning(warning);
    }
    match &arguments.out {
        Some(folder) => write(folder, &manifests, talk)?,
        None => print(&manifests, arguments.output).map_err(Failure::stdout)?,
    }
    if arguments.tls == Certificates::Secret {
        let namespace = &arguments.namespace;
        talk.note(format_args!("the runner waits for the Secret {TLS_SECRET} (tls.crt, tls.key) in {namespace}"));
    }
    talk.note(format_args!("to take fedcar out at once: {}", manifests.break_glass));
    Ok(Exit::Done)
}

fn tls(from: Certificates, bundle: Option<&Path>) -> Result<Tls, Failure> {
    match (from, bundle) {
        (Certificates::CertManager, None) => Ok(Tls::CertManager),
        (Certificates::Secret, Some(path)) => {
            let file = path.display().to_string();
            let text = fs::read(path).map_err(|source| InputError::Read { file: file.clone(), source })?;
            let bad = |error| Failure::Problems(vec![Diagnostic::of_file(file, error)]);
            CaBundle::parse(&text).map(Tls::Secret).map_err(|error| bad(error.to_string()))
        }
        (Certificates::Secret, None) => Err(Failure::Usage("`--tls secret` needs `--ca-bundle FILE`".to_owned())),
        (Certificates::CertManager, Some(_)) => {
            Err(Failure::Usage("`--ca-bundle` goes with `--tls secret`: cert-manager brings its own".to_owned()))
        }
    }
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
    let objects = manifests.runner.iter().chain(&manifests.admission);
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
    let contents = [&manifests.runner[..], &manifests.admission[..], &kustomization[..]];
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
