//! What goes back to a client: status, headers, body; and the page's files.

#[expect(clippy::module_inception, reason = "the room's one thing")]
mod answer;
mod date;
pub mod page;

pub use answer::{Answer, Wants, Written};
