//! How deep a JSON text is nested, before any parser that recurses sees it.

use memchr::memchr2;

/// The text is nested deeper than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected JSON of at most {most} levels, found more at byte {at}")]
pub struct TooDeep {
    /// The limit.
    pub most: usize,
    /// Where it is passed.
    pub at: usize,
}

/// Refuses a text with more than `most` levels of lists and objects. Iterative, and in one pass; whether the text is JSON
/// at all is for the parser to say.
pub fn check_depth(text: &str, most: usize) -> Result<(), TooDeep> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at + 1),
            b'{' | b'[' => {
                depth += 1;
                if depth > most {
                    return Err(TooDeep { most, at });
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Where the string that begins at `at` ends: its closing quote, or the end of the text.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(rest) = bytes.get(at..) {
        match memchr2(b'"', b'\\', rest) {
            Some(found) if rest.get(found) == Some(&b'"') => return at + found,
            // The byte after a backslash belongs to it.
            Some(found) => at += found + 2,
            None => break,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lists_and_objects_count() {
        let cases = [
            ("", 0),
            ("7", 0),
            ("{}", 1),
            (r#"{"a":[1,{"b":[]}],"c":{}}"#, 4),
            (r#"["[[[[", "\"[[[", "\\", []]"#, 2),
            (r#"["\\\"[", "]]]", [[]]]"#, 3),
            ("[],[],[]", 1),
            ("]]][", 1),
            (r#"["unclosed [[["#, 1),
            (r#"["\"#, 1),
        ];
        for (text, depth) in cases {
            assert_eq!(check_depth(text, depth), Ok(()), "{text}");
            if depth > 0 {
                let error = check_depth(text, depth - 1).expect_err(text);
                assert_eq!(error.most, depth - 1);
            }
        }
    }

    #[test]
    fn depth_is_refused_where_it_begins() {
        let text = "[".repeat(100_000);
        assert_eq!(check_depth(&text, 64), Err(TooDeep { most: 64, at: 64 }));
    }
}
