//! What the limits of several caches have in common. Pure.

/// Requests that may wait for a cache's upstream: more than the port lets through at once.
pub(super) const WAITERS_MAX: usize = 1_024;

/// A number in the settings as the limits have it.
pub(super) fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
