//! Kubernetes quantities (`100m`, `1.5Gi`, `3e6`) with exact arithmetic.
//!
//! Why: requests, limits and quotas are compared and written back as the API server would write them, so that its
//! canonical form is never mistaken for a change. Invariant: a value is a whole number of nano units in 128 bits, which
//! is exactly what `resource.Quantity` of k8s.io/apimachinery keeps (it rounds away from zero at nano). Beyond 1.7e29
//! units this module refuses where apimachinery goes on with big integers.

use std::cmp::Ordering;

use serde_json::Value;

use super::join;

/// Nano units in one unit.
const UNIT: i128 = 1_000_000_000;

/// Nano units in a thousandth of a unit.
const MILLI: i128 = UNIT / 1000;

/// Suffixes of decimal quantities with the power of ten that they stand for.
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

/// The power of ten of the last suffix above.
const LARGEST_POWER_OF_TEN: i32 = 18;

/// Suffixes of binary quantities, each 1024 times the one before; the first is 1024.
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// An amount of a resource, exact to a nano unit. Two quantities are equal when their amounts are: `1` and `1000m`.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nano: i128,
    format: Format,
}

/// Which suffixes the canonical form uses; as in apimachinery it follows from how the quantity was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    DecimalSuffix,
    DecimalExponent,
    BinarySuffix,
}

/// Why a text is not a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuantityError {
    /// Not `<sign><digits>[.<digits>]<suffix>`.
    Malformed,
    /// The number is followed by something that is no suffix.
    UnknownSuffix,
    /// The amount does not fit in 128 bits of nano units.
    OutOfRange,
}

impl std::fmt::Display for QuantityError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a quantity, expected a number with an optional suffix such as `250m` or `64Mi`",
            Self::UnknownSuffix => {
                "unknown quantity suffix, expected one of n u m k M G T P E, Ki Mi Gi Ti Pi Ei, or an exponent"
            }
            Self::OutOfRange => "quantity out of range",
        })
    }
}

impl std::error::Error for QuantityError {}

impl Quantity {
    /// The quantity that a manifest says, as text or, such as `cpu: 1`, as a number.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text).ok(),
            Value::Number(number) => Self::parse(number.as_str()).ok(),
            _ => None,
        }
    }

    /// Reads what `resource.ParseQuantity` reads. Amounts below a nano unit are rounded away from zero.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, text.get(1..).unwrap_or_default()),
            Some(b'+') => (false, text.get(1..).unwrap_or_default()),
            _ => (false, text),
        };
        let (whole, rest) = split_digits(unsigned);
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => split_digits(rest),
            None => ("", rest),
        };
        // apimachinery lets `.` and `m` pass as zero; nobody means that.
        if whole.is_empty() && fraction.is_empty() {
            return Err(QuantityError::Malformed);
        }
        let suffix = Suffix::read(suffix)?;
        let magnitude = suffix.apply(whole, fraction).ok_or(QuantityError::OutOfRange)?;
        let nano = if negative { -magnitude } else { magnitude };
        // As apimachinery: a binary quantity below one unit is shown with decimal suffixes ever after.
        let format = match suffix {
            Suffix::Binary { .. } if magnitude > 0 && magnitude < UNIT => Format::DecimalSuffix,
            Suffix::Binary { .. } => Format::BinarySuffix,
            Suffix::Decimal { .. } => Format::DecimalSuffix,
            Suffix::Exponent { .. } => Format::DecimalExponent,
        };
        Ok(Self { nano, format })
    }

    /// A whole number of units, shown with decimal suffixes.
    pub const fn from_units(units: i64) -> Self {
        Self { nano: units as i128 * UNIT, format: Format::DecimalSuffix }
    }

    /// The form in which the API server stores it: no fraction, the largest suffix that needs none.
    pub fn canonical(&self) -> String {
        if self.nano == 0 {
            return String::from("0");
        }
        let binary = self.format == Format::BinarySuffix && self.nano.abs() >= 1024 * UNIT && self.nano % UNIT == 0;
        if binary { self.canonical_binary() } else { self.canonical_decimal() }
    }

    fn canonical_binary(&self) -> String {
        let mut amount = self.nano / UNIT;
        let mut suffix = "";
        for larger in BINARY {
            if amount % 1024 != 0 {
                break;
            }
            amount /= 1024;
            suffix = larger;
        }
        join(&[amount.to_string().as_str(), suffix])
    }

    fn canonical_decimal(&self) -> String {
        let by_exponent = self.format == Format::DecimalExponent;
        let mut amount = self.nano;
        let mut exponent = -9;
        while amount % 1000 == 0 && (by_exponent || exponent < LARGEST_POWER_OF_TEN) {
            amount /= 1000;
            exponent += 3;
        }
        let digits = amount.to_string();
        if by_exponent && exponent != 0 {
            return join(&[digits.as_str(), "e", &exponent.to_string()]);
        }
        let suffix = DECIMAL.into_iter().find(|(_, power)| *power == exponent).map_or("", |(suffix, _)| suffix);
        join(&[digits.as_str(), suffix])
    }

    /// The sum, in the format of the first operand unless that is zero.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let format = if self.nano == 0 { other.format } else { self.format };
        Some(Self { nano: self.nano.checked_add(other.nano)?, format })
    }

    /// The difference, in the format of the first operand unless that is zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let format = if self.nano == 0 { other.format } else { self.format };
        Some(Self { nano: self.nano.checked_sub(other.nano)?, format })
    }

    /// The sum as above, limited to the range.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        let format = if self.nano == 0 { other.format } else { self.format };
        Self { nano: self.nano.saturating_add(other.nano), format }
    }

    /// `percent` hundredths of it (any fraction of a percent down to nano), rounded away from zero at nano and limited to
    /// the range; exact up to 1e18 percent. For CPU and memory follow with [`Self::round_up_to_milli`] or
    /// [`Self::round_up_to_unit`]: nothing smaller can be allotted.
    #[must_use]
    pub fn scale_percent(self, percent: Self) -> Self {
        const HUNDRED: i128 = 100 * UNIT;
        // Split, so that only a result out of range overflows and not the product on the way to it.
        let whole = (self.nano / HUNDRED).saturating_mul(percent.nano);
        let part = divide_away_from_zero((self.nano % HUNDRED).saturating_mul(percent.nano), HUNDRED);
        Self { nano: whole.saturating_add(part), ..self }
    }

    /// The least multiple of a thousandth of a unit that is not nearer to zero; what CPU is allotted in.
    #[must_use]
    pub fn round_up_to_milli(self) -> Self {
        Self { nano: divide_away_from_zero(self.nano, MILLI).saturating_mul(MILLI), ..self }
    }

    /// The least whole number of units that is not nearer to zero; what memory is allotted in.
    #[must_use]
    pub fn round_up_to_unit(self) -> Self {
        Self { nano: divide_away_from_zero(self.nano, UNIT).saturating_mul(UNIT), ..self }
    }

    /// The amount in whole units, when it is one and fits.
    pub fn as_integer(self) -> Option<i64> {
        if self.nano % UNIT == 0 { i64::try_from(self.nano / UNIT).ok() } else { None }
    }

    /// The amount as a double, nearest where it is not exact.
    #[expect(clippy::cast_precision_loss, reason = "approximate by name and contract")]
    pub fn as_approximate_float(self) -> f64 {
        if self.nano % UNIT == 0 { (self.nano / UNIT) as f64 } else { self.nano as f64 / UNIT as f64 }
    }

    /// -1, 0 or 1.
    pub const fn sign(self) -> i64 {
        self.nano.signum() as i64
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

/// What follows the digits.
#[derive(Clone, Copy)]
enum Suffix {
    Decimal { power_of_ten: i32 },
    Exponent { power_of_ten: i32 },
    Binary { power_of_two: u32 },
}

impl Suffix {
    fn read(text: &str) -> Result<Self, QuantityError> {
        if let Some((_, power_of_ten)) = DECIMAL.into_iter().find(|(suffix, _)| *suffix == text) {
            return Ok(Self::Decimal { power_of_ten });
        }
        if let Some((index, _)) = (1_u32..).zip(BINARY).find(|(_, suffix)| *suffix == text) {
            return Ok(Self::Binary { power_of_two: 10 * index });
        }
        let Some(exponent) = text.strip_prefix(['e', 'E']) else {
            let begins_well = text.starts_with(|c: char| "eEinumkKMGTP".contains(c));
            return Err(if begins_well { QuantityError::UnknownSuffix } else { QuantityError::Malformed });
        };
        let power_of_ten = exponent.parse::<i32>().map_err(|_| QuantityError::UnknownSuffix)?;
        Ok(Self::Exponent { power_of_ten })
    }

    /// The amount in nano units, rounded up; `None` where it does not fit.
    fn apply(self, whole: &str, fraction: &str) -> Option<i128> {
        match self {
            Self::Decimal { power_of_ten } | Self::Exponent { power_of_ten } => {
                decimal(whole, fraction, i64::from(power_of_ten) + 9)
            }
            Self::Binary { power_of_two } => {
                // apimachinery caps binary quantities, and only those.
                let cap = i128::from(i64::MAX) * UNIT;
                let factor = 1_i128 << power_of_two;
                let part = decimal("", fraction, BINARY_FRACTION_DIGITS)?.checked_mul(factor)?;
                let part = divide_away_from_zero(part, BINARY_FRACTION_PER_NANO);
                let whole = decimal(whole, "", 9).and_then(|whole| whole.checked_mul(factor)?.checked_add(part));
                Some(whole.map_or(cap, |sum| sum.min(cap)))
            }
        }
    }
}

/// Digits of a binary quantity's fraction that count before it is multiplied (later ones round up): as many as leave
/// room in 128 bits for the product with 2^60.
const BINARY_FRACTION_DIGITS: i64 = 20;

/// `10^(BINARY_FRACTION_DIGITS - 9)`.
const BINARY_FRACTION_PER_NANO: i128 = 100_000_000_000;

/// `whole.fraction * 10^power` as an integer, rounded up; `None` where it does not fit.
fn decimal(whole: &str, fraction: &str, power: i64) -> Option<i128> {
    let mut amount = 0_i128;
    let mut left = power;
    let mut inexact = false;
    let whole_digits = i64::try_from(whole.len()).ok()?;
    // The first `keep` digits are kept, the rest only say whether anything was cut off.
    let keep = whole_digits.saturating_add(power);
    for (position, digit) in (0_i64..).zip(whole.bytes().chain(fraction.bytes())) {
        let digit = i128::from(digit - b'0');
        if position >= keep {
            inexact |= digit != 0;
        } else {
            amount = amount.checked_mul(10)?.checked_add(digit)?;
            if position >= whole_digits {
                left -= 1;
            }
        }
    }
    // Digits that were not written are zeros.
    while left > 0 && amount != 0 {
        amount = amount.checked_mul(10)?;
        left -= 1;
    }
    amount.checked_add(i128::from(inexact))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn divide_away_from_zero(amount: i128, by: i128) -> i128 {
    amount / by + if amount % by == 0 { 0 } else { amount.signum() }
}
