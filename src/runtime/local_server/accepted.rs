//! The sockets that the library has accepted at a path. It gives no handle of them, and on Linux a connection at a path
//! takes over none of its listener's timeouts: so they are found among this process's descriptors.

use std::io;
#[cfg(unix)]
use std::path::Path;
use std::time::Duration;

use super::address::Address;

/// Bounds each later write to any of them. Those of a TCP listener have what that has.
///
/// # Errors
/// The system's: it has no more descriptors, or gives no copies of them (Linux before 5.6, some containers, all other
/// systems).
pub(super) fn bound_writes(address: &Address, time: Duration) -> io::Result<()> {
    match address {
        Address::Tcp(_) => Ok(()),
        #[cfg(unix)]
        Address::Path(path) => bound_at(path, time),
    }
}

#[cfg(target_os = "linux")]
fn bound_at(path: &Path, time: Duration) -> io::Result<()> {
    use rustix::io::Errno;
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    use socket2::SockRef;

    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|n| n.parse().ok());
        let Some(number) = number.filter(|_| is_socket(&entry.path())) else {
            continue;
        };
        let copy = match pidfd_getfd(&own, number, PidfdGetfdFlags::empty()) {
            Ok(copy) => copy,
            // Closed meanwhile.
            Err(Errno::BADF) => continue,
            Err(e) => return Err(e.into()),
        };
        let socket = SockRef::from(&copy);
        let address = socket.local_addr();
        if address.is_ok_and(|address| address.as_pathname() == Some(path)) {
            socket.set_write_timeout(Some(time))?;
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn is_socket(descriptor: &Path) -> bool {
    let target = std::fs::read_link(descriptor);
    target.is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
}

#[cfg(all(unix, not(target_os = "linux")))]
fn bound_at(_: &Path, _: Duration) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
