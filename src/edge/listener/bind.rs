//! Binding the port, and saying who holds it when it is taken.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

/// Connections that the kernel keeps until the gate takes them.
const BACKLOG: i32 = 1_024;

/// What the kernel keeps of an answer that its client has not taken yet, before its own overhead; every
/// connection inherits it. Left to itself it keeps up to 4 MB for each client that reads slowly, and a long
/// answer no longer fits a processor's cache: 1.4 times as many answers of 16 MB a second as without (medians
/// with 8 clients), 64 kB gave 1.1 and 1 MB 1.2. One client still gets 2.5 MB/s over a path of 100 ms.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Why the port cannot be had.
#[derive(Debug, Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error(
        "{address} is taken{holder}; end that process, or choose another address with --listen"
    )]
    InUse {
        /// Which.
        address: SocketAddr,
        /// " by process 123 (name)", where the system tells.
        holder: String,
    },
    /// The system refuses.
    #[error("listening on {address} failed: {source}; choose another address with --listen")]
    Refused {
        /// Which.
        address: SocketAddr,
        /// The system's words.
        source: io::Error,
    },
}

/// Binds and listens.
///
/// # Errors
/// [`BindError`], with the holder's process where the system tells.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let listen = || {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        // A port in TIME_WAIT after a restart is no reason to fail. On Windows the option would let
        // two processes share the port.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from(socket))
    };
    listen().map_err(|source: io::Error| {
        if source.kind() == io::ErrorKind::AddrInUse {
            BindError::InUse {
                address,
                holder: holder(address.port()).unwrap_or_default(),
            }
        } else {
            BindError::Refused { address, source }
        }
    })
}

/// " by process 123 (name)": found through the socket's inode in /proc.
#[cfg(target_os = "linux")]
fn holder(port: u16) -> Option<String> {
    use std::fs;

    use crate::files::proc;
    let inodes: Vec<String> = ["net/tcp", "net/tcp6"]
        .iter()
        .filter_map(|table| proc::read(table).ok())
        .flat_map(|table| {
            table
                .lines()
                .skip(1)
                .filter_map(|line| listening_inode(line, port).map(str::to_owned))
                .collect::<Vec<_>>()
        })
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let pid = process.file_name().to_string_lossy().into_owned();
        if !pid.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let Ok(files) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = files.flatten().any(|file| {
            fs::read_link(file.path())
                .is_ok_and(|target| inodes.iter().any(|i| target.to_string_lossy() == *i))
        });
        if holds {
            let name = proc::read(&format!("{pid}/comm")).unwrap_or_default();
            return Some(format!(" by process {pid} ({})", name.trim()));
        }
    }
    None
}

#[cfg(not(target_os = "linux"))]
fn holder(_port: u16) -> Option<String> {
    None
}

/// The inode of a line of /proc/net/tcp that listens on `port`: its fields are
/// `sl local:port remote:port state … uid timeout inode`, numbers in hexadecimal, state 0A = LISTEN.
#[cfg(target_os = "linux")]
fn listening_inode(line: &str, port: u16) -> Option<&str> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let local_port = fields.get(1)?.rsplit(':').next()?;
    let listens = *fields.get(3)? == "0A" && u16::from_str_radix(local_port, 16) == Ok(port);
    listens.then(|| fields.get(9).copied()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_taken_port_names_the_process_that_holds_it() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = bind(first.local_addr().unwrap()).unwrap_err().to_string();
        let me = format!("by process {}", std::process::id());
        assert!(error.contains(&me), "{error}");
        assert!(error.contains("--listen"), "{error}");
    }
}
