//! Which tests run at the same time. All of `tests/it` is one program, whose tests run side by side; but what
//! is timed must not be slowed down by what works all the time.
//!
//! A test gets its turn when it starts its first server, and has it until it ends. Nearly all tests wait more
//! than they work, and run beside one another; those of [`HEAVY`] modules run beside none of these. The harness
//! has [`BEGUN`] tests begun, more than have their turn, so that there is one of the sort whose turn it is.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Tests that the harness has begun at once, where nobody says otherwise by `--test-threads`.
const BEGUN: &str = "16";

/// What keeps a processor busy from its beginning to its end: the first part of the tests' names.
const HEAVY: [&str; 6] = [
    "access",
    "browser",
    "http11",
    "redbot",
    "schemathesis",
    "secrets",
];

/// Heavy ones at once.
const HEAVY_PER_CORE: usize = 2;

/// All others at once; one of them takes a fifth of a processor, its clients included.
const LIGHT_PER_CORE: usize = 3;

/// But those whose clients come in thousands count twice.
const CROWDED: &str = "freezes_clients";

/// These wait for most of a minute and work for less than 5 % of it: beside any others.
const PATIENT: [&str; 3] = [
    "freezes_process::a_watchdog_that_is_stuck_ends_the_process_with_its_own_code",
    "freezes_schwab::after_a_hang_of_twenty_seconds_every_page_has_its_chart_within_three",
    "validations::a_model_that_needs_ten_or_forty_seconds_gives_its_verdict_to_who_asked",
];

/// The harness reads this variable; what `.cargo/config.toml` says is for unit tests, which work all the time and
/// need no turns.
#[cfg(target_os = "linux")]
extern "C" fn begin_more() {
    // SAFETY: the loader calls this before `main`, when there is no other thread that could read the environment.
    unsafe { std::env::set_var("RUST_TEST_THREADS", BEGUN) };
}

/// What the loader calls before `main`.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = begin_more;

/// All tests together take less.
const TURN_WITHIN: Duration = Duration::from_secs(30 * 60);

/// How many tests of each sort have their turn: of one sort there are none.
struct Running {
    light: usize,
    heavy: usize,
}

static RUNNING: Mutex<Running> = Mutex::new(Running { light: 0, heavy: 0 });
static CHANGED: Condvar = Condvar::new();

thread_local! {
    /// Given back when the test's thread ends, also by a panic.
    static TURN: RefCell<Option<Turn>> = const { RefCell::new(None) };
}

/// What a test takes of those that may run.
#[derive(Clone, Copy)]
struct Share {
    is_heavy: bool,
    /// As many tests as it counts for.
    count: usize,
}

struct Turn(Share);

/// Waits until the test on this thread may start servers. The harness gives each test a thread with its name;
/// threads without one belong to a test that has its turn already.
pub fn take() {
    let Some(share) = thread::current().name().and_then(share) else {
        return;
    };
    TURN.with_borrow_mut(|turn| {
        if turn.is_none() {
            *turn = Some(Turn::wait(share));
        }
    });
}

/// None for those who wait for nobody: the patient, and threads that the harness did not make; with
/// `--test-threads=1` nothing runs beside anything.
fn share(test: &str) -> Option<Share> {
    if PATIENT.contains(&test) {
        return None;
    }
    let (module, _) = test.split_once("::")?;
    Some(Share {
        is_heavy: HEAVY.contains(&module),
        count: 1 + usize::from(module == CROWDED),
    })
}

impl Turn {
    fn wait(share: Share) -> Self {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        let (heavy, light) = (HEAVY_PER_CORE * cores, LIGHT_PER_CORE * cores);
        let must_wait = |running: &mut Running| match share.is_heavy {
            true => running.light > 0 || running.heavy + share.count > heavy,
            false => running.heavy > 0 || running.light + share.count > light,
        };
        let running = RUNNING.lock().unwrap();
        let (mut running, waited) = CHANGED
            .wait_timeout_while(running, TURN_WITHIN, must_wait)
            .unwrap();
        assert!(!waited.timed_out(), "no turn for this test");
        *running.of(share) += share.count;
        Self(share)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap().of(self.0) -= self.0.count;
        CHANGED.notify_all();
    }
}

impl Running {
    fn of(&mut self, share: Share) -> &mut usize {
        if share.is_heavy {
            &mut self.heavy
        } else {
            &mut self.light
        }
    }
}
