//! Every route of the server once, for who polls or asks all of them: from the route table, with what only trials
//! know. `tests/it/routes.rs` holds that none is missing.

use std::sync::LazyLock;
use std::time::Duration;

use tapewarden::edge::routes::{Place, ROUTES as TABLE, Row, Source};
use tapewarden::runtime::ThreadKind;

use Part::{Files, Model, Schwab, Trader};

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

/// What trials know of a route and its row does not say.
struct Known {
    /// As the table has it.
    path: &'static str,
    needs: &'static [Part],
    not_polled: Option<&'static str>,
    /// Asked for in place of its examples.
    target: Option<&'static str>,
}

const fn needs(path: &'static str, needs: &'static [Part]) -> Known {
    Known {
        path,
        needs,
        not_polled: None,
        target: None,
    }
}

const fn not_polled(path: &'static str, why: &'static str) -> Known {
    Known {
        not_polled: Some(why),
        ..needs(path, &[])
    }
}

const KNOWN: [Known; 9] = [
    needs("/api/runners", &[Files]),
    needs("/api/trade-history", &[Files]),
    needs("/api/validate/status", &[Model]),
    needs("/api/validate/{symbol}", &[Model, Trader, Schwab]),
    not_polled("/api/threads/dump", "each is a report of all threads"),
    not_polled("/api/stalls/{name}", "there is no report while all is well"),
    Known {
        target: Some("/api/drill?stall=nobody&how=sleep&for=1s"),
        ..not_polled("/api/drill", "it stalls a thread")
    },
    not_polled("/api/ws/quotes", "it is a stream; ten of them are open"),
    not_polled(END, "it ends the server"),
];

/// Candles of a symbol that is another each time, and the page: its other files wait for nothing either.
const MORE: [Route; 2] = [
    Route {
        method: "GET",
        path: "/api/candles/NEW1?timeframe=5m",
        needs: &[Schwab],
        not_polled: None,
    },
    Route {
        method: "GET",
        path: PAGE,
        needs: &[],
        not_polled: None,
    },
];

/// What a row's own examples ask for: its path's, and of its query's those that must be there.
fn example(row: &Row) -> String {
    let mut path = row.path.to_owned();
    for param in row.params {
        let (name, example) = (param.name(), param.example());
        match param.place() {
            Place::Path => path = path.replace(&format!("{{{name}}}"), example),
            Place::Query if param.may_be_absent() => {}
            Place::Query => {
                path.push(if path.contains('?') { '&' } else { '?' });
                path += &format!("{name}={example}");
            }
        }
    }
    path
}

fn route(row: &Row) -> Route {
    let known = KNOWN.iter().find(|known| known.path == row.path);
    let cache = match row.source {
        Source::Cached(from) => Some(from.cache()),
        _ => None,
    };
    let needs: &[Part] = match cache {
        Some(ThreadKind::CandleCache) => &[Schwab],
        Some(ThreadKind::TraderCache) => &[Trader],
        _ => known.map_or(&[], |known| known.needs),
    };
    let target = known.and_then(|known| known.target);
    Route {
        method: row.method.name(),
        path: target.unwrap_or_else(|| example(row).leak()),
        needs,
        not_polled: known.and_then(|known| known.not_polled),
    }
}

/// All of them, and the page.
pub static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    for known in &KNOWN {
        let there = TABLE.iter().any(|row| row.path == known.path);
        assert!(there, "{} is no route (any more)", known.path);
    }
    let of_api = |row: &&Row| !matches!(row.source, Source::Page);
    let rows = TABLE.iter().filter(of_api);
    rows.map(route).chain(MORE).collect()
});

/// Method and path of every route of the API.
pub fn of_the_api() -> impl Iterator<Item = (&'static str, &'static str)> {
    let routes = ROUTES.iter().filter(|route| route.path != PAGE);
    routes.map(|route| (route.method, route.path))
}
