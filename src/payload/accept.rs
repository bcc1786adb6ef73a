//! Which forms of a body a client takes, by its `Accept-Encoding` (RFC 9110, section 12.5.3). Pure.

/// Of weights in thousandths, the one of a coding that is taken without being asked for.
const LEAST: u16 = 1;

/// The whole weight.
const MOST: u16 = 1_000;

/// What a client takes. By default, as without the field, the bytes as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepts {
    /// The weight of gzip, in thousandths; 0 where it is not taken.
    gzip: u16,
    /// The weight of the bytes as they are.
    identity: u16,
}

impl Default for Accepts {
    fn default() -> Self {
        Self {
            gzip: 0,
            identity: LEAST,
        }
    }
}

impl Accepts {
    /// From the field's value. A part that is malformed says nothing.
    #[must_use]
    pub fn read(field: &str) -> Self {
        let (mut gzip, mut identity, mut any) = (None, None, None);
        for part in field.split(',') {
            let (coding, parameters) = part.split_once(';').unwrap_or((part, ""));
            let coding = coding.trim();
            let is = |known: &str| coding.eq_ignore_ascii_case(known);
            let place = if is("gzip") || is("x-gzip") {
                &mut gzip
            } else if is("identity") {
                &mut identity
            } else if is("*") {
                &mut any
            } else {
                continue;
            };
            *place = weight(parameters.trim()).or(*place);
        }
        Self {
            gzip: gzip.or(any).unwrap_or(0),
            identity: identity.or(any).unwrap_or(LEAST),
        }
    }

    /// The same, and the bytes as they are where nothing else is taken: what was done cannot be refused.
    #[must_use]
    pub fn or_plain(self) -> Self {
        Self {
            identity: self.identity.max(u16::from(!self.takes_gzip())),
            ..self
        }
    }

    /// Whether gzip is taken, and no less liked than the bytes as they are.
    #[must_use]
    pub fn prefers_gzip(self) -> bool {
        self.takes_gzip() && self.gzip >= self.identity
    }

    /// Whether gzip is taken.
    #[must_use]
    pub fn takes_gzip(self) -> bool {
        self.gzip > 0
    }

    /// Whether the bytes are taken as they are.
    #[must_use]
    pub fn takes_plain(self) -> bool {
        self.identity > 0
    }
}

/// `q=0.5` → 500, nothing → 1000; none where it is no weight (RFC 9110, section 12.4.2).
fn weight(parameter: &str) -> Option<u16> {
    if parameter.is_empty() {
        return Some(MOST);
    }
    let value = parameter
        .strip_prefix("q=")
        .or_else(|| parameter.strip_prefix("Q="))?;
    let (whole, rest) = value.split_once('.').unwrap_or((value, ""));
    if rest.len() > 3 || !rest.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{rest:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(MOST),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_form_is_sent_to_those_who_take_it() {
        for gzip in [
            "gzip",
            "deflate, GZIP;q=0.5",
            "*",
            "br;q=1, *;q=0.1",
            "x-gzip",
            "gzip;q=0.001",
            "gzip ; q=1.000",
            "gzip;Q=0.5, identity;q=0.5",
            "gzip, identity;q=0",
            "gzip, *;q=0",
            "gzip;q=x, gzip",
        ] {
            assert!(Accepts::read(gzip).prefers_gzip(), "{gzip}");
        }
        for plain in [
            "",
            "identity",
            "gzip;q=0",
            "gzip; q=0.0, *",
            "gzip;q=0.000",
            "xgzip",
            "br, deflate",
            "gzip;q=0.5, identity",
            "gzip;q=0.2, *;q=0.3",
            "identity, *;q=0",
            "gzip;q=2",
            "gzip;q=-1",
            "gzip;q=0.0001",
            "gzip;q=",
            "gzip;level=9",
            ",",
        ] {
            let accepts = Accepts::read(plain);
            assert!(accepts.takes_plain() && !accepts.prefers_gzip(), "{plain}");
        }
        for neither in [
            "identity;q=0",
            "*;q=0",
            "br, identity;q=0",
            "gzip;q=0, *;q=0",
        ] {
            let accepts = Accepts::read(neither);
            assert!(!accepts.takes_plain() && !accepts.takes_gzip(), "{neither}");
            assert!(accepts.or_plain().takes_plain(), "{neither}");
        }
        let no_field = Accepts::default();
        assert!(no_field.takes_plain() && !no_field.takes_gzip());
    }

    proptest! {
        #[test]
        fn whatever_it_says_what_is_preferred_is_taken(field in "((gzip|identity|\\*|br|[ -~]{0,4})(;q=[0-9.]{0,5})?,? ?){0,4}") {
            let accepts = Accepts::read(&field);
            prop_assert!(!accepts.prefers_gzip() || accepts.takes_gzip());
        }
    }
}
