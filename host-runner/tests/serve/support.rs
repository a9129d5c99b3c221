//! The server as a child process: started, waited for, looked at, and ended.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::time::{sleep, timeout};

/// Long enough for a debug build that compiles its module on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// How often something is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// Tests that measure have the machine to themselves, the others share it.
static MACHINE: RwLock<()> = RwLock::const_new(());

/// For a test that measures times or rates.
pub(crate) async fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().await
}

/// For every other test.
pub(crate) async fn beside_others() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().await
}

/// How often a measurement is made before it counts as too bad: other work on the machine only ever makes it worse.
pub(crate) const ATTEMPTS: usize = 3;

/// How long the tests that can take minutes should take: `FEDCAR_SOAK_SECONDS`.
pub(crate) fn soak() -> Option<Duration> {
    let seconds = std::env::var("FEDCAR_SOAK_SECONDS").ok()?;
    Some(Duration::from_secs(seconds.parse().expect("a number of seconds in FEDCAR_SOAK_SECONDS")))
}

/// A folder that is empty at the start of a test.
pub(crate) fn folder(test: &str) -> PathBuf {
    let path = scratch().join(test);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("serve")
}

/// A running server. It is killed when the test lets go of it.
pub(crate) struct Server {
    child: Child,
    log: Log,
    /// Where admission requests go.
    pub(crate) address: SocketAddr,
    /// Where readiness and metrics are.
    pub(crate) health: SocketAddr,
}

/// What the server has logged so far.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Server {
    /// Starts a server and waits until it is ready. All servers keep compiled code in one place, so that only the first
    /// one compiles.
    pub(crate) async fn start<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fedcar"))
            .args(["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"])
            .args(arguments)
            .env("XDG_CACHE_HOME", scratch().join("cache"))
            .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Log::default();
        tokio::spawn(log.clone().keep(child.stderr.take().unwrap()));
        let begin = Instant::now();
        let (address, health) = loop {
            if let Some(addresses) = log.addresses() {
                break addresses;
            }
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none() && begin.elapsed() < PATIENCE, "no server ({ended:?}): {}", log.text());
            sleep(LOOK).await;
        };
        let server = Self { child, log, address, health };
        server.until("the server is ready", async || server.ready().await == Ok(true)).await;
        server
    }

    /// What `/readiness` says; an error where nobody listens.
    pub(crate) async fn ready(&self) -> Result<bool, String> {
        ready(self.health).await
    }

    /// The sum of all counters `name` that have each of the labels.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> u64 {
        let (_, text) =
            get(self.health, "/metrics").await.unwrap_or_else(|error| panic!("{error}: {}", self.log.text()));
        let lines =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let lines = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, is: impl AsyncFn() -> bool) {
        let begin = Instant::now();
        while !is().await {
            assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}: {}", self.log.text());
            sleep(LOOK).await;
        }
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Bytes of memory that it holds now, and held at most since [`forget_peak`](Self::forget_peak).
    pub(crate) fn memory(&self) -> (usize, usize) {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
        };
        (kib("VmRSS:"), kib("VmHWM:"))
    }

    /// From now on the peak of memory counts anew (`man 5 proc_pid_clear_refs`).
    pub(crate) fn forget_peak(&self) {
        std::fs::write(self.proc("clear_refs"), "5").unwrap();
    }

    /// Tells it to stop.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it without a word.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self, within: Duration) -> ExitStatus {
        let ended = timeout(within, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it still runs after {within:?}: {}", self.log.text())).unwrap()
    }

    /// Asserts that it is still the process that was started.
    pub(crate) fn runs(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "the server ended with {ended:?}: {}", self.log.text());
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        let pid = self.child.id().expect("a process that was not waited for");
        Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
    }

    fn proc(&self, file: &str) -> PathBuf {
        Path::new("/proc").join(self.pid().to_string()).join(file)
    }
}

impl Log {
    async fn keep(self, stderr: ChildStderr) {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            log.push('\n');
            log.push_str(&line);
        }
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From the line that says that it listens.
    fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let text = self.text();
        let line = text.lines().find(|line| line.contains(" listening "))?;
        let field = |name: &str| line.split(' ').find_map(|field| field.strip_prefix(name)?.parse().ok());
        Some((field("address=")?, field("metrics=")?))
    }
}

/// What `/readiness` says on the health port `address`.
pub(crate) async fn ready(address: SocketAddr) -> Result<bool, String> {
    match get(address, "/readiness").await {
        Ok((200, _)) => Ok(true),
        Ok((503, _)) => Ok(false),
        Ok((status, text)) => Err(format!("{status}: {text}")),
        Err(error) => Err(error.to_string()),
    }
}

/// One plain HTTP exchange on a connection of its own: the status, and head and body as text.
async fn get(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(|| std::io::Error::other("no status"))?, text))
}
