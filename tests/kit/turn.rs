//! Which tests run at the same time. All of `tests/it` is one program, whose tests run side by side; but what
//! is timed must not be slowed down by what is not.
//!
//! A test gets its turn when it starts its first server, and has it until it ends. Tests of the modules of
//! [`TIMED`] run beside none of the others. How many run at once is for the harness to say
//! (`RUST_TEST_THREADS`, which `.cargo/config.toml` sets) and, of those that are timed, for [`TIMED_PER_CORE`].

use std::cell::RefCell;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Where deadlines of some seconds or less are promised, or a thread must not be held up by the machine: the
/// first part of the tests' names.
const TIMED: [&str; 10] = [
    "browser",
    "drills",
    "ends",
    "freezes_",
    "port",
    "soak",
    "stall",
    "stream_clients",
    "validations",
    "websocket",
];

/// One of them takes a fifth of a processor, its clients included.
const TIMED_PER_CORE: usize = 2;

/// These wait for most of a minute and work for less than 5 % of it: beside any others.
const PATIENT: [&str; 4] = [
    "freezes_process::a_watchdog_that_is_stuck_ends_the_process_with_its_own_code",
    "freezes_schwab::a_wish_to_be_left_alone_for_an_hour_is_kept_to_for_a_minute",
    "freezes_schwab::after_a_hang_of_twenty_seconds_every_page_has_its_chart_within_three",
    "validations::a_model_that_needs_ten_or_forty_seconds_gives_its_verdict_to_who_asked",
];

/// All tests together take less.
const TURN_WITHIN: Duration = Duration::from_secs(30 * 60);

/// How many tests of each sort have their turn: of one sort there are none.
struct Running {
    timed: usize,
    other: usize,
}

static RUNNING: Mutex<Running> = Mutex::new(Running { timed: 0, other: 0 });
static CHANGED: Condvar = Condvar::new();

thread_local! {
    /// Given back when the test's thread ends, also by a panic.
    static TURN: RefCell<Option<Turn>> = const { RefCell::new(None) };
}

struct Turn {
    timed: bool,
}

/// Waits until the test on this thread may start servers. The harness gives each test a thread with its name;
/// threads without one belong to a test that has its turn already.
pub fn take() {
    let Some(timed) = thread::current().name().and_then(is_timed) else {
        return;
    };
    TURN.with_borrow_mut(|turn| {
        if turn.is_none() {
            *turn = Some(Turn::wait(timed));
        }
    });
}

/// None for those who wait for nobody: the patient, and threads that the harness did not make; with
/// `--test-threads=1` nothing runs beside anything.
fn is_timed(test: &str) -> Option<bool> {
    if PATIENT.contains(&test) || !test.contains("::") {
        return None;
    }
    Some(TIMED.iter().any(|module| test.starts_with(module)))
}

impl Turn {
    fn wait(timed: bool) -> Self {
        let most = TIMED_PER_CORE * thread::available_parallelism().map_or(2, usize::from);
        let must_wait = |running: &mut Running| {
            if timed {
                running.other > 0 || running.timed >= most
            } else {
                running.timed > 0
            }
        };
        let running = RUNNING.lock().unwrap();
        let (mut running, waited) = CHANGED
            .wait_timeout_while(running, TURN_WITHIN, must_wait)
            .unwrap();
        assert!(!waited.timed_out(), "no turn for this test");
        *running.count(timed) += 1;
        Self { timed }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap().count(self.timed) -= 1;
        CHANGED.notify_all();
    }
}

impl Running {
    fn count(&mut self, timed: bool) -> &mut usize {
        if timed {
            &mut self.timed
        } else {
            &mut self.other
        }
    }
}
