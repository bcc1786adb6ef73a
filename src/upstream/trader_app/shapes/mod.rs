//! What the trader app says: the shape of each of its answers, files and events, with the unit and
//! meaning of each field. The owner's frontend reads these names, so they are the wire's.
//!
//! The embedded market builds what it says from these types, and the page's TypeScript types
//! (`src/web/core/shapes.ts`) are derived from them by a test, so that neither can speak of a field
//! that the other does not know. The server itself passes the trader app's answers on as they come,
//! unknown fields kept.
//!
//! Times are ISO 8601 strings, but for numbers whose names end in `_ms` and a spike's `timestamp`.
//! Percents are numbers like 62.4. A real trader app may leave out optional fields or send null.

mod filed;
mod polled;
mod streamed;
#[cfg(test)]
mod tests;

pub use filed::{
    AiAnalysis, EntryZone, ExitReason, MarketContext, Runner, RunnerStatistics, RunnerStatus,
    Runners, StopZone, Trade, TradeEntry, TradeExit, TradeMetadata, TradeOutcome,
};
pub use polled::{
    ContinuationData, LlmAnalysis, Position, Promoted, PromotionStats, Rotation, Signal,
    StreamHealth, StreamStats, Vwap, VwapSource, WatchlistEntry,
};
pub use streamed::{StreamQuote, VolumeSpike};
