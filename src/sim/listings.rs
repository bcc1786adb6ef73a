//! Who is traded in the embedded market: made-up companies with a low float, each with a character.

/// How a symbol behaves, day after day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Character {
    /// Most of its move happens overnight.
    Gapper,
    /// Opens where it closed and moves all day.
    Runner,
    /// Opens high and gives it back.
    Fader,
    /// Moves so fast that trading is halted for some minutes, several times a day.
    Halted,
    /// Quiet, but for bursts of volume.
    Spiky,
    /// Nothing special.
    Steady,
    /// No trade before the opening, or even before a later minute (of the session).
    Thin {
        /// Earliest minute since 04:00 New York of its first trade.
        from_minute: u32,
    },
    /// No trade at all.
    Silent,
}

/// One symbol of the embedded market.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listing {
    pub(super) symbol: &'static str,
    pub(super) name: &'static str,
    pub(super) character: Character,
    /// Around which its price lies over the years, in dollars.
    pub(super) base_price: f64,
    pub(super) float_shares: u64,
    /// Shares in a usual minute of the regular session.
    pub(super) minute_volume: f64,
    /// How far its price strays within a day, as a share of the price.
    pub(super) volatility: f64,
    /// Symbols of one pair take turns: on a day on which one is in play, the other is not.
    pub(super) pair: u64,
    pub(super) pair_side: bool,
    /// How much higher it closes on a day on which it is in play, as a share.
    pub(super) play_gain: f64,
    /// Its share of the quotes on the stream, against the others'.
    pub(super) liveliness: u32,
}

/// Index of a symbol in [`LISTINGS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(pub(super) usize);

impl Id {
    /// All of them, in the order of [`LISTINGS`].
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..LISTINGS.len()).map(Self)
    }

    /// The symbol of that name in upper case, if it is traded here.
    pub(super) fn find(symbol: &str) -> Option<Self> {
        LISTINGS.iter().position(|l| l.symbol == symbol).map(Self)
    }

    pub(super) fn listing(self) -> &'static Listing {
        &LISTINGS[self.0]
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one row of a table, in the order of its columns"
)]
const fn row(
    symbol: &'static str,
    name: &'static str,
    character: Character,
    base_price: f64,
    float_thousands: u64,
    minute_volume: f64,
    volatility: f64,
    (pair, pair_side): (u64, bool),
    play_gain: f64,
    liveliness: u32,
) -> Listing {
    Listing {
        symbol,
        name,
        character,
        base_price,
        float_shares: float_thousands * 1_000,
        minute_volume,
        volatility,
        pair,
        pair_side,
        play_gain,
        liveliness,
    }
}

use Character::{Fader, Gapper, Halted, Runner, Silent, Spiky, Steady, Thin};

/// The whole market.
#[rustfmt::skip]
pub(super) const LISTINGS: [Listing; 22] = [
    row("TOYO",  "Toyon Solar Tiles",        Gapper,  3.10,  4_100, 21_000.0, 0.030, (0, false), 0.55, 12),
    row("ELPW",  "Elmpower Storage",         Runner,  1.85,  2_700, 26_000.0, 0.034, (0, true),  0.80, 12),
    row("VRLK",  "Verlake Therapeutics",     Gapper,  5.60,  6_200, 14_000.0, 0.026, (1, false), 0.42,  8),
    row("MQZT",  "Marquezit Minerals",       Gapper,  0.62, 11_800, 60_000.0, 0.036, (1, true),  0.48,  8),
    row("JOLV",  "Jolvane Foods",            Runner,  7.40,  3_300,  9_000.0, 0.024, (2, false), 0.36,  7),
    row("KZPR",  "Kazparo Robotics",         Runner,  2.35,  5_000, 18_000.0, 0.030, (2, true),  0.60,  8),
    row("WNDQ",  "Windquarter Energy",       Fader,   4.20,  7_600, 12_000.0, 0.026, (3, false), 0.20,  6),
    row("GLYX",  "Glyxon Biosystems",        Fader,   0.91,  9_400, 38_000.0, 0.034, (3, true),  0.25,  6),
    row("PLMZ",  "Plumzey Software",         Halted,  6.80,  1_900, 24_000.0, 0.038, (4, false), 0.70,  9),
    row("DRFQ",  "Driftquay Shipping",       Halted,  3.75,  2_200, 22_000.0, 0.036, (4, true),  0.65,  9),
    row("HXTA",  "Hextara Optics",           Spiky,   9.10,  4_800,  4_000.0, 0.018, (5, false), 0.12,  5),
    row("NUVQ",  "Nuvaquest Medical",        Spiky,   1.42,  8_100,  8_000.0, 0.024, (5, true),  0.15,  5),
    row("OBLR",  "Oblear Ceramics",          Spiky,   2.95,  3_900,  5_500.0, 0.022, (6, false), 0.10,  5),
    row("TRZM",  "Terrazem Agriculture",     Steady, 11.30,  9_900,  5_000.0, 0.012, (6, true),  0.05,  4),
    row("UPLQ",  "Uplaque Dental",           Steady,  8.25,  7_000,  3_500.0, 0.012, (7, false), 0.06,  3),
    row("YARW",  "Yarrowmill Textiles",      Steady,  4.65,  5_600,  4_500.0, 0.014, (7, true),  0.06,  3),
    row("ZEPK",  "Zepkin Aerospace",         Runner, 10.40,  6_700, 11_000.0, 0.022, (8, false), 0.30,  6),
    row("FENZ",  "Fenzaro Water",            Fader,   2.05,  4_400, 10_000.0, 0.028, (8, true),  0.22,  5),
    row("LUMQ",  "Lumaquill Lighting",       Thin { from_minute: 331 },
                                                      5.15,  2_900,    900.0, 0.016, (9, false), 0.08,  2),
    row("RAVQ",  "Ravenquist Instruments",   Thin { from_minute: 352 },
                                                      3.40,  1_600,    500.0, 0.016, (9, true),  0.08,  2),
    row("IXOB",  "Ixobel Holdings",          Silent,  1.20,  1_100,      0.0, 0.0,  (10, false), 0.0,   0),
    row("ZQX/A", "Zorquex Class A",          Steady,  7.70,  5_200,  4_000.0, 0.016, (10, true), 0.08,  3),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Symbol;
    use std::collections::BTreeSet;

    #[test]
    fn every_symbol_is_sound_and_stands_there_once() {
        let mut seen = BTreeSet::new();
        for listing in LISTINGS {
            let symbol: Symbol = listing.symbol.parse().unwrap();
            assert_eq!(symbol.as_str(), listing.symbol);
            assert!(seen.insert(listing.symbol), "{} twice", listing.symbol);
            assert_eq!(
                Id::find(listing.symbol).unwrap().listing().name,
                listing.name
            );
        }
        assert!(Id::find("NOPE").is_none());
        assert!(LISTINGS.iter().any(|l| l.symbol.contains('/')));
    }
}
