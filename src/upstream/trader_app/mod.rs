//! The trader app: what the trader cache keeps of its REST answers, the client with its limits, the answers that
//! stand in for its own, its files and its stream.

pub mod answers;
mod client;
mod codec;
pub mod files;
mod limits;
pub mod shapes;
pub mod socketio;

use std::fmt;

use serde_json::{Map, Value};

use crate::cache::Key;
use crate::json;
use crate::market::Symbol;
use crate::upstream::http::escaped;

pub use client::Client;
pub use codec::Codec;

/// As errors name it.
pub const TRADER: &str = "the trader app";

/// The queues' numbers: each kind has its own fetchers.
pub const QUEUE_WATCHLIST: usize = 0;
/// VWAP of one symbol or all.
pub const QUEUE_VWAP: usize = 1;
/// Stream health and rotation.
pub const QUEUE_FEED: usize = 2;
/// Signals and positions.
pub const QUEUE_LISTS: usize = 3;

/// What the trader cache keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TraderKey {
    /// An array.
    Watchlist,
    /// An object.
    Vwap(Symbol),
    /// An object by symbol.
    VwapAll,
    /// An object.
    StreamHealth,
    /// An object.
    Rotation,
    /// An array.
    Signals,
    /// An array.
    Positions,
}

impl TraderKey {
    /// The path at the trader app.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Watchlist => "/api/watchlist".into(),
            Self::Vwap(symbol) => format!("/api/vwap/{}", escaped(symbol.as_str())),
            Self::VwapAll => "/api/vwap".into(),
            Self::StreamHealth => "/api/streaming/health".into(),
            Self::Rotation => "/api/streaming/rotation".into(),
            Self::Signals => "/api/signals".into(),
            Self::Positions => "/api/positions".into(),
        }
    }

    fn is_array(&self) -> bool {
        matches!(self, Self::Watchlist | Self::Signals | Self::Positions)
    }
}

impl fmt::Display for TraderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watchlist => f.write_str("watchlist"),
            Self::Vwap(symbol) => write!(f, "vwap {symbol}"),
            Self::VwapAll => f.write_str("vwap"),
            Self::StreamHealth => f.write_str("streaming health"),
            Self::Rotation => f.write_str("rotation"),
            Self::Signals => f.write_str("signals"),
            Self::Positions => f.write_str("positions"),
        }
    }
}

impl Key for TraderKey {
    fn queue(&self) -> usize {
        match self {
            Self::Watchlist => QUEUE_WATCHLIST,
            Self::Vwap(_) | Self::VwapAll => QUEUE_VWAP,
            Self::StreamHealth | Self::Rotation => QUEUE_FEED,
            Self::Signals | Self::Positions => QUEUE_LISTS,
        }
    }
}

/// A symbol's entry in a watchlist: an object with a `symbol`, or the bare symbol.
#[must_use]
pub fn watchlist_entry(watchlist: &[u8], symbol: &Symbol) -> Option<Map<String, Value>> {
    let (list, _) = json::read::<Vec<Value>>(watchlist).ok()?;
    let is_it = |v: &Value| v.as_str().is_some_and(|s| symbol.is_written(s));
    list.into_iter().find_map(|entry| match entry {
        Value::Object(map) if map.get("symbol").is_some_and(is_it) => Some(map),
        bare if is_it(&bare) => {
            let mut map = Map::new();
            map.insert("symbol".into(), bare);
            Some(map)
        }
        _ => None,
    })
}

/// Symbols of a watchlist that are taken as known; a longer list has other purposes.
const SYMBOLS_MAX: usize = 1_000;

/// The symbols of a watchlist: of its objects, or bare. What is none is left out.
#[must_use]
pub fn watchlist_symbols(watchlist: &[u8]) -> Vec<Symbol> {
    let (list, _) = json::read::<Vec<Value>>(watchlist).unwrap_or_default();
    let symbol = |entry: &Value| entry.get("symbol").unwrap_or(entry).as_str()?.parse().ok();
    list.iter().filter_map(symbol).take(SYMBOLS_MAX).collect()
}

/// A symbol's entry in `runners.json`.
#[must_use]
pub fn runner_entry(runners: &[u8], symbol: &Symbol) -> Option<Map<String, Value>> {
    let (runners, _) = json::read::<Map<String, Value>>(runners).ok()?;
    let list = runners.get("active_runners")?.as_array()?;
    let mut entries = list.iter().filter_map(Value::as_object);
    let is_it = |e: &&Map<String, Value>| {
        let named = e.get("symbol").and_then(Value::as_str);
        named.is_some_and(|s| symbol.is_written(s))
    };
    entries.find(is_it).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_symbols_of_a_watchlist_are_read_from_objects_and_bare() {
        let list = br#"[{"symbol":"toyo","x":1},"ELPW",7,{"x":1},{"symbol":""}]"#;
        let symbols: Vec<String> = watchlist_symbols(list)
            .iter()
            .map(|s| s.to_string())
            .collect();
        assert_eq!(symbols, ["TOYO", "ELPW"]);
        assert!(watchlist_symbols(b"{}").is_empty());
    }

    #[test]
    fn an_entry_is_found_in_any_case_with_all_its_fields() {
        let list = br#"[{"symbol":"toyo","x":1},"ELPW",7]"#;
        let toyo = watchlist_entry(list, &"TOYO".parse().unwrap()).unwrap();
        assert_eq!(toyo["x"], 1);
        assert!(watchlist_entry(list, &"ELPW".parse().unwrap()).is_some());
        assert!(watchlist_entry(list, &"NOPE".parse().unwrap()).is_none());
        assert!(watchlist_entry(br#"[" Toyo "]"#, &"TOYO".parse().unwrap()).is_some());
        assert!(watchlist_entry(b"{}", &"NOPE".parse().unwrap()).is_none());
        let odd =
            br#"[{"symbol":"TOYO","headline":"Shares rocket \ud83d"},{"symbol":"ELPW","x":NaN}]"#;
        assert!(watchlist_entry(odd, &"ELPW".parse().unwrap()).is_some());
    }

    #[test]
    fn a_runner_is_found_in_any_case() {
        let runners = br#"{"active_runners":[7,{"symbol":"toyo","status":"X"}]}"#;
        let toyo = runner_entry(runners, &"TOYO".parse().unwrap()).unwrap();
        assert_eq!(toyo["status"], "X");
        assert!(runner_entry(runners, &"NOPE".parse().unwrap()).is_none());
        assert!(runner_entry(b"[]", &"TOYO".parse().unwrap()).is_none());
    }

    #[test]
    fn a_slash_in_a_symbol_stays_one_segment() {
        let key = TraderKey::Vwap("BRK/B".parse().unwrap());
        assert_eq!(key.path(), "/api/vwap/BRK%2FB");
    }
}
