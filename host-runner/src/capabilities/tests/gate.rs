//! What the gate lets through when there is no cluster.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::super::{Grants, PolicyCapabilities, Refusal};
use super::host_call;

fn policy(capabilities: &[&str], resources: &[(&str, &str)]) -> Arc<PolicyCapabilities> {
    let grants = Grants::parse(capabilities.iter().copied(), resources.iter().copied()).expect("valid grants");
    Arc::new(PolicyCapabilities::new("gate-test", grants, None))
}

fn refusal(policy: &Arc<PolicyCapabilities>, namespace: &str, operation: &str, payload: &str) -> String {
    let call = host_call(namespace, operation, payload.as_bytes(), Instant::now());
    policy.one_call().answer(call).expect_err("a refusal").to_string()
}

#[test]
fn nothing_is_granted_by_default() {
    let policy = Arc::new(PolicyCapabilities::new("p", Grants::none(), None));
    for (namespace, operation) in [("kubernetes", "get_resource"), ("oci", "v1/verify"), ("kubernetes", "can_i")] {
        assert_eq!(
            refusal(&policy, namespace, operation, "{}"),
            format!(
                "the host capability `{namespace}/{operation}` is not granted: `hostCapabilities` of the policy does \
                 not name it"
            )
        );
    }
}

#[test]
fn what_is_granted_passes_and_the_rest_says_why_not() {
    let all = policy(&["*"], &[("v1", "Pod")]);
    let pod = r#"{"api_version":"v1","kind":"Pod","name":"a","namespace":"b","disable_cache":false}"#;
    let cases = [
        ("kubernetes", "get_resource", pod, "there is no cluster to read from"),
        (
            "kubernetes",
            "get_resource",
            r#"{"api_version":"v1","kind":"Secret","name":"a"}"#,
            "`Secret` of `v1` is not granted: `contextAwareResources` of the policy does not name it",
        ),
        ("kubernetes", "can_i", "{}", "the host capability `kubernetes/can_i` is not supported by fedcar"),
        ("oci", "v1/verify", "{}", "the host capability `oci/v1/verify` is not supported by fedcar"),
        ("net", "v1/dns_lookup_host", "", "the host capability `net/v1/dns_lookup_host` is not supported by fedcar"),
        ("cache", "set", "{}", "unknown host capability `cache/set`"),
        ("tracing", "flush", "{}", "unknown host capability `tracing/flush`"),
        ("kubernetes", "namespaces", "", "unknown host capability `kubernetes/namespaces`"),
    ];
    for (namespace, operation, payload, expected) in cases {
        assert_eq!(refusal(&all, namespace, operation, payload), expected);
    }
    let gets = policy(&["kubernetes/get_resource"], &[("v1", "Pod")]);
    assert!(refusal(&gets, "kubernetes", "get_resource", pod).starts_with("there is no cluster"));
    assert!(refusal(&gets, "kubernetes", "list_resources_all", pod).contains("is not granted"));
}

#[test]
fn another_binding_is_no_way_in() {
    let mut call = host_call("kubernetes", "get_resource", b"", Instant::now());
    call.binding = "wapc";
    let refusal = policy(&["*"], &[]).one_call().answer(call).expect_err("a refusal");
    assert_eq!(refusal, Refusal::Binding("wapc".to_owned()));
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn log_lines_are_passed_on_and_bounded() {
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .without_time()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let policy = policy(&[], &[]);
    tracing::subscriber::with_default(subscriber, || {
        let call = policy.one_call();
        let log = |payload: &str| {
            assert_eq!(call.answer(host_call("tracing", "log", payload.as_bytes(), Instant::now())), Ok(Vec::new()));
        };
        log(r#"{"level":"WARNING","message":"careful","request":"hidden","line":1}"#);
        log(r#"{"level":"trace"}"#);
        log(r#"{"message":"no level"}"#);
        log("\u{0}");
        for number in 4..1000 {
            log(&format!(r#"{{"level":"info","message":"line {number}"}}"#));
        }
    });
    let text = String::from_utf8(sink.0.lock().expect("the log").clone()).expect("text");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert_eq!(lines[0], r#"WARN fedcar::policy: careful policy="gate-test""#);
    assert!(lines[1].starts_with("TRACE fedcar::policy:"), "{}", lines[1]);
    assert!(lines[2].contains("without a level") && lines[3].contains("without a level"));
    assert!(lines[63].contains("line 63"), "{}", lines[63]);
    assert!(lines[64].contains("more than 64 log lines"), "{}", lines[64]);
    assert_eq!(lines.len(), 65);
    assert!(!text.contains("hidden") && !text.contains("no level"));
}
