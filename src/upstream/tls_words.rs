//! What is wrong with an upstream's certificate, in words that say what to do. Pure.

use std::io;

use rustls::{CertificateError, Error};

/// The TLS error behind an error of a socket.
#[must_use]
pub fn behind(e: &io::Error) -> Option<&Error> {
    e.get_ref()?.downcast_ref()
}

/// In words; `base` is the upstream's URL.
#[must_use]
pub fn words(e: &Error, base: &str) -> String {
    let Error::InvalidCertificate(certificate) = e else {
        return e.to_string();
    };
    match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired; it must get a new one, or this machine's clock is wrong"
                .to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; this machine's clock may be wrong".to_owned()
        }
        CertificateError::NotValidForName => {
            format!("its certificate is for another name than that in {base}; check the URL")
        }
        CertificateError::NotValidForNameContext { presented, .. } => format!(
            "its certificate is for {} and not for the name in {base}; check the URL",
            if presented.is_empty() {
                "no name at all".to_owned()
            } else {
                presented.join(", ")
            }
        ),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => "its certificate was issued by somebody whom this machine does not know; if it is meant, name the file of the issuer's certificate in schwab.ca_file, trader.ca_file or SSL_CERT_FILE".to_owned(),
        CertificateError::Revoked => "its certificate was revoked".to_owned(),
        // What openssl makes when it is asked for one that signs itself.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => "its certificate is an issuer's (CA:TRUE), with which no server may show itself; make one with basicConstraints=CA:FALSE".to_owned(),
        other => format!("its certificate is not accepted: {other}"),
    }
}
