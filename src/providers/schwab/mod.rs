//! Schwab's market data: the token file, the calls, and what their answers mean.

pub mod parse;
mod rest;
pub(crate) mod token;
pub(crate) mod token_form;

#[cfg(test)]
mod tests;

pub use rest::{SCHWAB, Schwab, SchwabConfig};
pub use token::{TokenError, TokenExpiry, TokenFile};
pub use token_form::{NoToken, Token};
