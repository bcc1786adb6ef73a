//! The `http-N` threads: one request at a time, from tiny_http to tiny_http.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tiny_http::{Request, Server};

use crate::cache::AskId;
use crate::runtime::{Heartbeat, Lossy, Stop, Supervisor, ThreadKind, Tx};

use crate::edge::answer::{Answer, Wants};
use crate::edge::routes;
use crate::edge::routes::Boards;
use crate::edge::routes::GateEnd;
use crate::edge::routes::{Caches, Command, Context, HttpConfig};
use crate::edge::routes::{Route, RouteError, lane_of, route};

/// An idle worker beats this often: an order (a drill, the end of its service) must not wait for a client.
const BEAT_EVERY: Duration = Duration::from_secs(2);

/// Starts one worker for each of `boards`. They end when the server is unblocked after the stop.
///
/// # Errors
/// When the system refuses a thread.
pub fn start_workers(
    supervisor: &Supervisor,
    server: &Arc<Server>,
    caches: &Caches,
    boards: Vec<Boards>,
    config: &HttpConfig,
    commands: &Tx<Command, Lossy>,
) -> io::Result<()> {
    for (number, boards) in (1..).zip(boards) {
        let worker = Worker {
            server: Arc::clone(server),
            caches: caches.clone(),
            config: config.clone(),
            commands: commands.clone(),
            boards: RefCell::new(boards),
            stop: supervisor.stop().clone(),
        };
        let stop = supervisor.stop().clone();
        supervisor.spawn_replaceable(ThreadKind::Http.nth(number), move |heartbeat| {
            while !stop.is_set() && !heartbeat.is_retired() {
                heartbeat.idle();
                if heartbeat.is_retired() {
                    return;
                }
                match worker.server.recv_timeout(BEAT_EVERY) {
                    Ok(Some(request)) => worker.serve(request, heartbeat),
                    Ok(None) => {}
                    // Unblocked for the stop, or the private socket failed; the gate's own pool sees
                    // and mends the latter.
                    Err(_) if stop.is_set() => return,
                    Err(e) => {
                        log::error!(target: "HTTP", "taking a request from the gate failed: {e}");
                        if stop.sleep(Duration::from_millis(100)) {
                            return;
                        }
                    }
                }
            }
        })?;
    }
    Ok(())
}

/// Wakes every worker that waits for a request, so that it sees the stop.
pub fn unblock_workers(server: &Server, workers: usize) {
    // Those that took a stuck one's place included; a wake-up that nobody needs does no harm.
    for _ in 0..2 * workers {
        server.unblock();
    }
}

#[derive(Clone)]
struct Worker {
    server: Arc<Server>,
    caches: Caches,
    config: HttpConfig,
    commands: Tx<Command, Lossy>,
    boards: RefCell<Boards>,
    stop: Stop,
}

impl Worker {
    fn serve(&self, request: Request, heartbeat: &Heartbeat) {
        let method = request.method().as_str().to_owned();
        let target = request.url().to_owned();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let most = self.config.answer_deadlines[lane_of(&method, path).index()];
        // Less where it waited for its place in the lane.
        let within = header(&request, "X-Left-Ms").and_then(|v| v.parse().ok());
        let within = within.map_or(most, Duration::from_millis);
        let deadline = Instant::now() + within.min(most);
        let what = format!("{method} {path}");
        let [
            origin,
            ask,
            peer,
            method_to_come,
            headers_to_come,
            encoding,
            has,
        ] = [
            "Origin",
            "X-Ask",
            "X-Peer",
            "Access-Control-Request-Method",
            "Access-Control-Request-Headers",
            "Accept-Encoding",
            "If-None-Match",
        ]
        .map(|name| header(&request, name).map(str::to_owned));
        let origin = origin.as_deref();
        // Before anything that can panic: tiny_http answers a request that is dropped by a 500 without a word.
        let gate = RefCell::new(GateEnd::new(request.into_writer(), method == "HEAD"));
        let id = AskId(ask.and_then(|v| v.parse().ok()).unwrap_or(0));
        heartbeat.serves(id.0);
        heartbeat.begin(what.clone());
        let answer = match route(&method, path, query) {
            Ok(route) => {
                let mut boards = self.boards.borrow_mut();
                boards.look(Instant::now());
                let context = Context {
                    heartbeat,
                    caches: &self.caches,
                    boards: &boards,
                    config: &self.config,
                    commands: &self.commands,
                    id,
                    what: &what,
                    peer: peer.as_deref().unwrap_or("an unknown address"),
                    deadline,
                    stop: &self.stop,
                    gate: &gate,
                };
                match &route {
                    Route::Options { allow } if origin.is_some() && method_to_come.is_some() => {
                        routes::preflight(allow, headers_to_come)
                    }
                    _ => routes::answer(&route, &context),
                }
            }
            Err(e) => refusal(&e),
        };
        let wants = Wants::new(&method, encoding.as_deref(), has.as_deref());
        let more = self.config.cors.headers(origin);
        let bytes = answer.write(&wants, Instant::now(), &more).into_bytes();
        heartbeat.begin(what + ", handing the answer to the gate");
        gate.into_inner().answer(&bytes);
    }
}

fn refusal(error: &RouteError) -> Answer {
    let status = match error {
        RouteError::Unknown { .. } => 404,
        RouteError::Method { .. } => 405,
        RouteError::Symbol(_)
        | RouteError::Timeframe(_)
        | RouteError::Query(_)
        | RouteError::Escape => 400,
    };
    let mut answer = Answer::error(status, &error.to_string());
    if let RouteError::Method { allow, .. } = error {
        answer.set("Allow", (*allow).to_owned());
    }
    answer
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request
        .headers()
        .iter()
        .find(|h| h.field.as_str().as_str().eq_ignore_ascii_case(name))
        .map(|h| h.value.as_str())
}
