//! Server frames, encoded once and shared by every client that gets them.

use std::sync::Arc;

use tungstenite::protocol::frame::Frame as WireFrame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::quotes::Frame;

/// A whole unmasked text frame, as a server sends it (RFC 6455, section 5.2).
#[must_use]
pub fn text_frame(text: &str) -> Frame {
    let frame = WireFrame::message(text.as_bytes().to_vec(), OpCode::Data(Data::Text), true);
    let mut bytes = Vec::with_capacity(frame.len());
    // Writing to memory cannot fail; were it to, an empty frame would be skipped by the writer.
    if frame.format(&mut bytes).is_err() {
        bytes.clear();
    }
    Arc::from(bytes)
}
