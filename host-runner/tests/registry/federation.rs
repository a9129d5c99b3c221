//! A federation of one member whose sidecars have given images, and `fedcar` over it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

pub(crate) struct Federation(PathBuf);

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Federation {
    /// An empty folder for the test of this name.
    pub(crate) fn new(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("registry").join(test);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("retail")).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The documents, with one container for each image.
    pub(crate) fn images(&self, engine: &str, images: &[&str]) {
        let container = |(index, image): (usize, &&str)| json!({"name": format!("c{index}"), "image": image});
        let containers: Vec<Value> = images.iter().enumerate().map(container).collect();
        let root = json!({
            "apiVersion": "fedcar.dev/v1alpha1", "kind": "Federation", "metadata": {"name": "retail"},
            "spec": {"members": [{"name": "eu-1", "engine": engine, "facts": {"kubernetes": "1.33"}}]},
        });
        let sidecar = json!({
            "apiVersion": "fedcar.dev/v1alpha1", "kind": "Sidecar", "metadata": {"name": "agent"},
            "spec": {"version": "1", "mode": "opt-out", "inject": {"containers": containers}},
        });
        self.write("retail/all.yaml", format!("{root}\n---\n{sidecar}\n"));
    }

    /// Runs `fedcar` with arguments split at spaces, without credentials or proxies but those of `environment`.
    pub(crate) fn fedcar(&self, arguments: &str, environment: &[(&str, &str)]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fedcar"));
        command.current_dir(&self.0).args(arguments.split(' ')).env("NO_COLOR", "1").env("DOCKER_CONFIG", &self.0);
        for name in ["HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let output = command.envs(environment.iter().copied()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Asks for the images and returns the report.
    pub(crate) fn probe(&self, code: i32, arguments: &str, environment: &[(&str, &str)]) -> (Value, String) {
        let ran = self.fedcar(&format!("probe retail --images --output json{arguments}"), environment);
        assert_eq!(ran.code, code, "{}", ran.stderr);
        (serde_json::from_str(&ran.stdout).unwrap(), ran.stderr)
    }

    pub(crate) fn lock(&self) -> String {
        fs::read_to_string(self.0.join("retail/fedcar.lock")).unwrap()
    }
}
