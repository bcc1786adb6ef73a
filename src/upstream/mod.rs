//! Whom we ask: Schwab, the trader app and Ollama, each with a folder, and what they share.

pub mod http;
pub mod ollama;
pub mod resolve;
mod roots;
pub mod schwab;
pub mod tls_words;
pub mod trader_app;

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
