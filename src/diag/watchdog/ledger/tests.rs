//! The ledger told of births, beats and ends.

use super::*;
use crate::runtime::ThreadKind;
use proptest::prelude::*;

const TICK: Duration = Duration::from_millis(250);
const ID: ThreadId = ThreadId(1);

fn class(idle_max: Option<Duration>) -> Class {
    Class {
        name: "cache",
        busy_max: Duration::from_secs(2),
        idle_max,
        on_stall: OnStall::Fatal,
        restarts_max: 0,
    }
}

fn life(id: ThreadId, name: ThreadName, class: Class) -> Life {
    Life { id, name, class }
}

fn busy(at: Instant) -> Beat {
    Beat {
        at,
        doing: Doing::Busy("merging".into()),
        request: None,
    }
}

fn look_for(ledger: &mut Ledger, now: &mut Instant, time: Duration) -> Vec<Finding> {
    let until = *now + time;
    let mut found = Vec::new();
    while *now < until {
        *now += TICK;
        found.extend(ledger.look(*now, TICK));
    }
    found
}

#[test]
fn a_stall_is_told_once_then_each_minute_and_its_end_with_its_length() {
    let mut now = Instant::now();
    let mut ledger = Ledger::default();
    ledger.born(life(ID, ThreadKind::CandleCache.into(), class(None)), now);
    ledger.beat(ID, busy(now));
    let start = now;
    assert!(look_for(&mut ledger, &mut now, Duration::from_secs(2)).is_empty());
    let found = look_for(&mut ledger, &mut now, Duration::from_secs(61));
    assert!(
        matches!(&found[0], Finding::Stalled(s) if s.doing == "merging" && s.silent <= Duration::from_secs(4))
    );
    assert!(matches!(&found[1], Finding::StillStalled(_)));
    assert_eq!(found.len(), 2);
    assert!(ledger.problems(now)[0].starts_with("candle-cache has been stalled"));
    now += TICK;
    ledger.beat(
        ID,
        Beat {
            at: now,
            doing: Doing::Idle,
            request: None,
        },
    );
    let found = ledger.look(now, TICK);
    assert_eq!(
        found,
        [Finding::Recovered {
            name: "candle-cache".into(),
            after: now - start
        }]
    );
    assert!(ledger.problems(now).is_empty());
}

#[test]
fn a_thread_that_ends_without_another_beat_was_stuck_until_its_end() {
    let mut now = Instant::now();
    let start = now;
    let mut ledger = Ledger::default();
    ledger.born(life(ID, ThreadKind::Conn.nth(1), class(None)), now);
    ledger.beat(ID, busy(now));
    look_for(&mut ledger, &mut now, Duration::from_secs(4));
    ledger.ended(ID, now);
    assert_eq!(
        ledger.look(now, TICK),
        [Finding::Recovered {
            name: "conn-1".into(),
            after: now - start
        }]
    );
}

#[test]
fn a_wait_is_allowed_its_own_deadline() {
    let mut now = Instant::now();
    let mut ledger = Ledger::default();
    ledger.born(life(ID, ThreadKind::Conn.nth(1), class(None)), now);
    let until = now + Duration::from_secs(9);
    ledger.beat(
        ID,
        Beat {
            at: now,
            doing: Doing::Waiting {
                what: "x".into(),
                peer: ThreadKind::CandleCache.into(),
                until,
            },
            request: None,
        },
    );
    assert!(look_for(&mut ledger, &mut now, Duration::from_secs(11)).is_empty());
    assert_eq!(
        look_for(&mut ledger, &mut now, Duration::from_secs(2)).len(),
        1
    );
}

#[test]
fn a_stopped_process_is_no_stall() {
    let mut now = Instant::now();
    let mut ledger = Ledger::default();
    let class = class(Some(Duration::from_secs(2)));
    ledger.born(life(ID, ThreadKind::QuoteHub.into(), class), now);
    ledger.beat(ID, busy(now));
    look_for(&mut ledger, &mut now, Duration::from_secs(1));
    now += Duration::from_secs(3_600);
    let found = ledger.look(now, TICK);
    assert!(matches!(found[..], [Finding::Late(_)]), "{found:?}");
    assert_eq!(
        look_for(&mut ledger, &mut now, Duration::from_secs(3)).len(),
        1
    );
}

#[test]
fn an_essential_thread_that_died_is_an_ailment_for_good() {
    let now = Instant::now();
    let mut ledger = Ledger::default();
    ledger.born(life(ID, ThreadKind::QuoteHub.into(), class(None)), now);
    ledger.panicked(ID, "boom".into(), false);
    ledger.ended(ID, now);
    assert!(
        matches!(&ledger.look(now, TICK)[0], Finding::Died { message, .. } if message == "boom")
    );
    assert_eq!(ledger.problems(now).len(), 1);
    // So that the process ends when nobody has restarted it.
    let later = now + Duration::from_secs(120);
    assert_eq!(ledger.fatal_for(later), Duration::from_secs(120));
}

proptest! {
    #[test]
    fn who_beats_in_time_is_never_reported_and_who_does_not_always_is(
        gaps_ms in prop::collection::vec(0_u64..6_000, 1..60)
    ) {
        let mut now = Instant::now();
        let mut ledger = Ledger::default();
        ledger.born(life(ID, ThreadKind::QuoteHub.into(), class(None)), now);
        ledger.beat(ID, busy(now));
        for gap_ms in gaps_ms {
            let gap = Duration::from_millis(gap_ms);
            let beat_at = now + gap;
            let found = look_for(&mut ledger, &mut now, gap.saturating_sub(TICK));
            let stalled = found.iter().filter(|f| matches!(f, Finding::Stalled(_))).count();
            prop_assert!(gap > Duration::from_secs(2) || stalled == 0);
            prop_assert!(gap < Duration::from_millis(2_750) || stalled == 1);
            now = now.max(beat_at);
            ledger.beat(ID, busy(now));
            let back = ledger.look(now, TICK);
            prop_assert_eq!(back.len(), stalled);
        }
    }

    #[test]
    fn threads_that_come_and_go_leave_nothing(n in 1_u64..2_000) {
        let now = Instant::now();
        let mut ledger = Ledger::default();
        for id in 0..n {
            ledger.born(life(ThreadId(id), ThreadKind::Conn.nth(1), class(None)), now);
            ledger.ended(ThreadId(id), now);
        }
        prop_assert_eq!(ledger.counts(), (0, 0));
    }
}
