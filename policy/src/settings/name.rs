//! The name rules of Kubernetes, from `k8s.io/apimachinery/pkg/util/validation`.

/// RFC 1123 label: at most 63 of `[a-z0-9-]`, with a letter or digit at both ends (container, volume, cluster names).
pub fn is_dns_label(text: &str) -> bool {
    const LONGEST: usize = 63;
    let bytes = text.as_bytes();
    let inner = bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-');
    inner
        && bytes.len() <= LONGEST
        && matches!((bytes.first(), bytes.last()), (Some(a), Some(b)) if *a != b'-' && *b != b'-')
}

/// A label value: empty, or at most 63 of `[A-Za-z0-9-_.]` with a letter or digit at both ends.
pub fn is_label_value(text: &str) -> bool {
    const LONGEST: usize = 63;
    let bytes = text.as_bytes();
    let inner = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte));
    let ends = match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric(),
        _ => true,
    };
    inner && ends && bytes.len() <= LONGEST
}

/// A key of labels or annotations: `[prefix/]name`, where the prefix is a DNS subdomain and the name a label value.
pub fn is_qualified_name(text: &str) -> bool {
    const LONGEST_PREFIX: usize = 253;
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let prefix_fits = prefix.is_none_or(|prefix| prefix.len() <= LONGEST_PREFIX && prefix.split('.').all(is_dns_label));
    prefix_fits && !name.is_empty() && is_label_value(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_rfc_1123() {
        for (text, fits) in
            [("a", true), ("otel-agent", true), ("0x", true), ("", false), ("-a", false), ("a-", false), ("A", false)]
        {
            assert_eq!(is_dns_label(text), fits, "{text:?}");
        }
        assert!(!is_dns_label(&"a".repeat(64)));
    }

    #[test]
    fn keys_are_qualified_names() {
        for (text, fits) in [
            ("app", true),
            ("app.kubernetes.io/name", true),
            ("a/b/c", false),
            ("/b", false),
            ("UPPER/x", false),
            ("x/", false),
            ("My_Label.1", true),
        ] {
            assert_eq!(is_qualified_name(text), fits, "{text:?}");
        }
    }
}
