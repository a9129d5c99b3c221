//! Requests that are sent once more, and how many of these there may be at most.

use super::super::lists::{each, unique};
use super::super::span::Span;
use crate::read::{Node, Problems};
use crate::schema::Schema;

/// When and how often a request is sent once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// How often, besides the first time.
    pub attempts: u64,
    /// After this time an attempt counts as failed.
    pub per_try_timeout: Option<Span>,
    /// Which failures are tried again.
    pub retry_on: Vec<RetryOn>,
    /// Retries are at most so many of a hundred requests under way.
    pub budget_percent: u64,
    /// So many retries are always allowed.
    pub min_concurrency: u64,
    /// The first wait; each further one is longer.
    pub back_off_base: Option<Span>,
    /// The longest wait.
    pub back_off_max: Option<Span>,
}

/// A failure that is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOn {
    /// No connection.
    ConnectFailure,
    /// The stream was refused before anything was done.
    RefusedStream,
    /// The connection broke before an answer.
    Reset,
    /// 502, 503 or 504.
    GatewayError,
    /// Any 5xx.
    ServerError,
    /// 409.
    Conflict,
}

const CAUSES: [(&str, RetryOn); 6] = [
    ("connect-failure", RetryOn::ConnectFailure),
    ("refused-stream", RetryOn::RefusedStream),
    ("reset", RetryOn::Reset),
    ("gateway-error", RetryOn::GatewayError),
    ("5xx", RetryOn::ServerError),
    ("retriable-4xx", RetryOn::Conflict),
];

/// More attempts than these only add load.
const ATTEMPTS_MAX: u64 = 10;
/// What Envoy takes where nothing is said.
const BUDGET_PERCENT: u64 = 20;
const MIN_CONCURRENCY: u64 = 3;
/// A floor above this is no budget any more.
const MIN_CONCURRENCY_MAX: u64 = 10_000;

impl Retries {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let attempts = fields.required("attempts", problems).and_then(|node| node.integer(1, ATTEMPTS_MAX, problems));
        let per_try_timeout = fields.optional("perTryTimeout").and_then(|node| Span::read_some(&node, problems));
        // Not `on`, which YAML 1.1 reads as true.
        let retry_on = fields.optional("retryOn");
        let is_said = retry_on.is_some();
        let retry_on = each(retry_on, problems, |node, problems| node.choice(&CAUSES, problems));
        let names =
            retry_on.iter().filter_map(|cause| CAUSES.iter().find(|(_, one)| one == cause)).map(|(name, _)| *name);
        unique(names, "cause", &format!("{}/retryOn", node.pointer), "", problems);
        let (mut percent, mut floor) = (None, None);
        if let Some(mut budget) = fields.optional("budget").and_then(|node| node.fields(problems)) {
            percent = budget.optional("percent").and_then(|node| node.integer(1, 100, problems));
            floor = budget.optional("minConcurrency").and_then(|node| node.integer(0, MIN_CONCURRENCY_MAX, problems));
            budget.finish(problems);
        }
        let (mut base, mut max) = (None, None);
        if let Some(mut back_off) = fields.optional("backOff").and_then(|node| node.fields(problems)) {
            base = back_off.optional("base").and_then(|node| Span::read_some(&node, problems));
            max = back_off.optional("max").and_then(|node| Span::read_some(&node, problems));
            if let (Some(base), Some(max)) = (&base, &max)
                && base > max
            {
                problems.add(back_off.pointer(), format!("`base` {base} is longer than `max` {max}"));
            }
            back_off.finish(problems);
        }
        fields.finish(problems);
        Some(Self {
            attempts: attempts?,
            per_try_timeout,
            // Those after which certainly nothing has been done, so that a request which is no read may be sent again.
            retry_on: if is_said { retry_on } else { vec![RetryOn::ConnectFailure, RetryOn::RefusedStream] },
            budget_percent: percent.unwrap_or(BUDGET_PERCENT),
            min_concurrency: floor.unwrap_or(MIN_CONCURRENCY),
            back_off_base: base,
            back_off_max: max,
        })
    }

    pub(super) fn schema() -> Schema {
        let budget = Schema::object([
            ("percent", Schema::integer(1, 100)),
            ("minConcurrency", Schema::integer(0, MIN_CONCURRENCY_MAX)),
        ]);
        Schema::object([
            ("attempts", Schema::integer(1, ATTEMPTS_MAX).says("Besides the first time.")),
            ("perTryTimeout", Span::schema()),
            ("retryOn", Schema::list_of(Schema::choice(&CAUSES)).says("Default connect-failure and refused-stream.")),
            ("budget", budget.says("Retries as percent of the requests under way; default 20, and 3 always.")),
            ("backOff", Schema::object([("base", Span::schema()), ("max", Span::schema())])),
        ])
        .requires(&["attempts"])
    }
}
