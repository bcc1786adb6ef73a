//! Who is answered. Pure.
//!
//! The rules, in their order:
//!
//! - A request names this server by a name that it has. That is against DNS rebinding: a foreign page
//!   whose own name was made to point at this machine sends that name, and its browser takes our answers
//!   for the page's own.
//! - It carries the token where one is set. What a proxy sent on may be anybody's and needs the token.
//! - It does not come from a foreign page. A browser lets any page send requests to this machine, as
//!   images, scripts, frames, forms and streams: the page cannot read the answers, but the requests cost
//!   what any do. Pages of the server itself and of allowed origins may; the server's own files may be
//!   opened from anywhere.
//! - What changes something has a known sender: such a page, somebody on this machine, or a holder of
//!   the token.

use std::net::IpAddr;

use super::cors::Cors;
use crate::edge::answer::page;
use crate::edge::request::{Origin, host_and_port, is_localhost, query_value};

use super::denied::Denied;
use super::token_file::Token;
use crate::edge::request::Head;
use crate::edge::request::Secret;
use crate::edge::request::Site;

/// Knows the server's names, its token and whose pages may use it.
#[derive(Clone, Debug)]
pub struct Guard {
    listen: IpAddr,
    names: Vec<String>,
    token: Token,
    cors: Cors,
}

/// Who asks, as far as a browser says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    /// A page of this server or of an allowed origin.
    Page,
    /// No page: a program, or a user who typed the address.
    NoPage,
}

impl Guard {
    /// `listen`: where the port is; `names`: further names that clients may use; `cors`: whose pages may.
    #[must_use]
    pub fn new(listen: IpAddr, names: &[String], token: Token, cors: Cors) -> Self {
        Self {
            listen: listen.to_canonical(),
            names: names
                .iter()
                .map(|n| n.trim_end_matches('.').to_ascii_lowercase())
                .collect(),
            token,
            cors,
        }
    }

    /// Whose pages may use this server.
    #[must_use]
    pub fn cors(&self) -> &Cors {
        &self.cors
    }

    /// Takes a token that was changed. True if it was.
    pub fn look(&mut self) -> bool {
        self.token.look()
    }

    /// Whether this request of a client at `peer` is answered. Depends on nothing else: until
    /// [`Self::look`] is true the same request on the same connection need not be asked about twice.
    ///
    /// # Errors
    /// Why it is not.
    pub fn admit(&self, head: &Head, peer: IpAddr) -> Result<(), Denied> {
        // HTTP/1.0 may have no Host; no browser is that old.
        if !head.host.is_empty() && !self.knows(&head.host) {
            return Err(Denied::host(&head.host));
        }
        let shown = match self.token.current() {
            None => false,
            Some(token) if token_is_shown(token, head) => true,
            // What a browser asks before it asks cannot carry a token, and tells nothing.
            Some(_) if head.method == "OPTIONS" => false,
            Some(_) => return Err(Denied::Token),
        };
        if let (Some(header), None) = (&head.sender.forwarded, self.token.current()) {
            return Err(Denied::Forwarded(header.clone()));
        }
        let asker = self.asker(head)?;
        let changes = !matches!(head.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        if changes && asker == Asker::NoPage && !shown && !peer.is_loopback() {
            return Err(Denied::Remote);
        }
        Ok(())
    }

    fn asker(&self, head: &Head) -> Result<Asker, Denied> {
        if let Some(origin) = &head.origin {
            return if self.may_use(origin, head) {
                Ok(Asker::Page)
            } else {
                Err(Denied::Origin {
                    line: self.cors.line_that_allows(origin),
                    origin: origin.clone(),
                })
            };
        }
        let referer = head.sender.referer.as_deref();
        let asker = match (head.sender.site, referer) {
            (Some(Site::Own), _) => Some(Asker::Page),
            (Some(Site::Nobody), _) | (None, None) => Some(Asker::NoPage),
            (None, Some(referer)) => self.may_use(referer, head).then_some(Asker::Page),
            // A redirect by another site would have made it cross-site: the page itself asks. One that does
            // not say who it is may read and no more: a page that changes something says so.
            (Some(Site::Neighbour), referer) => self.same_site_may(head).then_some(match referer {
                Some(_) => Asker::Page,
                None => Asker::NoPage,
            }),
            // An image of an allowed page may have been redirected here by anybody.
            (Some(Site::Foreign), _) => None,
        };
        asker
            .or_else(|| opens_page(head).then_some(Asker::NoPage))
            .ok_or(Denied::ForeignPage)
    }

    /// Whether pages of this origin may use this server under the name by which it is asked.
    fn may_use(&self, origin: &str, head: &Head) -> bool {
        head.is_own(origin) || self.cors.allows(origin)
    }

    /// Who shares this machine's own name is on this machine; of another name's neighbours the page must
    /// say which it is.
    fn same_site_may(&self, head: &Head) -> bool {
        let of_this_machine = Origin::parse(&format!("http://{}", head.host))
            .is_some_and(|asked| asked.is_this_machine());
        (of_this_machine && self.cors.allows_this_machine())
            || head
                .sender
                .referer
                .as_deref()
                .is_some_and(|referer| self.may_use(referer, head))
    }

    fn knows(&self, host: &str) -> bool {
        let Some((name, _)) = host_and_port(host) else {
            return false;
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if let Ok(ip) = name.parse::<IpAddr>() {
            // No page has an address for its name but one that is served there.
            let ip = ip.to_canonical();
            return ip.is_loopback() || ip == self.listen || self.listen.is_unspecified();
        }
        is_localhost(&name) || self.names.contains(&name)
    }
}

/// Whether it asks for one of the page's own files.
fn opens_page(head: &Head) -> bool {
    matches!(head.method.as_str(), "GET" | "HEAD") && page::find(head.path()).is_some()
}

fn token_is_shown(token: &Secret, head: &Head) -> bool {
    let by_header = head
        .authorization
        .as_ref()
        .is_some_and(|shown| token.is_shown_by(shown));
    // A page's script cannot give a WebSocket a header.
    by_header
        || (head.handshake.key().is_some()
            && head
                .target
                .split_once('?')
                .and_then(|(_, query)| query_value(query, "token"))
                .is_some_and(|shown| token.is(&shown)))
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
