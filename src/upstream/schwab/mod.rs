//! Schwab's market data: the token file, the calls, and what their answers mean.

pub mod candles;
pub mod parse;
pub mod quotes;
mod rest;
pub(crate) mod token;
pub(crate) mod token_form;

#[cfg(test)]
mod quote_tests;
#[cfg(test)]
mod tests;

pub use rest::{QUOTES_MAX, SCHWAB, Schwab, SchwabConfig};
pub use token::{TokenError, TokenExpiry, TokenFile};
pub use token_form::{NoToken, Token};
