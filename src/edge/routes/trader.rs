//! What the trader app knows: passed through, or a degraded answer that clients already understand.

use crate::cache::{Reply, Served};
use crate::payload::Body;
use crate::resilience::FetchError;
use crate::upstream::trader_app::{TraderKey, answers};

use super::cached::ByKey;
use super::param::{Args, BadRequest, SYMBOL};
use crate::edge::answer::Answer;

/// By this key, with the answers that stand in for the trader app's own.
const fn by_key(key: fn(&Args) -> Result<TraderKey, BadRequest>) -> ByKey<TraderKey> {
    ByKey { key, answer }
}

/// `GET /api/watchlist`
pub static WATCHLIST: ByKey<TraderKey> = by_key(|_| Ok(TraderKey::Watchlist));

/// `GET /api/vwap/{symbol}`
pub static VWAP: ByKey<TraderKey> = by_key(|args| Ok(TraderKey::Vwap(args.get(&SYMBOL)?)));

/// `GET /api/vwap`
pub static VWAP_ALL: ByKey<TraderKey> = by_key(|_| Ok(TraderKey::VwapAll));

/// `GET /api/streaming/health`
pub static STREAM_HEALTH: ByKey<TraderKey> = by_key(|_| Ok(TraderKey::StreamHealth));

/// `GET /api/streaming/rotation`
pub static ROTATION: ByKey<TraderKey> = by_key(|_| Ok(TraderKey::Rotation));

/// `GET /api/signals`
pub static SIGNALS: ByKey<TraderKey> = by_key(|_| Ok(TraderKey::Signals));

/// `GET /api/positions`
pub static POSITIONS: ByKey<TraderKey> = by_key(|_| Ok(TraderKey::Positions));

/// What the trader cache's reply means to a client of the key's route:
///
/// | route | when there is nothing fresh |
/// |---|---|
/// | `/api/watchlist` | the last one, marked stale; 503 only if there never was one |
/// | `/api/vwap/{symbol}` | the last one with `"stale":true`, for as long as it may be shown; else `"vwap":null` |
/// | `/api/vwap`, `/api/signals`, `/api/positions` | the same, marked stale; else empty, marked stale |
/// | `/api/streaming/health`, `/api/streaming/rotation` | an error in 200: the last one would say that all is well |
fn answer(key: &TraderKey, reply: Reply<Body>) -> Answer {
    let fresh_only = matches!(key, TraderKey::StreamHealth | TraderKey::Rotation);
    match reply {
        Ok(Served {
            stale_because: Some(why),
            ..
        }) if fresh_only => instead(key, &why),
        Ok(served) if served.stale_because.is_some() && matches!(key, TraderKey::Vwap(_)) => {
            let body = answers::stale_vwap(served.value.plain());
            Answer::served(&served, Body::once(body))
        }
        Ok(served) => Answer::served(&served, served.value.clone()),
        Err(failure) => instead(key, &failure),
    }
}

fn instead(key: &TraderKey, failure: &FetchError) -> Answer {
    Answer::json(match key {
        TraderKey::Watchlist => {
            return Answer::error(503, &format!("There is no watchlist yet: {failure}"))
                .with_retry_after(failure.retry_after());
        }
        TraderKey::Vwap(symbol) => answers::no_vwap(symbol, failure),
        TraderKey::StreamHealth => answers::no_stream_health(failure),
        TraderKey::Rotation => answers::no_rotation(failure),
        // Empty because nobody knows is not the same as empty.
        TraderKey::VwapAll => return Answer::json(*b"{}").stale(failure),
        TraderKey::Signals | TraderKey::Positions => return Answer::json(*b"[]").stale(failure),
    })
}
