//! The clock, for documents: an exemption in them ends on a day.

use std::time::{SystemTime, UNIX_EPOCH};

use fedcar_policy::federation::Date;

/// Today in UTC, so that a pipeline and the people who read its log agree wherever they are.
pub fn today() -> Date {
    // A clock before 1970 is not set at all.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Date::of_unix_seconds(since.as_secs())
}
