//! The policy module that this program was built with.

/// The annotated module, as `build.rs` made it from `policy/guest`. The same bytes are published for Kubewarden.
pub static MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/policy.wasm"));
