//! Images in folders.

use serde_json::{Value, json};

use crate::federation::Federation;
use crate::registry::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, descriptor, index, manifest};

fn blob(federation: &Federation, media_type: &str, content: &str) -> Value {
    let descriptor = descriptor(media_type, content.as_bytes());
    let hash = descriptor["digest"].as_str().unwrap().replace("sha256:", "");
    federation.write(&format!("mirror/blobs/sha256/{hash}"), content);
    descriptor
}

/// A folder with one image for arm64.
fn layout(federation: &Federation, annotations: &Value) -> Value {
    federation.write("mirror/oci-layout", json!({"imageLayoutVersion": "1.0.0"}).to_string());
    let config = blob(federation, OCI_CONFIG, &json!({"os": "linux", "architecture": "arm64"}).to_string());
    let mut image = blob(federation, OCI_MANIFEST, &manifest(OCI_MANIFEST, &config, &[]).to_string());
    image["annotations"] = annotations.clone();
    federation.write("mirror/index.json", index(OCI_INDEX, &[image.clone()]).to_string());
    image
}

#[test]
fn images_are_found_by_their_full_name_or_digest() {
    let federation = Federation::new("layout");
    for (annotation, name) in [
        ("io.containerd.image.name", "registry.invalid/team/a:1"),
        ("org.opencontainers.image.ref.name", "registry.invalid/team/a:1"),
    ] {
        let image = layout(&federation, &json!({annotation: name}));
        let pinned = format!("registry.invalid/b@{}", image["digest"].as_str().unwrap());
        federation.images("host-runner", &["registry.invalid/team/a:1", &pinned]);
        let (report, _) = federation.probe(0, " --layout mirror", &[]);
        for found in report["images"].as_array().unwrap() {
            assert_eq!((&found["digest"], &found["platforms"]), (&image["digest"], &json!(["linux/arm64"])));
        }
    }
}

#[test]
fn folders_that_are_none_or_lie_are_told() {
    let federation = Federation::new("no_layout");
    let image = layout(&federation, &json!({"org.opencontainers.image.ref.name": "registry.invalid/a:1"}));
    federation.images("host-runner", &["registry.invalid/a:1"]);
    let hash = image["digest"].as_str().unwrap().replace("sha256:", "");
    federation.write(&format!("mirror/blobs/sha256/{hash}"), "{}");
    let (_, said) = federation.probe(3, " --layout mirror", &[]);
    assert!(said.contains("expected a manifest with sha256:") && said.contains(&hash), "{said}");
    federation.write("mirror/oci-layout", json!({"imageLayoutVersion": "2.0.0"}).to_string());
    let ran = federation.fedcar("probe retail --images --layout mirror --layout nowhere", &[]);
    assert_eq!(ran.code, 3);
    for part in ["expected an image layout 1.0.0, found `2.0.0`", "cannot read nowhere/oci-layout", "--> mirror"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
}
