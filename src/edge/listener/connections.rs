//! The connections that are open: how many, from where, and how each is closed from outside.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::runtime::deadline_io::StreamHandle;
use crate::runtime::{LatestRx, Recall};

/// One open connection.
struct Open {
    address: IpAddr,
    /// The second handle; none until the connection's thread has the first.
    stream: Option<StreamHandle>,
    /// How to take back the permit of the request in hand.
    permit: LatestRx<Recall>,
}

/// All open connections, by number.
#[derive(Default)]
pub struct Connections {
    /// The number of the last one; none is used twice.
    last: u64,
    open: HashMap<u64, Open>,
    by_address: HashMap<IpAddr, usize>,
}

impl Connections {
    /// How many are open.
    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// How many of an address are open.
    pub fn of(&self, address: IpAddr) -> usize {
        self.by_address.get(&address).copied().unwrap_or(0)
    }

    /// Adds one whose thread is about to be started; gives its number.
    pub fn add(&mut self, address: IpAddr, permit: LatestRx<Recall>) -> u64 {
        self.last += 1;
        let number = self.last;
        let one = Open {
            address,
            stream: None,
            permit,
        };
        self.open.insert(number, one);
        *self.by_address.entry(address).or_insert(0) += 1;
        number
    }

    /// Keeps the second handle of one.
    pub fn keep(&mut self, number: u64, stream: StreamHandle) {
        if let Some(one) = self.open.get_mut(&number) {
            one.stream = Some(stream);
        }
    }

    /// Forgets one that has ended.
    pub fn remove(&mut self, number: u64) {
        let Some(one) = self.open.remove(&number) else {
            return;
        };
        if let Some(count) = self.by_address.get_mut(&one.address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&one.address);
            }
        }
    }

    /// Closes one whose thread does not go on, so that its client comes again and finds another thread; the
    /// permit that it holds goes to the next who waits. It counts as open until its thread has ended. The
    /// address of its client, if it is open.
    pub fn close(&mut self, number: u64) -> Option<IpAddr> {
        let one = self.open.get(&number)?;
        if let Some(stream) = &one.stream {
            stream.close();
        }
        if let Some(permit) = one.permit.take() {
            permit.take_back();
        }
        Some(one.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use crate::runtime::deadline_io::SharedStream;
    use crate::runtime::latest;

    #[test]
    fn connections_are_counted_by_address_until_they_end() {
        let mut connections = Connections::default();
        let [a, b] = [1, 2].map(|n| IpAddr::from(Ipv4Addr::new(10, 0, 0, n)));
        for (number, address) in [(1, a), (2, a), (3, b)] {
            assert_eq!(connections.add(address, latest().1), number);
        }
        assert_eq!(
            (connections.count(), connections.of(a), connections.of(b)),
            (3, 2, 1)
        );
        assert_eq!(connections.close(1), Some(a));
        assert_eq!(connections.of(a), 2, "its thread has not ended");
        connections.remove(1);
        connections.remove(1);
        connections.remove(3);
        assert_eq!(
            (connections.count(), connections.of(a), connections.of(b)),
            (1, 1, 0)
        );
        assert_eq!(connections.close(1), None);
    }

    #[test]
    fn the_client_of_a_closed_connection_hears_the_end_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let held_up_by_its_thread = SharedStream::new(stream);
        let mut connections = Connections::default();
        let number = connections.add(Ipv4Addr::LOCALHOST.into(), latest().1);
        connections.keep(number, held_up_by_its_thread.handle());
        connections.close(number);
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
        drop(held_up_by_its_thread);
    }
}
