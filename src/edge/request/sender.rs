//! What a request's headers say of who sent it, besides `Origin`. Pure.
//!
//! A browser says by `Sec-Fetch-Site` (W3C Fetch Metadata) how the page that asks stands to the server
//! that is asked; no script can change it. It does so where the server has an address that nobody can
//! listen in on (`localhost`, loopback addresses, https); elsewhere `Referer` tells it, if the page does
//! not forbid that.

use super::origin::origin_of_url;

/// How the page that asks stands to this server, from the nearest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// The page is this server's own.
    Own,
    /// No page asks: the user typed the address, or chose a bookmark.
    Nobody,
    /// The page comes from another port, or from another name below the same registered one.
    Neighbour,
    /// Any other page, and whatever a browser may call it one day.
    Foreign,
}

impl Site {
    fn read(value: &str) -> Self {
        match value {
            "same-origin" => Self::Own,
            "none" => Self::Nobody,
            "same-site" => Self::Neighbour,
            _ => Self::Foreign,
        }
    }
}

/// Headers by which proxies say for whom they ask, besides all that begin with `X-Forwarded`.
const FORWARDING: [&str; 7] = [
    "Forwarded",
    "Via",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
];

/// How the others begin.
const FORWARDING_PREFIX: &str = "X-Forwarded";

/// What the headers say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// `Sec-Fetch-Site`.
    pub site: Option<Site>,
    /// The origin of the URL in `Referer`.
    pub referer: Option<String>,
    /// The first header that says that somebody else's request was forwarded.
    pub forwarded: Option<String>,
}

impl Sender {
    /// Takes a header into account, if it says anything of the sender.
    pub fn hear(&mut self, name: &str, value: &str) {
        if name.eq_ignore_ascii_case("Sec-Fetch-Site") {
            // Of two that differ the one that trusts less.
            self.site = self.site.max(Some(Site::read(value)));
        } else if name.eq_ignore_ascii_case("Referer") {
            let origin = Some(origin_of_url(value)).filter(|o| !o.is_empty());
            self.referer = origin.map(str::to_owned);
        } else if says_forwarded(name) {
            self.forwarded.get_or_insert_with(|| name.to_owned());
        }
    }
}

fn says_forwarded(name: &str) -> bool {
    let begins = name
        .get(..FORWARDING_PREFIX.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(FORWARDING_PREFIX));
    begins || FORWARDING.iter().any(|f| name.eq_ignore_ascii_case(f))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(headers: &[(&str, &str)]) -> Sender {
        let mut sender = Sender::default();
        for (name, value) in headers {
            sender.hear(name, value);
        }
        sender
    }

    #[test]
    fn an_unknown_site_is_a_foreign_one_and_of_two_the_more_foreign_counts() {
        let site = |values: &[&str]| {
            let headers: Vec<_> = values.iter().map(|v| ("sec-fetch-site", *v)).collect();
            heard(&headers).site.unwrap()
        };
        assert_eq!(site(&["same-origin"]), Site::Own);
        assert_eq!(site(&["none"]), Site::Nobody);
        assert_eq!(site(&["same-site"]), Site::Neighbour);
        for foreign in ["cross-site", "", "near-site", "Same-Origin", "none, none"] {
            assert_eq!(site(&[foreign]), Site::Foreign, "{foreign}");
        }
        assert_eq!(site(&["cross-site", "same-origin"]), Site::Foreign);
        assert_eq!(site(&["none", "same-site"]), Site::Neighbour);
    }

    #[test]
    fn a_referer_is_kept_to_its_origin() {
        let referer = |value| heard(&[("Referer", value)]).referer;
        assert_eq!(
            referer("https://a.example/secret?token=1").as_deref(),
            Some("https://a.example")
        );
        assert_eq!(referer(""), None);
    }

    #[test]
    fn every_way_of_forwarding_is_known() {
        for name in [
            "X-Forwarded-For",
            "x-forwarded-host",
            "X-Forwarded-Proto",
            "X-Forwarded",
            "forwarded",
            "Via",
            "X-Real-Ip",
            "CF-Connecting-IP",
        ] {
            assert_eq!(heard(&[(name, "x")]).forwarded.as_deref(), Some(name));
        }
        for other in ["X-Forward", "User-Agent", "X-Requested-With", "é"] {
            assert_eq!(heard(&[(other, "x")]), Sender::default(), "{other}");
        }
    }
}
