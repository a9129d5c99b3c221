//! Arithmetic and order of CEL's three kinds of numbers.
//!
//! Kinds do not mix in arithmetic, and overflow is an error; they do mix in comparisons.

use std::cmp::Ordering;

use serde_json::Number;

use super::ast::Operator;
use super::fault::Problem;

/// A number of one of the three kinds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Num {
    Int(i64),
    UInt(u64),
    Double(f64),
}

impl Num {
    /// What a JSON number is: an integer where it is written as one and fits, otherwise a double.
    pub(super) fn from_json(number: &Number) -> Option<Self> {
        if let Some(value) = number.as_i64() {
            return Some(Self::Int(value));
        }
        if let Some(value) = number.as_u64() {
            return Some(Self::UInt(value));
        }
        number.as_f64().map(Self::Double)
    }

    /// Order across kinds; `None` if one is not a number (NaN).
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(_) | Self::UInt(_), Self::Int(_) | Self::UInt(_)) => Some(self.integer().cmp(&other.integer())),
            // The specification's cases want the nearest doubles compared: 2^63 - 1 equals 2^63 as a double.
            (a, b) => a.to_double().partial_cmp(&b.to_double()),
        }
    }

    /// The whole part, in a type that holds both kinds of integers.
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and so stays outside of every 64-bit range")]
    fn integer(self) -> i128 {
        match self {
            Self::Int(value) => i128::from(value),
            Self::UInt(value) => i128::from(value),
            Self::Double(value) => value as i128,
        }
    }

    /// A position in a list: any whole number.
    pub(super) fn index(self) -> Option<usize> {
        if let Self::Double(value) = self
            && value.fract() != 0.0
        {
            return None;
        }
        usize::try_from(self.integer()).ok()
    }

    /// The same number as a signed integer; a double loses its fraction.
    pub(super) fn to_int(self) -> Option<i64> {
        match self {
            // Both limits as doubles are 2^63, so neither the limit nor anything beyond it fits.
            Self::Double(value) if !(-TWO_POW_63 < value && value < TWO_POW_63) => None,
            other => i64::try_from(other.integer()).ok(),
        }
    }

    /// The same number as an unsigned integer; a double loses its fraction.
    pub(super) fn to_uint(self) -> Option<u64> {
        match self {
            Self::Double(value) if !(-1.0 < value && value < 2.0 * TWO_POW_63) => None,
            other => u64::try_from(other.integer()).ok(),
        }
    }

    /// The nearest double.
    #[expect(clippy::cast_precision_loss, reason = "the conversion that `double()` is")]
    pub(super) const fn to_double(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::UInt(value) => value as f64,
            Self::Double(value) => value,
        }
    }
}

const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;

/// `a operator b` for the five arithmetic operators.
pub(super) fn calculate(operator: Operator, a: Num, b: Num) -> Result<Num, Problem> {
    if let (Operator::Divide | Operator::Remainder, Num::Int(_) | Num::UInt(_), Num::Int(0) | Num::UInt(0)) =
        (operator, a, b)
    {
        return Err(Problem::says("division by zero"));
    }
    let result = match (operator, a, b) {
        (Operator::Add, Num::Int(a), Num::Int(b)) => a.checked_add(b).map(Num::Int),
        (Operator::Subtract, Num::Int(a), Num::Int(b)) => a.checked_sub(b).map(Num::Int),
        (Operator::Multiply, Num::Int(a), Num::Int(b)) => a.checked_mul(b).map(Num::Int),
        (Operator::Divide, Num::Int(a), Num::Int(b)) => a.checked_div(b).map(Num::Int),
        (Operator::Remainder, Num::Int(a), Num::Int(b)) => a.checked_rem(b).map(Num::Int),
        (Operator::Add, Num::UInt(a), Num::UInt(b)) => a.checked_add(b).map(Num::UInt),
        (Operator::Subtract, Num::UInt(a), Num::UInt(b)) => a.checked_sub(b).map(Num::UInt),
        (Operator::Multiply, Num::UInt(a), Num::UInt(b)) => a.checked_mul(b).map(Num::UInt),
        (Operator::Divide, Num::UInt(a), Num::UInt(b)) => a.checked_div(b).map(Num::UInt),
        (Operator::Remainder, Num::UInt(a), Num::UInt(b)) => a.checked_rem(b).map(Num::UInt),
        (Operator::Add, Num::Double(a), Num::Double(b)) => Some(Num::Double(a + b)),
        (Operator::Subtract, Num::Double(a), Num::Double(b)) => Some(Num::Double(a - b)),
        (Operator::Multiply, Num::Double(a), Num::Double(b)) => Some(Num::Double(a * b)),
        (Operator::Divide, Num::Double(a), Num::Double(b)) => Some(Num::Double(a / b)),
        _ => return Err(Problem::Overload),
    };
    result.ok_or(Problem::says("integer overflow"))
}

/// A double as a JSON number, a whole one as an integer where it fits; `None` if it is not finite.
pub(super) fn double_json(value: f64) -> Option<Number> {
    match Num::Double(value).to_int() {
        Some(whole) if value.fract() == 0.0 => Some(Number::from(whole)),
        _ => Number::from_f64(value),
    }
}

/// The text of a double: as in JSON, with the shortest digits that read back the same.
pub(super) fn double_text(value: f64) -> String {
    match double_json(value) {
        Some(number) => number.to_string(),
        None if value.is_nan() => String::from("NaN"),
        None => String::from(if value > 0.0 { "+Inf" } else { "-Inf" }),
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::{Num, double_text};

    #[test]
    fn doubles_are_written_short_and_read_back() {
        let cases = [
            (0.0, "0"),
            (0.00001, "0.00001"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (100.0, "100"),
            (1e6, "1000000"),
            (1e18, "1000000000000000000"),
            (1e21, "1e+21"),
            (1.25e22, "1.25e+22"),
            (0.001, "0.001"),
            (1e-6, "1e-6"),
            (-1.5e-9, "-1.5e-9"),
            (123_456.789, "123456.789"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
        ];
        for (value, text) in cases {
            assert_eq!(double_text(value), text);
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{text}");
        }
        assert_eq!(double_text(f64::NAN), "NaN");
        assert_eq!(double_text(f64::NEG_INFINITY), "-Inf");
    }

    #[test]
    fn conversions_end_where_the_type_does() {
        assert_eq!(Num::Double(9_223_372_036_854_775_808.0).to_int(), None);
        assert_eq!(Num::Double(-9_223_372_036_854_775_808.0).to_int(), None);
        assert_eq!(Num::Double(9_223_372_036_854_774_784.0).to_int(), Some(9_223_372_036_854_774_784));
        assert_eq!(Num::Double(18_446_744_073_709_551_616.0).to_uint(), None);
        assert_eq!(Num::Double(-0.5).to_uint(), Some(0));
        assert_eq!(Num::Double(f64::NAN).to_int(), None);
        assert_eq!(Num::UInt(u64::MAX).to_int(), None);
        assert_eq!(Num::Int(-1).to_uint(), None);
        assert_eq!(Num::Double(2.5).index(), None);
        assert_eq!(Num::Double(f64::INFINITY).index(), None);
    }

    #[test]
    fn kinds_compare() {
        assert_eq!(Num::Int(-1).compare(Num::UInt(u64::MAX)), Some(Ordering::Less));
        assert_eq!(Num::UInt(1).compare(Num::Double(1.0)), Some(Ordering::Equal));
        assert_eq!(Num::Int(1).compare(Num::Double(f64::NAN)), None);
    }
}
