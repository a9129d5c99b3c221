//! Runs `fedcar` in a folder of its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up must fail")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Two sidecars for every pod, of which one can be chosen away, and one that needs the labels of the namespace.
pub(crate) const SETTINGS: &str = r#"
schemaVersion: 1
cluster: { name: eu-1, capabilities: { nativeSidecars: true } }
sidecars:
- name: otel
  version: 1.0.0
  origin: { file: sidecars/otel.yaml, line: 3 }
  mode: opt-out
  inject:
    containers:
    - { name: otel, form: sidecar, image: "otel/collector:1" }
- name: vault
  version: 2.0.0
  mode: required
  match: { pods: { matchLabels: { vault: "true" } } }
  inject:
    containers:
    - { name: vault, image: "vault:2" }
- name: cache
  version: 3.0.0
  mode: opt-out
  match: { pods: { matchLabels: { cache: "true" } }, namespaces: { matchLabels: { tier: prod } } }
  inject:
    containers:
    - { name: cache, image: "redis:7" }
"#;

/// A folder that is empty at the start of a test.
pub(crate) struct Folder(PathBuf);

/// What a run of the command left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Folder {
    /// A folder for the test of this name, with `settings.yaml` in it.
    pub(crate) fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        folder.write("settings.yaml", SETTINGS);
        folder
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap()
    }

    pub(crate) fn files(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// Runs `fedcar` with arguments split at spaces.
    pub(crate) fn fedcar(&self, arguments: &str) -> Ran {
        self.fedcar_with(arguments, b"")
    }

    /// The same with standard input.
    pub(crate) fn fedcar_with(&self, arguments: &str, stdin: &[u8]) -> Ran {
        let mut child = self.command(arguments).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let input = stdin.to_owned();
        let writer = std::thread::spawn(move || {
            // The command may stop before it has read everything.
            let _ = pipe.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The command with all streams piped.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fedcar"));
        command.args(arguments.split_whitespace()).current_dir(&self.0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Ran {
    /// Asserts how it ended, and shows what was said where it did not end so.
    #[track_caller]
    pub(crate) fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn said(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "expected {text:?} in: {}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn printed(self, text: &str) -> Self {
        assert_eq!(self.stdout, text, "stderr: {}", self.stderr);
        self
    }
}

/// A pod as YAML.
pub(crate) fn pod(name: &str, labels: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {{{labels}}}}}\nspec:\n  containers:\n  - {{name: app, image: app:1}}\n"
    )
}

/// A pod as a JSON line.
pub(crate) fn pod_line(name: &str, labels: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{name}","namespace":"shop","labels":{{{labels}}}}},"spec":{{"containers":[{{"name":"app","image":"app:1"}}]}}}}"#
    ) + "\n"
}
