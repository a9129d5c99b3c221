//! `fedcar probe` against API servers that answer from `tests/probe/answers`, one folder for each cluster, and against a
//! real one where there is one.
//!
//! A request for `/api/v1/pods` is answered with `api/v1/pods.json`, its next page with `pods.2.json`, a refusal stands in
//! `pods.403.json`, and what has no file is not found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

#[path = "support/program.rs"]
mod program;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fedcar_policy::federation::{ProbedKind, Reading};
use serde_json::{Value, json};

use program::{Ran, program, run};

const DONE: i32 = 0;
const DIFFERENT: i32 = 1;
const USAGE: i32 = 2;
const BAD_INPUT: i32 = 3;

const SECRET: &str = "s3cr3t";

/// A folder with the documents in `retail`, and the clusters of its members.
struct World {
    folder: PathBuf,
    requests: Arc<Mutex<Vec<String>>>,
}

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/probe")
}

impl World {
    fn new(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("probe").join(test);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("retail")).unwrap();
        fs::copy(recorded().join("federation.yaml"), folder.join("retail/federation.yaml")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let told = Arc::clone(&told);
                std::thread::spawn(move || answer(&stream.unwrap(), &told));
            }
        });
        let cluster = |name: &str| json!({"name": name, "cluster": {"server": format!("http://{address}/{name}")}});
        let context = |name: &str, cluster: &str, user: &str| json!({"name": name, "context": {"cluster": cluster, "user": user}});
        let command = format!("echo {SECRET}-out; echo {SECRET}-err >&2; exit 1");
        let exec = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", command],
            "interactiveMode": "IfAvailable",
        });
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config",
            "clusters": [cluster("eu-1"), cluster("us-1"), cluster("slow-1"), cluster("odd-1"), cluster("cut-1"),
                // Nobody listens on a port that takes privileges.
                {"name": "gone-1", "cluster": {"server": "http://127.0.0.1:1"}}],
            "users": [{"name": "a", "user": {"token": SECRET}}, {"name": "b", "user": {"exec": exec}}],
            "contexts": [context("eu-1", "eu-1", "a"), context("us-1", "us-1", "a"), context("slow-1", "slow-1", "a"),
                context("odd-1", "odd-1", "a"), context("cut-1", "cut-1", "a"), context("gone-1", "gone-1", "a"), context("locked-1", "eu-1", "b")],
        });
        fs::write(folder.join("kubeconfig"), kubeconfig.to_string()).unwrap();
        Self { folder, requests }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = program(&self.folder, &["probe", "retail"]);
        let ran = run(command.args(arguments).env("KUBECONFIG", "kubeconfig"), "");
        assert!(!ran.stdout.contains(SECRET) && !ran.stderr.contains(SECRET), "{}", ran.stderr);
        ran
    }

    fn lock(&self) -> Option<String> {
        fs::read_to_string(self.folder.join("retail/fedcar.lock")).ok()
    }

    fn members(&self) -> Value {
        let lock = fedcar::yaml::read(&self.lock().unwrap()).unwrap().remove(0).value;
        lock["members"].clone()
    }

    fn change_federation(&self, old: &str, new: &str) {
        let path = self.folder.join("retail/federation.yaml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{old}");
        fs::write(path, text.replace(old, new)).unwrap();
    }

    /// Facts of a member from the export.
    fn export(&self, member: &str) -> Ran {
        let file = |name: &str| recorded().join(name).display().to_string();
        let (version, objects) = (file("export-version.json"), file("export.json"));
        self.run(&["--cluster", member, "--objects", &version, "--objects", &objects, "--listed", "resourcequotas"])
    }
}

fn answer(stream: &TcpStream, told: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
    let target = head.split(' ').nth(1).unwrap_or_default();
    told.lock().unwrap().push(head.clone());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = recorded().join("answers").join(path.trim_start_matches('/'));
    let page = query.split('&').find_map(|pair| pair.strip_prefix("continue="));
    if page == Some("hang") {
        std::thread::sleep(Duration::from_secs(45));
    }
    let read = |end: &str| fs::read(PathBuf::from(format!("{}{end}", path.display()))).ok();
    let page = page.map_or_else(|| ".json".to_owned(), |page| format!(".{page}.json"));
    let none =
        json!({"kind": "Status", "status": "Failure", "message": "not found", "reason": "NotFound", "code": 404});
    let (status, body) = read(&page)
        .map(|body| (200, body))
        .or_else(|| Some((403, read(".403.json")?)))
        .unwrap_or_else(|| (404, none.to_string().into_bytes()));
    let mut stream = stream;
    let head = format!(
        "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // A client that has gone away has given up.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

/// The lock without what each run has of its own.
fn stable(lock: &str) -> String {
    let own = |line: &&str| !line.starts_with("hash:");
    let lines = lock.lines().filter(own).map(|line| match line.split_once("taken: ") {
        Some((indent, _)) => format!("{indent}taken: …\n"),
        None => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn what_fails_in_one_member_loses_nothing_of_the_others() {
    let world = World::new("members");
    // What is known already of a cluster that will not answer, and of one that is no member any more.
    world.change_federation("files-1", "old-1");
    assert_eq!(world.export("slow-1").code, DONE);
    assert_eq!(world.export("old-1").code, DONE);
    world.change_federation("old-1", "files-1");
    let before = world.members();
    assert_eq!(before.as_object().unwrap().len(), 2);

    let start = Instant::now();
    let ran = world.run(&["--timeout", "2"]);
    assert!(start.elapsed() < Duration::from_secs(30), "several at once, and nobody waits for ever");
    assert_eq!(ran.code, BAD_INPUT, "{}", ran.stderr);
    assert_eq!(world.members()["slow-1"], before["slow-1"]);
    let taken = before["slow-1"]["taken"].as_str().unwrap();
    for line in [
        "files-1: the Federation names no `kubeconfig.context` for it, so nobody is asked",
        &format!("error: slow-1: expected an answer within 2 seconds; what was found on {taken} stays"),
        "error: gone-1: the API server cannot be reached: Connection refused (os error 111); nothing is known from it",
        "error: locked-1: the context `locked-1` of the kubeconfig gives no credentials; log in as it needs, and try \
         again; nothing is known from it",
        "error: odd-1: the API server cannot be reached: what answers is no API server, as it serves no nodes; nothing \
         is known from it",
        "error: cut-1: the API server cannot be reached: its list of namespaces has no end; nothing is known from it",
        "error: lost-1: the kubeconfig has no context `nowhere`; nothing is known from it",
        "us-1: pods: forbidden, and stays unknown",
        "us-1: resourcequotas: forbidden, and stays unknown",
        "us-1: clusternetworkpolicies: expected version v1alpha2, found only v1beta1; they stay unknown",
        "us-1: mutatingwebhookconfigurations: not found, and stays unknown",
        "us-1: namespaces.shop.networkPolicies[0].ingress[0].from[0].ipBlock.cidr: expected a range such as \
         `10.0.0.0/8`, found `10/8`, and stays unknown",
        "retail/fedcar.lock: written",
    ] {
        assert!(ran.stderr.lines().any(|found| found == line), "{line}\n{}", ran.stderr);
    }
    let golden = recorded().join("fedcar.lock");
    let found = stable(&world.lock().unwrap());
    if std::env::var_os("BLESS").is_some() {
        fs::write(&golden, &found).unwrap();
    }
    assert_eq!(fs::read_to_string(&golden).unwrap_or_default(), found, "BLESS=1 writes it anew");

    // The same facts are the same file, whenever they are taken.
    let first = world.lock();
    let again = world.run(&["--cluster", "eu-1", "--cluster", "us-1"]);
    assert_eq!((again.code, world.lock()), (DONE, first), "{}", again.stderr);
    assert!(again.stderr.ends_with("retail/fedcar.lock: unchanged\n"), "{}", again.stderr);
}

#[test]
fn no_more_is_asked_than_is_needed() {
    let world = World::new("requests");
    assert_eq!(world.run(&["--cluster", "eu-1", "--quiet"]).code, DONE);
    let requests = world.requests.lock().unwrap().clone();
    let metadata = "accept: application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    for head in &requests {
        let line = head.lines().next().unwrap();
        assert!(line.starts_with("GET /eu-1/"), "{line}");
        let of = |kind: &str| line.contains(&format!("/v1/{kind}?"));
        assert_eq!(of("pods") || of("namespaces"), head.contains(metadata), "{head}");
        assert_eq!(of("pods"), line.contains("fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed"));
        assert!(!line.contains('?') || line.contains("limit=500"), "{line}");
    }
    let lists = requests.iter().filter(|head| head.lines().next().unwrap().contains('?')).count();
    assert_eq!(lists, 13, "ten kinds are there, one of them in two pages and one in three");
    assert_eq!(
        requests.len() - lists,
        13,
        "the version, and once what each of six groups serves: five lists of versions, seven of kinds"
    );
}

#[test]
fn a_check_writes_nothing() {
    let world = World::new("check");
    let ran = world.run(&["--check", "--cluster", "eu-1"]);
    assert_eq!((ran.code, world.lock()), (DIFFERENT, None), "{}", ran.stderr);
    assert_eq!(world.run(&["--cluster", "eu-1"]).code, DONE);
    assert_eq!(world.run(&["--check", "--cluster", "eu-1"]).code, DONE);
    world.change_federation("eu-1, engine", "eu-9, engine");
    let ran = world.run(&["--check", "--cluster", "files-1"]);
    assert_eq!(ran.code, BAD_INPUT, "it is a member that cannot be asked, and was meant by its name");
    assert_eq!(world.members().as_object().unwrap().len(), 1, "nothing is written");
}

#[test]
fn facts_come_from_files_too() {
    let world = World::new("files");
    let ran = world.export("files-1");
    assert_eq!(ran.code, DONE, "{}", ran.stderr);
    assert!(world.requests.lock().unwrap().is_empty());
    let members = world.members();
    let mut facts = members["files-1"].as_object().unwrap().clone();
    assert!(facts.shift_remove("taken").is_some());
    assert_eq!(
        Value::Object(facts),
        json!({
            "architectures": ["arm64"], "kubelets": ["1.32"], "kubernetes": "1.32", "operatingSystems": ["linux"],
            "namespaces": {"shop": {"labels": {"team": "shop"}, "pods": 1, "resourceQuotas": []}},
        })
    );
    // What `kubectl get --raw` prints says which kind it is, also where it is empty.
    let raw = json!({"kind": "LimitRangeList", "apiVersion": "v1", "metadata": {}, "items": []});
    let nodes = json!({"kind": "NodeList", "apiVersion": "v1", "items": [{"metadata": {"name": "a"},
        "status": {"nodeInfo": {"kubeletVersion": "v1.33.1", "architecture": "amd64", "operatingSystem": "linux"}}}]});
    let namespaces = json!({"kind": "NamespaceList", "apiVersion": "v1", "items": [{"metadata": {"name": "a"}}]});
    fs::write(world.folder.join("raw.jsonl"), format!("{raw}\n{nodes}\n{namespaces}\n")).unwrap();
    assert_eq!(world.run(&["--cluster", "files-1", "--objects", "raw.jsonl"]).code, DONE);
    let facts = &world.members()["files-1"];
    assert_eq!((&facts["kubelets"], &facts["architectures"]), (&json!(["1.33"]), &json!(["amd64"])));
    assert_eq!(facts["namespaces"], json!({"a": {"labels": {}, "limitRanges": []}}));

    let page = json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"continue": "x"}, "items": []});
    fs::write(world.folder.join("page.json"), page.to_string()).unwrap();
    fs::write(world.folder.join("nothing.json"), r#"{"kind": "ConfigMap", "apiVersion": "v1"}"#).unwrap();
    let lock = world.lock();
    for (arguments, code, expected) in [
        (&["--cluster", "files-1", "--objects", "page.json"][..], BAD_INPUT, "expected a whole PodList"),
        (&["--cluster", "files-1", "--objects", "nothing.json"], BAD_INPUT, "found nothing that says anything"),
        (&["--cluster", "files-1", "--cluster", "eu-1", "--objects", "raw.jsonl"], USAGE, "expected one `--cluster`"),
        (&["--cluster", "files-2", "--objects", "raw.jsonl"], BAD_INPUT, "did you mean `files-1`?"),
        (&["--objects", "raw.jsonl"], USAGE, "--cluster"),
        (&["--cluster", "files-1", "--objects", "raw.jsonl", "--listed", "node"], USAGE, "did you mean `nodes`?"),
    ] {
        let ran = world.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}\n{}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{arguments:?}\n{}", ran.stderr);
    }
    assert_eq!(world.lock(), lock);
}

#[test]
fn what_is_known_is_listed_without_asking() {
    let world = World::new("list");
    assert_eq!(world.export("files-1").code, DONE);
    fs::remove_file(world.folder.join("kubeconfig")).unwrap();
    let text = fs::read_to_string(world.folder.join("retail/federation.yaml")).unwrap();
    let pinned = text.replace("{ name: us-1,", "{ name: us-1, facts: { kubernetes: \"1.34\" },");
    fs::write(world.folder.join("retail/federation.yaml"), pinned).unwrap();
    let ran = world.run(&["--list"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (DONE, ""));
    let line = |member: &str| {
        let line = ran.stdout.lines().find(|line| line.trim_start().starts_with(member)).unwrap();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let files = line("files-1");
    assert_eq!(files[2..6], ["0", "1.32", "1.32", "arm64"]);
    assert_eq!(
        files[6..].join(" "),
        "clusterNetworkPolicies, customResources, engineVersion, limitRanges, mutatingWebhooks, networkPolicies"
    );
    assert_eq!(line("us-1")[1..6], ["-", "-", "1.34", "-", "-"]);
    let ran = world.run(&["--list", "--output", "json", "--cluster", "files-1"]);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found["members"].as_array().unwrap().len(), 1);
    let member = &found["members"][0];
    assert_eq!(
        (&member["name"], &member["ageDays"], &member["kubelets"]),
        (&json!("files-1"), &json!(0), &json!(["1.32"]))
    );
    assert!(world.requests.lock().unwrap().is_empty());
}

#[test]
fn a_kubeconfig_that_is_none_is_not_quoted() {
    let world = World::new("kubeconfig");
    fs::write(world.folder.join("broken"), format!("users: [{{name: a, user: {{token: [{SECRET}]}}}}]\n")).unwrap();
    for (path, expected) in
        [("broken", "the kubeconfig is not valid"), ("missing", "cannot read the kubeconfig missing")]
    {
        let ran = world.run(&["--kubeconfig", path]);
        assert_eq!(ran.code, BAD_INPUT, "{}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
}

#[test]
fn the_role_in_the_documentation_is_what_is_listed() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/probe.md")).unwrap();
    let block =
        text.split("```yaml\n").find_map(|block| block.split("```").next().filter(|yaml| yaml.contains("ClusterRole")));
    let role = fedcar::yaml::read(block.unwrap()).unwrap().remove(0).value;
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        assert_eq!(rule["verbs"], json!(["list"]));
        for (group, resource) in rule["apiGroups"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| rule["resources"].as_array().unwrap().iter().map(move |resource| (group, resource)))
        {
            granted.insert((group.as_str().unwrap(), resource.as_str().unwrap()));
        }
    }
    let listed = ProbedKind::ALL.iter().filter(|kind| kind.reading != Reading::Discovery);
    assert_eq!(granted, listed.map(|kind| (kind.group, kind.plural)).collect());
}

/// `FEDCAR_TEST_KUBECONFIG` names a kubeconfig whose current context may read a cluster; without one the test says so
/// and passes, as an API server cannot be installed from a registry of crates.
#[test]
fn a_real_cluster_is_probed() {
    let Some(kubeconfig) = std::env::var_os("FEDCAR_TEST_KUBECONFIG").map(PathBuf::from) else {
        println!("skipped: there is no cluster; set FEDCAR_TEST_KUBECONFIG to a kubeconfig");
        return;
    };
    let world = World::new("live");
    let text = fs::read_to_string(&kubeconfig).unwrap();
    let context = fedcar::yaml::read(&text).unwrap()[0].value["current-context"].as_str().unwrap().to_owned();
    world.change_federation("context: eu-1", &format!("context: {context}"));
    let kubeconfig = kubeconfig.display().to_string();
    let ran = world.run(&["--cluster", "eu-1", "--kubeconfig", &kubeconfig]);
    println!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, DONE);
    let facts = &world.members()["eu-1"];
    println!("{facts:#}");
    // A build of one's own may have no version.
    assert!(facts.get("kubernetes").is_none_or(|version| version.as_str().unwrap().starts_with("1.")));
    assert_eq!(facts["namespaces"]["kube-system"]["labels"]["kubernetes.io/metadata.name"], "kube-system");
    assert!(!ran.stderr.contains("unknown"), "an administrator may see everything");
}
