//! The two parties of a session's write grant as a model: the hub and the writer go on one small step at a time, in
//! any order, with a socket between them that takes as much as the client has made room for.

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

pub(super) const LIMITS: WriterLimits = WriterLimits {
    write_deadline: Duration::from_secs(10),
    reader_silent_max: Duration::from_secs(20),
};

/// Channels of the model are as narrow as they may be.
const WORDS_MAX: usize = 2;
const INBOX_MAX: usize = 1;

/// A frame of the model: its length, who wrote it, its number, and filling.
pub(super) fn frame(of: u8, number: u16) -> Vec<u8> {
    let length = 4 + number % 37;
    let mut bytes = vec![of; usize::from(length)];
    bytes[0] = u8::try_from(length).unwrap();
    bytes[2..4].copy_from_slice(&number.to_be_bytes());
    bytes
}

pub(super) const QUOTE: u8 = b'q';
pub(super) const WORD: u8 = b'w';
const LAST: u8 = b'l';
/// First byte of a close frame; frames of the model are shorter than that.
pub(super) const CLOSE: u8 = 0x88;

/// What a client makes of the bytes that it got: who wrote each frame with which number, and what is left of one
/// that is not all there.
fn read(mut bytes: &[u8]) -> (Vec<(u8, u16)>, usize) {
    let mut frames = Vec::new();
    while let [length, of, high, low, ..] = *bytes {
        let (length, seen) = match length {
            CLOSE => (
                usize::from(of) + 2,
                (CLOSE, u16::from_be_bytes([high, low])),
            ),
            _ => (usize::from(length), (of, u16::from_be_bytes([high, low]))),
        };
        if bytes.len() < length {
            break;
        }
        let filled = seen.0 == CLOSE || bytes[4..length].iter().all(|b| *b == seen.0);
        assert!(filled, "frames interleave");
        frames.push(seen);
        bytes = &bytes[length..];
    }
    (frames, bytes.len())
}

/// Where the hub is with the client.
enum HubAt {
    Idle,
    Writing(Attempt),
    Wrote(Attempt, usize),
    Ended { while_writing: bool },
}

/// Where the writer is.
enum WriterAt {
    Deciding,
    Writing(Vec<u8>),
    Returning(WriteGrant),
    Telling,
    WaitingForGrant,
    WaitingForWords,
    Ended(Ended),
}

/// What the scheduler lets happen next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Hub,
    Writer,
    /// The hub has a quote for the client.
    Quote,
    /// The reader says something.
    Word,
    /// The client makes room for so many bytes.
    Reads(usize),
    /// The reader says its last; the hub hears of it later.
    ReaderEnds,
    /// The hub's thread panics.
    HubEnds,
    /// The client's socket fails.
    ClientGoes,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        120 => Just(Step::Hub),
        120 => Just(Step::Writer),
        60 => Just(Step::Quote),
        20 => Just(Step::Word),
        40 => (1_usize..90).prop_map(Step::Reads),
        1 => Just(Step::ReaderEnds),
        1 => Just(Step::HubEnds),
        1 => Just(Step::ClientGoes),
    ]
}

struct Model {
    now: Instant,
    slot: Option<WriteGrant>,
    hub: HubAt,
    hub_is_ready: bool,
    hub_panicked: bool,
    quotes: VecDeque<u16>,
    quotes_made: u16,
    inbox: VecDeque<()>,
    /// The channel of one from the hub; none when the hub has let go of it.
    handover: Option<Option<Handover>>,
    side: WriterSide,
    writer: WriterAt,
    words: VecDeque<Vec<u8>>,
    words_said: u16,
    last: Option<Vec<u8>>,
    reader_ended: bool,
    socket: Vec<u8>,
    room: usize,
    client_gone: bool,
}

impl Model {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            now,
            slot: None,
            hub: HubAt::Idle,
            hub_is_ready: false,
            hub_panicked: false,
            quotes: VecDeque::new(),
            quotes_made: 0,
            inbox: VecDeque::new(),
            handover: Some(None),
            side: WriterSide::new(WriteGrant::of_new_session(), now, LIMITS),
            writer: WriterAt::Deciding,
            words: VecDeque::new(),
            words_said: 0,
            last: None,
            reader_ended: false,
            socket: Vec::new(),
            room: 0,
            client_gone: false,
        }
    }

    /// True if something happened.
    fn go(&mut self, step: Step) -> bool {
        let went = match step {
            Step::Hub => self.hub_step(),
            Step::Writer => self.writer_step(),
            Step::Quote => {
                self.quotes_made += 1;
                self.quotes.push_back(self.quotes_made);
                true
            }
            Step::Word => self.say(),
            Step::Reads(bytes) => {
                self.room += bytes;
                true
            }
            Step::ReaderEnds => {
                if !std::mem::replace(&mut self.reader_ended, true) {
                    self.last = Some(frame(LAST, 0));
                }
                true
            }
            Step::HubEnds => {
                if !self.hub_has_let_go() {
                    self.hub_panicked = true;
                    let while_writing = !matches!(self.hub, HubAt::Idle);
                    self.hub = HubAt::Ended { while_writing };
                    self.let_go();
                }
                true
            }
            Step::ClientGoes => {
                self.client_gone = true;
                true
            }
        };
        self.look();
        went
    }

    fn say(&mut self) -> bool {
        let may = !self.reader_ended && self.words.len() < WORDS_MAX;
        if may {
            self.words_said += 1;
            self.words.push_back(frame(WORD, self.words_said));
        }
        may
    }

    /// The hub forgets the session: what it handed over stays in the channel.
    fn let_go(&mut self) {
        if let Some(None) = self.handover {
            self.handover = None;
        }
    }

    fn hub_has_let_go(&self) -> bool {
        matches!(self.hub, HubAt::Ended { .. })
    }

    fn hub_step(&mut self) -> bool {
        match std::mem::replace(&mut self.hub, HubAt::Idle) {
            HubAt::Idle => {
                if self.inbox.pop_front().is_some() {
                    assert!(!self.hub_is_ready, "told twice");
                    self.hub_is_ready = true;
                    return true;
                }
                if self.reader_ended {
                    // The reader has left.
                    self.hub = HubAt::Ended {
                        while_writing: false,
                    };
                    self.let_go();
                    return true;
                }
                if !self.hub_is_ready || self.quotes.is_empty() {
                    return false;
                }
                self.hub_is_ready = false;
                let batch = self.quotes.drain(..self.quotes.len().min(3));
                let batch = batch.map(|n| Arc::from(frame(QUOTE, n))).collect();
                match Attempt::begin(batch, self.slot.take()) {
                    Ok(attempt) => self.hub = HubAt::Writing(attempt),
                    Err(all) => self.hand_over(all),
                }
            }
            HubAt::Writing(attempt) => {
                let bytes = attempt.bytes();
                let taken = self.take(&bytes);
                self.hub = HubAt::Wrote(attempt, taken);
            }
            HubAt::Wrote(attempt, taken) => match attempt.wrote(taken) {
                Ok(grant) => {
                    self.put_back(grant);
                    self.hub_is_ready = true;
                }
                Err(rest) => self.hand_over(rest),
            },
            ended @ HubAt::Ended { .. } => {
                self.hub = ended;
                return false;
            }
        }
        true
    }

    fn hand_over(&mut self, handover: Handover) {
        if matches!(self.writer, WriterAt::Ended(_)) {
            // Its end of the channel is gone: the session is forgotten.
            self.hub = HubAt::Ended {
                while_writing: false,
            };
            return;
        }
        let place = self.handover.as_mut().expect("the hub is there");
        assert!(place.replace(handover).is_none(), "no room");
    }

    fn put_back(&mut self, grant: WriteGrant) {
        assert!(self.slot.replace(grant).is_none(), "two grants");
    }

    /// The socket takes what it has room for.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let taken = if self.client_gone {
            0
        } else {
            bytes.len().min(self.room)
        };
        self.room -= taken;
        self.socket.extend_from_slice(&bytes[..taken]);
        taken
    }

    fn writer_step(&mut self) -> bool {
        match std::mem::replace(&mut self.writer, WriterAt::Deciding) {
            WriterAt::Deciding => {
                if self.side.listens() {
                    self.gather();
                }
                self.writer = match self.side.next(self.now) {
                    WriterStep::Write(bytes, _) => WriterAt::Writing(bytes),
                    WriterStep::GiveBack(grant) => WriterAt::Returning(grant),
                    WriterStep::TellHub => WriterAt::Telling,
                    WriterStep::WaitForGrant(_) => WriterAt::WaitingForGrant,
                    WriterStep::WaitForWords(_) => WriterAt::WaitingForWords,
                    WriterStep::End(how) => WriterAt::Ended(how),
                };
            }
            WriterAt::Writing(mut bytes) => {
                assert!(self.side.grant.is_some(), "it writes without the grant");
                let taken = self.take(&bytes);
                bytes.drain(..taken);
                if bytes.is_empty() || self.client_gone {
                    let all = bytes.is_empty();
                    self.side
                        .wrote(if all { Ok(()) } else { Err(Unwritten::Gone) });
                } else {
                    self.writer = WriterAt::Writing(bytes);
                    return taken > 0;
                }
            }
            WriterAt::Returning(grant) => self.put_back(grant),
            WriterAt::Telling => {
                if self.hub_panicked {
                    self.side.hub_is_silent();
                } else if self.hub_has_let_go() {
                    // It is told, and does not know the session.
                } else if self.inbox.len() < INBOX_MAX {
                    self.inbox.push_back(());
                } else {
                    self.writer = WriterAt::Telling;
                    return false;
                }
            }
            WriterAt::WaitingForGrant => {
                if let Some(grant) = self.slot.take() {
                    self.side.granted(self.now, grant);
                } else if !self.hear_hub() {
                    self.writer = WriterAt::WaitingForGrant;
                    return false;
                }
            }
            WriterAt::WaitingForWords => {
                if !self.words.is_empty() || self.last.is_some() {
                    self.gather();
                } else if !self.hear_hub() {
                    self.writer = WriterAt::WaitingForWords;
                    return false;
                }
            }
            WriterAt::Ended(how) => {
                self.writer = WriterAt::Ended(how);
                return false;
            }
        }
        true
    }

    fn hear_hub(&mut self) -> bool {
        match self.handover.as_mut().map(Option::take) {
            Some(Some(handover)) => {
                if self.hub_has_let_go() {
                    self.handover = None;
                }
                self.side.handed_over(self.now, handover);
            }
            Some(None) => return false,
            None => {
                self.gather();
                let grant = self.slot.take();
                self.side.hub_ended(self.now, grant);
            }
        }
        true
    }

    fn gather(&mut self) {
        for frames in self.words.drain(..) {
            self.side.said(self.now, frames);
        }
        if let Some(last) = self.last.take() {
            self.side.reader_ended(last);
        }
    }

    /// What holds at any time.
    fn look(&self) {
        let holders = [
            self.slot.is_some(),
            matches!(self.hub, HubAt::Writing(_) | HubAt::Wrote(..)),
            matches!(&self.handover, Some(Some(h)) if h.grant.is_some()),
            self.side.grant.is_some(),
            matches!(self.writer, WriterAt::Returning(_)),
        ];
        let holders = holders.iter().filter(|holds| **holds).count();
        assert!(holders <= 1, "two may write");
        let may_be_lost = matches!(self.writer, WriterAt::Ended(_))
            || self.side.ended.is_some()
            || self.hub_has_let_go();
        assert!(holders == 1 || may_be_lost, "nobody may write any more");
        let (frames, _) = read(&self.socket);
        for of in [QUOTE, WORD] {
            let mine = frames.iter().filter(|(by, _)| *by == of);
            assert!(
                mine.map(|(_, n)| *n).eq(1..=count(&frames, of)),
                "lost, twice or out of order"
            );
        }
        let end = frames
            .iter()
            .position(|(by, _)| matches!(*by, LAST | CLOSE));
        assert!(end.is_none_or(|at| at + 1 == frames.len()), "after the end");
    }

    /// Lets everybody go on, and the client read, until nothing happens any more.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            self.go(Step::Reads(50));
            let hub = self.go(Step::Hub);
            let writer = self.go(Step::Writer);
            if !hub && !writer {
                return;
            }
        }
        panic!("they go on for ever");
    }
}

fn count(frames: &[(u8, u16)], of: u8) -> u16 {
    let count = frames.iter().filter(|(by, _)| *by == of).count();
    u16::try_from(count).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn whatever_the_order_of_their_steps_one_writes_at_a_time_and_all_that_is_queued_arrives_once_and_in_order(
        steps in prop::collection::vec(step(), 1..300)
    ) {
        let mut model = Model::new();
        for step in steps {
            model.go(step);
        }
        model.settle();
        let (frames, cut) = read(&model.socket);
        let (quotes, words) = (count(&frames, QUOTE), count(&frames, WORD));
        if model.client_gone {
            // Neither party waits for what will not come.
            let waits = matches!(model.writer, WriterAt::WaitingForWords | WriterAt::Ended(_));
            prop_assert!(waits);
            return Ok(());
        }
        let hub_died = matches!(model.hub, HubAt::Ended { while_writing: true });
        if hub_died {
            prop_assert!(matches!(model.writer, WriterAt::Ended(_)));
            return Ok(());
        }
        prop_assert_eq!(cut, 0, "a frame is not whole");
        let ended = match model.writer {
            WriterAt::Ended(how) => Some(how),
            _ => None,
        };
        if model.hub_panicked {
            prop_assert!(matches!(ended, Some(Ended::InWords | Ended::HubSilent)));
            prop_assert!(matches!(frames.last(), Some((LAST | CLOSE, _))));
            return Ok(());
        }
        prop_assert_eq!(words, model.words_said);
        if model.reader_ended {
            prop_assert_eq!(ended, Some(Ended::InWords));
            prop_assert!(matches!(frames.last(), Some((LAST, _))));
        } else {
            prop_assert!(matches!(model.writer, WriterAt::WaitingForWords));
            prop_assert_eq!(quotes, model.quotes_made);
            prop_assert!(model.hub_is_ready && model.slot.is_some());
        }
    }
}
