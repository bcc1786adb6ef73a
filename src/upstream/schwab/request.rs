//! The paths that Schwab is asked by, and what a refusal means. Pure.

use crate::market::{Symbol, Timeframe};
use crate::resilience::FetchError;
use crate::upstream::http::{Response, escaped};

use super::SCHWAB;

/// Candles are asked for up to this much after now, so that a clock that is behind loses none: an end far
/// ahead costs nothing. Without an end Schwab's series would end at the close of the day before.
const END_SLACK_MS: i64 = 7 * 86_400_000;

/// How daily candles are asked for: a year of them.
const DAILY: &str = "periodType=year&period=1&frequencyType=daily&frequency=1";

/// The question for a series from `from_ms` on, asked at `now_ms` of the provider's clock; of daily candles for
/// a year of them.
pub(super) fn candles(symbol: &Symbol, timeframe: Timeframe, from_ms: i64, now_ms: i64) -> String {
    let range = match timeframe.minutes() {
        Some(minutes) => {
            format!("periodType=day&frequencyType=minute&frequency={minutes}&startDate={from_ms}")
        }
        None => DAILY.to_owned(),
    };
    format!(
        "/pricehistory?symbol={}&{range}&endDate={}&needExtendedHoursData=true",
        escaped(symbol.as_str()),
        now_ms + END_SLACK_MS
    )
}

/// The question for several quotes, …
pub(super) fn list(symbols: &[Symbol]) -> String {
    let names: Vec<String> = symbols.iter().map(|s| escaped(s.as_str())).collect();
    format!("/quotes?symbols={}", names.join("%2C"))
}

/// … and for one, which some servers in between cut at a slash.
pub(super) fn single(symbol: &Symbol) -> String {
    format!("/{}/quotes", escaped(symbol.as_str()))
}

/// Whether it was refused for what it asks for, and not for who asks or how often.
pub(super) fn is_about_the_request(failure: &FetchError) -> bool {
    match failure {
        FetchError::NoData { .. } => true,
        FetchError::Status { code, .. } => (400..500).contains(code) && !matches!(code, 403 | 429),
        _ => false,
    }
}

/// What an error status means; `detail` is what the answer says of it, `token_file` where the token is.
pub(super) fn refused(
    response: &Response,
    detail: String,
    token_file: impl std::fmt::Display,
) -> FetchError {
    let upstream = SCHWAB;
    match response.status {
        401 => FetchError::Token {
            upstream,
            why: format!("it refuses the token in {token_file}; let your login program renew it"),
        },
        code => FetchError::Status {
            upstream,
            code,
            detail,
            retry_after: response.retry_after,
        },
    }
}
