//! The access token of the embedded market: which one is valid when, and its file. Pure but for
//! [`write_by_rename`].
//!
//! No thread tells another which token is valid: all compute it from the same plan.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::rng::Rng;

/// Schwab's access tokens are good for 30 minutes.
const LIFE: Duration = Duration::from_secs(1_800);

/// When tokens change.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenPlan {
    rng: Rng,
    born: Instant,
    born_ms: i64,
    every: Duration,
    grace: Duration,
}

impl TokenPlan {
    /// A new token every `every` from `born` on (`born_ms` on the system's clock), the one before
    /// being accepted for `grace` more.
    pub(super) fn new(
        seed: u64,
        (born, born_ms): (Instant, i64),
        every: Duration,
        grace: Duration,
    ) -> Self {
        Self {
            rng: Rng::new(seed).of(born_ms.unsigned_abs()),
            born,
            born_ms,
            every,
            grace,
        }
    }

    /// The number of the token that is the newest at `now`.
    pub(super) fn number(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.born).as_millis();
        u64::try_from(passed / self.every.as_millis().max(1)).unwrap_or(u64::MAX)
    }

    /// The token with that number.
    pub(super) fn text(&self, number: u64) -> String {
        let words = self.rng.of(number);
        format!(
            "I0.{:016x}{:016x}{:016x}@",
            words.bits(0),
            words.bits(1),
            words.bits(2)
        )
    }

    /// Whether a request may bear that token at `now`.
    pub(super) fn accepts(&self, token: &str, now: Instant) -> bool {
        let number = self.number(now);
        let into_ms =
            now.saturating_duration_since(self.born).as_millis() % self.every.as_millis().max(1);
        let before = number.checked_sub(1);
        token == self.text(number)
            || (into_ms < self.grace.as_millis() && before.is_some_and(|n| token == self.text(n)))
    }

    /// The file as schwab-py writes it. Its times are the system's, as the token's reader needs them.
    pub(super) fn file(&self, number: u64) -> Value {
        let every_ms = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX);
        let issued_ms = i64::try_from(number)
            .unwrap_or(i64::MAX)
            .saturating_mul(every_ms)
            .saturating_add(self.born_ms);
        json!({
            "creation_timestamp": self.born_ms / 1_000,
            "token": {
                "expires_in": LIFE.as_secs(),
                "token_type": "Bearer",
                "scope": "api",
                "refresh_token": format!("{:016x}@", self.rng.bits(0)),
                "access_token": self.text(number),
                "id_token": "embedded-market",
                "expires_at": issued_ms / 1_000 + LIFE.as_secs() as i64,
            },
        })
    }
}

/// Writes a file so that a reader sees the old or the new one, never a part; readable by its owner
/// only.
///
/// # Errors
/// What the file system said.
pub(super) fn write_by_rename(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    #[expect(clippy::disallowed_methods, reason = "in a folder of its own")]
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&part)?;
    file.write_all(bytes)?;
    drop(file);
    fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_before_is_accepted_for_a_while_and_no_other() {
        let born = Instant::now();
        let every = Duration::from_secs(1_500);
        let plan = TokenPlan::new(1, (born, 1_000_000), every, Duration::from_secs(60));
        let at = |s: u64| born + Duration::from_secs(s);
        let (first, second) = (plan.text(0), plan.text(1));
        assert_ne!(first, second);
        for (s, old, new) in [
            (0, true, false),
            (1_499, true, false),
            (1_500, true, true),
            (1_559, true, true),
            (1_560, false, true),
            (3_000, false, true),
            (3_060, false, false),
        ] {
            assert_eq!(plan.accepts(&first, at(s)), old, "first at {s}");
            assert_eq!(plan.accepts(&second, at(s)), new, "second at {s}");
        }
        let other = TokenPlan::new(1, (born, 2_000_000), every, Duration::from_secs(60));
        assert!(!other.accepts(&first, born), "a token of an earlier run");
        assert_eq!(plan.file(1)["token"]["expires_at"], 1_000 + 1_500 + 1_800);
        assert_eq!(plan.file(1)["token"]["access_token"], second);
    }
}
