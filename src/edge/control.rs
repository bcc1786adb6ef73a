//! The operator's control socket: `control.sock` beside the logs, by which who may open that file (this user and no
//! other) reaches a server whose port, permits or token are out of reach.
//!
//! It answers the rows of the route table that wait for nobody but the watchdog and the reader of past reports, without
//! the rules of [`super::access`] and without the bulkheads' permits: its few threads are its bound. Its callers are on
//! this machine. Every answer is followed by the end of the connection.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tiny_http::{Header, ResponseBox};

use super::answer::Answer;
use super::connection::Lookup;
use super::routes::{
    Asked, Command, Context, HttpConfig, Row, Snapshots, Source, answer, call, options,
};
use crate::cache::AskId;
use crate::runtime::local_server::{self, Address, Bound, Spec, response};
use crate::runtime::{Heartbeat, Lossy, Supervisor, ThreadKind, Tx};

/// By when a request is answered. Who answers has shorter limits of its own.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Requests under way at once: a report now, and a look at the threads meanwhile.
const WORKERS: u32 = 2;

/// Who asks, for reports and the log.
const PEER: &str = "the control socket";

/// The header that says where the port is, as an address.
pub const PORT_HEADER: &str = "X-Port";

/// Requests here are asked of no cache, so no number of theirs can be cancelled.
const NO_ASK: AskId = AskId(0);

/// What the control socket needs.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// Where the port is.
    pub port: SocketAddr,
    /// The caches, for the routes' surroundings; no route here asks them.
    pub lookup: Lookup,
    /// What is answered from snapshots; each worker reads a clone.
    pub snapshots: Snapshots,
    /// What the routes need.
    pub routes: HttpConfig,
    /// `main`'s inbox.
    pub commands: Tx<Command, Lossy>,
}

/// Starts its threads.
///
/// # Errors
/// When the system refuses a thread.
pub fn start_control(
    supervisor: &Supervisor,
    bound: Bound,
    config: ControlConfig,
) -> io::Result<Address> {
    let spec = Spec {
        keeper: ThreadKind::Control,
        worker: ThreadKind::ControlWorker,
        workers: WORKERS,
    };
    let stop = supervisor.stop().clone();
    local_server::start(supervisor, spec, bound, move || {
        let mut config = config.clone();
        let stop = stop.clone();
        move |asked: &local_server::Asked, heartbeat: &Heartbeat| {
            config.snapshots.look(Instant::now());
            let context = Context {
                heartbeat,
                caches: &config.lookup.caches,
                snapshots: &config.snapshots,
                config: &config.routes,
                commands: &config.commands,
                id: NO_ASK,
                what: &format!("{} {} for {PEER}", asked.method, asked.target),
                peer: PEER,
                is_local: true,
                deadline: Instant::now() + ANSWER_DEADLINE,
                stop: &stop,
                client: None,
                left: Cell::new(false),
            };
            respond(&answered(asked, &context), config.port)
        }
    })
}

fn answered(asked: &local_server::Asked, context: &Context<'_>) -> Answer {
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    match call(asked.method.as_str(), path, query) {
        Ok(Asked::Call(call)) if is_for_operators(call.row) => answer(&call, path, context),
        Ok(Asked::Call(_)) => Answer::error(
            404,
            "The control socket has only what operators need; ask the port, which X-Port names",
        ),
        Ok(Asked::Options { allow }) => options(allow),
        Err(e) => e.answer(),
    }
}

/// Whether a route waits for nobody, or for none but the watchdog and the reader of past reports.
fn is_for_operators(row: &Row) -> bool {
    match row.source {
        Source::Snapshot(_) => true,
        Source::Do(_) => row.bulkhead.is_none_or(|kind| kind.for_operators),
        Source::Cached(_) | Source::Page | Source::Stream => false,
    }
}

/// The answer in the library's form. The library adds a length to 204, which must have none, so an answer without
/// content is an empty 200.
fn respond(answer: &Answer, port: SocketAddr) -> ResponseBox {
    let status = if answer.status == 204 {
        200
    } else {
        answer.status
    };
    let body = answer.body.plain().to_vec();
    let mut response = response(status, answer.content_type, body);
    let port = (PORT_HEADER, port.to_string());
    for (name, value) in answer.headers.iter().chain([&port]) {
        if let Ok(header) = Header::from_bytes(*name, value.as_bytes()) {
            response.add_header(header);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::routes::ROUTES;

    #[test]
    fn operators_have_every_route_of_the_process_and_none_that_waits_for_an_upstream() {
        let theirs = |path: &str| {
            let row = ROUTES.iter().find(|row| row.path == path);
            row.is_some_and(is_for_operators)
        };
        for path in [
            "/api/threads",
            "/api/threads/dump",
            "/api/stalls",
            "/api/stalls/{name}",
            "/api/drill",
            "/api/health",
            "/api/shutdown",
            "/metrics",
        ] {
            assert!(theirs(path), "{path}");
        }
        for path in [
            "/api/candles/{symbol}",
            "/api/watchlist",
            "/api/validate/{symbol}",
            "/api/validate/status",
            "/api/ws/quotes",
        ] {
            assert!(!theirs(path), "{path}");
        }
    }
}
