//! Where a certificate authority is.

use http::Uri;

use crate::authority::is_plain;

/// The address of a certificate authority's directory (RFC 8555, 7.1.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AcmeDirectory(String);

/// A text that is no address of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write letsencrypt, letsencrypt-staging, or the https:// address of another authority")]
pub struct InvalidAcmeDirectory;

impl AcmeDirectory {
    /// Parses an `https` URL, or the short name of a known authority.
    pub fn parse(text: &str) -> Result<Self, InvalidAcmeDirectory> {
        let url = match text {
            "letsencrypt" => "https://acme-v02.api.letsencrypt.org/directory",
            "letsencrypt-staging" => "https://acme-staging-v02.api.letsencrypt.org/directory",
            url => url,
        };
        let uri: Uri = url.parse().map_err(|_| InvalidAcmeDirectory)?;
        let host = uri.authority().is_some_and(is_plain);
        if uri.scheme_str() == Some("https") && host {
            Ok(Self(url.to_owned()))
        } else {
            Err(InvalidAcmeDirectory)
        }
    }

    /// The directory's URL, with `https://`.
    pub fn url(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_directory_is_asked_in_clear_text() {
        assert!(AcmeDirectory::parse("https://ca.internal:14000/dir").is_ok());
        let staging = AcmeDirectory::parse("letsencrypt-staging").unwrap();
        assert!(staging.url().contains("staging"));
        for text in ["", "http://ca.internal/dir", "ca.internal", "staging", "https:///dir"] {
            assert_eq!(AcmeDirectory::parse(text), Err(InvalidAcmeDirectory), "{text}");
        }
    }
}
