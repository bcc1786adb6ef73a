//! Which of the system's limits stood in the way of a start, and how it is raised.

use std::io;

/// What to do about this, to be put behind the system's words; empty where the words must do.
#[must_use]
pub fn remedy(e: &io::Error) -> String {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        use rustix::process::Resource;
        let code = code(e);
        let is = |errno: Errno| code == Some(errno.raw_os_error());
        if is(Errno::AGAIN) || e.kind() == io::ErrorKind::WouldBlock {
            return format!(
                "; this user may have {} processes and threads together, and this needs some 100: raise it (ulimit -u, or LimitNPROC and TasksMax in a unit file)",
                soft(Resource::Nproc)
            );
        }
        if is(Errno::MFILE) {
            return format!(
                "; this process may have {} files open: raise it (ulimit -n, or LimitNOFILE in a unit file)",
                soft(Resource::Nofile)
            );
        }
        if is(Errno::NFILE) {
            return "; the whole system has no more open files: raise fs.file-max (sysctl)".into();
        }
        if is(Errno::NOMEM) {
            return format!(
                "; there is no memory for it: this process may have {} kB (ulimit -v, or MemoryMax in a unit file)",
                soft(Resource::As)
            );
        }
    }
    let _ = e;
    String::new()
}

/// The system's number, also where words were put around it.
#[cfg(unix)]
fn code(e: &io::Error) -> Option<i32> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(e);
    while let Some(error) = cause {
        if let Some(code) = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error)
        {
            return Some(code);
        }
        cause = match error.downcast_ref::<io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    None
}

#[cfg(unix)]
fn soft(limit: rustix::process::Resource) -> String {
    use rustix::process::{Resource, getrlimit};
    let unit = if limit == Resource::As { 1_024 } else { 1 };
    getrlimit(limit)
        .current
        .map_or("any number of".to_owned(), |n| (n / unit).to_string())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_named_with_what_raises_it() {
        use rustix::io::Errno;
        for (errno, words) in [
            (Errno::AGAIN, "ulimit -u"),
            (Errno::MFILE, "ulimit -n"),
            (Errno::NFILE, "fs.file-max"),
            (Errno::NOMEM, "ulimit -v"),
        ] {
            let said = remedy(&errno.into());
            assert!(said.contains(words), "{said}");
            let wrapped = io::Error::other(
                Box::new(io::Error::from(errno)) as Box<dyn std::error::Error + Send + Sync>
            );
            assert_eq!(remedy(&wrapped), said);
        }
        assert_eq!(remedy(&Errno::ACCESS.into()), "");
    }
}
