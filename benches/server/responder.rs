//! The fixed responder: the least that can answer. For the client's ceiling.
//!
//! Whatever it reads that ends like a head is answered with the file it names, already framed. No
//! parsing beyond the path, one thread, epoll.

use std::collections::HashMap;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::rc::Rc;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

struct Client {
    stream: TcpStream,
    out: Rc<[u8]>,
    sent: usize,
}

/// Serves until it is killed; prints its address first.
pub fn run(folder: &Path) {
    let mut answers: HashMap<String, Rc<[u8]>> = HashMap::new();
    for entry in fs::read_dir(folder).expect("the folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let body = fs::read(entry.path()).expect("a body");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        answers.insert(format!("/{name}"), [head.as_bytes(), &body].concat().into());
    }
    let none = *b"HTTP/1.1 304 Not Modified\r\n\r\n";
    answers.insert("/none".to_owned(), Rc::new(none));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("http://{}", listener.local_addr().expect("its address"));
    let epoll = epoll::create(CreateFlags::CLOEXEC).expect("an epoll");
    listener.set_nonblocking(true).expect("non-blocking");
    epoll::add(&epoll, &listener, EventData::new_u64(0), EventFlags::IN).expect("room");
    let mut clients: HashMap<u64, Client> = HashMap::new();
    let mut next = 1;
    let mut events = Vec::with_capacity(64);
    let mut buffer = [0; 4_096];
    loop {
        events.clear();
        if epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None).is_err() {
            continue;
        }
        for event in &events {
            let id = event.data.u64();
            if id == 0 {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nodelay(true).expect("nodelay");
                    stream.set_nonblocking(true).expect("non-blocking");
                    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
                    epoll::add(&epoll, &stream, EventData::new_u64(next), flags).expect("room");
                    let out = Rc::new([]);
                    clients.insert(
                        next,
                        Client {
                            stream,
                            out,
                            sent: 0,
                        },
                    );
                    next += 1;
                }
            } else if clients
                .get_mut(&id)
                .is_some_and(|c| !c.go_on(&answers, &mut buffer))
            {
                clients.remove(&id);
            }
        }
    }
}

impl Client {
    /// False when it left.
    fn go_on(&mut self, answers: &HashMap<String, Rc<[u8]>>, buffer: &mut [u8]) -> bool {
        loop {
            while self.sent < self.out.len() {
                match self.stream.write(&self.out[self.sent..]) {
                    Ok(n) => self.sent += n,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                    Err(_) => return false,
                }
            }
            match self.stream.read(buffer) {
                Ok(0) => return false,
                Ok(n) => {
                    let text = std::str::from_utf8(&buffer[..n]).unwrap_or("");
                    let path = text.split(' ').nth(1).unwrap_or("");
                    let Some(answer) = answers.get(path) else {
                        return false;
                    };
                    self.sent = 0;
                    self.out = Rc::clone(answer);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
    }
}
