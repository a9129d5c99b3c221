//! Modules that take every settings and every small request, and do what a test wants with large ones: harm can only be
//! done by what was loaded and has passed its trial.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::reviews::{VERSION, settings, write_at_once};

/// The policy beside the guests: the embedded module.
pub(crate) const GOOD: &str = "/validate/good?timeout=10s";

/// Bytes of a review that is a large one to a guest; usual ones are far below its 4 KiB.
pub(crate) const LARGE: usize = 6 << 10;

/// Never comes back.
pub(crate) const ENDLESS: &str = "(loop $again (br $again))";

/// Goes round a loop and accepts then; a thousand rounds take about a microsecond.
pub(crate) fn busy(rounds: u64) -> String {
    format!(
        "(local.set $left (i64.const {rounds}))
         (loop $again
           (local.set $left (i64.sub (local.get $left) (i64.const 1)))
           (br_if $again (i64.ne (local.get $left) (i64.const 0))))"
    )
}

/// A module that does `what` with large requests, then accepts them too.
pub(crate) fn guest(what: &str) -> String {
    FRAME.replace(";; WHAT", what)
}

/// Everything that a module may import from a waPC host.
const IMPORTS: &str = r#"  (import "wapc" "__guest_request" (func $request (param i32 i32)))
  (import "wapc" "__guest_response" (func $response (param i32 i32)))
  (import "wapc" "__guest_error" (func $error (param i32 i32)))
  (import "wapc" "__console_log" (func $log (param i32 i32)))
  (import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wapc" "__host_response_len" (func $host_response_len (result i32)))
  (import "wapc" "__host_response" (func $host_response (param i32)))
  (import "wapc" "__host_error_len" (func $host_error_len (result i32)))
  (import "wapc" "__host_error" (func $host_error (param i32)))
"#;

const FRAME: &str = r#"
(module
  ;; IMPORTS
  (memory (export "memory") 1)
  (table $table 1 funcref)
  (data (i32.const 0) "{\"valid\":true}")
  (data (i32.const 32) "{\"accepted\":true}")
  (data (i32.const 64) "no such operation")
  (data (i32.const 96) "this is no JSON")
  (data (i32.const 128) "{\"accepted\":\"yes\",\"message\":7}")
  (data (i32.const 192) "{\"accepted\":true,\"mutated_object\":")
  (func $deeper (param i32) (result i32)
    (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
  (func (export "__guest_call") (param $operation i32) (param $payload i32) (result i32)
    (local $left i64)
    (if (i32.eq (local.get $operation) (i32.const 17)) ;; validate_settings
      (then
        (call $response (i32.const 0) (i32.const 14))
        (return (i32.const 1))))
    (if (i32.ne (local.get $operation) (i32.const 8)) ;; validate
      (then
        (call $error (i32.const 64) (i32.const 17))
        (return (i32.const 0))))
    (if (i32.gt_u (local.get $payload) (i32.const 4096))
      (then
        ;; WHAT
        ))
    (call $response (i32.const 32) (i32.const 17))
    (i32.const 1)))
"#;

/// A `policies.yml` with the good policy and one for each guest, as id and text of the module, where `;; IMPORTS` stands
/// for the host's functions.
pub(crate) fn policies(folder: &Path, guests: &[(&str, String)]) -> PathBuf {
    let good = json!({"module": "embedded", "allowedToMutate": true, "settings": settings(VERSION)});
    let mut policies = Map::from_iter([("good".to_owned(), good)]);
    for (id, text) in guests {
        let text = text.replace(";; IMPORTS", IMPORTS);
        let module = folder.join(format!("{id}.wasm"));
        std::fs::write(&module, wat::parse_str(&text).unwrap_or_else(|error| panic!("{id}: {error}"))).unwrap();
        policies.insert((*id).to_owned(), json!({"module": format!("file://{}", module.display())}));
    }
    let path = folder.join("policies.yml");
    write_at_once(&path, &Value::Object(policies).to_string());
    path
}
