//! Whom we ask: Schwab, the trader app, and the embedded market that stands in for both.

pub mod http;
pub mod resolve;
mod roots;
pub mod schwab;
pub mod sim;
pub mod tls_words;
pub mod trader;

pub use roots::Roots;

#[cfg(test)]
#[path = "../../tests/kit/certificates.rs"]
pub(crate) mod certificates;
#[cfg(test)]
#[path = "../../tests/kit/tls.rs"]
pub(crate) mod tls;

#[cfg(test)]
#[path = "../../tests/kit/fake.rs"]
mod fake;
