//! A policy module in a registry, in the form in which `kwctl push` uploads it and policy servers read it.

use super::Registry;
use super::error::Fault;
use super::manifest::{Document, Manifest};
use super::reference::Digest;

const CONFIG: &str = "application/vnd.wasm.config.v1+json";
const LAYER: &str = "application/vnd.wasm.content.layer.v1+wasm";
/// How WebAssembly begins.
const MAGIC: &[u8] = b"\0asm";
/// Policy servers compile a module before they answer; one of this size takes them minutes.
const LARGEST_MODULE_BYTES: u64 = 64 * 1024 * 1024;

/// What stands behind a reference.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FoundModule {
    /// The digest of the manifest, by which policy servers fetch it.
    pub(crate) digest: Digest,
    /// The digest of the Wasm file.
    pub(crate) file: Digest,
}

impl Registry {
    /// Reads what a reference to a module stands for; the file too, so that it is known to be there and to be Wasm.
    pub(crate) async fn module(&self, reference: &str) -> Result<FoundModule, Fault> {
        let found = async {
            let reference = reference.parse()?;
            let mut source = self.source(&reference)?;
            let (digest, document) = source.top().await?;
            let file = file(&document)?;
            let bytes = source.blob(&file, "Wasm module", LARGEST_MODULE_BYTES).await?;
            if bytes.starts_with(MAGIC) {
                Ok(FoundModule { digest, file })
            } else {
                Err(Fault::NotAModule("a file that is no WebAssembly".to_owned()))
            }
        };
        self.in_time(found).await
    }
}

/// The one file of a module.
fn file(document: &Document) -> Result<Digest, Fault> {
    let Document::Manifest(Manifest { config, layers }) = document else {
        return Err(Fault::NotAModule("an index of images".to_owned()));
    };
    let quoted = |media_type: &str| format!("`{}`", fedcar_policy::read::clip(media_type).escape_debug());
    match layers.as_slice() {
        _ if config.media_type != CONFIG => {
            Err(Fault::NotAModule(format!("{} as its configuration", quoted(&config.media_type))))
        }
        [layer] if layer.media_type == LAYER => layer.digest(),
        [layer] => Err(Fault::NotAModule(format!("a layer {}", quoted(&layer.media_type)))),
        layers => Err(Fault::NotAModule(format!("{} layers", layers.len()))),
    }
}
