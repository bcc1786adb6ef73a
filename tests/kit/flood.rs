//! Quotes without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use super::upstream::Upstreams;

/// A source that sends as fast as it is told, until it is dropped.
pub struct Flood {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// `per_second` quotes over these symbols, each with its number and with padding.
    pub fn start(up: &Upstreams, symbols: &'static [&'static str], per_second: u64) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (source, ended) = (up.trader.stream.clone(), Arc::clone(&over));
        let padding = "x".repeat(150);
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            let mut sent = 0;
            while !ended.load(Ordering::SeqCst) {
                let due = began.elapsed().as_millis() as u64 * per_second / 1_000;
                while sent < due {
                    let symbol = symbols[sent as usize % symbols.len()];
                    let at_ms = began.elapsed().as_millis() as u64;
                    source.quote(
                        &json!({"symbol": symbol, "n": sent, "at_ms": at_ms, "padding": padding}),
                    );
                    sent += 1;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        Self {
            over,
            thread: Some(thread),
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        drop(self.thread.take().map(JoinHandle::join));
    }
}
