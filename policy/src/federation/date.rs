//! Days, which is how finely an exemption ends. Today comes from the caller: nothing here has a clock.

use std::fmt;
use std::str::FromStr;

use crate::read::{Node, Problems, clip};
use crate::schema::Schema;

/// A day of the Gregorian calendar, as `2026-12-31`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    year: u32,
    month: u32,
    day: u32,
}

/// The text is no day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotADate;

impl Date {
    /// The day in UTC that holds a time in seconds since 1970; the years after 9999 count as their last day.
    pub fn of_unix_seconds(seconds: u64) -> Self {
        const DAY_SECONDS: u64 = 86_400;
        let mut days = seconds / DAY_SECONDS;
        for year in 1970..=LAST_YEAR {
            for month in 1..=12 {
                let length = u64::from(month_days(year, month));
                if days < length {
                    return Self { year, month, day: u32::try_from(days).unwrap_or_default() + 1 };
                }
                days -= length;
            }
        }
        Self { year: LAST_YEAR, month: 12, day: 31 }
    }

    /// How many days lie between an earlier day and this one; negative where that is later.
    pub fn days_since(self, earlier: Self) -> i64 {
        self.number() - earlier.number()
    }

    /// The days since the last of February of the year 0, as years that begin with March count them.
    fn number(self) -> i64 {
        let shifted = (i64::from(self.month) + 9) % 12;
        let year = i64::from(self.year) - i64::from(shifted > 9);
        year * 365 + year / 4 - year / 100 + year / 400 + (shifted * 153 + 2) / 5 + i64::from(self.day)
    }

    /// Reads a day that stands in a document.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let text = node.text(problems)?;
        let date = text.parse().ok();
        if date.is_none() {
            problems.add(&node.pointer, format!("expected a day such as 2026-12-31, found `{}`", clip(text)));
        }
        date
    }

    pub(super) fn schema() -> Schema {
        Schema::pattern("^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")
    }
}

/// Four digits are all that the form has.
const LAST_YEAR: u32 = 9999;

fn month_days(year: u32, month: u32) -> u32 {
    let leaps = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leaps => 29,
        2 => 28,
        _ => 31,
    }
}

impl FromStr for Date {
    type Err = NotADate;

    fn from_str(text: &str) -> Result<Self, NotADate> {
        let number = |part: Option<&str>, digits: usize| {
            let part = part.filter(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()));
            part.and_then(|part| part.parse().ok()).ok_or(NotADate)
        };
        let mut parts = text.split('-');
        let (year, month, day) = (number(parts.next(), 4)?, number(parts.next(), 2)?, number(parts.next(), 2)?);
        let is_day = (1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day);
        if parts.next().is_some() || !is_day { Err(NotADate) } else { Ok(Self { year, month, day }) }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for text in ["2026-12-31", "2024-02-29", "2000-02-29", "1970-01-01", "0001-04-30"] {
            assert_eq!(text.parse::<Date>().unwrap().to_string(), text);
        }
        for text in [
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-04-31",
            "2026-1-1",
            "26-01-01",
            "2026-01-01Z",
        ] {
            assert_eq!(text.parse::<Date>(), Err(NotADate), "{text}");
        }
    }

    #[test]
    fn days_are_counted_from_1970() {
        for (seconds, text) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (86_400, "1970-01-02"),
            (951_782_400, "2000-02-29"),
            (1_798_675_199, "2026-12-30"),
            (1_798_675_200, "2026-12-31"),
            (u64::MAX, "9999-12-31"),
        ] {
            assert_eq!(Date::of_unix_seconds(seconds).to_string(), text, "{seconds}");
        }
    }

    #[test]
    fn days_are_counted_between_each_other() {
        let first = Date::of_unix_seconds(0);
        for days in (0..60_000_u32).step_by(17).chain([59, 60, 11_016, 11_017, 47_541]) {
            let day = Date::of_unix_seconds(u64::from(days) * 86_400);
            assert_eq!(day.days_since(first), i64::from(days), "{day}");
            assert_eq!(first.days_since(day), -i64::from(days), "{day}");
        }
    }

    #[test]
    fn days_compare_as_they_follow_each_other() {
        let days = ["2025-12-31", "2026-01-01", "2026-01-31", "2026-02-01"].map(|text| text.parse::<Date>().unwrap());
        assert!(days.is_sorted());
    }
}
