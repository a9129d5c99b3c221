//! The spans of one request: `admission`, and below it one for each phase.
//!
//! They are made on the thread that sends them; a request only copies what they are made of.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SpanData, SpanEvents, SpanLinks};
use sha2::{Digest, Sha256};

use super::labels::{Operation, Outcome, Phase};

/// The name of the span of a whole request.
pub(super) const NAME: &str = "admission";

/// The attributes of that span, in the order of [`Record::attributes`].
pub(super) const ATTRIBUTES: [&str; 5] =
    ["fedcar.request.uid", "fedcar.request.operation", "fedcar.request.kind", "fedcar.policy", "fedcar.outcome"];

/// The most bytes of a text that a request brings. A uid has 36, and a kind may have 63 by the rules for its resource.
const MAX_TEXT_BYTES: usize = 128;

/// What a trace tells about one request.
#[derive(Debug, Clone, Copy)]
pub struct RequestSpan<'a> {
    /// The uid of the admission request. Where it is a UUID, it is the id of the trace.
    pub uid: &'a str,
    /// The id of the policy, from the configuration.
    pub policy: &'a str,
    /// What the API server is about to do.
    pub operation: Operation,
    /// The kind of the object, as the request names it. Cut to 128 bytes, as the uid is.
    pub kind: &'a str,
    /// What the policy decided.
    pub outcome: Outcome,
    /// When the first byte of the request came.
    pub begin: SystemTime,
    /// How long it took until the last byte of the answer.
    pub took: Duration,
    /// The phases in the order in which they happened. Each is shown to begin where the one before ended.
    pub phases: &'a [(Phase, Duration)],
}

/// A [`RequestSpan`] on its way to the collector.
#[derive(Debug)]
pub(super) struct Record {
    trace: TraceId,
    uid: Box<str>,
    policy: Box<str>,
    operation: Operation,
    kind: Box<str>,
    outcome: Outcome,
    begin: SystemTime,
    took: Duration,
    phases: Box<[(Phase, Duration)]>,
}

impl Record {
    pub(super) fn new(span: &RequestSpan<'_>, digest: UidDigest) -> Self {
        Self {
            trace: uuid(span.uid).unwrap_or_else(|| digest.trace()),
            uid: cut(span.uid).into(),
            policy: span.policy.into(),
            operation: span.operation,
            kind: cut(span.kind).into(),
            outcome: span.outcome,
            begin: span.begin,
            took: span.took,
            phases: span.phases.into(),
        }
    }

    pub(super) fn spans(&self, scope: &InstrumentationScope) -> Vec<SpanData> {
        let ids = RandomIdGenerator::default();
        let whole = ids.new_span_id();
        let span = |id, parent, name: &'static str, begin: SystemTime, took| SpanData {
            span_context: SpanContext::new(self.trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: parent,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: name.into(),
            start_time: begin,
            end_time: begin.checked_add(took).unwrap_or(begin),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: scope.clone(),
        };
        let mut spans = Vec::with_capacity(self.phases.len() + 1);
        spans.push(SpanData {
            span_kind: SpanKind::Server,
            attributes: self.attributes(),
            status: if self.outcome.is_fault() { Status::error(self.outcome.as_str()) } else { Status::Unset },
            ..span(whole, SpanId::INVALID, NAME, self.begin, self.took)
        });
        let mut begin = self.begin;
        for (phase, took) in &self.phases {
            let phase = span(ids.new_span_id(), whole, phase.as_str(), begin, *took);
            begin = phase.end_time;
            spans.push(phase);
        }
        spans
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let values = [&*self.uid, self.operation.as_str(), &*self.kind, &*self.policy, self.outcome.as_str()]
            .map(ToOwned::to_owned);
        ATTRIBUTES.into_iter().zip(values).map(|(name, value)| KeyValue::new(name, value)).collect()
    }
}

/// The SHA-256 of a uid (of its first 128 bytes), from which everything is taken that must be the same for the same uid
/// and evenly spread.
///
/// A UUID itself is not evenly spread: the highest two bits of its second half are always `10`, so that comparing that
/// half with a ratio, as samplers by trace id do, takes all requests or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct UidDigest([u8; 16]);

impl UidDigest {
    pub(super) fn of(uid: &str) -> Self {
        let mut half = [0; 16];
        half.iter_mut().zip(Sha256::digest(cut(uid))).for_each(|(to, from)| *to = from);
        Self(half)
    }

    /// Whether the uid belongs to this part of all uids (0 to 1).
    pub(super) fn is_within(self, ratio: f64) -> bool {
        let [a, b, c, d, ..] = self.0;
        f64::from(u32::from_be_bytes([a, b, c, d])) < ratio * (f64::from(u32::MAX) + 1.0)
    }

    fn trace(self) -> TraceId {
        TraceId::from_bytes(self.0)
    }
}

/// The trace that has a UUID as its id. All zeros is a UUID but no trace
/// (<https://www.w3.org/TR/trace-context/#trace-id>).
fn uuid(uid: &str) -> Option<TraceId> {
    let groups = uid.split('-');
    if !groups.clone().map(str::len).eq([8, 4, 4, 4, 12]) {
        return None;
    }
    let digits: String = groups.collect();
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    TraceId::from_hex(&digits).ok().filter(|trace| *trace != TraceId::INVALID)
}

fn cut(text: &str) -> &str {
    text.split_at(text.floor_char_boundary(MAX_TEXT_BYTES)).0
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: [(Phase, Duration); 2] =
        [(Phase::Read, Duration::from_micros(100)), (Phase::Guest, Duration::from_micros(150))];

    #[test]
    fn a_uuid_is_the_trace_and_anything_else_is_hashed() {
        for (uid, trace) in [
            ("705ab4f5-6393-11e8-b7cc-42010a800002", "705ab4f5639311e8b7cc42010a800002"),
            ("705AB4F5-6393-11E8-B7CC-42010A800002", "705ab4f5639311e8b7cc42010a800002"),
            // The first half of SHA-256: `printf x | sha256sum`.
            ("", "e3b0c44298fc1c149afbf4c8996fb924"),
            ("x", "2d711642b726b04401627ca9fbac32f5"),
        ] {
            assert_eq!(trace_of(uid), trace, "{uid}");
        }
        for uid in [
            "00000000-0000-0000-0000-000000000000",
            "705ab4f5639311e8b7cc42010a800002",
            "+05ab4f5-6393-11e8-b7cc-42010a800002",
            "705ab4f5-6393-11e8-b7cc-42010a80000g",
            "705ab4f56393-11e8-b7cc-42010a800002-",
            "é5ab4f5-6393-11e8-b7cc-42010a800002",
        ] {
            assert_eq!(trace_of(uid), TraceId::from_bytes(UidDigest::of(uid).0).to_string(), "{uid}");
        }
    }

    fn trace_of(uid: &str) -> String {
        let span = RequestSpan { uid, ..example() };
        Record::new(&span, UidDigest::of(uid)).trace.to_string()
    }

    fn example() -> RequestSpan<'static> {
        RequestSpan {
            uid: "u",
            policy: "inject",
            operation: Operation::Create,
            kind: "Pod",
            outcome: Outcome::Mutated,
            begin: SystemTime::UNIX_EPOCH,
            took: Duration::from_micros(300),
            phases: &PHASES,
        }
    }

    #[test]
    fn phases_follow_each_other_below_the_request() {
        let spans = spans(&example());
        let times: Vec<(&str, u128, u128)> = spans
            .iter()
            .map(|span| {
                let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
                (&*span.name, since(span.start_time), since(span.end_time))
            })
            .collect();
        assert_eq!(times, [("admission", 0, 300), ("read", 0, 100), ("guest", 100, 250)]);
        assert_eq!(spans[0].parent_span_id, SpanId::INVALID);
        assert!(spans[1..].iter().all(|span| span.parent_span_id == spans[0].span_context.span_id()));
        assert!(spans.iter().all(|span| span.span_context.is_valid()));
        assert_eq!(
            spans
                .iter()
                .map(|span| span.span_context.span_id().to_string())
                .collect::<std::collections::BTreeSet<_>>()
                .len(),
            3
        );
    }

    fn spans(span: &RequestSpan<'_>) -> Vec<SpanData> {
        Record::new(span, UidDigest::of(span.uid)).spans(&InstrumentationScope::default())
    }

    #[test]
    fn what_a_request_brings_is_cut() {
        let long = "é".repeat(1_000);
        let spans = spans(&RequestSpan { uid: &long, kind: &long, took: Duration::MAX, ..example() });
        for attribute in &spans[0].attributes {
            assert!(attribute.value.as_str().len() <= MAX_TEXT_BYTES, "{attribute:?}");
        }
        assert_eq!(spans[0].end_time, spans[0].start_time);
    }

    #[test]
    fn only_faults_are_errors() {
        for outcome in Outcome::ALL {
            let status = &spans(&RequestSpan { outcome: *outcome, ..example() })[0].status;
            assert_eq!(*status != Status::Unset, outcome.is_fault(), "{outcome:?}");
        }
    }

    #[test]
    fn uuids_are_sampled_evenly() {
        let uid = |number: u32| format!("705ab4f5-6393-4{:03x}-b7cc-{number:012x}", number % 4096);
        for (ratio, expected) in
            [(0.0, 0..=0), (0.01, 50..=150), (0.25, 2_300..=2_700), (0.5, 4_800..=5_200), (1.0, 10_000..=10_000)]
        {
            let taken = (0..10_000).filter(|number| UidDigest::of(&uid(*number)).is_within(ratio)).count();
            assert!(expected.contains(&taken), "{ratio}: {taken}");
        }
    }
}
