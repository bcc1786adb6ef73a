//! What a descriptor of the server is: a file by its path, a socket by its peer.

use std::fs;

use crate::files::proc;

/// Descriptors of one process.
#[derive(Debug)]
pub struct Descriptors {
    pid: u32,
    /// Inode, both ends.
    sockets: Vec<(String, String)>,
}

impl Descriptors {
    /// As the system tells them now.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let mut sockets = Vec::new();
        for (name, v6) in [("tcp", false), ("tcp6", true)] {
            let text = proc::read(&format!("{pid}/net/{name}")).unwrap_or_default();
            sockets.extend(text.lines().skip(1).filter_map(|line| tcp_line(line, v6)));
        }
        let unix = proc::read(&format!("{pid}/net/unix")).unwrap_or_default();
        for line in unix.lines().skip(1) {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            if let Some(inode) = words.get(6) {
                let path = words.get(7).copied().unwrap_or("unnamed");
                sockets.push(((*inode).to_owned(), format!("Unix socket {path}")));
            }
        }
        Self { pid, sockets }
    }

    /// Of a process that is gone.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            pid: 0,
            sockets: Vec::new(),
        }
    }

    /// In words.
    #[must_use]
    pub fn words(&self, fd: u64) -> String {
        let Ok(link) = fs::read_link(format!("/proc/{}/fd/{fd}", self.pid)) else {
            return format!("descriptor {fd}");
        };
        let link = link.to_string_lossy();
        let inode = link
            .strip_prefix("socket:[")
            .and_then(|rest| rest.strip_suffix(']'));
        match inode {
            Some(inode) => self
                .sockets
                .iter()
                .find(|(i, _)| i == inode)
                .map_or_else(|| format!("socket {inode}"), |(_, words)| words.clone()),
            None => link.into_owned(),
        }
    }
}

/// Inode and ends of a line of /proc/net/tcp: `sl local remote st tx:rx tr:when retrnsmt uid timeout inode`.
fn tcp_line(line: &str, v6: bool) -> Option<(String, String)> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let local = end(words.get(1)?, v6)?;
    let remote = end(words.get(2)?, v6)?;
    let listens = *words.get(3)? == "0A";
    let text = if listens {
        format!("TCP socket listening on {local}")
    } else {
        format!("TCP socket to {remote} (from {local})")
    };
    Some(((*words.get(9)?).to_owned(), text))
}

/// `0100007F:1F90` as `127.0.0.1:8080`.
fn end(text: &str, v6: bool) -> Option<String> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::new();
    for word in address.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    Some(if v6 {
        let ip = std::net::Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical();
        std::net::SocketAddr::from((ip, port)).to_string()
    } else {
        let ip = std::net::Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?);
        format!("{ip}:{port}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_of_the_kernels_table_is_read() {
        let line = "   1: 0100007F:1F90 0200007F:0050 01 00000000:00000000 00:00000000 00000000  0  0 4711 1 x";
        assert_eq!(
            tcp_line(line, false),
            Some((
                "4711".into(),
                "TCP socket to 127.0.0.2:80 (from 127.0.0.1:8080)".into()
            ))
        );
        assert_eq!(tcp_line("nonsense", false), None);
    }
}
