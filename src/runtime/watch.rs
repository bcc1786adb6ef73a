//! A cell that keeps its value: every reader sees the latest, also one who comes long after it was
//! published.
//!
//! For boards: a thread that takes another's place must know at once what that one knew. A reader that
//! looks takes the value out and puts it back; whoever finds another's there keeps the newer of the two,
//! so the newest one comes to stay, whatever the order.

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};

use super::counter::Counter;

/// Each round lost means that somebody else put a value in: with that many in a row one can be left to
/// the next publication.
const ROUNDS_MAX: usize = 16;

type Numbered<T> = (u64, T);

/// The publishing side.
#[derive(Clone, Debug)]
pub struct WatchTx<T> {
    cell: Cell<T>,
    numbers: Counter,
}

/// The reading side. A clone is a reader of its own that has seen what this one has.
#[derive(Clone, Debug)]
pub struct WatchRx<T> {
    cell: Cell<T>,
    seen: Option<u64>,
}

#[derive(Debug)]
struct Cell<T> {
    tx: Sender<Numbered<T>>,
    rx: Receiver<Numbered<T>>,
}

impl<T> Clone for Cell<T> {
    fn clone(&self) -> Self {
        Self {
            tx: self.tx.clone(),
            rx: self.rx.clone(),
        }
    }
}

impl<T> Cell<T> {
    fn put(&self, mine: Numbered<T>) {
        let mut mine = mine;
        for _ in 0..ROUNDS_MAX {
            match self.tx.try_send(mine) {
                Ok(()) => return,
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => mine = back,
            }
            if let Ok(there) = self.rx.try_recv()
                && there.0 > mine.0
            {
                mine = there;
            }
        }
    }
}

/// A new cell, empty.
#[must_use]
pub fn watch<T>() -> (WatchTx<T>, WatchRx<T>) {
    #[expect(clippy::disallowed_methods, reason = "what it is made of")]
    let (tx, rx) = bounded(1);
    let cell = Cell { tx, rx };
    let reader = WatchRx {
        cell: cell.clone(),
        seen: None,
    };
    let numbers = Counter::default();
    (WatchTx { cell, numbers }, reader)
}

impl<T> WatchTx<T> {
    /// Replaces what is there. Never waits.
    pub fn publish(&self, value: T) {
        self.cell.put((self.numbers.next(), value));
    }
}

impl<T: Clone> WatchRx<T> {
    /// The latest value, if this reader has not seen it yet. Never waits.
    pub fn changed(&mut self) -> Option<T> {
        let (number, value) = self.cell.rx.try_recv().ok()?;
        let is_news = self.seen.is_none_or(|seen| number > seen);
        let news = is_news.then(|| value.clone());
        if is_news {
            self.seen = Some(number);
        }
        self.cell.put((number, value));
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_reader_that_comes_late_sees_the_latest_value_too() {
        let (tx, mut first) = watch();
        let mut late = first.clone();
        assert_eq!(first.changed(), None);
        tx.publish(1);
        tx.publish(2);
        assert_eq!(first.changed(), Some(2));
        assert_eq!(first.changed(), None);
        assert_eq!(late.changed(), Some(2));
        let mut seen_already = first.clone();
        assert_eq!(seen_already.changed(), None);
    }

    #[test]
    fn however_readers_and_publisher_meet_nobody_goes_back_and_the_last_value_stays() {
        let (tx, reader) = watch();
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let mut reader = reader.clone();
                thread::spawn(move || {
                    let mut last = 0;
                    while last < 20_000 {
                        if let Some(value) = reader.changed() {
                            assert!(value > last, "{value} after {last}");
                            last = value;
                        }
                        thread::yield_now();
                    }
                })
            })
            .collect();
        for value in 1..=20_000 {
            tx.publish(value);
        }
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(reader.clone().changed(), Some(20_000));
    }
}
