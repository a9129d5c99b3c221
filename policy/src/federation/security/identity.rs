//! The name that a workload's certificate carries: a SPIFFE ID.

use crate::read::{Node, Problems, clip};
use crate::schema::Schema;

/// A SPIFFE ID, or all that begin alike where the last part of its path is `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The trust domain.
    pub trust_domain: String,
    /// The path with its first `/`.
    pub path: String,
}

const SCHEME: &str = "spiffe://";

impl Identity {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let text = node.text(problems)?;
        let found = text.strip_prefix(SCHEME).and_then(|rest| {
            let (domain, path) = rest.split_at(rest.find('/')?);
            (is_trust_domain(domain) && is_path(path))
                .then(|| Self { trust_domain: domain.to_owned(), path: path.to_owned() })
        });
        if found.is_none() {
            let expected = "expected a SPIFFE ID such as `spiffe://retail.example/ns/shop/sa/checkout`";
            problems.add(&node.pointer, format!("{expected}, found `{}`", clip(text)));
        }
        found
    }

    pub(super) fn schema() -> Schema {
        Schema::pattern(r"^spiffe://[a-z0-9._-]+(/[a-zA-Z0-9._-]+)*/([a-zA-Z0-9._-]+|[*])$")
    }
}

/// The name of a trust domain (SPIFFE-ID, section 2.1).
pub(super) fn is_trust_domain(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    !text.is_empty() && text.len() <= 255 && text.bytes().all(fits)
}

/// Parts of letters, digits and `._-`, none of them empty, `.` or `..` (SPIFFE-ID, section 2.2); the last may be `*`.
fn is_path(path: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_part = |part: &str| !["", ".", ".."].contains(&part) && part.bytes().all(fits);
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    parts
        .split_last()
        .is_some_and(|(last, rest)| (*last == "*" || is_part(last)) && rest.iter().all(|one| is_part(one)))
}
