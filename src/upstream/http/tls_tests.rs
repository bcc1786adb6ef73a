//! Upstreams with certificates of their own, good and bad, over real TLS.

use super::*;
use crate::upstream::certificates::issuer;
use crate::upstream::resolve::lookups;
use crate::upstream::tls::serve;

const PATIENCE: Duration = Duration::from_secs(20);

fn ask(base: &str, ca_file: &std::path::Path) -> Result<Response, FetchError> {
    let roots = Roots::read(base, ca_file).unwrap();
    HttpClient::new("the fake", base, &roots, &lookups()).get("/x", &[], Instant::now() + PATIENCE)
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
        let FetchError::Unreachable { why, .. } = &failure else {
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
