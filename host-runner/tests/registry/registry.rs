//! Docker's registry (Debian's package docker-registry, which scripts/setup installs), and what is pushed to it.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fedcar_policy::digest::hex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::server::send;

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// The name `shop` with the password `U*U`: a test vector of bcrypt, the only form that the registry takes.
pub(crate) const HTPASSWD: &str = "shop:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n";
/// The same for a request, in base64.
pub(crate) const SHOP: &str = "c2hvcDpVKlU=";

/// How long the registry may take to answer at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// A registry that lives as long as this.
pub(crate) struct Registry {
    process: Child,
    /// Host and port.
    pub(crate) authority: String,
    authorization: Option<&'static str>,
}

impl Registry {
    /// Starts one over a folder, with parts of its configuration.
    pub(crate) fn start(folder: &Path, http: &Value, auth: &Value) -> Self {
        let authority = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut config = json!({
            "version": "0.1",
            "log": {"level": "error", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": folder.join("images")}},
            "http": {"addr": authority, "secret": "test"},
        });
        config["http"].as_object_mut().unwrap().extend(http.as_object().unwrap().clone());
        let with_auth = auth.as_object().is_some_and(|auth| !auth.is_empty());
        if with_auth {
            config["auth"] = auth.clone();
        }
        fs::create_dir_all(folder).unwrap();
        let file = folder.join("config.yml");
        fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new("docker-registry");
        let command = command.arg("serve").arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("docker-registry, which scripts/setup installs");
        let registry = Self { process, authority, authorization: with_auth.then_some(SHOP) };
        let started = std::time::Instant::now();
        // With TLS a request without it is answered too, only not by the API.
        while send(&registry.authority, "GET /v2/", &[], b"").is_none() {
            assert!(started.elapsed() < PATIENCE, "docker-registry does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    pub(crate) fn plain(folder: &Path) -> Self {
        Self::start(folder, &json!({}), &json!({}))
    }

    fn put(&self, start: &str, media_type: &str, body: &[u8]) {
        let authorization = self.authorization.map(|pair| format!("Basic {pair}"));
        let mut headers = vec![("Content-Type", media_type)];
        headers.extend(authorization.as_deref().map(|value| ("Authorization", value)));
        let answer = send(&self.authority, start, &headers, body).unwrap();
        assert_eq!(answer.status(), 201, "{start}: {}", String::from_utf8_lossy(&answer.body));
    }

    /// Uploads a content, and returns its descriptor.
    pub(crate) fn blob(&self, repository: &str, media_type: &str, content: &[u8]) -> Value {
        let authorization = self.authorization.map(|pair| format!("Basic {pair}"));
        let headers: Vec<_> = authorization.as_deref().map(|value| ("Authorization", value)).into_iter().collect();
        let answer = send(&self.authority, &format!("POST /v2/{repository}/blobs/uploads/"), &headers, b"").unwrap();
        let location = answer.header("location").unwrap_or_else(|| panic!("{}", answer.start));
        let path = location.split_once(&self.authority).map_or(location, |(_, path)| path);
        let descriptor = descriptor(media_type, content);
        let digest = descriptor["digest"].as_str().unwrap();
        self.put(&format!("PUT {path}&digest={digest}"), "application/octet-stream", content);
        descriptor
    }

    /// Uploads a manifest or index under a tag or, without one, by its digest.
    pub(crate) fn manifest(&self, repository: &str, tag: Option<&str>, document: &Value) -> Value {
        let body = document.to_string();
        let descriptor = descriptor(document["mediaType"].as_str().unwrap(), body.as_bytes());
        let name = tag.unwrap_or_else(|| descriptor["digest"].as_str().unwrap());
        self.put(
            &format!("PUT /v2/{repository}/manifests/{name}"),
            descriptor["mediaType"].as_str().unwrap(),
            body.as_bytes(),
        );
        descriptor
    }

    /// Uploads an image without layers that runs on a platform.
    pub(crate) fn image(
        &self,
        repository: &str,
        tag: Option<&str>,
        types: (&str, &str),
        (os, architecture): (&str, &str),
    ) -> Value {
        let config = json!({"os": os, "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}});
        let config = self.blob(repository, types.1, config.to_string().as_bytes());
        self.manifest(repository, tag, &manifest(types.0, &config, &[]))
    }

    /// Uploads an artifact with one file.
    pub(crate) fn artifact(&self, repository: &str, config: &str, layer: &str, content: &[u8]) -> Value {
        let config = self.blob(repository, config, b"{}");
        let layer = self.blob(repository, layer, content);
        self.manifest(repository, Some("v1"), &manifest(OCI_MANIFEST, &config, &[layer]))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn manifest(media_type: &str, config: &Value, layers: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers})
}

pub(crate) fn index(media_type: &str, entries: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries})
}

/// An entry of an index.
pub(crate) fn entry(mut descriptor: Value, platform: &Value) -> Value {
    descriptor["platform"] = platform.clone();
    descriptor
}

pub(crate) fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest(content), "size": content.len()})
}

pub(crate) fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hex(Sha256::digest(content)))
}
