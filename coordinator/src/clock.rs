//! Wall-clock time as text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment in UTC, to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc {
    since_epoch: Duration,
}

impl Utc {
    /// Now. A clock before 1970 reads as 1970.
    pub fn now() -> Self {
        Self { since_epoch: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() }
    }

    /// `2026-11-21T01:18:35.042Z`.
    pub fn iso(self) -> String {
        let (year, month, day) = self.date();
        let (hour, minute, second) = self.time();
        let millisecond = self.since_epoch.subsec_millis();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
    }

    /// `20261121-011835`, for names of directories.
    pub fn compact(self) -> String {
        let (year, month, day) = self.date();
        let (hour, minute, second) = self.time();
        format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
    }

    fn time(self) -> (u64, u64, u64) {
        let second = self.since_epoch.as_secs() % 86_400;
        (second / 3600, second / 60 % 60, second % 60)
    }

    /// Civil date from days since 1970 (H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days).
    fn date(self) -> (u64, u64, u64) {
        let days = self.since_epoch.as_secs() / 86_400 + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        (year_of_era + era * 400 + u64::from(month <= 2), month, day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_have_their_dates() {
        let at = |seconds: u64| Utc { since_epoch: Duration::from_millis(seconds * 1000 + 42) };
        assert_eq!(at(0).iso(), "1970-01-01T00:00:00.042Z");
        assert_eq!(at(951_782_399).iso(), "2000-02-28T23:59:59.042Z");
        assert_eq!(at(951_782_400).iso(), "2000-02-29T00:00:00.042Z");
        assert_eq!(at(1_709_251_199).compact(), "20240229-235959");
        assert_eq!(at(4_102_444_800).iso(), "2100-01-01T00:00:00.042Z");
    }
}
