//! What makes a client an upstream that is asked, and how every upstream gets its cache.
//!
//! The rows stand in `upstream/mod.rs`. A row `field: Client` makes a field of `Caches`, the inbox of the
//! cache's thread; has the cache and its fetchers started; and lets a key of the client's find that cache.

use std::fmt;
use std::io;
use std::sync::Arc;

use crossbeam::channel::Receiver;

use crate::cache::{CacheConfig, Source, ToCache, start_cache};
use crate::config::Settings;
use crate::market::{SkewBounds, Symbol};
use crate::runtime::clock::Clock;
use crate::runtime::threads::Asks;
use crate::runtime::{Channel, LatestTx, Supervisor, ThreadKind, Tx};

use super::endpoints::Endpoints;

/// Requests to a cache, and fetchers' answers, that can wait for it.
const CACHE_INBOX: usize = 1_024;

/// What a cache's inbox takes.
pub type ToCacheOf<U> = ToCache<<U as Source>::Key, <U as Source>::Value>;

/// The sending side of a cache's inbox.
pub type Inbox<U> = Tx<ToCacheOf<U>>;

/// An upstream that is asked, with a cache of its own before it.
pub trait Upstream: Source + Sized {
    /// What a client is made from.
    type Config: Clone + Send + 'static;

    /// Which thread the cache is.
    const CACHE: ThreadKind;

    /// The limits of the cache, its fetch queues and what keeps a failing upstream from being asked.
    fn limits(settings: &Settings) -> CacheConfig;

    /// What its clients are made from.
    ///
    /// # Errors
    /// The system's, when a file that a setting names cannot be read.
    fn config(wiring: &Wiring<'_>) -> io::Result<Self::Config>;

    /// A client, made in its fetcher's thread. It connects when it is first asked.
    fn new(config: &Self::Config) -> Self;
}

/// What clients are made from, and whom they tell what they learn by the way.
pub struct Wiring<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// Where the upstreams are.
    pub endpoints: &'a Endpoints,
    /// The session clock.
    pub clock: Clock,
    /// Takes what answers say of this machine's clock.
    pub skew: LatestTx<SkewBounds>,
    /// Takes symbols that an answer shows to exist.
    pub symbols_met: SymbolsMet,
}

/// Tells the cache of market data that these symbols exist. Never waits.
#[derive(Clone)]
pub struct SymbolsMet(Arc<dyn Fn(Vec<Symbol>) + Send + Sync>);

impl SymbolsMet {
    /// Calls this with them.
    #[must_use]
    pub fn new(tell: impl Fn(Vec<Symbol>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// An answer shows that these exist.
    pub fn tell(&self, symbols: Vec<Symbol>) {
        (self.0)(symbols);
    }
}

impl fmt::Debug for SymbolsMet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SymbolsMet")
    }
}

/// Makes the inbox of an upstream's cache.
pub(super) fn channel<U: Upstream>(supervisor: &Supervisor) -> (Inbox<U>, Receiver<ToCacheOf<U>>) {
    const {
        let is_cache = matches!(U::CACHE.row().asks, Asks::Cache(_));
        assert!(
            is_cache,
            "in the thread table it is the cache of no upstream"
        );
    }
    supervisor.channel(Channel::inbox(U::CACHE), CACHE_INBOX)
}

/// Starts an upstream's cache and its fetchers.
///
/// # Errors
/// When the system refuses a thread, or a file that a setting names cannot be read.
pub(super) fn start<U: Upstream>(
    supervisor: &Supervisor,
    wiring: &Wiring<'_>,
    inbox_tx: &Inbox<U>,
    inbox: Receiver<ToCacheOf<U>>,
) -> io::Result<()> {
    let config = U::config(wiring)?;
    let limits = U::limits(wiring.settings);
    let make = move || U::new(&config);
    start_cache(supervisor, U::CACHE, limits, inbox_tx, inbox, make)
}

/// The table of upstreams that are asked.
macro_rules! registry {
    ($($(#[doc = $doc:literal])* $field:ident: $client:ty,)*) => {
        /// The inboxes of the caches, one for each upstream that is asked.
        #[derive(Clone, Debug)]
        pub struct Caches {
            $($(#[doc = $doc])* pub $field: $crate::upstream::Inbox<$client>,)*
        }

        /// The receiving sides of these, until the caches are started.
        #[derive(Debug)]
        pub struct Inboxes {
            $($field: crossbeam::channel::Receiver<registry::ToCacheOf<$client>>,)*
        }

        impl Caches {
            /// Makes every inbox.
            #[must_use]
            pub fn new(supervisor: &$crate::runtime::Supervisor) -> (Self, Inboxes) {
                $(let $field = registry::channel::<$client>(supervisor);)*
                (Self { $($field: $field.0,)* }, Inboxes { $($field: $field.1,)* })
            }

            /// The client of this request left: every cache may forget it. Where an inbox is full the
            /// request's own deadline ends it.
            pub fn cancel(&self, id: $crate::cache::AskId) {
                $(drop(self.$field.offer($crate::cache::ToCache::Cancel(id)));)*
            }

            /// Starts every cache and its fetchers.
            ///
            /// # Errors
            /// The name of the cache, and what the system refused it.
            pub fn start(
                &self,
                inboxes: Inboxes,
                supervisor: &$crate::runtime::Supervisor,
                wiring: &Wiring<'_>,
            ) -> Result<(), (&'static str, std::io::Error)> {
                $(registry::start::<$client>(supervisor, wiring, &self.$field, inboxes.$field)
                    .map_err(|e| (<$client>::CACHE.row().name, e))?;)*
                Ok(())
            }
        }

        /// A key that one of [`Caches`] keeps values by.
        pub trait CachedKey: $crate::cache::Key {
            /// Whom that cache asks.
            type Upstream: Upstream<Key = Self>;

            /// Its name in the table of upstreams.
            const NAME: &'static str;

            /// The cache's inbox.
            fn inbox(caches: &Caches) -> &$crate::upstream::Inbox<Self::Upstream>;
        }

        $(impl CachedKey for <$client as $crate::cache::Source>::Key {
            type Upstream = $client;

            const NAME: &'static str = stringify!($field);

            fn inbox(caches: &Caches) -> &$crate::upstream::Inbox<$client> {
                &caches.$field
            }
        })*

        /// What an asker gets of a key.
        pub type OutOf<K> =
            <<<K as CachedKey>::Upstream as $crate::cache::Source>::Value as $crate::cache::Value>::Out;
    };
}
pub(super) use registry;
