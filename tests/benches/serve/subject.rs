//! What is measured.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use bytes::Bytes;
use fedcar::admission::policies::Policies;
use fedcar::admission::policies_file::PolicyMode;
use fedcar::admission::policy::{Protocol, Runs, ServedPolicy};
use fedcar::admission::respond::Terms;
use fedcar::admission::server::{Parts, Server, ServerLimits};
use fedcar::admission::tls::{Tls, TlsFiles, TlsOptions};
use fedcar::admission::turns::Share;
use fedcar::capabilities::Namespaces;
use fedcar::engine::{Cache, Call, Called, Engine, Limits, MODULE, Outcome};
use fedcar::telemetry::Metrics;
use fedcar_policy::protocol::{self, Prepared};
use fedcar_tests::pods::settings;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;

use crate::process::Process;

/// The variable that tells this program to be a server.
pub(crate) const ROLE: &str = "FEDCAR_BENCH_ROLE";
/// The variable that names the folder with certificate and key.
const FOLDER: &str = "FEDCAR_BENCH_FOLDER";
/// What each of them is asked under.
pub(crate) const PATH: &str = "/validate/fedcar?timeout=10s";
/// The settings have this many sidecars.
const SIDECARS: usize = 1;

/// One of the servers.
pub(crate) enum Subject {
    /// Reads the body and answers as many bytes as the others do.
    Echo,
    /// fedcar's server with the decision compiled in.
    Native,
    /// fedcar's server with the module.
    Wasm,
    /// policy-server with the module.
    PolicyServer(PathBuf),
}

impl Subject {
    /// Everything that is at hand.
    pub(crate) fn all() -> Vec<Self> {
        let peer = std::env::var_os("POLICY_SERVER").map(PathBuf::from);
        if peer.is_none() {
            println!("without policy-server: POLICY_SERVER does not name it");
        }
        [Self::Echo, Self::Native, Self::Wasm].into_iter().chain(peer.map(Self::PolicyServer)).collect()
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Native => "native",
            Self::Wasm => "wasm",
            Self::PolicyServer(_) => "policy-server",
        }
    }

    pub(crate) fn decides(&self) -> bool {
        !matches!(self, Self::Echo)
    }

    pub(crate) fn start(&self, folder: &Path) -> Process {
        if let Self::PolicyServer(program) = self {
            return policy_server(program, folder);
        }
        let program = std::env::current_exe().expect("this program");
        Process::start(Command::new(program).env(ROLE, self.name()).env(FOLDER, folder), None)
    }
}

/// policy-server with the same module, settings and certificate, on the same processor.
fn policy_server(program: &Path, folder: &Path) -> Process {
    let module = folder.join("policy.wasm");
    std::fs::write(&module, MODULE).expect("a file");
    let policies = json!({"fedcar": {
        "module": format!("file://{}", module.display()), "allowedToMutate": true, "settings": settings(SIDECARS),
    }});
    let file = folder.join("policies.yml");
    std::fs::write(&file, policies.to_string()).expect("a file");
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let probe = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let mut command = Command::new("taskset");
    command
        .args(["-c", "0"])
        .arg(program)
        .args(["--addr", "127.0.0.1", "--port", &free.port().to_string()])
        .args(["--readiness-probe-port", &probe.port().to_string(), "--workers", "1"])
        .args(["--ignore-kubernetes-connection-failure", "--log-level", "error", "--policies"])
        .arg(&file)
        .arg("--cert-file")
        .arg(folder.join("tls.crt"))
        .arg("--key-file")
        .arg(folder.join("tls.key"))
        .arg("--policies-download-dir")
        .arg(folder)
        .arg("--sigstore-cache-dir")
        .arg(folder.join("sigstore"));
    Process::start(&mut command, Some(free))
}

/// The pod after the patch of an answer.
pub(crate) fn patched(pod: &Value, answer: &Value) -> Value {
    let mut pod = pod.clone();
    if let Some(patch) = answer["response"]["patch"].as_str() {
        let patch = base64::engine::general_purpose::STANDARD.decode(patch).expect("base64");
        let patch: json_patch::Patch = serde_json::from_slice(&patch).expect("a patch");
        json_patch::patch(&mut pod, &patch).expect("it applies");
    }
    pod
}

/// The decision without Wasm, called as the engine is.
struct Native(Prepared);

impl Runs for Native {
    fn run(&self, call: Call<'_>) -> Called {
        let begin = Instant::now();
        let payload: Vec<u8> = call.payload.iter().flat_map(|part| part.iter().copied()).collect();
        let outcome = Outcome::Answer(protocol::admit(&self.0, &payload));
        Called { outcome, instantiate: Duration::ZERO, guest: begin.elapsed() }
    }
}

/// Serves for ever as one of our own subjects.
pub(crate) fn serve(role: &str) {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("a folder"));
    let files = TlsFiles { cert: folder.join("tls.crt"), key: folder.join("tls.key"), client_ca: Vec::new() };
    let tls = Tls::load(files, TlsOptions::default()).expect("a certificate");
    let limits = ServerLimits::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(limits.running).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        if role == "echo" {
            return echo(&tls).await;
        }
        let settings = settings(SIDECARS).to_string();
        let module: Box<dyn Runs> = if role == "native" {
            Box::new(Native(protocol::prepare(settings.as_bytes()).1.expect("valid settings")))
        } else {
            let limits = Limits { concurrent_calls: 16, ..Limits::default() };
            let engine = Engine::new(limits, Cache::of_user().unwrap_or_else(|_| Cache::none())).expect("an engine");
            Box::new(engine.prepare(MODULE, settings.as_bytes()).expect("valid settings"))
        };
        let metrics = Arc::new(Metrics::new("bench"));
        let terms =
            Terms { id: "fedcar".to_owned(), mode: PolicyMode::Protect, allowed_to_mutate: true, message: None };
        let policy = ServedPolicy {
            module,
            protocol: Protocol::Fedcar,
            ours: true,
            timeout: Duration::from_secs(10),
            capabilities: None,
            share: Share::new(16),
            metrics: metrics.policy(&terms.id),
            terms,
        };
        let namespace = json!({"metadata": {"name": "shop", "labels": {"team": "shop"}}});
        let parts = Parts {
            limits,
            tls: Some(tls),
            policies: Policies::of([policy]),
            namespaces: Namespaces::fixed(vec![namespace]),
            metrics,
            tracer: None,
        };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(parts, any, any).await.expect("a port");
        tell(server.addresses().expect("an address").0);
        server.run(None, std::future::pending()).await;
    });
}

/// The least that a server can do: take the body in, and send as much back as the others do.
async fn echo(tls: &Tls) {
    /// What the native decision answers to the small pod, about.
    const ANSWER: &[u8] = &[b' '; 3000];
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    tell(listener.local_addr().expect("an address"));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let acceptor = TlsAcceptor::from(tls.config());
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| async {
                let _ = request.into_body().collect().await;
                Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::from_static(ANSWER))))
            });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn tell(address: SocketAddr) {
    println!("{address}");
    std::io::stdout().flush().expect("a reader");
}
