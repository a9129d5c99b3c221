//! Which images the containers of sidecars may have.

use super::super::lists::{each, not_empty};
use crate::read::{Node, Problems, clip, did_you_mean};
use crate::schema::Schema;

/// Which images are allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Patterns of which one must fit; empty stands for any image.
    pub allow: Vec<Pattern>,
    /// Whether a tag alone is not enough.
    pub require_digests: bool,
}

/// A registry and repository; `*` is any text within one part, and `**` as last part is everything below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
}

/// The registry and namespace of images that name none (distribution/reference).
const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_NAMESPACE: &str = "library";

impl Images {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let allow = each(not_empty(fields.optional("allow"), problems), problems, Pattern::read);
        let require_digests =
            fields.optional("requireDigests").and_then(|node| node.flag(problems)).unwrap_or_default();
        let is_said = node.value.get("allow").is_some();
        if !is_said && !require_digests {
            problems.add(&node.pointer, "expected `allow`, or `requireDigests: true`");
        }
        fields.finish(problems);
        Some(Self { allow, require_digests })
    }

    pub(super) fn schema() -> Schema {
        let pattern = Schema::pattern("^[^/@]*[.:*][^/@]*/[^:@]+$|^localhost/[^:@]+$")
            .says("registry.example/team/*; as last part ** is everything below.");
        Schema::object([
            ("allow", Schema::some_of(pattern)),
            ("requireDigests", Schema::flag().says("Whether a tag alone is not enough; default false.")),
        ])
        .with("minProperties", 1.into())
    }

    /// What is wrong with an image, and what to do about it.
    pub(super) fn fault(&self, image: &str) -> Option<(String, Option<String>)> {
        let (name, digest) = match image.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (image, None),
        };
        let name = full_name(name);
        if !self.allow.is_empty() && !self.allow.iter().any(|pattern| pattern.fits(&name)) {
            let patterns: Vec<&str> = self.allow.iter().map(|pattern| pattern.text.as_str()).collect();
            let expected = format!("allows images of {}, found `{}`", patterns.join(", "), clip(image));
            return Some((expected, did_you_mean(&name, patterns)));
        }
        if self.require_digests && !digest.is_some_and(is_digest) {
            let message = format!("wants images pinned by digest, found `{}`", clip(image));
            return Some((message, Some(format!("write {}@sha256:…", clip(image.split('@').next().unwrap_or(image))))));
        }
        None
    }
}

/// SHA-256 is what registries compute.
fn is_digest(digest: &str) -> bool {
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Registry and repository of an image, without its tag.
fn full_name(image: &str) -> String {
    let tag = image.rfind(':').filter(|colon| image.rfind('/').is_none_or(|slash| slash < *colon));
    let name = image.get(..tag.unwrap_or(image.len())).unwrap_or(image);
    match name.split_once('/') {
        Some((registry, _)) if is_registry(registry) => name.to_owned(),
        Some(_) => format!("{DEFAULT_REGISTRY}/{name}"),
        None => format!("{DEFAULT_REGISTRY}/{DEFAULT_NAMESPACE}/{name}"),
    }
}

fn is_registry(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':'])
}

impl Pattern {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let text = node.filled_text(problems)?;
        let registry = text.split('/').next().unwrap_or_default();
        let repository = text.split_once('/').map(|(_, repository)| repository);
        if repository.is_none_or(str::is_empty) || !(is_registry(registry) || registry.contains('*')) {
            let message =
                format!("expected a registry and a repository such as `registry.example/*`, found `{}`", clip(text));
            let whole = full_name(text);
            problems.add_with_hint(&node.pointer, message, (whole != text).then(|| format!("write `{whole}`")));
            return None;
        }
        if text.contains('@') || repository.is_some_and(|repository| repository.contains(':')) {
            let message = format!("expected a pattern without tag and digest, found `{}`", clip(text));
            problems.add_with_hint(&node.pointer, message, Some("`requireDigests` asks for digests"));
            return None;
        }
        Some(Self { text: text.to_owned() })
    }

    /// Whether a registry and repository fit.
    fn fits(&self, name: &str) -> bool {
        let mut parts = name.split('/');
        let mut patterns = self.text.split('/').peekable();
        while let Some(pattern) = patterns.next() {
            let Some(part) = parts.next() else { return false };
            if pattern == "**" && patterns.peek().is_none() {
                return true;
            }
            if !fits_part(pattern, part) {
                return false;
            }
        }
        parts.next().is_none()
    }
}

/// Whether a text fits a pattern in which `*` is any text.
fn fits_part(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_part_by_part() {
        for (pattern, image, fits) in [
            ("registry.example/*", "registry.example/agent:1", true),
            ("registry.example/*", "registry.example/otel/agent:1", false),
            ("registry.example/**", "registry.example/otel/agent:1", true),
            ("registry.example/**", "registry.example.evil.example/agent", false),
            ("registry.example/otel/*", "registry.example/otel", false),
            ("*.registry.example/*", "eu.registry.example/agent", true),
            ("*.registry.example/*", "evil.example/agent", false),
            ("registry.example:5000/agent", "registry.example:5000/agent:1.2", true),
            ("registry.example:5000/agent", "registry.example/agent:1.2", false),
            ("registry.example/otel-*-agent", "registry.example/otel-x-y-agent", true),
            ("registry.example/a*a", "registry.example/a", false),
            ("docker.io/library/*", "nginx:1.29", true),
            ("docker.io/otel/*", "otel/opentelemetry-collector", true),
            ("docker.io/**", "localhost/nginx", false),
        ] {
            let images = Images { allow: vec![Pattern { text: pattern.to_owned() }], require_digests: false };
            assert_eq!(images.fault(image).is_none(), fits, "{pattern} {image}");
        }
    }

    #[test]
    fn a_digest_is_one_of_sha_256() {
        let images = Images { allow: Vec::new(), require_digests: true };
        let hex = "0123456789abcdef".repeat(4);
        assert_eq!(images.fault(&format!("a.example/b:1@sha256:{hex}")), None);
        for image in
            ["a.example/b:1".to_owned(), format!("a.example/b@sha256:{}", hex.to_uppercase()), format!("b@{hex}")]
        {
            assert!(images.fault(&image).is_some(), "{image}");
        }
    }
}
