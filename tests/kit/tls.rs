//! An upstream over TLS, for the tests inside the crate and out.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use super::certificates::{Issuer, signed};

/// Answers each first request over TLS with `{}`, with a certificate for `name`; its port.
pub fn serve(issuer: &Issuer, name: &str, expired: bool) -> u16 {
    let (certificate, key) = signed(issuer, name, expired);
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, mut tls) = (
                socket.unwrap(),
                ServerConnection::new(Arc::clone(&config)).unwrap(),
            );
            let mut stream = Stream::new(&mut tls, &mut socket);
            if stream.read(&mut [0; 4_096]).is_ok_and(|n| n > 0) {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
                let _left = stream.write_all(answer);
            }
        }
    });
    port
}
