//! fedcar's server answers as policy-server does: the cases in `tests/policy-server`, each put to both endpoints.
//!
//! What is expected (`expected.json`) is what policy-server said, never what somebody wrote. `POLICY_SERVER` names that
//! program; then the same table is put to it too, so that the expectations can be shown to be true. With `BLESS=1` they
//! are written anew. Where fedcar answers otherwise on purpose, `differs` in the case says why and what.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fedcar::engine::MODULE;
use fedcar::yaml;
use fedcar_tests::workspace;
use serde_json::{Map, Value, json};

/// Long enough for a debug build that compiles its modules on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
const ENDPOINTS: [&str; 2] = ["validate", "audit"];

#[test]
fn fedcar_answers_as_policy_server_does() {
    let cases = cases();
    let folder = Folder::new("fedcar");
    let server = Server::fedcar(&folder.policies(&cases, "embedded"));
    let mut found = Vec::new();
    for case in &cases {
        for endpoint in ENDPOINTS {
            let expected = match case.text.get("differs") {
                Some(differs) => &differs[endpoint],
                None => &case.expected[endpoint],
            };
            found.extend(case.difference(&server, endpoint, expected));
        }
    }
    assert!(found.is_empty(), "{} of {} cases:\n{}", found.len(), cases.len(), found.join("\n"));
}

#[test]
fn policy_server_answers_as_the_cases_say() {
    let Some(program) = std::env::var_os("POLICY_SERVER") else {
        println!("skipped: there is no policy-server; set POLICY_SERVER");
        return;
    };
    let mut cases = cases();
    let folder = Folder::new("policy-server");
    let module = folder.module("fedcar", MODULE);
    let server = Server::policy_server(&program, &folder, &folder.policies(&cases, &module));
    if std::env::var_os("BLESS").is_some() {
        for case in &mut cases {
            case.bless(&server);
        }
    }
    let mut found = Vec::new();
    for case in &cases {
        for endpoint in ENDPOINTS {
            found.extend(case.difference(&server, endpoint, &case.expected[endpoint]));
        }
    }
    assert!(found.is_empty(), "{} of {} cases:\n{}", found.len(), cases.len(), found.join("\n"));
    println!("policy-server says what {} cases expect", cases.len());
}

/// Answers that do not differ would not need a reason.
#[test]
fn what_is_said_to_differ_differs() {
    for case in cases() {
        let Some(differs) = case.text.get("differs") else { continue };
        assert!(differs["because"].is_string(), "{}: there is no reason", case.name);
        let alike = |endpoint| case.comparable(&differs[endpoint]) == case.comparable(&case.expected[endpoint]);
        assert!(!ENDPOINTS.into_iter().all(alike), "{}: both answers are alike", case.name);
    }
}

/// One policy, one request. `case.yaml` has the keys:
///
/// | key | says | else |
/// |---|---|---|
/// | `why` | what the case shows | |
/// | `policy` | the entry of `policies.yml`; `module` is `fedcar` or a guest | |
/// | `id`, `ask` | the id that it has, the id that is asked for | the case's name, the id |
/// | `request`, `review` | keys that are laid over `request.yaml`; `null` takes a key away | |
/// | `nulls` | keys of the request that are sent as `null` | |
/// | `behind` | what is sent behind the review | |
/// | `body`, `bodyInHex` | what is sent instead of a review | |
/// | `method`, `contentType` | the rest of the HTTP request | `POST`, `application/json` |
/// | `differs` | `because`, and what fedcar answers instead | |
struct Case {
    name: String,
    text: Value,
    /// What policy-server answers, by endpoint; null before the first blessing.
    expected: Value,
    /// The review that is posted, where the case does not write its own body.
    review: Value,
}

impl Case {
    fn read(folder: &Path, base: &Value) -> Self {
        let text = read_yaml(&folder.join("case.yaml"));
        let mut review = base.clone();
        overlay(&mut review, &text["review"]);
        overlay(&mut review["request"], &text["request"]);
        for key in text["nulls"].as_array().into_iter().flatten() {
            review["request"][key.as_str().expect("a key")] = Value::Null;
        }
        let expected = fs::read(folder.join("expected.json"))
            .map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).expect("JSON"));
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        Self { name, text, expected, review }
    }

    /// The id that the policy is served under.
    fn id(&self) -> &str {
        self.text["id"].as_str().unwrap_or(&self.name)
    }

    /// What the server says, `patch` decoded.
    fn ask(&self, server: &Server, endpoint: &str) -> Value {
        let route = format!("/{endpoint}/{}", self.text["ask"].as_str().unwrap_or(self.id()));
        let content_type = self.text.get("contentType").map_or(Some("application/json"), Value::as_str);
        let body = match (&self.text["body"], &self.text["bodyInHex"]) {
            (Value::String(body), _) => body.clone().into_bytes(),
            (_, Value::String(digits)) => of_hex(digits),
            _ => (self.review.to_string() + self.text["behind"].as_str().unwrap_or_default()).into_bytes(),
        };
        let method = self.text["method"].as_str().unwrap_or("POST");
        let (status, body) = ask(server.address, method, &route, content_type, &body);
        if status != 200 {
            // The words of an error are nobody's contract.
            return json!({ "status": status });
        }
        let mut review: Value = serde_json::from_slice(&body)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.name, String::from_utf8_lossy(&body)));
        if let Some(patch) = review.pointer_mut("/response/patch").filter(|patch| !patch.is_null()) {
            let bytes = STANDARD.decode(patch.as_str().expect("text")).expect("base64");
            *patch = serde_json::from_slice(&bytes).expect("a patch in JSON");
        }
        // policy-server writes maps in an order that changes from answer to answer.
        review.sort_all_objects();
        json!({ "status": status, "review": review })
    }

    /// The answer with its patch replaced by what that leads to, and without what says nothing.
    fn comparable(&self, answer: &Value) -> Value {
        const FAULT: &str = "internal server error";
        let mut answer = answer.clone();
        let patch = answer.pointer_mut("/review/response/patch").map(Value::take).filter(|patch| !patch.is_null());
        let patched = patch.map(|patch| {
            let mut object = self.review["request"]["object"].clone();
            let patch: json_patch::Patch = serde_json::from_value(patch).expect("a patch");
            json_patch::patch(&mut object, &patch).expect("a patch that fits");
            // What is in a marker is between versions of the module.
            if let Some(marker) = object.pointer_mut("/metadata/annotations/fedcar.dev~1injected") {
                *marker = "a marker".into();
            }
            object
        });
        drop_empty(&mut answer);
        // The rest of that message comes from whatever serde or wasmtime policy-server is built with.
        if let Some(Value::String(message)) = answer.pointer_mut("/review/response/status/message")
            && message.starts_with(FAULT)
        {
            message.truncate(FAULT.len());
        }
        json!({ "answer": answer, "patched": patched })
    }

    fn difference(&self, server: &Server, endpoint: &str, expected: &Value) -> Option<String> {
        let answer = self.ask(server, endpoint);
        (self.comparable(&answer) != self.comparable(expected))
            .then(|| format!("{} {endpoint}\n  expected {expected}\n  found    {answer}", self.name))
    }

    fn bless(&mut self, server: &Server) {
        self.expected = ENDPOINTS.into_iter().map(|endpoint| (endpoint, self.ask(server, endpoint))).collect();
        let path = cases_folder().join(&self.name).join("expected.json");
        let text = serde_json::to_string_pretty(&self.expected).expect("JSON") + "\n";
        fs::write(path, text).expect("a file");
    }
}

fn cases_folder() -> PathBuf {
    workspace().join("tests/policy-server/cases")
}

fn cases() -> Vec<Case> {
    let base = read_yaml(&workspace().join("tests/policy-server/request.yaml"));
    let mut folders: Vec<PathBuf> =
        fs::read_dir(cases_folder()).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    assert!(folders.len() > 50, "the cases are missing");
    folders.iter().map(|folder| Case::read(folder, &base)).collect()
}

/// What a server reads and writes.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("served-by").join(name);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    /// Writes a module and gives its URL.
    fn module(&self, name: &str, wasm: &[u8]) -> String {
        let path = self.0.join(format!("{name}.wasm"));
        fs::write(&path, wasm).expect("a file");
        format!("file://{}", path.display())
    }

    /// Writes one file with the policies of all cases, so that a server has to start only once.
    fn policies(&self, cases: &[Case], fedcar: &str) -> PathBuf {
        let guests = workspace().join("tests/policy-server/guests");
        let mut entries = Map::new();
        for case in cases {
            let mut policy = case.text["policy"].clone();
            policy["module"] = match policy["module"].as_str().expect("a module") {
                "fedcar" => fedcar.into(),
                guest => {
                    let wasm = wat::parse_file(guests.join(format!("{guest}.wat"))).expect("a module");
                    self.module(guest, &wasm).into()
                }
            };
            entries.insert(case.id().to_owned(), policy);
        }
        let path = self.0.join("policies.yml");
        fs::write(&path, Value::Object(entries).to_string()).expect("a file");
        path
    }
}

/// A running server; gone with the value.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// `FEDCAR` names the program, else it is the one that was built with this test.
    fn fedcar(policies: &Path) -> Self {
        let program = std::env::var_os("FEDCAR").map_or_else(
            || {
                let test = std::env::current_exe().expect("a path");
                let target = test.ancestors().nth(2).expect("the folder of the profile");
                target.join(format!("fedcar{}", std::env::consts::EXE_SUFFIX))
            },
            PathBuf::from,
        );
        let mut process = Command::new(&program)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--metrics-listen",
                "127.0.0.1:0",
                "--insecure-http",
                "--policies",
            ])
            .arg(policies)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", program.display()));
        let lines = BufReader::new(process.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
        let (found, address) = mpsc::channel();
        // Reads on to the end: a full pipe would stop the server.
        thread::spawn(move || {
            for line in lines {
                println!("fedcar: {line}");
                let address = line.split(" listening address=").nth(1).and_then(|rest| rest.split_whitespace().next());
                if let Some(address) = address.and_then(|address| address.parse().ok()) {
                    let _ = found.send(address);
                }
            }
        });
        let address = address.recv_timeout(PATIENCE);
        let mut server = Self { process, address: (Ipv4Addr::LOCALHOST, 0).into() };
        server.address = address.unwrap_or_else(|_| panic!("{} does not say where it listens", program.display()));
        server
    }

    fn policy_server(program: &OsString, folder: &Folder, policies: &Path) -> Self {
        let [port, readiness_port] = free_ports();
        let log = || File::create(folder.0.join("log.txt")).expect("a file");
        let process = Command::new(program)
            .args(["--addr", "127.0.0.1", "--ignore-kubernetes-connection-failure", "--log-level", "warn"])
            .args(["--port", &port.to_string(), "--readiness-probe-port", &readiness_port.to_string()])
            .arg("--policies")
            .arg(policies)
            .current_dir(&folder.0)
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(Stdio::null())
            .spawn()
            .expect("policy-server runs");
        let mut server = Self { process, address: (Ipv4Addr::LOCALHOST, port).into() };
        let begin = Instant::now();
        while TcpStream::connect(server.address).is_err() {
            let ended = server.process.try_wait().expect("a process");
            let waits = ended.is_none() && begin.elapsed() < PATIENCE;
            assert!(waits, "policy-server does not listen, see {}", folder.0.join("log.txt").display());
            thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two ports that nobody listens on, held together so that they differ.
fn free_ports() -> [u16; 2] {
    [(); 2]
        .map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"))
        .map(|listener| listener.local_addr().expect("an address").port())
}

/// One HTTP/1.1 exchange on a connection of its own.
fn ask(address: SocketAddr, method: &str, route: &str, content_type: Option<&str>, body: &[u8]) -> (u16, Vec<u8>) {
    let mut connection = TcpStream::connect(address).expect("a connection");
    connection.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    let content_type = content_type.map(|name| format!("content-type: {name}\r\n")).unwrap_or_default();
    let head = format!(
        "{method} {route} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{content_type}content-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(&[head.as_bytes(), body].concat()).expect("a request that is taken");
    let mut response = Vec::new();
    connection.read_to_end(&mut response).expect("a response");
    let end = response.windows(4).position(|window| window == b"\r\n\r\n").expect("the end of the head");
    let head = String::from_utf8_lossy(&response[..end]).to_ascii_lowercase();
    assert!(!head.contains("transfer-encoding"), "expected a body of known length: {head}");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, response[end + 4..].to_vec())
}

fn read_yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut documents = yaml::read(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(documents.len(), 1, "{}", path.display());
    documents.remove(0).value
}

/// Lays the keys of one object over another; `null` takes a key away.
fn overlay(object: &mut Value, changes: &Value) {
    let object = object.as_object_mut().expect("an object");
    for (key, value) in changes.as_object().into_iter().flatten() {
        match value {
            Value::Null => object.shift_remove(key),
            value => object.insert(key.clone(), value.clone()),
        };
    }
}

/// Null and empty say as much as nothing.
fn drop_empty(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.values_mut().for_each(drop_empty);
        fields.retain(|_, value| match value {
            Value::Null => false,
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            _ => true,
        });
    } else if let Value::Array(items) = value {
        items.iter_mut().for_each(drop_empty);
    }
}

fn of_hex(digits: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(pair).collect()
}
