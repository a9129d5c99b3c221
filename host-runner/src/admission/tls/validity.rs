//! The time in which a certificate counts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::certificate::X509Certificate;
use x509_parser::time::ASN1Time;

/// From when and until when, both included (RFC 5280, 4.1.2.5), to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: SystemTime,
    /// The last moment.
    pub not_after: SystemTime,
}

impl Validity {
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self { not_before: moment(validity.not_before), not_after: moment(validity.not_after) }
    }

    pub(super) fn contains(self, now: SystemTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

/// Dates before 1970 count as 1970: nothing here tells them apart.
fn moment(time: ASN1Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}

/// A time as people and programs read it: RFC 3339, in UTC, to the second.
pub fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let Some(time) = i64::try_from(seconds).ok().and_then(|seconds| ASN1Time::from_timestamp(seconds).ok()) else {
        return "after the year 9999".to_owned();
    };
    let time = time.to_datetime();
    let (date, (hour, minute, second)) = (time.date(), time.to_hms());
    format!("{}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", date.year(), u8::from(date.month()), date.day())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_for_people_and_programs() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_709_210_096, "2024-02-29T12:34:56Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (253_402_300_800, "after the year 9999"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn both_ends_count() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let validity = Validity { not_before: at(10), not_after: at(20) };
        for (seconds, valid) in [(9, false), (10, true), (20, true), (21, false)] {
            assert_eq!(validity.contains(at(seconds)), valid, "at {seconds}");
        }
    }
}
