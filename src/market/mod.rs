//! What is traded and when: symbols, timeframes, candles, quotes, the session's hours. Plain values
//! and pure functions.

pub mod analysis;
mod candle;
mod holidays;
mod live;
mod price;
mod quote;
mod session;
mod skew;
mod symbol;

pub use candle::{Candle, Timeframe, UnknownTimeframe};
pub use live::LiveCandles;
pub use price::{may_be_zero, round_lot};
pub use quote::Quote;
pub use session::{NEW_YORK, Phase, Session};
pub use skew::{Skew, SkewBounds};
pub use symbol::{BadSymbol, Symbol};
