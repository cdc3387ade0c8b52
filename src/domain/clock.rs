//! The only place that reads the system clock, and the one format in which times leave the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// One second, minute, hour and day in [`Millis`].
pub const SECOND: Millis = 1_000;
/// One minute in [`Millis`].
pub const MINUTE: Millis = 60 * SECOND;
/// One hour in [`Millis`].
pub const HOUR: Millis = 60 * MINUTE;
/// One day in [`Millis`].
pub const DAY: Millis = 24 * HOUR;

/// A source of time: the system's, or one that a test moves by hand.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The operating system's wall clock.
    #[default]
    System,
    /// A clock that stands still until told otherwise.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `at` until [`advance`](Self::advance) moves it.
    #[must_use]
    pub fn fixed(at: Millis) -> Self {
        Self::Fixed(Arc::new(AtomicI64::new(at)))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Millis {
        match self {
            Self::System => of(SystemTime::now()),
            Self::Fixed(at) => at.load(Ordering::SeqCst),
        }
    }

    /// Moves a fixed clock; does nothing to the system's.
    pub fn advance(&self, by: Millis) {
        if let Self::Fixed(at) = self {
            at.fetch_add(by, Ordering::SeqCst);
        }
    }
}

/// A time of the file system; 0 for one before 1970.
#[must_use]
pub fn of(time: SystemTime) -> Millis {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Formats a time as clients see it: `2026-11-22T09:30:00.125+00:00`. The offset is spelled out because
/// Python before 3.11 does not read a `Z`.
#[must_use]
pub fn format(at: Millis) -> String {
    let (days, ms) = (at.div_euclid(DAY), at.rem_euclid(DAY));
    let (year, month, day) = civil_from_days(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}+00:00",
        ms / HOUR,
        ms / MINUTE % 60,
        ms / SECOND % 60,
        ms % SECOND
    )
}

/// Days since 1970-01-01 to the proleptic Gregorian date, by the era method of Howard Hinnant's
/// "chrono-Compatible Low-Level Date Algorithms".
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Reads a length of time: a whole number with `s`, `m`, `h` or `d`, such as `90s`. `None` for anything else.
#[must_use]
pub fn parse_span(text: &str) -> Option<Millis> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => return None,
    };
    Some(i64::from(number.parse::<u32>().ok()?) * unit)
}

/// Reads what a person writes for "since": `90s`, `30m`, `12h`, `7d` (back from `now`), a time as this program prints it
/// (`2026-11-22T09:30:00.000+00:00`), or a date `2026-11-22` (its beginning, UTC). `None` for anything else: a time without an offset is ambiguous.
#[must_use]
pub fn parse_since(text: &str, now: Millis) -> Option<Millis> {
    let text = text.trim();
    if let Some(span) = parse_span(text) {
        return Some(now - span);
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.as_millisecond());
    }
    // The date parser takes a date with a time too, and drops the time.
    if text.len() != "2026-11-22".len() {
        return None;
    }
    let date: jiff::civil::Date = text.parse().ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_span_or_a_date() {
        let now = 1_795_339_799_999;
        assert_eq!(parse_since("90s", now), Some(now - 90_000));
        assert_eq!(parse_since("7d", now), Some(now - 7 * DAY));
        assert_eq!(parse_since("2026-11-22", now).map(format).unwrap(), "2026-11-22T00:00:00.000+00:00");
        assert_eq!(parse_since("2000-02-29", now).map(format).unwrap(), "2000-02-29T00:00:00.000+00:00");
        // Every time that is printed can be given back.
        assert_eq!(parse_since(&format(now), 0), Some(now));
        assert_eq!(
            parse_since("2026-11-22T10:29:59+01:00", 0).map(format).unwrap(),
            "2026-11-22T09:29:59.000+00:00"
        );
        for wrong in [
            "",
            "d",
            "7",
            "7w",
            "-1d",
            "2026-02-30",
            "2026-13-01",
            "yesterday",
            "é",
            "2026-11-22T09:30:00",
            "2026-11-22 09:30:00",
            "2026-11-22T09:30:00[Europe/Berlin]",
            "20261122T09",
        ] {
            assert_eq!(parse_since(wrong, now), None, "{wrong:?}");
        }
    }

    #[test]
    fn times_are_formatted_with_milliseconds_and_an_offset() {
        assert_eq!(format(0), "1970-01-01T00:00:00.000+00:00");
        assert_eq!(format(951_827_696_789), "2000-02-29T12:34:56.789+00:00");
        assert_eq!(format(1_795_339_799_999), "2026-11-22T09:29:59.999+00:00");
        assert_eq!(format(-1), "1969-12-31T23:59:59.999+00:00");
    }

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = Clock::fixed(5);
        assert_eq!(clock.now(), 5);
        clock.advance(MINUTE);
        assert_eq!(clock.now(), 60_005);
    }
}
