//! Where candles and quotes come from.

pub mod sim;
