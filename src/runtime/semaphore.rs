//! Permits: so many of a kind of work at once. A permit that somebody holds up can be recalled.

use std::io::ErrorKind;
use std::time::Instant;

use crossbeam::channel::Receiver;

use super::channel::Tx;
use super::channels::Pool;
use super::one_shot::one_shot;
use super::spawn::Supervisor;

/// A fixed number of permits, shared by all clones. A free permit is a message in a channel, so that who
/// waits for one waits in its order.
#[derive(Clone, Debug)]
pub struct Semaphore {
    free: Receiver<()>,
    back: Tx<(), Pool>,
}

/// One permit. It goes back when it is dropped, also by a panic, unless it was recalled.
#[derive(Debug)]
pub struct Permit {
    recall: Recall,
}

/// Takes a permit back from a holder that does not go on.
#[derive(Clone, Debug)]
pub struct Recall {
    /// The permit lies here until its holder or somebody else takes it back: so it goes back once.
    held: Receiver<()>,
    back: Tx<(), Pool>,
}

impl Supervisor {
    /// A semaphore with so many permits; `/api/threads` shows how many are free.
    #[must_use]
    pub fn semaphore(&self, name: impl Into<String>, permits: usize) -> Semaphore {
        let (back, free) = self.gauged(name.into(), None, permits);
        for _ in 0..permits {
            back.put(());
        }
        Semaphore { free, back }
    }
}

impl Semaphore {
    /// A permit, waited for until `by`.
    ///
    /// # Errors
    /// `TimedOut` when none was free in time.
    pub fn acquire(&self, by: Instant) -> std::io::Result<Permit> {
        self.free
            .recv_deadline(by)
            .map_err(|_| ErrorKind::TimedOut)?;
        let (hold, held) = one_shot();
        // It has room for one.
        let _ = hold.try_send(());
        let back = self.back.clone();
        Ok(Permit {
            recall: Recall { held, back },
        })
    }
}

impl Permit {
    /// For somebody who watches over the holder.
    #[must_use]
    pub fn recall(&self) -> Recall {
        self.recall.clone()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.recall.take_back();
    }
}

impl Recall {
    /// Gives the permit to the next who waits. True if its holder still had it.
    pub fn take_back(&self) -> bool {
        let had = self.held.try_recv().is_ok();
        if had {
            self.back.put(());
        }
        had
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::stop;
    use proptest::prelude::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    fn semaphore(permits: usize) -> Semaphore {
        let (_stopper, stop) = stop();
        let (supervisor, _ends) = Supervisor::new(crate::runtime::Limits::default(), stop);
        supervisor.semaphore("candles", permits)
    }

    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_permit_goes_back_once_however_its_holder_ends() {
        let two = semaphore(2);
        let first = two.acquire(now()).unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _second = two.acquire(now()).unwrap();
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        let second = two.acquire(now()).unwrap();
        assert_eq!(two.acquire(now()).unwrap_err().kind(), ErrorKind::TimedOut);
        let recall = first.recall();
        assert!(recall.take_back() && !recall.take_back());
        let third = two.acquire(now()).unwrap();
        drop(first);
        assert!(two.acquire(now()).is_err(), "the recalled one is another's");
        drop((second, third));
        assert_eq!(two.free.len(), 2);
    }

    #[test]
    fn who_waits_gets_the_permit_that_is_given_back() {
        let one = semaphore(1);
        let held = one.acquire(now()).unwrap();
        let waiter = std::thread::spawn({
            let one = one.clone();
            move || one.acquire(now() + Duration::from_secs(20)).is_ok()
        });
        drop(held);
        assert!(waiter.join().unwrap());
    }

    proptest! {
        #[test]
        fn whatever_happens_there_are_never_more_permits_than_at_first(
            permits in 1_usize..5,
            steps in proptest::collection::vec((0_u8..3, 0_usize..8), 0..60),
        ) {
            let semaphore = semaphore(permits);
            let (mut held, mut recalls) = (Vec::new(), Vec::new());
            let mut out = 0;
            for (step, which) in steps {
                match step {
                    0 => {
                        let got = semaphore.acquire(now());
                        prop_assert_eq!(got.is_ok(), out < permits);
                        if let Ok(permit) = got {
                            out += 1;
                            recalls.push(permit.recall());
                            held.push(permit);
                        }
                    }
                    1 if which < held.len() => {
                        let permit = held.swap_remove(which);
                        out -= usize::from(!permit.recall.held.is_empty());
                        drop(permit);
                    }
                    _ => {
                        if let Some(recall) = recalls.get(which) {
                            out -= usize::from(recall.take_back());
                        }
                    }
                }
                prop_assert_eq!(semaphore.free.len(), permits - out);
            }
        }
    }
}
