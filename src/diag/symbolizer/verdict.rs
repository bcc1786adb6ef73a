//! The verdict of a report: a line for each thread that stalls, with who and what waits for it. Pure.

use std::fmt::Write;

use super::dump::{ChannelReport, Dump, ThreadDump, ThreadReport};

/// Threads that wait for a stalled one and are named in the verdict; of more the number is told.
const WAITERS_NAMED: usize = 32;

/// One line for each stalled thread: which, since when, doing what, stuck where, who and what waits for it; one for
/// a port that does not answer, one for each thread that is gone. One sentence where all is well.
#[must_use]
pub fn verdict(dump: &Dump) -> Vec<String> {
    let stalled: Vec<String> = dump
        .context
        .threads
        .iter()
        .filter(|s| s.state == "stalled")
        .map(|said| {
            let thread = dump.dump.iter().find(|t| said.is(t.tid, &t.name));
            of_stalled(said, thread, dump)
        })
        .collect();
    let mut verdict = stalled;
    if !dump.context.port.is_empty() {
        let more = if verdict.is_empty() {
            "; no thread is overdue: look at gate, conn-* below, at what waits in the channels, and at the system (descriptors, backlog)"
        } else {
            ""
        };
        verdict.push(format!("{}{more}", dump.context.port));
    }
    let dead = dump.context.threads.iter().filter(|s| s.state == "dead");
    verdict.extend(dead.map(|s| {
        format!(
            "{} was ended by a panic for good; restart the server",
            s.name
        )
    }));
    if verdict.is_empty() {
        verdict.push(format!("no thread is stalled ({})", dump.context.reason));
    }
    verdict
}

fn of_stalled(said: &ThreadReport, thread: Option<&ThreadDump>, dump: &Dump) -> String {
    let mut line = format!(
        "{} ({}, thread {}) FROZEN for {:.1} s, doing: {}",
        said.name,
        said.class,
        said.tid,
        said.beat_age_ms as f64 / 1_000.0,
        said.activity,
    );
    if let Some(t) = thread {
        let _ = write!(line, "; {}", t.pace.words());
        if let Some(frame) = t.own_frame() {
            let _ = write!(line, " in {}", frame.place());
        }
        if !t.waits.is_empty() {
            let _ = write!(line, " -> {}", t.waits);
        }
        if !t.missing.is_empty() {
            let _ = write!(line, "; no stack: {}", t.missing);
        }
    }
    let waiters: Vec<&str> = waiters(said, dump).map(|o| o.name.as_str()).collect();
    if !waiters.is_empty() {
        let n = waiters.len();
        let named = waiters[..n.min(WAITERS_NAMED)].join(" ");
        let _ = write!(line, "; {n} wait for it: {named}");
    }
    for inbox in inboxes(said, dump).filter(|q| q.depth > 0) {
        let full = if inbox.depth >= inbox.capacity {
            ", full"
        } else {
            ""
        };
        let _ = write!(line, "; {} wait in \"{}\"{full}", inbox.depth, inbox.name);
    }
    line
}

/// The threads that wait for this one.
fn waiters<'a>(said: &'a ThreadReport, dump: &'a Dump) -> impl Iterator<Item = &'a ThreadReport> {
    let others = dump.context.threads.iter();
    others.filter(move |other| {
        let peer = other.waiting_for.as_ref().zip(said.thread);
        peer.is_some_and(|(peer, thread)| peer.is(thread))
    })
}

/// The channels from which this thread takes what others want of it.
fn inboxes<'a>(said: &'a ThreadReport, dump: &'a Dump) -> impl Iterator<Item = &'a ChannelReport> {
    let channels = dump.context.channels.iter();
    channels.filter(move |q| !q.is_stock && q.to.iter().any(|kind| said.is_of(*kind)))
}

#[cfg(test)]
mod tests {
    use super::super::dump::ReportContext;
    use super::super::report::text;
    use super::*;
    use crate::runtime::{Peer, ThreadKind, ThreadName};

    fn said(thread: ThreadName, state: &str) -> ThreadReport {
        ThreadReport {
            name: thread.to_string(),
            thread: Some(thread),
            state: state.into(),
            ..ThreadReport::default()
        }
    }

    fn waits(thread: ThreadName, peer: impl Into<Peer>, request: u64) -> ThreadReport {
        ThreadReport {
            waiting_for: Some(peer.into()),
            request: Some(request),
            // Words decide nothing.
            activity: "waiting for quote-hub".into(),
            ..said(thread, "busy")
        }
    }

    fn queue(name: &str, to: ThreadKind, depth: usize) -> ChannelReport {
        ChannelReport {
            name: name.into(),
            to: vec![to],
            depth,
            capacity: 8,
            ..ChannelReport::default()
        }
    }

    #[test]
    fn who_and_what_waits_for_a_stalled_thread_is_told_by_fields_no_more_and_no_less() {
        let cache = ThreadReport {
            request: Some(7),
            ..said(ThreadKind::TraderCache.into(), "stalled")
        };
        let dump = Dump {
            context: ReportContext {
                threads: vec![
                    cache,
                    said(ThreadKind::QuoteHub.into(), "stalled"),
                    said(ThreadKind::QuoteFetch.nth(2), "stalled"),
                    waits(ThreadKind::Conn.nth(4), ThreadKind::TraderCache, 7),
                    waits(ThreadKind::Conn.nth(5), ThreadKind::CandleCache, 8),
                    waits(ThreadKind::Conn.nth(6), ThreadKind::QuoteHub, 9),
                    waits(ThreadKind::Conn.nth(7), Peer::Client, 7),
                ],
                channels: vec![
                    queue("to the hub", ThreadKind::QuoteHub, 8),
                    queue("to another -> quote-hub", ThreadKind::CandleCache, 3),
                    queue("to the hub, empty", ThreadKind::QuoteHub, 0),
                    queue("jobs", ThreadKind::QuoteFetch, 2),
                    ChannelReport {
                        is_stock: true,
                        ..queue("permits", ThreadKind::QuoteHub, 3)
                    },
                ],
                ..ReportContext::default()
            },
            ..Dump::default()
        };
        let lines = verdict(&dump);
        for (line, waiting) in lines.iter().zip([
            "doing: ; 1 wait for it: conn-4",
            "doing: ; 1 wait for it: conn-6; 8 wait in \"to the hub\", full",
            "doing: ; 2 wait in \"jobs\"",
        ]) {
            assert!(line.ends_with(waiting), "{line}");
        }
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn a_port_that_does_not_answer_and_a_thread_that_is_gone_are_verdicts() {
        let gone = said(ThreadKind::QuoteHub.into(), "dead");
        let mut dump = Dump::default();
        dump.context.reason = "stalled: the server's own port".into();
        assert_eq!(
            verdict(&dump),
            ["no thread is stalled (stalled: the server's own port)"]
        );
        dump.context.port = "the server's own port is deaf (timed out)".into();
        let lines = verdict(&dump);
        assert!(
            lines[0].starts_with("the server's own port is deaf (timed out); no thread is overdue")
        );
        dump.context.threads = vec![gone];
        assert!(verdict(&dump)[1].contains("quote-hub was ended by a panic"));
        assert!(text(&dump).contains("[ERROR] [WATCHDOG] VERDICT: the server's own port"));
    }
}
