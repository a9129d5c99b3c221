//! Durations as Go writes them (`1h30m`, `250ms`), which is how Kubernetes and its proxies take them.

const MICROSECOND: i128 = 1_000;
const MILLISECOND: i128 = 1_000 * MICROSECOND;
const SECOND: i128 = 1_000 * MILLISECOND;
const MINUTE: i128 = 60 * SECOND;
const HOUR: i128 = 60 * MINUTE;

/// Units with their nanoseconds. Both signs for micro are in use.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", MICROSECOND),
    ("\u{b5}s", MICROSECOND),
    ("\u{3bc}s", MICROSECOND),
    ("ms", MILLISECOND),
    ("s", SECOND),
    ("m", MINUTE),
    ("h", HOUR),
];

/// The nanoseconds of a duration; `None` for what `time.ParseDuration` of Go does not read either. Amounts below a
/// nanosecond are cut off, as there.
pub(crate) fn nanoseconds(text: &str) -> Option<i64> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if unsigned == "0" {
        return Some(0);
    }
    let (mut sum, mut rest) = term(unsigned)?;
    while !rest.is_empty() {
        let (amount, behind) = term(rest)?;
        sum = sum.checked_add(amount)?;
        rest = behind;
    }
    i64::try_from(if negative { -sum } else { sum }).ok()
}

/// A number with its unit, and what follows.
fn term(text: &str) -> Option<(i128, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = rest.find(|next: char| next == '.' || next.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at_checked(end)?;
    let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let whole = if whole.is_empty() { 0 } else { i128::from(whole.parse::<u64>().ok()?) };
    // No digit behind these is worth a nanosecond of any unit.
    let fraction = fraction.get(..FRACTION_DIGITS).unwrap_or(fraction);
    let (part, scale) = fraction
        .bytes()
        .fold((0, 1), |(part, scale): (i128, i128), digit| (part * 10 + i128::from(digit - b'0'), scale * 10));
    Some((whole * unit + part * unit / scale, rest))
}

/// An hour has less than 1e13 nanoseconds.
const FRACTION_DIGITS: usize = 13;

fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("0s", Some(0)),
            ("1h30m", Some(5_400_000_000_000)),
            ("250ms", Some(250_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            (".5s", Some(500_000_000)),
            ("1.s", Some(1_000_000_000)),
            ("-2m3.4s", Some(-123_400_000_000)),
            ("+5s", Some(5_000_000_000)),
            ("10us", Some(10_000)),
            ("10\u{b5}s", Some(10_000)),
            ("10\u{3bc}s", Some(10_000)),
            ("1.9ns", Some(1)),
            ("0.3333333333333333333h", Some(1_199_999_999_999)),
            ("9223372036854775807ns", Some(i64::MAX)),
            ("-9223372036854775808ns", Some(i64::MIN)),
            ("9223372036854775808ns", None),
            ("99999999999999999999999h", None),
            ("", None),
            ("-", None),
            ("1", None),
            ("1d", None),
            ("s", None),
            (".s", None),
            ("1 s", None),
            ("1s ", None),
            ("1s1", None),
            ("--1s", None),
            ("1e3s", None),
            ("\u{661}s", None),
        ] {
            assert_eq!(nanoseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn long_texts_are_read_in_one_pass() {
        assert_eq!(nanoseconds(&"1s".repeat(100_000)), Some(100_000_000_000_000));
        assert_eq!(nanoseconds(&"9".repeat(1 << 20)), None);
        assert_eq!(nanoseconds(&format!("1.{}s", "0".repeat(1 << 20))), Some(1_000_000_000));
    }
}
