//! What is traded and when: symbols, timeframes, candles, quotes, the session's hours. Plain values
//! and pure functions.

pub mod analysis;
mod candle;
mod quote;
mod session;
mod symbol;

pub use candle::{Candle, Timeframe, UnknownTimeframe};
pub use quote::Quote;
pub use session::{NEW_YORK, Phase, Session};
pub use symbol::{BadSymbol, SYMBOL_CHARS_MAX, Symbol};
