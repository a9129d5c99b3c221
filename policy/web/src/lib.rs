//! The face of the decision for browsers and Node: the same operations, as JSON text.
//!
//! Nothing here looks at a pod. A page keeps one [`Policy`] for its settings and asks it as often as it likes.

use fedcar_policy::protocol::{self, Prepared};
use wasm_bindgen::prelude::wasm_bindgen;

/// Checks settings: JSON text -> `{valid, problems: [{pointer, path, message, hint?}]}`.
#[wasm_bindgen(js_name = checkSettings)]
pub fn check_settings(settings: &str) -> String {
    text(protocol::prepare(settings.as_bytes()).0)
}

/// Takes an injection back: `{object}` -> `{patch}` or `{refused: {code, message}}`.
#[wasm_bindgen]
pub fn restore(payload: &str) -> String {
    text(protocol::restore(payload.as_bytes()))
}

/// Valid settings, ready for decisions.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Policy(Prepared);

#[wasm_bindgen]
impl Policy {
    /// Reads settings; throws the reply of [`check_settings`] where they are not valid.
    #[wasm_bindgen(constructor)]
    pub fn new(settings: &str) -> Result<Policy, String> {
        let (reply, prepared) = protocol::prepare(settings.as_bytes());
        prepared.map(Self).ok_or_else(|| text(reply))
    }

    /// Decides: `{request, namespace?, offline?, explain?}` -> the decision with its patch, and with its report where
    /// `explain` is true.
    pub fn admit(&self, payload: &str) -> String {
        text(protocol::admit(&self.0, payload.as_bytes()))
    }
}

/// Replies are JSON, so they are UTF-8.
fn text(reply: Vec<u8>) -> String {
    String::from_utf8(reply).unwrap_or_default()
}
