//! What a price and the size of a trade mean, by what is traded. Pure.

use super::Symbol;

/// Prices and shares: up to and including this price, so many shares are a round lot. Beyond the last, one
/// is. Regulation NMS, rule 600(b)(93), as in force since November 2025; the rule goes by a stock's mean
/// close of a month, a trade's own price is the nearest that is known here.
const ROUND_LOTS: [(f64, f64); 3] = [(250.0, 100.0), (1_000.0, 40.0), (10_000.0, 10.0)];

/// Characters in the name of an option, which pads its root with blanks: `AMZN  230317C01360000`.
const OPTION_CHARS: usize = 21;

/// Whether a price of 0 can be one: an index such as `$TICK` crosses it.
#[must_use]
pub fn may_be_zero(symbol: &Symbol) -> bool {
    symbol.as_str().starts_with('$')
}

/// The shares below which a trade at this price is an odd lot; none for what is not traded in shares:
/// indices, futures, options, currencies.
#[must_use]
pub fn round_lot(symbol: &Symbol, price: f64) -> Option<f64> {
    is_share(symbol.as_str()).then(|| {
        let lot = ROUND_LOTS.iter().find(|(up_to, _)| price <= *up_to);
        lot.map_or(1.0, |(_, shares)| *shares)
    })
}

fn is_share(symbol: &str) -> bool {
    let is_pair = || matches!(symbol.split_once('/'), Some((a, b)) if a.len() == 3 && b.len() == 3);
    let is_option = symbol.len() == OPTION_CHARS || symbol.contains(' ');
    !symbol.starts_with(['$', '/', '.']) && !is_option && !is_pair()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_lot_goes_by_the_price_and_is_for_shares_alone() {
        let lot = |symbol: &str, price| round_lot(&symbol.parse().unwrap(), price);
        for (price, shares) in [
            (0.05, 100.0),
            (250.0, 100.0),
            (250.01, 40.0),
            (1_000.0, 40.0),
            (1_000.01, 10.0),
            (10_000.0, 10.0),
            (10_000.01, 1.0),
            (740_000.0, 1.0),
        ] {
            assert_eq!(lot("TOYO", price), Some(shares), "{price}");
        }
        assert_eq!(lot("BRK/B", 512.0), Some(40.0));
        for other in ["$SPX", "/ES", "AUD/CAD"] {
            assert_eq!(lot(other, 1.0), None, "{other}");
        }
        assert!(!is_share("AMZN  230317C01360000") && !is_share("./ADUF23C0.55"));
        assert!(may_be_zero(&"$TICK".parse().unwrap()));
        assert!(!may_be_zero(&"TOYO".parse().unwrap()));
    }
}
