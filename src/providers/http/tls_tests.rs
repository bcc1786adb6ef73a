//! Upstreams with certificates of their own, good and bad, over real TLS.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody whom no system knows.
fn issuer(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// An upstream on loopback that answers over TLS with a certificate for `name`; its port.
fn serve(issuer: &CertifiedIssuer<'static, KeyPair>, name: &str, expired: bool) -> u16 {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if expired {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
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

fn ask(base: &str, ca_file: &std::path::Path) -> Result<Response, Failure> {
    let roots = Roots::read(base, ca_file).unwrap();
    Upstream::with_roots("the fake", base, &roots).get("/x", &[], Instant::now() + PATIENCE)
}

#[test]
fn a_certificate_of_an_own_issuer_is_accepted_and_each_bad_one_told_as_what_it_is() {
    let (ours, another) = (issuer("ours"), issuer("another"));
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, ours.pem()).unwrap();
    let at = |port: u16| format!("https://localhost:{port}");
    let good = ask(&at(serve(&ours, "localhost", false)), &ca_file).unwrap();
    assert_eq!((good.status, &*good.body), (200, &b"{}"[..]));
    let nothing = std::path::Path::new("");
    for (issuer, name, expired, ca, words) in [
        (
            &ours,
            "localhost",
            false,
            nothing,
            "whom this machine does not know",
        ),
        (&another, "localhost", false, &*ca_file, "schwab.ca_file"),
        (&ours, "localhost", true, &*ca_file, "has expired"),
        (
            &ours,
            "elsewhere.example",
            false,
            &*ca_file,
            "is for DnsName(\"elsewhere.example\")",
        ),
    ] {
        let port = serve(issuer, name, expired);
        let failure = ask(&at(port), ca).unwrap_err();
        let Failure::Unreachable { why, .. } = &failure else {
            panic!("{failure:?}");
        };
        assert!(why.contains(words), "{words}: {why}");
    }
}

#[test]
fn a_file_of_issuers_that_is_none_is_an_error_and_is_not_read_for_http() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    assert!(Roots::read("http://localhost", &file).is_ok());
    assert!(Roots::read("https://localhost", &file).is_err());
    std::fs::write(&file, "nothing of the kind").unwrap();
    let why = Roots::read("https://localhost", &file).unwrap_err();
    assert!(why.to_string().contains("no certificate"), "{why}");
}
