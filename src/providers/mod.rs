//! Whom we ask: Schwab, the trader app, and the embedded market that stands in for both.

pub mod http;
pub mod resolve;
mod roots;
pub mod schwab;
pub mod sim;
mod tls_words;
pub mod trader;

pub use roots::Roots;

#[cfg(test)]
#[path = "../../tests/kit/fake.rs"]
mod fake;
