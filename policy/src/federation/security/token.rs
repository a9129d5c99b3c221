//! Tokens (JWT) that callers bring: who issues them, for whom, and with which keys they are checked.

use super::super::lists::some_texts;
use super::super::rollout::read_url;
use super::super::span::Span;
use super::super::traffic::{header_name_schema, read_header_name};
use super::mtls::read_absolute;
use crate::read::{Node, Problems};
use crate::schema::Schema;

/// A kind of token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its name in this policy.
    pub name: String,
    /// Who issues it: the claim `iss`, letter by letter.
    pub issuer: String,
    /// For whom it may be issued: the claim `aud` must hold one of these.
    pub audiences: Vec<String>,
    /// With what it is checked.
    pub keys: Keys,
    /// The header that it stands in, behind `Bearer `.
    pub header: String,
    /// Whether the application sees it too.
    pub forward: bool,
    /// How far clocks may be apart.
    pub clock_skew: Option<Span>,
}

/// The keys that tokens are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// Fetched from the issuer.
    Url {
        /// From where.
        url: String,
        /// For how long they are kept.
        cache: Option<Span>,
    },
    /// A file in the pod.
    File(String),
}

impl Token {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems).and_then(|node| node.filled_text(problems));
        let issuer = fields.required("issuer", problems).and_then(|node| node.filled_text(problems));
        let audiences = some_texts(fields.required("audiences", problems), problems);
        let keys = fields.required("jwks", problems).and_then(|node| Keys::read(&node, problems));
        let header = fields.optional("header").map_or(Some("authorization"), |node| read_header_name(&node, problems));
        let forward = fields.optional("forward").and_then(|node| node.flag(problems)).unwrap_or_default();
        let clock_skew = fields.optional("clockSkew").and_then(|node| Span::read(&node, problems));
        fields.finish(problems);
        let (name, issuer, header) = (name?.to_owned(), issuer?.to_owned(), header?.to_owned());
        Some(Self { name, issuer, audiences, keys: keys?, header, forward, clock_skew })
    }

    pub(super) fn schema() -> Schema {
        Schema::object([
            ("name", Schema::filled()),
            ("issuer", Schema::filled().says("The claim `iss`, letter by letter.")),
            ("audiences", Schema::some_of(Schema::filled()).says("The claim `aud` must hold one of these.")),
            ("jwks", Keys::schema().says("With what it is checked.")),
            ("header", header_name_schema().says("Default authorization, behind `Bearer `.")),
            ("forward", Schema::flag().says("Whether the application sees it too; default false.")),
            ("clockSkew", Span::schema()),
        ])
        .requires(&["name", "issuer", "audiences", "jwks"])
    }
}

impl Keys {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        // Keys that came without TLS are anybody's.
        let url = fields.optional("url").map(|node| read_url(&node, &["https://"], problems).map(str::to_owned));
        let file = fields.optional("file").map(|node| read_absolute(&node, problems).map(str::to_owned));
        let cache = fields.optional("cache").map(|node| Span::read_some(&node, problems));
        fields.finish(problems);
        match (url, file, cache) {
            (Some(url), None, cache) => Some(Self::Url { url: url?, cache: cache.flatten() }),
            (None, Some(file), None) => file.map(Self::File),
            (None, Some(_), Some(_)) => {
                problems.add(format!("{}/cache", node.pointer), "only what comes from `url` is kept for a time");
                None
            }
            _ => {
                problems.add(&node.pointer, "expected either `url` or `file`");
                None
            }
        }
    }

    fn schema() -> Schema {
        Schema::object([
            ("url", Schema::pattern("^https://.+")),
            ("file", Schema::pattern("^/").says("A file in the pod.")),
            ("cache", Span::schema().says("For how long what comes from `url` is kept.")),
        ])
        .one_of(&["url", "file"])
    }
}
