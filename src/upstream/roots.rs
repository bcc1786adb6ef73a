//! Whose certificates are believed: those of the system's store, or of the file that `SSL_CERT_FILE` names;
//! where there are none, Mozilla's, which are built in; and those of the upstream's own `ca_file`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use crate::files::regular;

/// A longer file holds no certificates of issuers.
const CA_FILE_BYTES_MAX: u64 = 10_000_000;

/// Names another file than the system's store.
const FILE_VARIABLE: &str = "SSL_CERT_FILE";

/// The certificates of issuers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Roots(pub(super) RootCerts);

impl Default for Roots {
    fn default() -> Self {
        Self(RootCerts::WebPki)
    }
}

impl Roots {
    /// For an upstream at `url`; `ca_file` may be empty. Of http nothing is read.
    ///
    /// # Errors
    /// When `ca_file` cannot be read or holds no certificate.
    pub fn read(url: &str, ca_file: &Path) -> io::Result<Self> {
        if !url.starts_with("https://") {
            return Ok(Self::default());
        }
        let mut all = systems();
        if !ca_file.as_os_str().is_empty() {
            all.extend(own(ca_file)?);
        }
        Ok(Self(all.into()))
    }

    /// The same issuers for a connection that is made without the HTTP client.
    #[must_use]
    pub fn for_rustls(&self) -> Arc<ClientConfig> {
        let mut store = RootCertStore::empty();
        match &self.0 {
            RootCerts::Specific(certificates) => {
                let ders = certificates.iter().map(|c| CertificateDer::from(c.der()));
                // What is no certificate for rustls is none for the HTTP client either.
                store.add_parsable_certificates(ders);
            }
            _ => {
                store.add_parsable_certificates(
                    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned(),
                );
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the ciphers of TLS 1.2 and 1.3");
        Arc::new(versions.with_root_certificates(store).with_no_client_auth())
    }
}

/// The system's, or Mozilla's where it has none.
fn systems() -> Vec<Certificate<'static>> {
    let own_file = std::env::var_os(FILE_VARIABLE).filter(|file| !file.is_empty());
    // Whoever reads it waits for what a FIFO gives.
    let readable = own_file.map_or(Ok(()), |file| regular::open(Path::new(&file)).map(drop));
    let found = match readable {
        Ok(()) => {
            let found = rustls_native_certs::load_native_certs();
            for e in &found.errors {
                log::warn!(target: "MAIN", "reading certificates of issuers ({FILE_VARIABLE}, SSL_CERT_DIR or the system's) failed: {e}");
            }
            found.certs
        }
        Err(e) => {
            log::warn!(target: "MAIN", "reading the certificates of issuers in the file that {FILE_VARIABLE} names failed: {e}; the built-in ones are used");
            Vec::new()
        }
    };
    let ders: Vec<_> = if found.is_empty() {
        webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec()
    } else {
        found
    };
    ders.iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect()
}

/// Those of a file in PEM.
fn own(file: &Path) -> io::Result<Vec<Certificate<'static>>> {
    let pem = regular::read(file, CA_FILE_BYTES_MAX)?;
    let found: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(io::Error::other(
            "it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
        ));
    }
    Ok(found)
}
