//! Whom we ask: Schwab, the trader app, and the embedded market that stands in for both.

pub mod http;
pub mod resolve;
pub mod schwab;
pub mod sim;
pub mod trader;

#[cfg(test)]
#[path = "../../tests/kit/fake.rs"]
mod fake;
