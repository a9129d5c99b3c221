//! A route: which requests to a service go where.

use super::super::lists::{each, not_empty};
use super::super::span::Span;
use super::retries::Retries;
use crate::read::{Node, Problems, clip};
use crate::schema::Schema;

/// Requests of one kind, and where they go. The first route that fits counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Which paths; `None` stands for all.
    pub path: Option<PathMatch>,
    /// Which methods; empty stands for all.
    pub methods: Vec<String>,
    /// Which headers; all must fit.
    pub headers: Vec<RequestHeader>,
    /// Where to, in which parts; empty stands for the service itself.
    pub to: Vec<Weight>,
    /// The whole time that a request may take.
    pub timeout: Option<Span>,
    /// In place of those of the service.
    pub retries: Option<Retries>,
}

/// Which paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatch {
    /// This one.
    Exact(String),
    /// All that begin so; a prefix ends between two parts of a path.
    Prefix(String),
}

/// A header that must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// Its name in lower case.
    pub name: String,
    /// How.
    pub value: HeaderMatch,
}

/// How a header must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderMatch {
    /// It is there.
    Present,
    /// It has this value.
    Exact(String),
    /// Its value begins so.
    Prefix(String),
}

/// A part of the requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// The service that it goes to, by its name in this policy.
    pub service: String,
    /// Its part of the sum of all weights.
    pub weight: u64,
}

/// The methods of HTTP (RFC 9110, RFC 5789) that a proxy routes.
const METHODS: [(&str, &str); 8] = [
    ("GET", "GET"),
    ("HEAD", "HEAD"),
    ("POST", "POST"),
    ("PUT", "PUT"),
    ("PATCH", "PATCH"),
    ("DELETE", "DELETE"),
    ("OPTIONS", "OPTIONS"),
    ("TRACE", "TRACE"),
];

/// A weight has as many digits as anybody can compare.
const WEIGHT_MAX: u64 = 1_000_000;
/// A name of a header (RFC 9110, token) in lower case.
const HEADER_NAME: &str = "^[a-z0-9!#$%&'*+.^_`|~-]+$";
const ABSOLUTE: &str = "^/";

impl Route {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let (mut path, mut methods, mut headers) = (None, Vec::new(), Vec::new());
        if let Some(mut matching) = fields.optional("match").and_then(|node| node.fields(problems)) {
            path = matching.optional("path").and_then(|node| PathMatch::read(&node, problems));
            methods = read_methods(matching.optional("methods"), problems);
            headers = each(matching.optional("headers"), problems, RequestHeader::read);
            matching.finish(problems);
        }
        let to = fields.optional("to");
        let to_pointer = to.as_ref().map(|to| to.pointer.clone());
        let to = each(not_empty(to, problems), problems, Weight::read);
        if let Some(pointer) = to_pointer
            && !to.is_empty()
            && to.iter().all(|part| part.weight == 0)
        {
            problems.add(pointer, "expected a weight above 0");
        }
        let timeout = fields.optional("timeout").and_then(|node| Span::read_some(&node, problems));
        let retries = fields.optional("retries").and_then(|node| Retries::read(&node, problems));
        fields.finish(problems);
        Some(Self { path, methods, headers, to, timeout, retries })
    }

    pub(super) fn schema() -> Schema {
        let matching = Schema::object([
            ("path", PathMatch::schema()),
            ("methods", methods_schema()),
            ("headers", Schema::list_of(RequestHeader::schema()).says("All must fit.")),
        ]);
        Schema::object([
            ("match", matching.says("Which requests; default all.")),
            ("to", Schema::some_of(Weight::schema()).says("Default the service itself.")),
            ("timeout", Span::schema().says("The whole time that a request may take.")),
            ("retries", Retries::schema().says("In place of those of the service.")),
        ])
    }
}

/// Methods of HTTP.
pub(in super::super) fn read_methods(list: Option<Node<'_>>, problems: &mut Problems) -> Vec<String> {
    each(not_empty(list, problems), problems, |node, problems| node.choice(&METHODS, problems).map(str::to_owned))
}

pub(in super::super) fn methods_schema() -> Schema {
    Schema::some_of(Schema::choice(&METHODS)).says("Default all.")
}

impl PathMatch {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let mut path = |name| fields.optional(name).map(|node| read_path(&node, problems).map(str::to_owned));
        let (exact, prefix) = (path("exact"), path("prefix"));
        fields.finish(problems);
        match (exact, prefix) {
            (Some(exact), None) => exact.map(Self::Exact),
            (None, Some(prefix)) => prefix.map(Self::Prefix),
            _ => {
                problems.add(&node.pointer, "expected either `exact` or `prefix`");
                None
            }
        }
    }

    fn schema() -> Schema {
        Schema::object([("exact", Schema::pattern(ABSOLUTE)), ("prefix", Schema::pattern(ABSOLUTE))])
            .one_of(&["exact", "prefix"])
    }
}

/// A path that begins at the root.
pub(in super::super) fn read_path<'v>(node: &Node<'v>, problems: &mut Problems) -> Option<&'v str> {
    let text = node.text(problems)?;
    if !text.starts_with('/') || text.contains(['?', '#']) || text.contains(char::is_whitespace) {
        problems.add(&node.pointer, format!("expected a path such as `/orders`, found `{}`", clip(text)));
        return None;
    }
    Some(text)
}

/// The name of a header in lower case, as HTTP/2 has it and proxies compare it.
pub(in super::super) fn read_header_name<'v>(node: &Node<'v>, problems: &mut Problems) -> Option<&'v str> {
    let text = node.text(problems)?;
    let is_token = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_token) {
        let lower = text.to_ascii_lowercase();
        let hint = (lower != text && lower.bytes().all(is_token)).then(|| format!("write it as `{lower}`"));
        let message = format!("expected the name of a header in lower case, found `{}`", clip(text));
        problems.add_with_hint(&node.pointer, message, hint);
        return None;
    }
    Some(text)
}

pub(in super::super) fn header_name_schema() -> Schema {
    Schema::pattern(HEADER_NAME)
}

impl RequestHeader {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems).and_then(|node| read_header_name(&node, problems));
        let mut text = |name| fields.optional(name).map(|node| node.filled_text(problems).map(str::to_owned));
        let (exact, prefix) = (text("exact"), text("prefix"));
        fields.finish(problems);
        let value = match (exact, prefix) {
            (None, None) => HeaderMatch::Present,
            (Some(exact), None) => HeaderMatch::Exact(exact?),
            (None, Some(prefix)) => HeaderMatch::Prefix(prefix?),
            (Some(_), Some(_)) => {
                problems.add(&node.pointer, "expected at most one of `exact` and `prefix`");
                return None;
            }
        };
        Some(Self { name: name?.to_owned(), value })
    }

    fn schema() -> Schema {
        Schema::object([("name", header_name_schema()), ("exact", Schema::filled()), ("prefix", Schema::filled())])
            .requires(&["name"])
            .says("Without `exact` and `prefix` it must only be there.")
    }
}

impl Weight {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let service = fields.required("service", problems).and_then(|node| node.filled_text(problems));
        let weight = fields.optional("weight").map_or(Some(1), |node| node.integer(0, WEIGHT_MAX, problems));
        fields.finish(problems);
        Some(Self { service: service?.to_owned(), weight: weight? })
    }

    fn schema() -> Schema {
        Schema::object([
            ("service", Schema::filled().says("A service of this policy.")),
            ("weight", Schema::integer(0, WEIGHT_MAX).says("Its part of the sum; default 1.")),
        ])
        .requires(&["service"])
    }
}
