//! Schwab's market data: what the candle cache keeps of it, the client with its limits, the two calls, what their
//! answers mean, and the token file.

pub mod candles;
mod client;
mod limits;
pub mod parse;
pub mod quotes;
mod request;
mod rest;
pub(crate) mod token;
pub(crate) mod token_form;

#[cfg(test)]
mod quote_tests;
#[cfg(test)]
mod tests;

pub use client::Client;
pub use rest::{QUOTES_MAX, SCHWAB, Schwab, SchwabConfig};
pub use token::{TokenError, TokenExpiry, TokenFile};
pub use token_form::{NoToken, Token};
