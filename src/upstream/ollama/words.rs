//! Parts of a set-up in words, as a prompt has them. Pure.

use std::fmt::Write;

use crate::market::analysis::{Alignment, Bias, Direction, VwapZone};

use super::setup::{Boost, Catalyst, FirstPullback, Patterns, Runner};

/// What stands where nothing can be had.
pub const NOT_AVAILABLE: &str = "not available";

/// "4.3M"
#[must_use]
pub fn shares(count: f64) -> String {
    match count {
        n if n >= 1e9 => format!("{:.1}B", n / 1e9),
        n if n >= 1e6 => format!("{:.1}M", n / 1e6),
        n if n >= 1e3 => format!("{:.0}K", n / 1e3),
        n => format!("{n:.0}"),
    }
}

/// What it means to buy in this zone.
#[must_use]
pub fn chase_risk(zone: VwapZone) -> &'static str {
    match zone {
        VwapZone::Green => "low",
        VwapZone::Yellow => "moderate",
        VwapZone::Red => "high, extended",
    }
}

/// "bullish (higher lows)"
#[must_use]
pub fn bias(bias: Bias) -> String {
    format!("{} ({})", bias.direction.as_str(), bias.reason)
}

/// "aligned, bullish"; none where nothing is known.
#[must_use]
pub fn alignment(alignment: Alignment) -> Option<&'static str> {
    (alignment.known > 0).then_some(match alignment.direction {
        Direction::Bullish if alignment.bullish == alignment.known => "aligned, bullish",
        Direction::Bullish => "mostly bullish",
        Direction::Bearish => "mostly bearish",
        Direction::Neutral => "mixed",
    })
}

/// News of the last half hour. A prompt's rules look for its first words.
#[must_use]
pub fn boost(boost: Option<&Boost>) -> String {
    let Some(boost) = boost else {
        return "No news in the last half hour.".to_owned();
    };
    let Boost {
        minutes_ago,
        previous_score: before,
        new_score: now,
        ..
    } = boost;
    let headline = boost.headline.as_deref().unwrap_or("(no headline)");
    let priority = boost.priority.as_deref().unwrap_or("unknown");
    let (what, effect) = if boost.is_upgrade() {
        (
            "BREAKING NEWS DETECTED",
            format!("raised from {before} to {now}"),
        )
    } else {
        ("News", format!("{now}, not raised (before: {before})"))
    };
    format!(
        "{what} ({minutes_ago} minutes ago)\n- Headline: {headline}\n- Priority: {priority}\n- Catalyst strength: {effect}"
    )
}

/// What is known of a runner.
#[must_use]
pub fn runner(runner: Option<&Runner>) -> String {
    let Some(runner) = runner else {
        return "No runner of several days.".to_owned();
    };
    let mut out = String::new();
    let mut line = |name: &str, value: Option<String>| {
        let value = value.as_deref().unwrap_or(NOT_AVAILABLE);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "- {name}: {value}");
    };
    let percent = |p: Option<f64>| p.map(|p| format!("{p:.1}%"));
    line("Status", runner.status.clone());
    line(
        "Days since its first gap",
        runner.gap_age_days.map(|d| format!("{d:.0}")),
    );
    line("Pullback from its high", percent(runner.pullback_percent));
    line("Moved in all", percent(runner.cumulative_move_percent));
    line(
        "Quality",
        runner.quality_score.map(|q| format!("{q:.0} of 100")),
    );
    let zone = |z: &super::setup::Zone| {
        let why = z
            .why
            .as_deref()
            .map(|w| format!(" ({w})"))
            .unwrap_or_default();
        format!("${:.2}{why}", z.price)
    };
    for entry in &runner.entry_zones {
        line("Entry zone", Some(zone(entry)));
    }
    line("Stop zone", runner.stop_zone.as_ref().map(zone));
    out.truncate(out.trim_end().len());
    out
}

/// The first pullback. A prompt's rules look for its first words.
#[must_use]
pub fn first_pullback(found: Option<FirstPullback>, catalyst: &Catalyst) -> String {
    let Some(found) = found else {
        return "No first pullback.".to_owned();
    };
    format!(
        "FIRST PULLBACK PATTERN DETECTED (a morning's panic into support that is being bought)\n- {:.1}% below the VWAP\n- Volume {:.0}x the usual\n- {} rising candles in a row\n- Catalyst: {}\n- {} minutes since the open\nThe entry is on the bounce, below the VWAP.",
        found.vwap_distance_percent.abs(),
        found.volume_ratio,
        found.green_candles,
        if catalyst.news > 0 {
            "fresh news"
        } else {
            "a strong one"
        },
        found.minutes_since_open,
    )
}

/// "yes, above 4.20, stop 4.10 (strong)"
#[must_use]
pub fn micro_pullback(patterns: &Patterns) -> String {
    patterns.micro_pullback.map_or("no".to_owned(), |p| {
        let strength = p.strength.as_str();
        format!(
            "yes, above {:.2}, stop {:.2} ({strength})",
            p.trigger, p.stop
        )
    })
}

/// "bull flag, breakout 4.20, target 5.10 (strong)"
#[must_use]
pub fn flag(patterns: &Patterns) -> String {
    patterns.flag.map_or("no".to_owned(), |f| {
        let (kind, strength) = (f.kind.as_str(), f.strength.as_str());
        format!(
            "{kind}, breakout {:.2}, target {:.2} ({strength})",
            f.breakout, f.target
        )
    })
}

/// "4.10 to 4.30 (up 4.9%)", or "none"
#[must_use]
pub fn gaps(patterns: &Patterns) -> String {
    let gaps: Vec<String> = patterns
        .unfilled_gaps
        .iter()
        .map(|g| {
            let way = if g.percent > 0.0 { "up" } else { "down" };
            format!(
                "{:.2} to {:.2} ({way} {:.1}%)",
                g.bottom,
                g.top,
                g.percent.abs()
            )
        })
        .collect();
    if gaps.is_empty() {
        return "none".to_owned();
    }
    gaps.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_told_in_their_unit() {
        assert_eq!(
            [9e9, 4_300_000.0, 12_345.0, 900.0].map(shares),
            ["9.0B", "4.3M", "12K", "900"]
        );
    }

    #[test]
    fn only_news_that_raised_the_catalyst_are_breaking() {
        let mut news = Boost {
            headline: Some("Contract won".into()),
            priority: None,
            minutes_ago: 4,
            previous_score: 5.0,
            new_score: 8.0,
        };
        assert!(boost(Some(&news)).starts_with("BREAKING NEWS DETECTED (4 minutes ago)"));
        news.new_score = 5.0;
        assert!(!boost(Some(&news)).contains("BREAKING"));
        assert!(!boost(None).contains("BREAKING"));
    }
}
