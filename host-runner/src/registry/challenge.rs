//! What a registry wants to see, as `WWW-Authenticate` says it.

use hyper::header::{HeaderMap, WWW_AUTHENTICATE};

/// What is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token, which the realm gives out.
    Bearer { realm: String, service: Option<String> },
    /// Name and password.
    Basic,
}

/// The challenge that can be met, a token before a password.
pub(super) fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let all: Vec<Challenge> =
        headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| read(value.to_str().ok()?)).collect();
    let is_bearer = |one: &Challenge| matches!(one, Challenge::Bearer { .. });
    let bearer = all.iter().position(is_bearer).unwrap_or_default();
    all.into_iter().nth(bearer)
}

fn read(value: &str) -> Option<Challenge> {
    let (scheme, parameters) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service) = (None, None);
    let mut rest = parameters;
    while let Some((key, behind)) = rest.split_once('=') {
        let (text, behind) = parameter(behind)?;
        match key.trim_start_matches([',', ' ']).trim() {
            "realm" => realm = Some(text),
            "service" => service = Some(text),
            _ => {}
        }
        rest = behind;
    }
    Some(Challenge::Bearer { realm: realm?, service })
}

/// A value with or without quotes, and what stands behind it.
fn parameter(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end)?;
        return Some((value.trim().to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) }
    }

    #[test]
    fn challenges_are_read() {
        for (value, expected) in [
            ("Basic realm=\"x\"", Some(Challenge::Basic)),
            (
                r#"Bearer realm="https://auth.example/token",service="r.example",scope="repository:a:pull,push""#,
                Some(bearer("https://auth.example/token", Some("r.example"))),
            ),
            (r#"bearer scope="a=b, c", realm="https://a \"b\"""#, Some(bearer("https://a \"b\"", None))),
            ("Bearer realm=https://a/t, service=s", Some(bearer("https://a/t", Some("s")))),
            ("Bearer service=\"s\"", None),
            ("Bearer realm=\"https://a", None),
            ("Negotiate", None),
        ] {
            assert_eq!(read(value), expected, "{value}");
        }
    }

    #[test]
    fn a_token_goes_before_a_password() {
        let mut headers = HeaderMap::new();
        headers.append(WWW_AUTHENTICATE, "Basic realm=\"x\"".parse().unwrap());
        headers.append(WWW_AUTHENTICATE, "Bearer realm=\"https://a/t\"".parse().unwrap());
        assert_eq!(challenge(&headers), Some(bearer("https://a/t", None)));
        assert_eq!(challenge(&HeaderMap::new()), None);
    }
}
