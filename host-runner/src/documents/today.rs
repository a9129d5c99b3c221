//! The clock, for documents: an exemption in them ends on a day, and facts were taken at a time.

use std::time::{SystemTime, UNIX_EPOCH};

use fedcar_policy::federation::Date;

/// Today in UTC, so that a pipeline and the people who read its log agree wherever they are.
pub fn today() -> Date {
    Date::of_unix_seconds(seconds())
}

/// The time in UTC as a lock has it: `2026-09-01T10:00:00Z`.
pub fn now() -> String {
    let seconds = seconds();
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", Date::of_unix_seconds(seconds))
}

fn seconds() -> u64 {
    // A clock before 1970 is not set at all.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
