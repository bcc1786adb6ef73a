//! The core through random histories of a process, against what that process knows of itself.

use proptest::prelude::*;

use super::super::ledger::WAIT_GRACE;
use super::super::replacements::REPLACED_MAX;
use super::super::reports::SYMBOLIZER_DEADLINE;
use super::super::snapshot::ThreadState;
use super::*;
use crate::runtime::{Class, How, OnStall, ThreadKind};

mod real;
mod world;
use real::Coverage;
use world::World;

const TICK: Duration = Duration::from_millis(250);
const BUSY_MAX: Duration = Duration::from_secs(2);
const IDLE_MAX: Duration = Duration::from_secs(3);
const EXIT_AFTER: Duration = Duration::from_secs(20);
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Longer than all that may be due takes: reports with the bucket's pauses, the last report, a drill.
const SETTLED: Duration = Duration::from_secs(40);

/// What may happen to one of a few threads, or to all.
#[derive(Clone, Debug)]
enum Step {
    Born(Kind),
    /// Of the living, the nth.
    Beat(usize, Does),
    Panicked(usize, bool),
    /// The end is told once, twice, and also to who is gone.
    Ended(usize, u32),
    /// The threads run, and the watchdog looks at each tick.
    Run(u64),
    /// The process is stopped.
    Stop(u64),
    Dump,
    Drill(usize),
    Port(bool),
    /// The symbolizer answers from now on, or not any more.
    Symbolizer(bool),
    /// The system has more threads from now on, or not any more.
    Threads(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    on_stall: OnStall,
    ticks: bool,
    replaceable: bool,
}

#[derive(Clone, Copy, Debug)]
enum Does {
    Works,
    Idles,
    Waits(u64),
}

fn kind() -> impl Strategy<Value = Kind> {
    let on_stall = prop_oneof![
        Just(OnStall::Report),
        Just(OnStall::Degraded),
        Just(OnStall::Fatal)
    ];
    (on_stall, any::<bool>(), any::<bool>()).prop_map(|(on_stall, ticks, replaceable)| Kind {
        on_stall,
        ticks,
        replaceable,
    })
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        3 => Just(Does::Works),
        2 => Just(Does::Idles),
        1 => (0..9_000_u64).prop_map(Does::Waits),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => kind().prop_map(Step::Born),
        6 => (0..9_usize, does()).prop_map(|(n, does)| Step::Beat(n, does)),
        1 => (0..9_usize, any::<bool>()).prop_map(|(n, restarts)| Step::Panicked(n, restarts)),
        1 => (0..9_usize, 1..3_u32).prop_map(|(n, times)| Step::Ended(n, times)),
        6 => (1..3_000_u64).prop_map(Step::Run),
        1 => (3_000..40_000_u64).prop_map(Step::Run),
        2 => (1..100_000_u64).prop_map(Step::Stop),
        1 => Just(Step::Dump),
        1 => (0..9_usize).prop_map(Step::Drill),
        1 => any::<bool>().prop_map(Step::Port),
        1 => any::<bool>().prop_map(Step::Symbolizer),
        1 => any::<bool>().prop_map(Step::Threads),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nobody_is_accused_falsely_and_nothing_is_told_twice_or_forgotten(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        world.settle();
    }

    /// Threads that keep their limits while the process is stopped again and again, for any time.
    #[test]
    fn a_thread_that_beats_in_time_is_never_accused_whenever_the_process_is_stopped(
        kind in kind(),
        life in prop::collection::vec((does(), 0..1_000_u64, 1..10_000_000_u64), 1..40),
    ) {
        let mut world = World::new();
        world.born(kind);
        for (does, run, stop) in life {
            world.beat(1, does);
            world.run(Duration::from_millis(run));
            world.stop(Duration::from_millis(stop));
            world.run(Duration::from_millis(999 - run));
        }
        prop_assert_eq!(world.coverage.stalls, 0);
        prop_assert_eq!(world.captures.len(), 0);
    }
}

fn fatal() -> Kind {
    Kind {
        on_stall: OnStall::Fatal,
        ticks: false,
        replaceable: true,
    }
}

/// One history that does everything: the properties above are put to the test.
#[test]
fn a_long_day_has_stalls_reports_replacements_and_an_end() {
    let mut world = World::new();
    for _ in 0..3 {
        world.born(fatal());
    }
    world.step(Step::Stop(3_600_000));
    world.run(BUSY_MAX * 2);
    assert_eq!(world.coverage.replaced, 3);
    world.step(Step::Dump);
    world.beat(1, Does::Idles);
    world.run(EXIT_AFTER);
    world.step(Step::Stop(50_000));
    assert!(world.ended.is_none() || world.coverage.ends == 1);
    world.run(EXIT_AFTER);
    let Coverage {
        stalls,
        reports,
        ends,
        saved_by_excuse,
        ..
    } = world.coverage;
    // The three in place of the first stall too: they never beat.
    assert!(
        stalls >= 6 && reports >= 3 && ends == 1,
        "{stalls} {reports} {ends}"
    );
    assert!(saved_by_excuse > 0);
    world.settle();
}

#[test]
fn the_process_is_given_up_after_its_limit_and_a_last_report_and_not_before() {
    for symbolizer in [true, false] {
        let mut world = World::new();
        world.born(Kind {
            replaceable: false,
            ..fatal()
        });
        world.beat(1, Does::Works);
        world.symbolizer = symbolizer;
        world.run(BUSY_MAX + EXIT_AFTER - TICK * 2);
        world.step(Step::Stop(3_600_000));
        assert!(
            !world.reported.contains("before the end"),
            "{}",
            world.reported
        );
        world.run(TICK * 3 + SYMBOLIZER_DEADLINE * 2);
        assert_eq!(world.coverage.ends, 1);
        assert!(
            world.reported.contains("before the end"),
            "{}",
            world.reported
        );
    }
}

#[test]
fn a_late_answer_of_the_symbolizer_is_not_taken_for_the_one_to_the_next_report() {
    let mut world = World::new();
    world.step(Step::Symbolizer(false));
    world.step(Step::Dump);
    world.run(SYMBOLIZER_DEADLINE + TICK * 2);
    world.step(Step::Dump);
    world.run(TICK);
    world.step(Step::Symbolizer(true));
    assert_eq!(world.coverage.late_answers, 1);
    world.settle();
    assert_eq!(world.coverage.reports, 2);
}
