//! An export of any length, written into `fedcar preview` while it reads, with the memory that it takes for it.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// What became of it.
pub(crate) struct Taken {
    /// What it printed.
    pub(crate) stdout: String,
    /// The most memory that was resident until the last object, in kB (Linux's `VmHWM`).
    pub(crate) peak_kilobytes: u64,
}

/// Runs `fedcar preview` in a folder with a `List` of these objects, which is closed when the memory has been read.
pub(crate) fn preview(folder: &Path, arguments: &[&str], items: impl Iterator<Item = Value>) -> Taken {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fedcar"));
    command.current_dir(folder).arg("preview").args(arguments).args(["--workloads", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut list = BufWriter::new(child.stdin.take().unwrap());
    list.write_all(b"{\"apiVersion\": \"v1\", \"items\": [").unwrap();
    for (index, item) in items.enumerate() {
        let separator = if index == 0 { "\n" } else { ",\n" };
        write!(list, "{separator}{item}").unwrap();
    }
    list.flush().unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kilobytes = peak.trim().trim_end_matches(" kB").parse().unwrap();
    list.write_all(b"], \"kind\": \"List\"}").unwrap();
    list.flush().unwrap();
    drop(list);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    Taken { stdout: String::from_utf8(output.stdout).unwrap(), peak_kilobytes }
}

/// A small Deployment of its own name.
pub(crate) fn deployment(number: u32) -> Value {
    let labels = json!({"app": format!("app-{number}")});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": format!("app-{number}"), "namespace": format!("team-{}", number % 500), "labels": labels},
        "spec": {"replicas": number % 5, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{
                "name": "app", "image": format!("registry.example/app-{}:1.{}", number % 1000, number % 7),
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
            }]},
        }},
    })
}
