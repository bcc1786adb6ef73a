//! The trading day: 04:00 to 20:00 America/New_York on weekdays that are no holidays.

use std::time::Duration;

use jiff::civil::{Date, Weekday, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::holidays::is_holiday;

/// The exchange's time zone.
pub const NEW_YORK: &str = "America/New_York";

/// Where in a trading day a moment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// 04:00 to 09:30.
    Pre,
    /// 09:30 to 16:00.
    Regular,
    /// 16:00 to 20:00.
    After,
    /// Nights, weekends and holidays.
    Closed,
}

/// Knows the exchange's time zone. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Session {
    zone: TimeZone,
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// Reads the time zone from the system, or from the copy in the binary.
    #[must_use]
    pub fn new() -> Self {
        let zone = TimeZone::get(NEW_YORK).unwrap_or(TimeZone::UTC);
        Self { zone }
    }

    /// The trading day that a moment belongs to: today from 04:00 New York on, else the last
    /// before on which the exchange opened.
    #[must_use]
    pub fn trading_day(&self, wall_ms: i64) -> Date {
        let local = self.local(wall_ms);
        let mut day = local.date();
        if local.time() < time(4, 0, 0, 0) {
            day = day.saturating_sub(1.day());
        }
        while is_closed(day) {
            day = day.saturating_sub(1.day());
        }
        day
    }

    /// 04:00 New York of that day, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn open_ms(&self, day: Date) -> i64 {
        self.at_ms(day, 4, 0)
    }

    /// 20:00 New York of that day, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn close_ms(&self, day: Date) -> i64 {
        self.at_ms(day, 20, 0)
    }

    /// Where the provider puts a day's candle: midnight in Chicago, which is an hour behind New York and
    /// changes its clocks on the same days.
    #[must_use]
    pub fn daily_candle_ms(&self, day: Date) -> i64 {
        self.at_ms(day, 1, 0)
    }

    /// That time of that day in New York, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn at_ms(&self, day: Date, hour: i8, minute: i8) -> i64 {
        day.at(hour, minute, 0, 0)
            .to_zoned_datetime(self.zone.clone())
            .map_or(0, |z| z.timestamp().as_millisecond())
    }

    /// Where in a trading day a moment lies.
    #[must_use]
    pub fn phase(&self, wall_ms: i64) -> Phase {
        let local = self.local(wall_ms);
        if is_closed(local.date()) {
            return Phase::Closed;
        }
        let t = local.time();
        if t < time(4, 0, 0, 0) || t >= time(20, 0, 0, 0) {
            Phase::Closed
        } else if t < time(9, 30, 0, 0) {
            Phase::Pre
        } else if t < time(16, 0, 0, 0) {
            Phase::Regular
        } else {
            Phase::After
        }
    }

    /// How long after midnight New York a moment lies.
    #[must_use]
    pub fn since_midnight(&self, wall_ms: i64) -> Duration {
        let t = self.local(wall_ms).time();
        let s = u64::from(t.hour().unsigned_abs()) * 3_600
            + u64::from(t.minute().unsigned_abs()) * 60
            + u64::from(t.second().unsigned_abs());
        Duration::from_secs(s)
    }

    fn local(&self, wall_ms: i64) -> jiff::ZonedDateTime {
        Timestamp::from_millisecond(wall_ms)
            .unwrap_or(Timestamp::UNIX_EPOCH)
            .to_zoned_datetime(self.zone.clone())
    }
}

fn is_closed(day: Date) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) || is_holiday(day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn phases_follow_new_york_through_the_change_of_clocks() {
        let s = Session::new();
        // 2026-03-06 is a Friday on standard time, 2026-03-09 a Monday on daylight time.
        for day in [date(2026, 3, 6), date(2026, 3, 9)] {
            assert_eq!(s.phase(s.at_ms(day, 3, 59)), Phase::Closed);
            assert_eq!(s.phase(s.at_ms(day, 4, 0)), Phase::Pre);
            assert_eq!(s.phase(s.at_ms(day, 9, 30)), Phase::Regular);
            assert_eq!(s.phase(s.at_ms(day, 16, 0)), Phase::After);
            assert_eq!(s.phase(s.at_ms(day, 20, 0)), Phase::Closed);
        }
        assert_eq!(
            s.open_ms(date(2026, 3, 9)) - s.open_ms(date(2026, 3, 6)),
            (3 * 24 - 1) * 3_600_000
        );
    }

    #[test]
    fn a_weekend_a_holiday_and_the_night_before_belong_to_the_day_before() {
        let s = Session::new();
        let thanksgiving = date(2026, 11, 26);
        let noon = s.at_ms(thanksgiving, 12, 0);
        assert_eq!(s.trading_day(noon), date(2026, 11, 25));
        assert_eq!(s.phase(noon), Phase::Closed);
        let friday = date(2026, 3, 6);
        assert_eq!(s.trading_day(s.at_ms(date(2026, 3, 8), 12, 0)), friday);
        assert_eq!(s.trading_day(s.at_ms(date(2026, 3, 9), 3, 59)), friday);
        assert_eq!(
            s.trading_day(s.at_ms(date(2026, 3, 9), 4, 0)),
            date(2026, 3, 9)
        );
    }
}
