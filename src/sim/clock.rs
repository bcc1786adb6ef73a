//! Which time the embedded market believes it is. Pure.

use crate::market::{Phase, Session};

/// With less than this left of the regular session, the open clock starts a session of its own.
const LEFT_MIN_MS: i64 = 3_600_000;

/// How the embedded market's clock stands to the real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimClock {
    /// It is the real one: nights and weekends are quiet.
    Real,
    /// There is a regular session at the start, whatever the hour.
    Open,
}

/// What to add to the real wall clock (ms) to get the session clock (ms).
///
/// [`SimClock::Real`]: 0. [`SimClock::Open`]: 0 within a regular session that still has an hour to
/// go, else what makes it 09:45 New York of the trading day that `real_wall_ms` belongs to. The
/// shifted clock then runs at normal speed. It is computed once, at the start: after 6 h 15 min a
/// shifted session reaches 16:00 and goes on to after-hours, and closes at 20:00, as a real one does;
/// a restart opens the next.
#[must_use]
pub fn sim_offset_ms(real_wall_ms: i64, mode: SimClock, session: &Session) -> i64 {
    if mode == SimClock::Real {
        return 0;
    }
    let day = session.trading_day(real_wall_ms);
    let left_ms = session.at_ms(day, 16, 0) - real_wall_ms;
    if session.phase(real_wall_ms) == Phase::Regular && left_ms >= LEFT_MIN_MS {
        return 0;
    }
    session.at_ms(day, 9, 45) - real_wall_ms
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    #[test]
    fn a_session_with_an_hour_to_go_is_taken_as_it_is() {
        let s = Session::new();
        let tuesday = date(2026, 3, 10);
        for (hour, minute, kept) in [
            (9, 29, false),
            (9, 30, true),
            (15, 0, true),
            (15, 1, false),
            (22, 0, false),
        ] {
            let at = s.at_ms(tuesday, hour, minute);
            let offset = sim_offset_ms(at, SimClock::Open, &s);
            assert_eq!(offset == 0, kept, "{hour}:{minute}");
        }
    }

    proptest! {
        #[test]
        fn the_open_clock_always_starts_in_a_regular_session(at in 1_600_000_000_000_i64..2_000_000_000_000) {
            let s = Session::new();
            let shifted = at + sim_offset_ms(at, SimClock::Open, &s);
            prop_assert_eq!(s.phase(shifted), Phase::Regular);
            let day = s.trading_day(shifted);
            prop_assert!(s.at_ms(day, 16, 0) - shifted >= LEFT_MIN_MS);
            prop_assert_eq!(sim_offset_ms(at, SimClock::Real, &s), 0);
        }
    }
}
