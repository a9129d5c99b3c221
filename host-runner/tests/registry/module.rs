//! `fedcar compile --resolve`.

use fedcar::engine::MODULE;
use serde_json::Value;

use crate::federation::{Federation, Ran};
use crate::registry::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Registry, digest, index};

const CONFIG: &str = "application/vnd.wasm.config.v1+json";
const LAYER: &str = "application/vnd.wasm.content.layer.v1+wasm";

fn compile(federation: &Federation, module: &str) -> Ran {
    let images = "--policy-server-image registry.invalid/policy-server:1";
    federation.fedcar(&format!("compile retail --out out --module {module} --resolve {images}"), &[])
}

#[test]
fn a_tag_becomes_a_digest_and_the_module_is_looked_at() {
    let federation = Federation::new("module");
    let registry = Registry::plain(federation.path());
    let at = &registry.authority;
    federation.images("kubewarden", &["registry.invalid/a:1"]);
    let ours = registry.artifact("policy", CONFIG, LAYER, MODULE);
    let pinned = ours["digest"].as_str().unwrap();
    let reference = format!("registry://{at}/policy:v1@{pinned}");
    for module in [format!("registry://{at}/policy:v1"), format!("{at}/policy:v1"), reference.clone()] {
        let ran = compile(&federation, &module);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let said = format!("{module}: {pinned}, which is this program's module");
        assert!(ran.stderr.contains(&said), "{}", ran.stderr);
        let manifest = std::fs::read(federation.path().join("out/MANIFEST.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(manifest["module"]["reference"], reference);
    }
    let other = registry.artifact("other", CONFIG, LAYER, b"\0asm other");
    let ran = compile(&federation, &format!("{at}/other:v1"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("{} is not this program's module", other["digest"].as_str().unwrap())));
    assert!(ran.stderr.contains(&format!("found {}", digest(b"\0asm other"))), "{}", ran.stderr);
}

#[test]
fn what_policy_servers_cannot_use_is_refused() {
    let federation = Federation::new("no_module");
    let registry = Registry::plain(federation.path());
    let at = &registry.authority;
    federation.images("kubewarden", &["registry.invalid/a:1"]);
    registry.artifact("cncf", "application/vnd.wasm.config.v0+json", "application/wasm", MODULE);
    registry.artifact("layer", CONFIG, "application/wasm", MODULE);
    registry.artifact("text", CONFIG, LAYER, b"no module");
    let image = registry.image("image", Some("v1"), (OCI_MANIFEST, OCI_CONFIG), ("linux", "amd64"));
    registry.manifest("image", Some("index"), &index(OCI_INDEX, &[image]));
    for (module, message) in [
        ("cncf:v1", "found `application/vnd.wasm.config.v0+json` as its configuration"),
        ("layer:v1", "found a layer `application/wasm`"),
        ("text:v1", "found a file that is no WebAssembly"),
        ("image:v1", "found `application/vnd.oci.image.config.v1+json` as its configuration"),
        ("image:index", "found an index of images"),
        ("nothing:v1", "not found at"),
    ] {
        let ran = compile(&federation, &format!("registry://{at}/{module}"));
        assert_eq!(ran.code, 3, "{module}: {}", ran.stderr);
        assert!(ran.stderr.contains(message) && ran.stderr.contains("hint: "), "{message}: {}", ran.stderr);
    }
    assert!(!federation.path().join("out").exists());
}
