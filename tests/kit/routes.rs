//! Every route of the server once, for who polls or asks all of them; `tests/it/routes.rs` holds that none is
//! missing.

use std::time::Duration;

/// Clients of the old system gave up after this; an answer, even an error, comes sooner.
pub const CLIENTS_GIVE_UP: Duration = Duration::from_secs(10);

/// For a verdict they wait without a limit of their own: `model.deadline`, what is gathered before, and
/// the gate's grace.
pub const VERDICT_WITHIN: Duration = Duration::from_secs(67);

/// What a route needs from outside the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Schwab,
    Trader,
    Model,
    Files,
}

/// A route, with a path as clients ask for it.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub method: &'static str,
    /// A symbol [`NEW`] is another each time the route is polled.
    pub path: &'static str,
    pub needs: &'static [Part],
    /// Why it is not polled ten times a second; none where it is.
    pub not_polled: Option<&'static str>,
}

/// A symbol that nobody has asked for.
pub const NEW: &str = "NEW1";

/// The route that ends the server.
pub const END: &str = "/api/shutdown";

/// The page, which is no route of the API.
pub const PAGE: &str = "/";

impl Route {
    const fn by_post(self) -> Self {
        Self {
            method: "POST",
            ..self
        }
    }

    const fn not_polled(self, why: &'static str) -> Self {
        Self {
            not_polled: Some(why),
            ..self
        }
    }

    /// By when it is answered.
    pub fn within(&self) -> Duration {
        if self.method == "POST" {
            VERDICT_WITHIN
        } else {
            CLIENTS_GIVE_UP
        }
    }

    pub fn needs_any(&self, parts: &[Part]) -> bool {
        self.needs.iter().any(|part| parts.contains(part))
    }
}

const fn get(path: &'static str, needs: &'static [Part]) -> Route {
    Route {
        method: "GET",
        path,
        needs,
        not_polled: None,
    }
}

use Part::{Files, Model, Schwab, Trader};

/// All of them, and the page.
pub const ROUTES: [Route; 26] = [
    get("/api/health", &[]),
    get("/api/threads", &[]),
    get("/api/threads/dump", &[]).not_polled("each is a report of all threads"),
    get("/metrics", &[]),
    get("/api/stalls", &[]),
    get("/api/stalls/1", &[]).not_polled("there is no report while all is well"),
    get("/api/drill?stall=nobody&how=sleep&for=1s", &[])
        .by_post()
        .not_polled("it stalls a thread"),
    get("/api/streaming/status", &[]),
    get("/api/streaming/health", &[Trader]),
    get("/api/streaming/rotation", &[Trader]),
    get("/api/volume-spikes/active", &[]),
    get("/api/candles/TOYO?timeframe=1m", &[Schwab]),
    get("/api/candles/NEW1?timeframe=5m", &[Schwab]),
    get("/api/quote/TOYO", &[Schwab]),
    get("/api/watchlist", &[Trader]),
    get("/api/vwap/TOYO", &[Trader]),
    get("/api/vwap", &[Trader]),
    get("/api/signals", &[Trader]),
    get("/api/positions", &[Trader]),
    get("/api/runners", &[Files]),
    get("/api/trade-history", &[Files]),
    get("/api/validate/status", &[Model]),
    get("/api/validate/TOYO", &[Model, Trader, Schwab]).by_post(),
    get("/api/ws/quotes", &[]).not_polled("it is a stream; ten of them are open"),
    get(END, &[]).by_post().not_polled("it ends the server"),
    get(PAGE, &[]),
];

/// Method and path of every route of the API.
pub fn of_the_api() -> impl Iterator<Item = (&'static str, &'static str)> {
    let routes = ROUTES.iter().filter(|route| route.path != PAGE);
    routes.map(|route| (route.method, route.path))
}
