//! Reads a request for price history as Schwab does: defaults, and which parameters go together.
//! Pure.

use super::request::Request;

/// How long its candles are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frequency {
    /// So many minutes: 1, 5, 10, 15 or 30.
    Minutes(u32),
    Daily,
    Weekly,
    Monthly,
}

/// A sound request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// As it was written.
    pub(super) symbol: String,
    /// The unit ("day", "month", "year", "ytd") and how many of them.
    pub(super) period: (&'static str, i32),
    pub(super) frequency: Frequency,
    /// First and last moment, in milliseconds since the Unix epoch.
    pub(super) start_ms: Option<i64>,
    pub(super) end_ms: Option<i64>,
    /// Whether minutes outside the regular session are wanted.
    pub(super) extended: bool,
    pub(super) previous_close: bool,
}

struct Unit {
    name: &'static str,
    periods: &'static [i32],
    period_default: i32,
    frequencies: &'static [&'static str],
}

/// Of the frequencies the last is the default.
const UNITS: [Unit; 4] = [
    Unit {
        name: "day",
        periods: &[1, 2, 3, 4, 5, 10],
        period_default: 10,
        frequencies: &["minute"],
    },
    Unit {
        name: "month",
        periods: &[1, 2, 3, 6],
        period_default: 1,
        frequencies: &["daily", "weekly"],
    },
    Unit {
        name: "year",
        periods: &[1, 2, 3, 5, 10, 15, 20],
        period_default: 1,
        frequencies: &["daily", "weekly", "monthly"],
    },
    Unit {
        name: "ytd",
        periods: &[1],
        period_default: 1,
        frequencies: &["daily", "weekly"],
    },
];

const MINUTES: [u32; 5] = [1, 5, 10, 15, 30];

/// The wish in a request, or what is wrong with it and with which parameter.
pub(super) fn wish(request: &Request) -> Result<Wish, (String, &'static str)> {
    let symbol = request.query("symbol").unwrap_or("");
    if symbol.is_empty() {
        return Err(("symbol is required".into(), "symbol"));
    }
    let unit = match request.query("periodType") {
        None => &UNITS[0],
        Some(given) => UNITS
            .iter()
            .find(|u| u.name == given)
            .ok_or_else(|| (format!("invalid periodType {given}"), "periodType"))?,
    };
    let period = number(request, "period")?.unwrap_or(unit.period_default);
    if !unit.periods.contains(&period) {
        let why = format!("period {period} is not valid for periodType {}", unit.name);
        return Err((why, "period"));
    }
    let kind = match request.query("frequencyType") {
        None => unit.frequencies[unit.frequencies.len() - 1],
        Some(given) => unit
            .frequencies
            .iter()
            .find(|f| **f == given)
            .ok_or_else(|| {
                let why = format!(
                    "frequencyType {given} is not valid for periodType {}",
                    unit.name
                );
                (why, "frequencyType")
            })?,
    };
    let frequency: u32 = number(request, "frequency")?.unwrap_or(1);
    let frequency = match kind {
        "minute" if MINUTES.contains(&frequency) => Frequency::Minutes(frequency),
        "daily" if frequency == 1 => Frequency::Daily,
        "weekly" if frequency == 1 => Frequency::Weekly,
        "monthly" if frequency == 1 => Frequency::Monthly,
        _ => {
            let why = format!("frequency {frequency} is not valid for frequencyType {kind}");
            return Err((why, "frequency"));
        }
    };
    let start_ms = moment(request, "startDate")?;
    let end_ms = moment(request, "endDate")?;
    if let (Some(start), Some(end)) = (start_ms, end_ms)
        && start > end
    {
        return Err(("startDate is after endDate".into(), "startDate"));
    }
    Ok(Wish {
        symbol: symbol.to_owned(),
        period: (unit.name, period),
        frequency,
        start_ms,
        end_ms,
        extended: flag(request, "needExtendedHoursData", true)?,
        previous_close: flag(request, "needPreviousClose", false)?,
    })
}

fn number<T: std::str::FromStr>(
    request: &Request,
    key: &'static str,
) -> Result<Option<T>, (String, &'static str)> {
    request
        .query(key)
        .map(|text| {
            text.parse()
                .map_err(|_| (format!("{key} is not a number"), key))
        })
        .transpose()
}

/// A wall time within the years that the market knows.
fn moment(request: &Request, key: &'static str) -> Result<Option<i64>, (String, &'static str)> {
    /// 2100-01-01.
    const LAST_MS: i64 = 4_102_444_800_000;
    Ok(number::<i64>(request, key)?.map(|ms| ms.clamp(0, LAST_MS)))
}

fn flag(
    request: &Request,
    key: &'static str,
    default: bool,
) -> Result<bool, (String, &'static str)> {
    match request.query(key) {
        None => Ok(default),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err((format!("{key} is neither true nor false"), key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(query: &str) -> Result<Wish, &'static str> {
        let request = Request::new("GET", &format!("/pricehistory?{query}"));
        wish(&request).map_err(|(_, what)| what)
    }

    #[test]
    fn only_schwabs_combinations_are_accepted() {
        for (query, expected) in [
            ("symbol=TOYO", Ok(Frequency::Minutes(1))),
            (
                "symbol=TOYO&frequencyType=minute&frequency=15",
                Ok(Frequency::Minutes(15)),
            ),
            (
                "symbol=TOYO&periodType=month&period=6&frequencyType=daily&frequency=1",
                Ok(Frequency::Daily),
            ),
            ("symbol=TOYO&periodType=month", Ok(Frequency::Weekly)),
            ("symbol=TOYO&periodType=year", Ok(Frequency::Monthly)),
            ("periodType=year", Err("symbol")),
            ("symbol=TOYO&periodType=week", Err("periodType")),
            ("symbol=TOYO&period=7", Err("period")),
            ("symbol=TOYO&frequencyType=daily", Err("frequencyType")),
            (
                "symbol=TOYO&periodType=month&frequencyType=minute",
                Err("frequencyType"),
            ),
            ("symbol=TOYO&frequency=2", Err("frequency")),
            ("symbol=TOYO&frequency=x", Err("frequency")),
            (
                "symbol=TOYO&periodType=year&frequencyType=daily&frequency=5",
                Err("frequency"),
            ),
            ("symbol=TOYO&startDate=5&endDate=4", Err("startDate")),
            (
                "symbol=TOYO&needExtendedHoursData=1",
                Err("needExtendedHoursData"),
            ),
        ] {
            assert_eq!(ask(query).map(|w| w.frequency), expected, "{query}");
        }
    }
}
