//! Whom we ask: Schwab, the trader app and Ollama, each with a folder, and what they share.
//!
//! A folder holds what the upstream is asked for (its keys), its client, its limits, and the answers that
//! stand in for its own. What is asked implements [`Source`](crate::cache::Source) and [`Upstream`] and has a
//! row in the table below; what streams implements [`StreamCodec`].
//!
//! Another upstream that is asked is a folder with a client, its row here, its settings in `config/table.rs`, its
//! cache and fetchers in `runtime/threads.rs`, and the routes that ask for it in `edge/routes/table.rs`.

mod endpoints;
pub mod http;
mod limits;
pub mod ollama;
mod registry;
mod resolve;
mod roots;
pub mod schwab;
mod stream_codec;
pub mod tls_words;
pub mod trader_app;

pub use endpoints::Endpoints;
pub use registry::{Inbox, SymbolsMet, Upstream, Wiring};
pub use resolve::{Lookups, Names};
pub use roots::Roots;
pub use stream_codec::{StreamCodec, StreamEvent, StreamOutput};

registry::registry! {
    /// Candles and quotes.
    market: schwab::Client,
    /// What the trader app says over REST.
    trader: trader_app::Client,
    /// Validations by a language model.
    validation: ollama::Client,
}

#[cfg(test)]
#[path = "../../tests/kit/certificates.rs"]
pub(crate) mod certificates;
#[cfg(test)]
#[path = "../../tests/kit/tls.rs"]
pub(crate) mod tls;

#[cfg(test)]
#[path = "../../tests/kit/fake.rs"]
mod fake;
