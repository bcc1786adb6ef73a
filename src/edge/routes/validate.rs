//! Validation of a set-up by the model.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::cache::Served;
use crate::json;
use crate::market::{Candle, Symbol, Timeframe};
use crate::resilience::FetchError;
use crate::upstream::ollama::setup::{Setup, SetupInputs};
use crate::upstream::ollama::{
    self, PromptInputs, ValidateRequest, ValidationAnswer, ValidationKey,
};
use crate::upstream::schwab::candles::MarketKey;
use crate::upstream::trader_app::{TraderKey, runner_entry, watchlist_entry};

use super::context::Context;
use super::param::{Args, BadRequest, SYMBOL};
use super::schema::Schema;
use crate::edge::answer::Answer;

/// How long the watchlist is waited for.
const WATCHLIST_DEADLINE: Duration = Duration::from_millis(2_500);

/// How long what the prompt needs is waited for; the prompt does without what is later.
const INPUTS_DEADLINE: Duration = Duration::from_secs(2);

/// How much longer than the model's own deadline its cache may take to say why there is no verdict.
const REASON_GRACE: Duration = Duration::from_millis(300);

/// What a validation may take besides the model.
pub(super) const VALIDATION_INPUTS_MAX: Duration = Duration::from_millis(5_500);

/// `GET /api/validate/status` is answered within 5 s.
pub(super) const STATUS_DEADLINE: Duration = Duration::from_millis(4_200);

/// Permits for questions whether the model is there: all share one call, and who waits for a permit finds
/// its answer ready.
pub(super) const STATUS_PERMITS: usize = 2;

/// Everything that was gathered.
struct Gathered {
    entry: Map<String, Value>,
    quote: Option<Served<crate::upstream::schwab::candles::MarketOut>>,
    candles: Option<Served<crate::upstream::schwab::candles::MarketOut>>,
    vwap: Option<f64>,
    runner: Option<Map<String, Value>>,
}

/// `POST /api/validate/{symbol}`: the model's verdict, or a `wait` with the reason why there is none; in
/// `setup` what was known when it was asked. Waits as long as the model may take. A verdict whose askers
/// have left is kept for the next one. A body is not read.
pub fn validate(args: &Args, context: &Context<'_>) -> Result<Answer, BadRequest> {
    Ok(verdict(context, &args.get(&SYMBOL)?))
}

fn verdict(context: &Context<'_>, symbol: &Symbol) -> Answer {
    let by = context.deadline.min(Instant::now() + WATCHLIST_DEADLINE);
    let watchlist = match context.ask(TraderKey::Watchlist, by) {
        Ok(served) => served.value,
        Err(failure) => {
            return Answer::error(
                503,
                &format!("{symbol} cannot be validated, there is no watchlist: {failure}"),
            )
            .with_retry_after(failure.retry_after());
        }
    };
    let Some(entry) = watchlist_entry(watchlist.plain(), symbol) else {
        return Answer::error(
            400,
            &format!("{symbol} is not in the watchlist; only its symbols are validated"),
        );
    };
    let mut request = ValidateRequest {
        symbol: symbol.clone(),
        system: None,
        prompt: "".into(),
        setup: Value::Null,
    };
    // One that is there needs no quote and no candles.
    let known = context.look(ValidationKey::Validate(request.clone()));
    if let Some(Ok(Served {
        value: ValidationAnswer::Verdict(verdict),
        stale_because: None,
        ..
    })) = known
    {
        return Answer::json(ollama::answer((*verdict).clone(), true));
    }
    let gathered = gather(context, symbol, entry);
    (request.prompt, request.setup) = gathered.told(context, symbol);
    request.system = context.config.prompt.system.as_deref().map(Into::into);
    let setup = request.setup.clone();
    // Who left meanwhile shall not cost the model a minute.
    if context.client_left() {
        return no_verdict(symbol, &FetchError::Cancelled, setup, context);
    }
    let asked = Instant::now();
    let by = asked + context.config.model_deadline + REASON_GRACE;
    match context.ask(ValidationKey::Validate(request), by.min(context.deadline)) {
        Ok(Served {
            value: ValidationAnswer::Verdict(verdict),
            as_of,
            stale_because: None,
            ..
        }) => Answer::json(ollama::answer((*verdict).clone(), as_of < asked)),
        // An old verdict on an old price would be worse than none.
        Ok(served) => {
            let why = served.stale_because.unwrap_or(FetchError::Cancelled);
            no_verdict(symbol, &why, setup, context)
        }
        Err(failure) => no_verdict(symbol, &failure, setup, context),
    }
}

/// Asks for everything at once, so that nothing waits for what is slow.
fn gather(context: &Context<'_>, symbol: &Symbol, entry: Map<String, Value>) -> Gathered {
    let by = context.deadline.min(Instant::now() + INPUTS_DEADLINE);
    let quote = context.begin(MarketKey::Quote(symbol.clone()), by);
    let candles = MarketKey::Candles(symbol.clone(), Timeframe::M1);
    let candles = context.begin(candles, by);
    let vwap = context.begin(TraderKey::Vwap(symbol.clone()), by);
    let vwap = context
        .answer(vwap)
        .ok()
        .filter(|v| v.stale_because.is_none());
    let runners = context.snapshots.files().and_then(|f| f.runners.as_ref());
    Gathered {
        entry,
        quote: context.answer(quote).ok(),
        candles: context.answer(candles).ok(),
        vwap: vwap.and_then(|v| {
            let (said, _): (Map<String, Value>, _) = json::read(v.value.plain()).ok()?;
            said.get("vwap")?.as_f64()
        }),
        runner: runners.and_then(|r| runner_entry(r.body.plain(), symbol)),
    }
}

impl Gathered {
    /// The prompt, and the set-up as pages get it.
    fn told(&self, context: &Context<'_>, symbol: &Symbol) -> (std::sync::Arc<str>, Value) {
        let bytes = self.quote.as_ref().map(|q| q.value.body.plain());
        let quote: Option<Map<String, Value>> =
            bytes.and_then(|bytes| Some(json::read(bytes).ok()?.0));
        let candles: Option<&[Candle]> = self
            .candles
            .as_ref()
            .and_then(|c| c.value.candles.as_deref());
        let setup = Setup::of(&SetupInputs {
            symbol,
            entry: &self.entry,
            quote: quote.as_ref(),
            candles,
            vwap: self.vwap,
            runner: self.runner.as_ref(),
            now_ms: context.config.clock.wall_ms(),
        });
        let prompt = context.config.prompt.template.render(&PromptInputs {
            setup: &setup,
            entry: &self.entry,
            quote: bytes.map(AsRef::as_ref),
            candles,
        });
        // Its keys are texts, and what is not finite becomes null.
        let setup = serde_json::to_value(&setup).unwrap_or_default();
        (prompt.into(), setup)
    }
}

fn no_verdict(symbol: &Symbol, why: &FetchError, setup: Value, context: &Context<'_>) -> Answer {
    let mut verdict = ollama::fallback(symbol, why, context.config.clock.wall_ms());
    verdict.insert("setup".into(), setup);
    Answer::json(ollama::answer(verdict, false))
}

/// `GET /api/validate/status`: `{"available":bool,"cache_ttl_seconds":60}`, and in `detail` why not.
pub fn status(_: &Args, context: &Context<'_>) -> Result<Answer, BadRequest> {
    let said = context.ask(ValidationKey::Status, context.deadline);
    let (available, detail) = match said {
        Ok(Served {
            value: ValidationAnswer::Presence(presence),
            stale_because: None,
            ..
        }) => (presence.available, presence.detail),
        Ok(served) => (false, served.stale_because.map(|why| why.to_string())),
        Err(failure) => (false, Some(failure.to_string())),
    };
    let mut body = json!({
        "available": available,
        "cache_ttl_seconds": context.config.validate_ttl.as_secs(),
    });
    if let Some(detail) = detail {
        body["detail"] = Value::from(detail);
    }
    Ok(Answer::value(&body))
}

pub(super) static STATUS_SCHEMA: Schema = Schema {
    name: "ModelStatus",
    json: r##"{
  "type": "object",
  "required": ["available", "cache_ttl_seconds"],
  "properties": {
    "available": {"type": "boolean"},
    "cache_ttl_seconds": {"type": "integer", "minimum": 0},
    "detail": {"type": "string", "description": "Why it is not available"}
  },
  "additionalProperties": false
}"##,
    parts: &[],
};

pub(super) static VERDICT_SCHEMA: Schema = Schema {
    name: "Verdict",
    json: r##"{
  "type": "object",
  "required": [
    "signal",
    "entry_price",
    "stop_price",
    "target_price",
    "confidence",
    "reasoning",
    "risk_reward_ratio",
    "key_concern",
    "timestamp",
    "symbol",
    "cached"
  ],
  "properties": {
    "signal": {"type": "string", "enum": ["buy", "wait", "no_trade"]},
    "entry_price": {"type": ["number", "null"]},
    "stop_price": {"type": ["number", "null"]},
    "target_price": {"type": ["number", "null"]},
    "confidence": {"type": "number", "minimum": 0, "maximum": 100},
    "reasoning": {"type": "array", "items": {"type": "string"}},
    "risk_reward_ratio": {"type": ["number", "null"]},
    "key_concern": {"type": ["string", "null"]},
    "timestamp": {"type": "string", "description": "ISO 8601, in UTC"},
    "symbol": {"type": "string"},
    "cached": {"type": "boolean"},
    "setup": {"type": "object", "description": "What was known when the model was asked"}
  }
}"##,
    parts: &[],
};
