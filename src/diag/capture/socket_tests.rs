//! Sockets with deadlines, while a storm of captures interrupts whoever waits in them: nothing is lost, and
//! a deadline is a deadline.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::CopiesStacks;
use super::tests::capture;
use crate::runtime::deadline_io::{
    SLICE, Sparing, client_waits, connect_unless, is_gone, read_some, read_some_unless, write_all,
    write_all_unless, write_both,
};

/// For hangs only.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sent and echoed in one exchange.
const BYTES: usize = 1_000_000;

/// Of each socket, so that who writes has to wait.
const BUFFER_BYTES: usize = 64 * 1024;

/// The least number of captures.
const CAPTURES: u32 = 300;

fn pattern() -> Vec<u8> {
    (0..BYTES).map(|n| (n * 7 + n / 251) as u8).collect()
}

fn small(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    socket.set_send_buffer_size(BUFFER_BYTES).unwrap();
    socket.set_recv_buffer_size(BUFFER_BYTES).unwrap();
}

/// Gives back what it takes, little by little, to one client after another. One that sends nothing gets
/// nothing.
fn echo(listener: &TcpListener, until: &AtomicBool) {
    while !until.load(Ordering::Relaxed) {
        if !client_waits(listener, SLICE) {
            continue;
        }
        let (mut stream, _) = listener.accept().unwrap();
        small(&stream);
        let mut piece = [0; 16 * 1024];
        loop {
            let n = stream.read(&mut piece).unwrap();
            if n == 0 {
                break;
            }
            thread::sleep(Duration::from_millis(1));
            stream.write_all(&piece[..n]).unwrap();
        }
    }
}

/// Sends the pattern by each of the ways to write and hears it by each of the ways to read.
fn exchange(address: SocketAddr, sent: &[u8]) {
    let by = Instant::now() + PATIENCE;
    let stream = connect_unless(address, by, || false).unwrap();
    small(&stream);
    assert!(!is_gone(&stream));
    let (mut reader, mut writer) = (stream.try_clone().unwrap(), stream);
    let heard = thread::Builder::new().name("hears".into()).spawn(move || {
        let (mut heard, mut piece) = (Vec::with_capacity(BYTES), [0; 7_001]);
        while heard.len() < BYTES {
            let n = if heard.len() % 2 == 0 {
                read_some(&mut reader, &mut piece, by).unwrap()
            } else {
                read_some_unless(&mut reader, &mut piece, by, || false).unwrap()
            };
            assert!(n > 0, "it ended after {}", heard.len());
            heard.extend_from_slice(&piece[..n]);
        }
        heard
    });
    let (first, rest) = sent.split_at(BYTES / 3);
    let (second, third) = rest.split_at(BYTES / 3);
    write_all(&mut writer, first, by).unwrap();
    let (head, body) = second.split_at(100);
    write_both(&mut writer, head, body, by).unwrap();
    write_all_unless(&mut writer, third, by, || false).unwrap();
    assert!(heard.unwrap().join().unwrap() == sent);
}

/// To somebody who takes nothing and says nothing.
fn time_out(address: SocketAddr) {
    let by = || Instant::now() + Duration::from_millis(300);
    let mut silent = Sparing::new(connect_unless(address, by() + PATIENCE, || false).unwrap());
    let timed_out = |e: std::io::Error| e.kind() == ErrorKind::TimedOut;
    assert!(timed_out(
        read_some(&mut silent, &mut [0], by()).unwrap_err()
    ));
    assert!(timed_out(
        read_some_unless(&mut silent, &mut [0], by(), || false).unwrap_err()
    ));
    let much = vec![0; 32 * 1024 * 1024];
    assert!(timed_out(write_all(&mut silent, &much, by()).unwrap_err()));
}

#[test]
fn sockets_with_deadlines_lose_nothing_in_a_storm_of_captures_and_keep_their_deadlines() {
    let flag = || Arc::new(AtomicBool::new(false));
    let (over, nobody_talks) = (flag(), flag());
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (echoes, nobody) = (listen(), listen());
    let [address, deaf] = [&echoes, &nobody].map(|l| l.local_addr().unwrap());
    let named = |name: &str| thread::Builder::new().name(name.into());
    let until = nobody_talks.clone();
    let echo = named("echoes").spawn(move || echo(&echoes, &until));
    let is_over = over.clone();
    let talks = named("talks").spawn(move || {
        let sent = pattern();
        let mut exchanges = 0;
        while !is_over.load(Ordering::Relaxed) || exchanges < 2 {
            exchange(address, &sent);
            exchanges += 1;
        }
        exchanges
    });
    let waits = named("waits").spawn(move || time_out(deaf)).unwrap();
    let (began, mut captures) = (Instant::now(), 0);
    while captures < CAPTURES || !waits.is_finished() {
        assert!(began.elapsed() < PATIENCE, "after {captures} captures");
        let mut capture = capture().lock().unwrap();
        capture.begin();
        capture.round(1);
        captures += 1;
        drop(capture);
        thread::sleep(Duration::from_millis(1));
    }
    over.store(true, Ordering::Relaxed);
    waits.join().unwrap();
    let exchanges: u32 = talks.unwrap().join().unwrap();
    nobody_talks.store(true, Ordering::Relaxed);
    echo.unwrap().join().unwrap();
    println!(
        "{captures} captures, {exchanges} MB echoed, {:.1?}",
        began.elapsed()
    );
}
