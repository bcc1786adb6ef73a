use std::sync::Arc;

use proptest::prelude::*;

use super::model_tests::{CLOSE, LIMITS, QUOTE, WORD, frame};
use super::*;

proptest! {
    #[test]
    fn a_handover_has_what_is_left_of_a_batch_and_knows_where_frames_begin(
        batch in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..9), 0..9), cut: prop::sample::Index
    ) {
        let frames: Vec<Frame> = batch.iter().map(|f| Frame::from(f.as_slice())).collect();
        let whole = frames.concat();
        let written = cut.index(whole.len() + 1);
        let attempt = Attempt::begin(frames.clone(), Some(WriteGrant::of_new_session()));
        match attempt.unwrap().wrote(written) {
            Ok(_) => prop_assert_eq!(written, whole.len()),
            Err(rest) => {
                let left: Vec<Frame> = rest.frames.collect();
                prop_assert!(rest.grant.is_some() && !rest.begun.is_empty());
                prop_assert_eq!([rest.begun, left.concat()].concat(), &whole[written..]);
                prop_assert!(frames.ends_with(&left));
            }
        }
    }
}

/// A writer that has told the hub of its handshake and waits, with its grant and the time.
fn waiting() -> (WriterSide, WriteGrant, Instant) {
    let now = Instant::now();
    let mut side = WriterSide::new(WriteGrant::of_new_session(), now, LIMITS);
    let WriterStep::GiveBack(grant) = side.next(now) else {
        panic!("there is nothing to write")
    };
    assert!(matches!(side.next(now), WriterStep::TellHub));
    let by = now + LIMITS.reader_silent_max;
    assert!(matches!(side.next(now), WriterStep::WaitForWords(until) if until == by));
    (side, grant, now)
}

#[test]
fn a_grant_that_does_not_come_within_the_write_deadline_is_lost() {
    let (mut side, _grant, now) = waiting();
    side.said(now, frame(WORD, 1));
    let by = now + LIMITS.write_deadline;
    assert!(matches!(side.next(now), WriterStep::WaitForGrant(until) if until == by));
    let just_before = by - Duration::from_millis(1);
    assert!(matches!(side.next(just_before), WriterStep::WaitForGrant(until) if until == by));
    assert!(matches!(side.next(by), WriterStep::End(Ended::GrantLost)));
}

#[test]
fn a_reader_that_says_nothing_for_too_long_is_stuck_and_the_client_is_told() {
    let (mut side, grant, now) = waiting();
    let later = now + LIMITS.reader_silent_max;
    assert!(matches!(side.next(later), WriterStep::WaitForGrant(_)));
    side.granted(later, grant);
    let WriterStep::Write(bytes, by) = side.next(later) else {
        panic!("the client is to be told")
    };
    assert_eq!((bytes[0], by), (CLOSE, later + LIMITS.write_deadline));
    side.wrote(Ok(()));
    assert!(matches!(
        side.next(later),
        WriterStep::End(Ended::ReaderStuck)
    ));
}

#[test]
fn a_reader_that_spoke_during_a_long_batch_is_not_stuck() {
    let (mut side, grant, now) = waiting();
    let batch = vec![Frame::from(frame(QUOTE, 1)); 2];
    let rest = Attempt::begin(batch, Some(grant)).unwrap().wrote(5);
    side.handed_over(now, rest.unwrap_err());
    assert!(matches!(side.next(now), WriterStep::Write(..)));
    let later = now + LIMITS.reader_silent_max;
    side.said(later, frame(WORD, 1));
    side.wrote(Ok(()));
    assert!(matches!(side.next(later), WriterStep::Write(..)));
    side.wrote(Ok(()));
    assert!(matches!(side.next(later), WriterStep::GiveBack(_)));
    assert!(matches!(side.next(later), WriterStep::TellHub));
    assert!(matches!(side.next(later), WriterStep::WaitForWords(_)));
}

#[test]
fn a_client_that_takes_nothing_is_too_slow_by_its_writer_or_by_the_hub() {
    let (mut side, grant, now) = waiting();
    side.said(now, frame(WORD, 1));
    side.granted(now, grant);
    assert!(matches!(side.next(now), WriterStep::Write(..)));
    side.wrote(Err(Unwritten::Late));
    let time = LIMITS.write_deadline;
    assert!(matches!(side.next(now), WriterStep::End(Ended::TooSlow(t)) if t == time));

    let (mut side, grant, now) = waiting();
    let time = Duration::from_secs(7);
    side.handed_over(now, Handover::too_slow(time, Some(grant)));
    assert!(matches!(side.next(now), WriterStep::End(Ended::TooSlow(t)) if t == time));
}

#[test]
fn pongs_go_between_the_frames_of_a_long_batch() {
    let (mut side, grant, now) = waiting();
    let long = Frame::from(vec![0; PIECE_BYTES]);
    let batch = vec![Arc::clone(&long), Arc::clone(&long), long];
    let rest = Attempt::begin(batch, Some(grant))
        .unwrap()
        .wrote(PIECE_BYTES - 1);
    side.handed_over(now, rest.unwrap_err());
    let WriterStep::Write(first, _) = side.next(now) else {
        panic!("there is a batch")
    };
    assert_eq!(first.len(), 1 + PIECE_BYTES);
    side.wrote(Ok(()));
    assert!(side.listens());
    side.said(now, frame(WORD, 1));
    let WriterStep::Write(second, _) = side.next(now) else {
        panic!("there is more of it")
    };
    assert!(second.starts_with(&frame(WORD, 1)));
    assert_eq!(second.len(), frame(WORD, 1).len() + PIECE_BYTES);
}
