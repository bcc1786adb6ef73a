//! Where a local server listens, and how it comes to.

use std::fmt;
use std::io;
#[cfg(unix)]
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
#[cfg(unix)]
use std::os::fd::OwnedFd;
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
#[cfg(unix)]
use std::path::PathBuf;

use socket2::SockRef;
#[cfg(unix)]
use socket2::{Domain, SockAddr, Socket, Type};
use tiny_http::Listener;

use super::WRITE_DEADLINE;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// On loopback; port 0 is one of the system's choice.
    Tcp(SocketAddr),
    /// At a path, for this user alone.
    #[cfg(unix)]
    Path(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            #[cfg(unix)]
            Self::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

/// An address at a path.
///
/// # Errors
/// `Unsupported` on a system that has no sockets at paths.
pub fn at_path(path: &Path) -> io::Result<Address> {
    #[cfg(unix)]
    return Ok(Address::Path(path.to_owned()));
    #[cfg(not(unix))]
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!(
            "this system has no sockets at paths like {}",
            path.display()
        ),
    ))
}

/// A listener, and its address as others find it.
pub struct Bound {
    pub(super) listener: Listener,
    pub(super) address: Address,
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bound({})", self.address)
    }
}

/// Takes an address.
///
/// # Errors
/// When the system refuses it. `AddrInUse` for a path at which somebody answers, `InvalidInput` for one that is too long
/// for a socket (108 bytes on Linux).
pub fn bind(address: &Address) -> io::Result<Bound> {
    let (listener, address) = match address {
        Address::Tcp(address) => {
            let listener = TcpListener::bind(address)?;
            // Handed down to the connections that come from here on, on some systems; elsewhere nothing is worse.
            let _ = SockRef::from(&listener).set_write_timeout(Some(WRITE_DEADLINE));
            let address = Address::Tcp(listener.local_addr()?);
            (listener.into(), address)
        }
        #[cfg(unix)]
        Address::Path(path) => (bind_path(path)?.into(), address.clone()),
    };
    Ok(Bound { listener, address })
}

/// Takes the place of a socket at which nobody listens any more.
#[cfg(unix)]
fn bind_path(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};

    /// Connections that wait to be accepted.
    const BACKLOG: i32 = 64;

    let at = SockAddr::unix(path)?;
    match connect_path(path) {
        Err(e) if e.kind() == ErrorKind::ConnectionRefused => {
            if std::fs::symlink_metadata(path)?.file_type().is_socket() {
                std::fs::remove_file(path)?;
            }
        }
        // Whatever else is there, binding says so.
        Err(_) => {}
        Ok(_) => {
            return Err(io::Error::new(
                ErrorKind::AddrInUse,
                "another process answers there",
            ));
        }
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux gives the path the socket's own mode, so that it is nobody else's from the start; the rest is for others.
    let _ = rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(0o600));
    socket.bind(&at)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    Ok(OwnedFd::from(socket).into())
}

/// Connects to a path without waiting, also where nobody accepts and the queue is full.
#[cfg(unix)]
pub(super) fn connect_path(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.set_nonblocking(false)?;
    Ok(OwnedFd::from(socket).into())
}
