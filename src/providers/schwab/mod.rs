//! Schwab's market data: the token file, the calls, and what their answers mean.

pub mod parse;
mod rest;
pub(crate) mod token;

#[cfg(test)]
mod tests;

pub use rest::{SCHWAB, Schwab, SchwabConfig};
pub use token::{Token, TokenError, TokenExpiry, TokenFile};
