//! `fedcar serve`: the admission webhook of a cluster without a policy engine.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{ArgGroup, Args, ValueEnum};
use fedcar_policy::digest::hex;
use sha2::{Digest as _, Sha256};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;

use super::exit::{Exit, Failure};
use super::serve_limits::LimitArguments;
use super::talk::Talk;
use crate::admission::granting::Granting;
use crate::admission::policies::{LoadFailure, Loader, PoliciesSource};
use crate::admission::server::{Parts, Server};
use crate::admission::tls::{ClientAuth, MinVersion, Tls, TlsError, TlsFiles, TlsOptions};
use crate::capabilities::{ConnectError, Namespaces, NamespacesError};
use crate::engine::{Cache, Engine, MODULE};
use crate::telemetry::{self, LogError, LogFormat, Metrics, TraceError, Tracer};
use crate::yaml;

/// Serve admission requests: inject sidecars in a cluster without a policy engine
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("served").required(true))]
pub(super) struct Arguments {
    /// The settings of one cluster, for the policy module inside this program
    #[arg(long, value_name = "FILE", group = "served")]
    settings: Option<PathBuf>,
    /// Policies in the format of policy-server's policies.yml
    #[arg(long, value_name = "FILE", group = "served")]
    policies: Option<PathBuf>,
    /// Where admission requests come in
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8443")]
    listen: SocketAddr,
    /// Where /readiness, /livez and /metrics are served, in plain HTTP
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    metrics_listen: SocketAddr,
    #[command(flatten)]
    tls: TlsArguments,
    /// Where the labels of namespaces come from: `kubernetes`, `none`, or a file with Namespace objects
    #[arg(long, value_name = "SOURCE", default_value = "none", help_heading = "Kubernetes")]
    namespace_labels: NamespaceSource,
    /// The API server to ask, where policies or namespace labels need one [default: as kubectl, else as a pod]
    #[arg(long, value_name = "FILE", help_heading = "Kubernetes")]
    kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    observed: ObservedArguments,
    #[command(flatten)]
    limits: LimitArguments,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
#[group(skip)]
struct TlsArguments {
    /// The certificate, with its chain; read again when it changes
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["self_signed", "insecure_http"])]
    cert: Option<PathBuf>,
    /// The key of the certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Authorities of client certificates; asks the API server for one
    #[arg(long, value_name = "FILE", requires = "cert")]
    client_ca: Vec<PathBuf>,
    /// What becomes of clients without a certificate, where there are authorities
    #[arg(long, value_enum, value_name = "WHAT", requires = "client_ca", default_value_t = ClientChoice::Required)]
    client_auth: ClientChoice,
    /// The names that a client certificate may have; any, if none is given
    #[arg(long, value_name = "NAME", requires = "client_ca")]
    client_name: Vec<String>,
    /// The oldest version of TLS that is spoken
    #[arg(long, value_enum, value_name = "VERSION", requires = "cert", default_value_t = VersionChoice::V1_3)]
    tls_min_version: VersionChoice,
    /// Make a certificate for these names and print the CA bundle that trusts it; for trials
    #[arg(long, value_name = "NAME", conflicts_with = "insecure_http")]
    self_signed: Vec<String>,
    /// Serve without TLS, which no API server speaks; for tests behind something that does
    #[arg(long)]
    insecure_http: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ClientChoice {
    Required,
    Optional,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum VersionChoice {
    #[value(name = "1.2")]
    V1_2,
    #[value(name = "1.3")]
    V1_3,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Logs and traces")]
#[group(skip)]
struct ObservedArguments {
    /// The form of log lines
    #[arg(long, value_enum, value_name = "FORM", default_value_t = LogChoice::Text)]
    log_format: LogChoice,
    /// What is logged: a level, or targets with levels
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
    /// Where traces go, as OTLP over HTTP [default: as OpenTelemetry's variables say, else nowhere]
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// The part of all requests that is traced
    #[arg(long, value_name = "RATIO", default_value_t = 1.0)]
    trace_ratio: f64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogChoice {
    Text,
    Json,
}

#[derive(Debug, Clone)]
enum NamespaceSource {
    None,
    Kubernetes,
    File(PathBuf),
}

impl std::str::FromStr for NamespaceSource {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "none" => Self::None,
            "kubernetes" => Self::Kubernetes,
            path => Self::File(path.into()),
        })
    }
}

const EXAMPLES: &str = "\
Examples:
  fedcar serve --settings eu-1.yaml --self-signed localhost
  fedcar serve --settings eu-1.yaml --cert tls.crt --key tls.key --namespace-labels kubernetes
  fedcar serve --policies policies.yml --cert tls.crt --key tls.key --client-ca apiserver-ca.crt

Answers POST /mutate, /validate/{id} and /audit/{id}. SIGTERM drains: not ready at once, then no new connections.
Settings, policies and certificates are read again when their files change; what cannot be used never replaces what can.";

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ServeError {
    /// The certificates cannot be used.
    #[error("cannot serve TLS")]
    Tls(#[from] TlsError),
    /// The policies cannot be used.
    #[error(transparent)]
    Load(#[from] LoadFailure),
    /// The addresses cannot be listened on.
    #[error("cannot listen on {listen} and {metrics}")]
    Listen {
        /// For admission requests.
        listen: SocketAddr,
        /// For health and metrics.
        metrics: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// No logs.
    #[error("cannot log")]
    Log(#[from] LogError),
    /// No traces.
    #[error("cannot trace")]
    Trace(#[from] TraceError),
    /// No API server.
    #[error("cannot ask the API server")]
    Connect(#[from] ConnectError),
    /// The API server does not tell the namespaces.
    #[error("cannot read the labels of namespaces")]
    Namespaces(#[from] NamespacesError),
    /// The file with namespaces cannot be used.
    #[error("cannot read the namespaces in {file}")]
    NamespacesFile {
        /// The file.
        file: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No threads, or no signals.
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
}

impl ServeError {
    /// Whether something that was handed in cannot be used, in contrast to what the system refuses.
    pub(super) fn is_input(&self) -> bool {
        match self {
            Self::Tls(_) | Self::Load(_) | Self::Log(_) | Self::Trace(_) | Self::NamespacesFile { .. } => true,
            Self::Listen { .. } | Self::Connect(_) | Self::Namespaces(_) | Self::Runtime(_) => false,
        }
    }
}

pub(super) fn run(arguments: Arguments, talk: Talk) -> Result<Exit, Failure> {
    let workers = arguments.limits.server().running;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        // They look at files and load policies.
        .max_blocking_threads(8)
        .thread_name("fedcar")
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?;
    let served = runtime.block_on(serve(arguments, talk));
    // Everything was drained or given up; a call that still runs ends with the process.
    runtime.shutdown_background();
    served.map(|()| Exit::Done)
}

async fn serve(arguments: Arguments, talk: Talk) -> Result<(), Failure> {
    let Arguments { settings, policies, listen, metrics_listen, tls, namespace_labels, kubeconfig, observed, limits } =
        arguments;
    let source = match (settings, policies) {
        (Some(path), _) => PoliciesSource::Settings(path),
        (None, Some(path)) => PoliciesSource::Policies(path),
        (None, None) => return Err(Failure::Usage("expected --settings FILE or --policies FILE".to_owned())),
    };
    // Taken before anything is started, so that a signal that comes early stops what comes later.
    let mut terminated = signal(SignalKind::terminate()).map_err(ServeError::Runtime)?;
    let mut interrupted = signal(SignalKind::interrupt()).map_err(ServeError::Runtime)?;
    let format = match observed.log_format {
        LogChoice::Text => LogFormat::Text,
        LogChoice::Json => LogFormat::Json,
    };
    telemetry::init(format, &observed.log).map_err(ServeError::from)?;
    let tls = tls.load()?;
    let metrics = Arc::new(Metrics::new(&format!("sha256:{}", hex(Sha256::digest(MODULE)))));
    let endpoint = telemetry::endpoint(observed.otlp_endpoint.as_deref(), |name| std::env::var(name).ok());
    let tracer = endpoint.map(|endpoint| Tracer::start(&endpoint, observed.trace_ratio, &metrics));
    let tracer = tracer.transpose().map_err(ServeError::from)?;
    let namespaces = namespace_labels.namespaces(kubeconfig.as_deref()).await?;
    let engine = Engine::new(limits.engine(), Cache::of_user().unwrap_or_else(|_| Cache::none()))?;
    let loader = Loader {
        engine,
        source,
        granting: Granting::new(kubeconfig, tokio::runtime::Handle::current()),
        metrics: Arc::clone(&metrics),
    };
    let loading = spawn_blocking(move || {
        let seen = loader.look();
        loader.load().map(|policies| (policies, (loader, seen)))
    });
    let (policies, loader) = match loading.await {
        Ok(Ok(both)) => both,
        Ok(Err(LoadFailure::Problems(problems))) => return Err(Failure::Problems(problems)),
        Ok(Err(failure)) => return Err(ServeError::from(failure).into()),
        Err(panic) => return Err(ServeError::Runtime(std::io::Error::other(panic)).into()),
    };
    let ids = policies.ids().collect::<Vec<_>>().join(",");
    let parts = Parts { limits: limits.server(), tls, policies, namespaces, metrics, tracer };
    let server = Server::bind(parts, listen, metrics_listen).await.map_err(|source| ServeError::Listen {
        listen,
        metrics: metrics_listen,
        source,
    })?;
    let (listening, health) = server.addresses().map_err(ServeError::Runtime)?;
    tracing::info!(address = %listening, metrics = %health, policies = ids, "listening");
    server
        .run(Some(loader), async {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
        })
        .await;
    talk.note("stopped");
    Ok(())
}

impl TlsArguments {
    fn load(self) -> Result<Option<Tls>, Failure> {
        let client_auth = match (self.client_ca.is_empty(), self.client_auth) {
            (true, _) => ClientAuth::Off,
            (false, ClientChoice::Required) => ClientAuth::Required,
            (false, ClientChoice::Optional) => ClientAuth::Optional,
        };
        let min_version = match self.tls_min_version {
            VersionChoice::V1_2 => MinVersion::Tls12,
            VersionChoice::V1_3 => MinVersion::Tls13,
        };
        match (self.cert, self.key) {
            (Some(cert), Some(key)) => {
                let files = TlsFiles { cert, key, client_ca: self.client_ca };
                let options = TlsOptions { min_version, client_auth, client_names: self.client_name };
                Ok(Some(Tls::load(files, options).map_err(ServeError::from)?))
            }
            _ if self.insecure_http => Ok(None),
            _ if !self.self_signed.is_empty() => {
                let (tls, bundle) = Tls::self_signed(&self.self_signed).map_err(ServeError::from)?;
                std::io::stdout().lock().write_all(bundle.as_bytes()).map_err(Failure::stdout)?;
                Ok(Some(tls))
            }
            _ => Err(Failure::Usage("expected --cert and --key, or --self-signed NAME for a trial".to_owned())),
        }
    }
}

impl NamespaceSource {
    async fn namespaces(&self, kubeconfig: Option<&std::path::Path>) -> Result<Namespaces, ServeError> {
        match self {
            Self::None => Ok(Namespaces::none()),
            Self::Kubernetes => Ok(Namespaces::watch(crate::capabilities::connect(kubeconfig).await?).await?),
            Self::File(path) => {
                let failed = |source: Box<dyn std::error::Error + Send + Sync>| ServeError::NamespacesFile {
                    file: path.display().to_string(),
                    source,
                };
                let text = std::fs::read_to_string(path).map_err(|error| failed(error.into()))?;
                let documents = yaml::read(&text).map_err(|error| failed(error.message.into()))?;
                Ok(Namespaces::fixed(documents.into_iter().map(|document| document.value).collect()))
            }
        }
    }
}
