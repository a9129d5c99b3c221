//! The engine against guests that mean harm (`tests/hostile`), and against the policy module that it embeds.
//!
//! Every case ends with a typed outcome and a host that still serves: each test uses its engine again afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: they end a test by panicking"
)]

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fedcar::engine::{
    Cache, Call, Engine, HostCall, HostCalls, Interruption, Limits, LoadError, MODULE, Outcome, PrepareError, Trap,
    TrapSummary,
};

/// The least that settings may say.
const SETTINGS: &[u8] = br#"{"schemaVersion":1,"cluster":{"name":"eu-1"}}"#;

fn limits() -> Limits {
    Limits {
        deadline: Duration::from_millis(300),
        prepare_deadline: Duration::from_secs(2),
        concurrent_calls: 2,
        ..Limits::default()
    }
}

fn engine() -> Engine {
    Engine::new(limits(), Cache::none()).expect("an engine")
}

fn guest(name: &str) -> Vec<u8> {
    wat::parse_file(format!("{}/guests/{name}.wat", env!("CARGO_MANIFEST_DIR"))).expect("a module")
}

fn hostile(name: &str) -> Vec<u8> {
    wat::parse_file(format!("{}/hostile/{name}.wat", env!("CARGO_MANIFEST_DIR"))).expect("a module")
}

fn call(name: &str, operation: &str) -> Outcome {
    let policy = engine().load(&hostile(name)).expect("a module that links");
    let outcome = policy.call(operation, b"payload");
    assert_eq!(policy.call(operation, b"payload"), outcome, "{name}: the second call ends as the first");
    outcome
}

#[test]
fn limits_end_a_call_with_their_own_name() {
    let cases = [
        ("endless_loop", Interruption::Deadline),
        ("endless_start", Interruption::Deadline),
        ("memory_hog", Interruption::Memory),
        ("table_hog", Interruption::Memory),
        ("large_response", Interruption::Output),
        ("endless_output", Interruption::Output),
        ("host_call_flood", Interruption::HostCalls),
    ];
    for (name, expected) in cases {
        assert_eq!(call(name, "validate"), Outcome::Interrupted(expected), "{name}");
    }
}

#[test]
fn a_deadline_is_kept() {
    let policy = engine().load(&hostile("endless_loop")).expect("a module that links");
    let begin = Instant::now();
    assert_eq!(policy.call("validate", b""), Outcome::Interrupted(Interruption::Deadline));
    assert!(begin.elapsed() >= limits().deadline, "stopped early, after {:?}", begin.elapsed());
}

#[test]
fn a_call_can_have_less_time_than_the_engine_gives() {
    let engine =
        Engine::new(Limits { deadline: Duration::from_mins(1), ..limits() }, Cache::none()).expect("an engine");
    let policy = engine.load(&hostile("endless_loop")).expect("a module that links");
    let begin = Instant::now();
    let until = begin + Duration::from_millis(50);
    let called = policy.run(Call { until: Some(until), ..Call::new("validate", Vec::new()) });
    assert_eq!(called.outcome, Outcome::Interrupted(Interruption::Deadline));
    assert!(Instant::now() >= until, "stopped early");
    assert!(begin.elapsed() < Duration::from_secs(30), "stopped late");
    let long = Call { until: Some(begin + Duration::from_mins(10)), ..Call::new("protocol_version", Vec::new()) };
    assert_eq!(engine.load(MODULE).expect("our own module").run(long).outcome, Outcome::Answer(br#""v1""#.to_vec()));
}

#[test]
fn what_is_held_while_a_call_is_quick_is_let_go_when_it_is_slow() {
    /// Tells when it was dropped.
    struct Told(Sender<Instant>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(Instant::now()).expect("a receiver");
        }
    }
    let engine =
        Engine::new(Limits { deadline: Duration::from_secs(2), ..limits() }, Cache::none()).expect("an engine");
    let (sender, receiver) = channel();
    let call = |name: &str, operation: &str| {
        let policy = engine.load(&hostile(name)).expect("a module that links");
        let while_quick = Some(Box::new(Told(sender.clone())) as _);
        let called = policy.run(Call { while_quick, ..Call::new(operation, Vec::new()) });
        (called, Instant::now(), receiver.recv().expect("it was dropped"))
    };
    let (called, end, dropped) = call("endless_loop", "validate");
    assert_eq!(called.outcome, Outcome::Interrupted(Interruption::Deadline));
    assert!(end - dropped > Duration::from_secs(1), "it was held until {:?} before the end", end - dropped);
    let (called, end, dropped) = call("silent", "1");
    assert!(dropped <= end && matches!(called.outcome, Outcome::Broken(_)), "a quick call gives it back at its end");
}

#[test]
fn a_payload_in_parts_is_one_to_the_module() {
    let policy = engine().load(MODULE).expect("our own module");
    let parts = [&br#"{"schema"#[..], b"", br#"Version":1,"cluster":{"na"#, br#"me":"eu-1"}}"#];
    let payload = parts.into_iter().map(Bytes::from_static).collect();
    let called = policy.run(Call::new("validate_settings", payload));
    assert_eq!(called.outcome, policy.call("validate_settings", SETTINGS));
}

#[test]
fn waiting_for_an_instance_counts_as_time() {
    let engine = Engine::new(Limits { concurrent_calls: 1, ..limits() }, Cache::none()).expect("an engine");
    let policy = engine.load(&hostile("endless_loop")).expect("a module that links");
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(policy.call("validate", b""), Outcome::Interrupted(Interruption::Deadline)));
        }
    });
    assert!(begin.elapsed() < limits().deadline * 4, "the four calls ran one after the other");
}

#[test]
fn too_much_input_is_refused_before_the_module_runs() {
    let policy = engine().load(&hostile("unreachable")).expect("a module that links");
    let payload = vec![b' '; limits().input_bytes];
    assert_eq!(policy.call("validate", &payload), Outcome::Interrupted(Interruption::Input));
}

#[test]
fn a_module_that_survives_a_refused_growth_may_answer() {
    assert_eq!(call("memory_beggar", "validate"), Outcome::Answer(b"modest".to_vec()));
}

#[test]
fn broken_modules_are_told_apart() {
    assert_eq!(call("unreachable", "validate"), Outcome::Broken(TrapSummary::Trap(Trap::UnreachableCodeReached)));
    assert_eq!(call("deep_recursion", "validate"), Outcome::Broken(TrapSummary::Trap(Trap::StackOverflow)));
    assert_eq!(call("silent", "1"), Outcome::Broken(TrapSummary::NoReply { code: 1 }));
    assert_eq!(call("silent", "error"), Outcome::Broken(TrapSummary::NoReply { code: 0 }));
}

#[test]
fn no_pointer_is_trusted() {
    const MEMORY: usize = 65_536;
    let cases = [
        ("1", 65_535, 7),
        ("22", u32::MAX, 2),
        ("333", u32::MAX, u32::MAX as usize),
        ("4444", 65_536, 1),
        ("55555", 0, 65_537),
        ("666666", 65_000, 1_000),
        ("7777777", 65_535, "no host capability is granted".len()),
    ];
    for (operation, pointer, length) in cases {
        let expected = TrapSummary::OutOfBounds { pointer, length, memory: MEMORY };
        assert_eq!(call("bad_pointers", operation), Outcome::Broken(expected), "way {}", operation.len());
    }
}

#[test]
fn no_capability_is_granted() {
    let Outcome::Refused(error) = call("refused_capability", "validate") else { panic!("expected a refusal") };
    assert_eq!(error.text, "no host capability is granted");
}

/// Answers with what it was asked, or refuses.
struct Gate {
    refuses: bool,
    takes: Duration,
}

impl HostCalls for Gate {
    fn call(&self, call: HostCall<'_>) -> Result<Vec<u8>, String> {
        std::thread::sleep(self.takes);
        let HostCall { binding, namespace, operation, payload, .. } = call;
        let payload = String::from_utf8_lossy(payload);
        if self.refuses {
            Err(format!("not {payload}"))
        } else {
            Ok(format!("{binding}.{namespace}.{operation}({payload})").into())
        }
    }
}

#[test]
fn a_host_call_goes_through_the_gate_of_its_call() {
    let policy = engine().load(&guest("host_call")).expect("a module that links");
    let call = |gate: Option<Gate>| {
        let host_calls = gate.map(|gate| Box::new(gate) as Box<dyn HostCalls>);
        policy.run(Call { host_calls, ..Call::new("validate", vec![Bytes::from_static(b"payload")]) }).outcome
    };
    let refused = |outcome| match outcome {
        Outcome::Refused(error) => error.text,
        other => panic!("expected a refusal, found {other:?}"),
    };
    let takes = Duration::ZERO;
    assert_eq!(
        call(Some(Gate { refuses: false, takes })),
        Outcome::Answer(b"kubewarden.kubernetes.get_resource(payload)".to_vec())
    );
    assert_eq!(refused(call(Some(Gate { refuses: true, takes }))), "not payload");
    assert_eq!(refused(call(None)), "no host capability is granted");
    // The module does not run while the host works, so nothing else could notice that the time is up.
    let slow = Gate { refuses: false, takes: limits().deadline };
    assert_eq!(call(Some(slow)), Outcome::Interrupted(Interruption::Deadline));
}

#[test]
fn wasi_has_no_effect() {
    let policy = engine().load_with_wasi(&guest("wasi")).expect("a module that links");
    let Outcome::Answer(found) = policy.call("validate", b"") else { panic!("expected an answer") };
    assert_eq!(found[..16], [0; 16], "clock, randomness and environment");
    assert_eq!(found[16..20], 8_u32.to_le_bytes(), "all that was printed");
    assert_eq!(found[20..], 8_u32.to_le_bytes(), "there are no files");
    assert!(matches!(policy.call("4444", b""), Outcome::Broken(TrapSummary::Runtime(_))), "leaving with an error");
    for outside in ["55555", "666666"] {
        let outcome = policy.call(outside, b"");
        assert!(matches!(outcome, Outcome::Broken(TrapSummary::OutOfBounds { .. })), "{outside}: {outcome:?}");
    }
}

#[test]
fn a_module_that_is_no_policy_is_not_loaded() {
    let engine = engine();
    let refused = |name: &str| engine.load(&hostile(name)).err().expect(name);
    let missing = |name: &str| match refused(name) {
        LoadError::Export { name, .. } => name,
        other => panic!("{name}: expected a missing export, found {other:?}"),
    };
    assert_eq!(missing("no_memory"), "memory");
    assert_eq!(missing("wide_memory"), "memory");
    assert_eq!(missing("no_guest_call"), "__guest_call");
    assert_eq!(missing("odd_guest_call"), "__guest_call");
    assert!(matches!(refused("odd_import"), LoadError::Link(_)));
    assert!(matches!(refused("huge_memory"), LoadError::Compile(_)));
    assert_eq!(
        refused("foreign_import").to_string(),
        "the module imports `wasi_snapshot_preview1.path_open`, expected only waPC calls (`wapc.*`)",
    );
    assert!(matches!(engine.load(b"not a module"), Err(LoadError::Compile(_))));
}

#[test]
fn nothing_of_one_call_is_visible_to_the_next() {
    let engine = Engine::new(Limits { concurrent_calls: 1, ..limits() }, Cache::none()).expect("an engine");
    let canary = engine.load(&hostile("canary")).expect("a module that links");
    let other = engine.load(&hostile("memory_beggar")).expect("a module that links");
    let Outcome::Answer(first) = canary.call("validate", b"") else { panic!("expected an answer") };
    let text = 1_048_576..1_048_591;
    assert_eq!(&first[text.clone()], b"from the module");
    assert!(first[..text.start].iter().chain(&first[text.end..4_194_304]).all(|&byte| byte == 0));
    assert_eq!(first[4_194_304..], [0, 0, 0, 0, 2, 0, 0, 0], "global and table are as the module declares them");
    for _ in 0..50 {
        // The only slot of the pool goes back and forth between two modules and between calls of one.
        assert!(canary.call("validate", b"") == Outcome::Answer(first.clone()), "an earlier call shows");
        assert_eq!(other.call("validate", b""), Outcome::Answer(b"modest".to_vec()));
    }
}

#[test]
fn the_embedded_module_speaks_kubewardens_protocol() {
    let policy = engine().load(MODULE).expect("our own module");
    assert_eq!(policy.call("protocol_version", b""), Outcome::Answer(br#""v1""#.to_vec()));
    let Outcome::Refused(error) = policy.call("no_such_operation", b"") else { panic!("expected a refusal") };
    assert_eq!(error.text, "No handler registered for function no_such_operation");
    let Outcome::Refused(_) = policy.call("fedcar.admit", b"{}") else { panic!("expected a refusal") };
}

#[test]
fn hostile_bytes_never_break_the_embedded_module() {
    let policy = engine().load(MODULE).expect("our own module");
    let deep = "[".repeat(100_000);
    for operation in ["validate_settings", "validate", "fedcar.prepare", "fedcar.restore"] {
        for payload in
            [&b""[..], b"null", b"{", b"\xff\xfe", b"[[[]]]", br#"{"request":7,"settings":[]}"#, deep.as_bytes()]
        {
            let outcome = policy.call(operation, payload);
            assert!(matches!(outcome, Outcome::Answer(_)), "{operation}: {outcome:?}");
        }
    }
}

#[test]
fn prepared_settings_are_there_without_a_start_function() {
    let policy = engine().prepare(MODULE, SETTINGS).expect("valid settings");
    for _ in 0..3 {
        assert!(matches!(policy.call("fedcar.admit", b"{}"), Outcome::Answer(_)));
    }
    assert_eq!(policy.call("protocol_version", b""), Outcome::Answer(br#""v1""#.to_vec()));
}

#[test]
fn problems_of_settings_are_data() {
    let Err(PrepareError::Settings { reply }) = engine().prepare(MODULE, b"[") else { panic!("expected problems") };
    let reply: serde_json::Value = serde_json::from_slice(&reply).expect("a reply in JSON");
    assert_eq!(reply["valid"], false);
    assert!(reply["problems"].as_array().is_some_and(|problems| !problems.is_empty()), "{reply}");
}

#[test]
fn what_goes_wrong_in_preparing_is_typed() {
    let engine = engine();
    let prepare = |name: &str| engine.prepare(&hostile(name), SETTINGS).err().expect(name);
    assert!(matches!(prepare("endless_loop"), PrepareError::Interrupted(Interruption::Deadline)));
    assert!(matches!(prepare("unreachable"), PrepareError::Broken(_)));
    assert!(matches!(prepare("refused_capability"), PrepareError::Refused(_)));
    assert!(matches!(prepare("memory_beggar"), PrepareError::Reply(_)));
    assert!(matches!(prepare("table_hog"), PrepareError::Freeze(_)));
    assert!(matches!(prepare("no_guest_call"), PrepareError::Load(_)));
}

#[test]
fn calls_run_on_many_threads() {
    let policy = engine().prepare(MODULE, SETTINGS).expect("valid settings");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert_eq!(policy.call("protocol_version", b""), Outcome::Answer(br#""v1""#.to_vec()));
                }
            });
        }
    });
}

/// The module's stack is small (`host-runner/build/module.rs`), because it is cleared after each request.
#[test]
fn the_deepest_input_fits_the_stack() {
    const JSON_LEVELS: usize = 120;
    const EXPRESSION_LEVELS: usize = 60;
    let expression = format!("${{{}1{}}}", "[".repeat(EXPRESSION_LEVELS), "]".repeat(EXPRESSION_LEVELS));
    let text = format!("${{toJson(pod){}}}", " + string(size([pod]))".repeat(EXPRESSION_LEVELS));
    let settings = serde_json::json!({
        "schemaVersion": 1, "cluster": {"name": "c"},
        "sidecars": [{"name": "deep", "mode": "required", "inject": {
            "annotations": {"text": text},
            "pod": {"nested": expression},
            "applications": [{"env": [{"name": "TEXT", "value": text}]}],
        }}],
    });
    let policy = engine().prepare(MODULE, settings.to_string().as_bytes()).expect("valid settings");
    let nested = format!("{}1{}", "[".repeat(JSON_LEVELS), "]".repeat(JSON_LEVELS));
    let payload = format!(
        r#"{{"request": {{"operation": "CREATE", "kind": {{"group": "", "kind": "Pod"}}, "object":
            {{"spec": {{"containers": [{{"name": "a"}}], "future": {nested}}}}}}}}}"#
    );
    let Outcome::Answer(reply) = policy.call("fedcar.admit", payload.as_bytes()) else { panic!("no answer") };
    let reply: serde_json::Value = serde_json::from_slice(&reply).expect("JSON");
    assert_eq!(reply["code"], "injected", "{reply}");
}
