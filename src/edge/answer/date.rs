//! The `Date` of answers (RFC 9110, 6.6.1), made once a second on each thread.

use std::cell::RefCell;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use crate::runtime::clock::system_ms;

thread_local! {
    /// The second, and how it is written.
    static LAST: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// Adds the header line. Nothing where the system's clock tells no time that the format can show.
pub fn add_date(head: &mut String) {
    let second = system_ms().div_euclid(1_000);
    LAST.with_borrow_mut(|(of, line)| {
        if *of != second {
            *line = date(second).map_or_else(String::new, |date| format!("Date: {date}\r\n"));
            *of = second;
        }
        head.push_str(line);
    });
}

fn date(second: i64) -> Option<String> {
    let timestamp = Timestamp::from_second(second).ok()?;
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&timestamp)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_the_one_form_that_may_be_sent() {
        assert_eq!(
            date(784_111_777).as_deref(),
            Some("Sun, 06 Nov 1994 08:49:37 GMT")
        );
        assert_eq!(date(i64::MAX), None);
    }
}
