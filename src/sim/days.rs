//! Numbers of trading days: weekdays counted one by one. Pure.

use jiff::civil::{Date, Weekday, date};
use jiff::{Span, ToSpan};

/// The Monday that has number 0.
const FIRST: Date = date(1970, 1, 5);

/// The number of a weekday; a Saturday or Sunday has its Friday's.
pub(super) fn number(day: Date) -> i64 {
    let days = FIRST
        .until(day)
        .map_or(0, |span: Span| i64::from(span.get_days()));
    days.div_euclid(7) * 5 + days.rem_euclid(7).min(4)
}

/// The weekday with that number.
pub(super) fn date_of(number: i64) -> Date {
    let days = number.div_euclid(5) * 7 + number.rem_euclid(5);
    FIRST.saturating_add(days.days())
}

/// Whether the exchange trades that day.
pub(super) fn is_trading(day: Date) -> bool {
    !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// The first weekday on or after that day.
pub(super) fn number_from(day: Date) -> i64 {
    if is_trading(day) {
        number(day)
    } else {
        number(day) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weekdays_are_numbered_without_holes() {
        let mut day = date(2025, 12, 29);
        let mut expected = number(day);
        for _ in 0..400 {
            if is_trading(day) {
                assert_eq!(number(day), expected);
                assert_eq!(date_of(expected), day);
                assert_eq!(number_from(day), expected);
                expected += 1;
            } else {
                assert_eq!(number(day), expected - 1);
                assert_eq!(number_from(day), expected);
            }
            day = day.tomorrow().unwrap();
        }
    }
}
