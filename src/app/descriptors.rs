//! How many connections the system's limit of open files has room for.

/// Descriptors besides its clients': logs, the embedded market's sockets, the watcher
/// of files, the fetchers' pooled connections (measured: 66), and connections that are told to come
/// again (at most 64).
const OWN: usize = 160;

/// A streaming client's socket has a second handle, for its writer.
const PER_CONNECTION: usize = 2;

/// The server is not started with room for fewer.
const CONNECTIONS_MIN: usize = 16;

/// With fewer parts of the server would be deaf from the start.
const FILES_MIN: usize = 100;

/// Whether there is room for the server itself.
///
/// # Errors
/// When there is none.
pub fn are_enough() -> std::io::Result<()> {
    #[cfg(unix)]
    if raised_limit().is_some_and(|limit| limit < FILES_MIN) {
        return Err(rustix::io::Errno::MFILE.into());
    }
    Ok(())
}

/// Raises the soft limit to the hard one, and says how many of `wanted` connections fit below it; with
/// a word to the log when not all do. Beyond that the gate answers 503, and has the descriptors to say so.
#[must_use]
pub fn connections_that_fit(wanted: usize) -> usize {
    let Some(limit) = raised_limit() else {
        return wanted;
    };
    let fit = fit(limit, wanted);
    if fit < wanted {
        log::warn!(
            target: "MAIN",
            "the system's limit of {limit} open files has room for {fit} connections, not for the {wanted} of gate.connections_max; raise it (ulimit -n, or LimitNOFILE in a unit file)"
        );
    }
    fit
}

fn fit(limit: usize, wanted: usize) -> usize {
    let left = limit.saturating_sub(OWN);
    wanted.min((left / PER_CONNECTION).max(CONNECTIONS_MIN))
}

/// None where there is no limit.
#[cfg(unix)]
fn raised_limit() -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        // Some systems refuse an unbounded one; the soft limit stands.
        Err(_) => current,
    };
    limit.map(|l| usize::try_from(l).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn raised_limit() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_fit_below_the_limit_and_a_few_always_do() {
        assert_eq!(fit(20_000, 1_024), 1_024);
        assert_eq!(fit(1_024, 1_024), 432);
        assert_eq!(fit(10, 1_024), CONNECTIONS_MIN);
    }
}
