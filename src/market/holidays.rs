//! The weekdays on which the exchange does not open, by its own rules (New York Stock Exchange, rule 7.2). Pure.
//!
//! Closures that are declared at short notice are not known here; such a day looks like one without trades.

use jiff::civil::{Date, Weekday, date};
use jiff::{Span, ToSpan};

/// Juneteenth is kept since then.
const JUNETEENTH_FROM: i16 = 2022;

/// Whether the exchange is closed on this weekday.
pub(super) fn is_holiday(day: Date) -> bool {
    let (month, n) = (day.month(), day.day());
    let nth = (n - 1) / 7 + 1;
    match day.weekday() {
        Weekday::Monday => {
            let third = nth == 3 && matches!(month, 1 | 2);
            let last_of_may = month == 5 && n > 31 - 7;
            let first_of_september = month == 9 && nth == 1;
            third || last_of_may || first_of_september || is_fixed(yesterday(day)) || is_fixed(day)
        }
        Weekday::Thursday => (month == 11 && nth == 4) || is_fixed(day),
        // A Saturday's holiday is kept the day before; New Year's Day is not: it would be in the old year.
        Weekday::Friday => {
            let tomorrow = day.saturating_add(1.day());
            let for_saturday = is_fixed(tomorrow) && tomorrow.month() != 1;
            is_good_friday(day) || for_saturday || is_fixed(day)
        }
        _ => is_fixed(day),
    }
}

fn yesterday(day: Date) -> Date {
    day.saturating_sub(1.day())
}

/// Holidays that have a date.
fn is_fixed(day: Date) -> bool {
    match (day.month(), day.day()) {
        (1, 1) | (7, 4) | (12, 25) => true,
        (6, 19) => day.year() >= JUNETEENTH_FROM,
        _ => false,
    }
}

fn is_good_friday(day: Date) -> bool {
    let until: Option<Span> = day.until(easter(day.year())).ok();
    until.is_some_and(|span| span.get_days() == 2)
}

/// Easter Sunday of the Gregorian calendar (the anonymous algorithm, Nature, 1876).
fn easter(year: i16) -> Date {
    let y = i32::from(year);
    let (a, b, c) = (y % 19, y / 100, y % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (b - (b + 8) / 25 + 1) / 3;
    let h = (19 * a + b - d - g + 15) % 30;
    let l = (32 + 2 * e + 2 * (c / 4) - h - c % 4) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let n = h + l - 7 * m + 114;
    let part = |n: i32| i8::try_from(n).unwrap_or(1);
    date(year, part(n / 31), part(n % 31 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weekdays_off(year: i16) -> Vec<(i8, i8)> {
        let mut day = date(year, 1, 1);
        let mut off = Vec::new();
        while day.year() == year {
            let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
            if !weekend && is_holiday(day) {
                off.push((day.month(), day.day()));
            }
            day = day.tomorrow().unwrap();
        }
        off
    }

    /// As the exchange has published them.
    #[test]
    fn the_published_calendars_come_out() {
        for (year, want) in [
            (
                2021,
                &[
                    (1, 1),
                    (1, 18),
                    (2, 15),
                    (4, 2),
                    (5, 31),
                    (7, 5),
                    (9, 6),
                    (11, 25),
                    (12, 24),
                ][..],
            ),
            (
                2022,
                &[
                    (1, 17),
                    (2, 21),
                    (4, 15),
                    (5, 30),
                    (6, 20),
                    (7, 4),
                    (9, 5),
                    (11, 24),
                    (12, 26),
                ],
            ),
            (
                2023,
                &[
                    (1, 2),
                    (1, 16),
                    (2, 20),
                    (4, 7),
                    (5, 29),
                    (6, 19),
                    (7, 4),
                    (9, 4),
                    (11, 23),
                    (12, 25),
                ],
            ),
            (
                2026,
                &[
                    (1, 1),
                    (1, 19),
                    (2, 16),
                    (4, 3),
                    (5, 25),
                    (6, 19),
                    (7, 3),
                    (9, 7),
                    (11, 26),
                    (12, 25),
                ],
            ),
            (
                2027,
                &[
                    (1, 1),
                    (1, 18),
                    (2, 15),
                    (3, 26),
                    (5, 31),
                    (6, 18),
                    (7, 5),
                    (9, 6),
                    (11, 25),
                    (12, 24),
                ],
            ),
        ] {
            assert_eq!(weekdays_off(year), want, "{year}");
        }
    }
}
