//! The waPC face of the decision: moves bytes between a host and `fedcar_policy::protocol`.
//!
//! Invariant: nothing here looks at a pod, and nothing here can trap. Under Kubewarden each request has an instance of
//! its own and brings its settings; fedcar's engine calls `fedcar.prepare` once and copies the memory for each request.

#[cfg(target_arch = "wasm32")]
mod heap;

use std::cell::RefCell;

use fedcar_policy::protocol::{self, Namespaces, Operation, Prepared};
use kubewarden_policy_sdk::wapc_guest::{CallResult, host_call, register_function};
use serde_json::{Value, json};

thread_local! {
    /// What `fedcar.prepare` left for `fedcar.admit`.
    static PREPARED: RefCell<Option<Prepared>> = const { RefCell::new(None) };
}

/// Registers every operation. Hosts call it once, before anything else.
#[expect(unsafe_code, reason = "hosts look for the export by this name")]
#[unsafe(no_mangle)]
pub extern "C" fn wapc_init() {
    for operation in Operation::ALL {
        register_function(operation.name(), handler(operation));
    }
}

/// What serves an operation.
fn handler(operation: Operation) -> fn(&[u8]) -> CallResult {
    match operation {
        Operation::ProtocolVersion => |_| Ok(protocol::protocol_version()),
        Operation::ValidateSettings => |settings| Ok(protocol::validate_settings(settings)),
        Operation::Validate => |payload| Ok(protocol::validate(payload, &HostNamespaces)),
        Operation::Prepare => |settings| Ok(prepare(settings)),
        Operation::Admit => admit,
        Operation::Restore => |payload| Ok(protocol::restore(payload)),
    }
}

fn prepare(settings: &[u8]) -> Vec<u8> {
    let (reply, prepared) = protocol::prepare(settings);
    #[cfg(target_arch = "wasm32")]
    if prepared.is_some() {
        heap::hand_out();
    }
    PREPARED.set(prepared);
    reply
}

/// A host that admits before it has prepared valid settings is wrong about its own state, which no reply can mend.
fn admit(payload: &[u8]) -> CallResult {
    PREPARED.with_borrow(|prepared| match prepared {
        Some(prepared) => Ok(protocol::admit(prepared, payload)),
        None => Err("`fedcar.admit` needs settings: expected a `fedcar.prepare` with valid ones before it".into()),
    })
}

/// Namespaces as Kubewarden's host gives them, if the policy was granted that capability.
struct HostNamespaces;

impl Namespaces for HostNamespaces {
    fn get(&self, name: &str) -> Option<Value> {
        let question = json!({ "api_version": "v1", "kind": "Namespace", "name": name, "disable_cache": false });
        let reply = host_call("kubewarden", "kubernetes", "get_resource", question.to_string().as_bytes()).ok()?;
        serde_json::from_slice(&reply).ok()
    }
}
