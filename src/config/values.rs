//! What a setting's value may be, and how it is written. Pure.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A value as a source gave it: the environment and flags only know text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// A TOML string, or anything from the environment or a flag.
    Text(String),
    /// A TOML integer.
    Number(i64),
    /// A TOML float, as it is written.
    Decimal(String),
    /// A TOML boolean.
    Bool(bool),
    /// A TOML array of strings.
    List(Vec<String>),
    /// Anything else, by its TOML type.
    Other(&'static str),
}

/// A type of setting.
pub trait Setting: Sized {
    /// What is accepted, as errors and `tapewarden config --help` say it.
    const ACCEPTS: &'static str;
    /// The value, if it is one.
    fn read(raw: &Raw) -> Option<Self>;
    /// The value as TOML.
    fn show(&self) -> String;
}

fn text(raw: &Raw) -> Option<&str> {
    match raw {
        Raw::Text(text) => Some(text.trim()),
        _ => None,
    }
}

fn whole(raw: &Raw) -> Option<i64> {
    match raw {
        Raw::Number(n) => Some(*n),
        Raw::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

impl Setting for String {
    const ACCEPTS: &'static str = "a text, in quotes";
    fn read(raw: &Raw) -> Option<Self> {
        text(raw).map(str::to_owned)
    }
    fn show(&self) -> String {
        quoted(self)
    }
}

impl Setting for PathBuf {
    const ACCEPTS: &'static str = "a path, in quotes";
    fn read(raw: &Raw) -> Option<Self> {
        text(raw).map(Self::from)
    }
    fn show(&self) -> String {
        quoted(&self.to_string_lossy())
    }
}

impl Setting for bool {
    const ACCEPTS: &'static str = "true or false";
    fn read(raw: &Raw) -> Option<Self> {
        match raw {
            Raw::Bool(b) => Some(*b),
            Raw::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for usize {
    const ACCEPTS: &'static str = "a whole number from 1 to 1000000";
    fn read(raw: &Raw) -> Option<Self> {
        whole(raw)
            .filter(|n| (1..=1_000_000).contains(n))
            .and_then(|n| Self::try_from(n).ok())
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for u64 {
    const ACCEPTS: &'static str = "a whole number, 0 or more";
    fn read(raw: &Raw) -> Option<Self> {
        whole(raw).and_then(|n| Self::try_from(n).ok())
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

/// The longest duration that a setting may be.
const DURATION_MAX: Duration = Duration::from_secs(7 * 86_400);

impl Setting for Duration {
    const ACCEPTS: &'static str =
        "a duration with its unit, in quotes, from \"1ms\" to \"7d\": \"250ms\", \"10s\", \"15m\"";
    fn read(raw: &Raw) -> Option<Self> {
        let given = text(raw)?;
        // A bare number could be seconds or milliseconds: nobody may guess.
        if given.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let span: jiff::SignedDuration = match given.strip_suffix('d') {
            Some(days) => {
                jiff::SignedDuration::from_hours(days.trim().parse::<i64>().ok()?.checked_mul(24)?)
            }
            None => given.parse().ok()?,
        };
        Self::try_from(span)
            .ok()
            .filter(|d| (Self::from_millis(1)..=DURATION_MAX).contains(d))
    }
    fn show(&self) -> String {
        let ms = self.as_millis();
        if ms.is_multiple_of(1_000) {
            quoted(&format!("{}s", ms / 1_000))
        } else {
            quoted(&format!("{ms}ms"))
        }
    }
}

/// A duration, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(pub Option<Duration>);

impl Setting for Limit {
    const ACCEPTS: &'static str = "a duration with its unit, in quotes: \"120s\"; or \"never\"";
    fn read(raw: &Raw) -> Option<Self> {
        match text(raw) {
            Some("never" | "0" | "0s") => Some(Self(None)),
            _ if whole(raw) == Some(0) => Some(Self(None)),
            _ => Duration::read(raw).map(|d| Self(Some(d))),
        }
    }
    fn show(&self) -> String {
        self.0.map_or_else(|| quoted("never"), |d| d.show())
    }
}

/// Yes, no, or as it fits the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auto(pub Option<bool>);

impl Setting for Auto {
    const ACCEPTS: &'static str = "true, false or \"auto\"";
    fn read(raw: &Raw) -> Option<Self> {
        match text(raw) {
            Some("auto") => Some(Self(None)),
            _ => bool::read(raw).map(|b| Self(Some(b))),
        }
    }
    fn show(&self) -> String {
        self.0.map_or_else(|| quoted("auto"), |b| b.to_string())
    }
}

/// A model's temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Temperature(pub f64);

impl Setting for Temperature {
    const ACCEPTS: &'static str = "a number from 0 to 2";
    fn read(raw: &Raw) -> Option<Self> {
        let given: f64 = match raw {
            Raw::Number(n) => i32::try_from(*n).ok()?.into(),
            Raw::Decimal(text) | Raw::Text(text) => text.trim().parse().ok()?,
            _ => return None,
        };
        (0.0..=2.0).contains(&given).then_some(Self(given))
    }
    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl Setting for Bytes {
    const ACCEPTS: &'static str =
        "a size from 256 bytes to 1 GB: a whole number of bytes, or in quotes \"64 kB\", \"10 MB\"";
    fn read(raw: &Raw) -> Option<Self> {
        let bytes = if let Some(n) = whole(raw) {
            u64::try_from(n).ok()?
        } else {
            let given = text(raw)?;
            let digits = given.bytes().take_while(u8::is_ascii_digit).count();
            let factor = match given[digits..].trim() {
                "B" => 1,
                "kB" | "KB" => 1_000,
                "MB" => 1_000_000,
                "GB" => 1_000_000_000,
                _ => return None,
            };
            given[..digits].parse::<u64>().ok()?.checked_mul(factor)?
        };
        (256..=1_000_000_000)
            .contains(&bytes)
            .then_some(Self(bytes))
    }
    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen(pub SocketAddr);

impl Setting for Listen {
    const ACCEPTS: &'static str = "an address and a port, in quotes: \"127.0.0.1:8081\"";
    fn read(raw: &Raw) -> Option<Self> {
        let given = text(raw)?;
        if let Some(port) = given.strip_prefix("localhost:") {
            let port = port.parse().ok()?;
            return Some(Self(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        }
        given.parse().ok().map(Self)
    }
    fn show(&self) -> String {
        quoted(&self.0.to_string())
    }
}

/// An upstream's base URL, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(pub String);

impl Setting for Url {
    const ACCEPTS: &'static str =
        "an http:// or https:// URL with a host and without a password, in quotes";
    fn read(raw: &Raw) -> Option<Self> {
        let given = text(raw)?.trim_end_matches('/');
        let rest = given
            .strip_prefix("http://")
            .or_else(|| given.strip_prefix("https://"))?;
        let uri: ureq::http::Uri = given.parse().ok()?;
        // URLs are shown in logs and answers: no place for a password.
        let sound = !rest.is_empty()
            && !rest.contains('@')
            && uri.host().is_some_and(|h| !h.is_empty())
            && uri.query().is_none();
        sound.then(|| Self(given.to_owned()))
    }
    fn show(&self) -> String {
        quoted(&self.0)
    }
}

/// A URL as [`Url`] has it, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaybeUrl(pub Option<String>);

impl Setting for MaybeUrl {
    const ACCEPTS: &'static str = Url::ACCEPTS;
    fn read(raw: &Raw) -> Option<Self> {
        if text(raw)?.is_empty() {
            return Some(Self(None));
        }
        Some(Self(Some(Url::read(raw)?.0)))
    }
    fn show(&self) -> String {
        quoted(self.0.as_deref().unwrap_or_default())
    }
}

/// Where market data come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Market {
    /// The embedded market.
    Sim,
    /// Schwab and the trader app.
    Schwab,
}

impl Setting for Market {
    const ACCEPTS: &'static str = "\"sim\" or \"schwab\"";
    fn read(raw: &Raw) -> Option<Self> {
        match text(raw)? {
            "sim" => Some(Self::Sim),
            "schwab" => Some(Self::Schwab),
            _ => None,
        }
    }
    fn show(&self) -> String {
        quoted(match self {
            Self::Sim => "sim",
            Self::Schwab => "schwab",
        })
    }
}

/// The embedded market's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimTime {
    /// Shifted, so that there is always a session.
    Open,
    /// As it is.
    Real,
}

impl Setting for SimTime {
    const ACCEPTS: &'static str = "\"open\" or \"real\"";
    fn read(raw: &Raw) -> Option<Self> {
        match text(raw)? {
            "open" => Some(Self::Open),
            "real" => Some(Self::Real),
            _ => None,
        }
    }
    fn show(&self) -> String {
        quoted(match self {
            Self::Open => "open",
            Self::Real => "real",
        })
    }
}

/// A list as the settings file has it: its line can be given to a flag as it is.
fn toml_list(text: &str) -> Option<Vec<String>> {
    let line: toml::Table = format!("list = {}", text.trim()).parse().ok()?;
    let list = line.get("list").filter(|_| line.len() == 1)?.as_array()?;
    list.iter().map(|v| v.as_str().map(str::to_owned)).collect()
}

impl Setting for Vec<String> {
    const ACCEPTS: &'static str =
        "a list of texts: [\"localhost\"]; from the environment or a flag also separated by commas";
    fn read(raw: &Raw) -> Option<Self> {
        match raw {
            Raw::List(list) => Some(list.clone()),
            Raw::Text(text) => toml_list(text).or_else(|| {
                Some(
                    text.split(',')
                        .map(str::trim)
                        .filter(|t| !t.is_empty())
                        .map(str::to_owned)
                        .collect(),
                )
            }),
            _ => None,
        }
    }
    fn show(&self) -> String {
        let list: Vec<String> = self.iter().map(|t| quoted(t)).collect();
        format!("[{}]", list.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of<T: Setting>(text: &str) -> Option<T> {
        T::read(&Raw::Text(text.into()))
    }

    #[test]
    fn a_list_is_given_by_commas_or_as_the_file_has_it() {
        let list = |text: &str| of::<Vec<String>>(text).unwrap();
        assert_eq!(list("a, b,,"), ["a", "b"]);
        assert_eq!(list(" [\"a\", \"b, c\"] "), ["a", "b, c"]);
        assert_eq!(list("[::1],a"), ["[::1]", "a"]);
        assert_eq!(list("[]"), [""; 0]);
        assert_eq!(list("[1]\nx = 2"), ["[1]\nx = 2"]);
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(of::<Duration>("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(of::<Duration>("15m"), Some(Duration::from_secs(900)));
        assert_eq!(of::<Duration>("2d"), Some(Duration::from_secs(172_800)));
        for bad in ["10", "", "0s", "-1s", "8d", "ten"] {
            assert_eq!(of::<Duration>(bad), None, "{bad}");
        }
    }

    #[test]
    fn addresses_sizes_and_urls_are_checked() {
        assert_eq!(
            of::<Listen>("localhost:1"),
            Some(Listen("127.0.0.1:1".parse().unwrap()))
        );
        assert_eq!(of::<Listen>("8081"), None);
        assert_eq!(of::<Bytes>("10 MB"), Some(Bytes(10_000_000)));
        assert_eq!(of::<Bytes>("2 GB"), None);
        assert_eq!(of::<Url>("http://x:1/y/"), Some(Url("http://x:1/y".into())));
        for bad in ["x:1", "ftp://x", "http://", "http://x?y", "http://u:p@h"] {
            assert_eq!(of::<Url>(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_temperature_is_a_number_in_any_form() {
        let of = |raw| Temperature::read(&raw).map(|t| t.0);
        assert_eq!(of(Raw::Text("0.3".into())), Some(0.3));
        assert_eq!(of(Raw::Decimal("1.5".into())), Some(1.5));
        assert_eq!(of(Raw::Number(0)), Some(0.0));
        for bad in ["-0.1", "2.1", "NaN", "inf", "warm", ""] {
            assert_eq!(of(Raw::Text(bad.into())), None, "{bad}");
        }
        assert_eq!(Temperature(1.0).show(), "1.0");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_setting_panic(text in "\\PC{0,30}") {
            let _ = (of::<Duration>(&text), of::<Bytes>(&text), of::<Url>(&text), of::<Listen>(&text));
        }
    }
}
