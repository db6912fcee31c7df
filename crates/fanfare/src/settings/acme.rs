//! What certificates are ordered for, where, and by whom.

use rustls::pki_types::{DnsName, ServerName};

use super::field::Value;
use super::key_set_url::is_plain;

/// A domain to have a certificate for, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Domain(String);

/// Why no certificate can be had for a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDomain {
    /// It stands for many.
    #[error("a wildcard cannot be proved by answering for it: name each domain")]
    Wildcard,
    /// The rest.
    #[error("write a name in punycode, such as events.example.com")]
    Shape,
}

/// Whom a certificate authority may write to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contact(String);

/// A text that is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write an e-mail address, such as ops@example.com")]
pub struct InvalidContact;

/// The address of a certificate authority's directory (RFC 8555, 7.1.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AcmeDirectory(String);

/// A text that is no address of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write letsencrypt, letsencrypt-staging, or the https:// address of another authority")]
pub struct InvalidAcmeDirectory;

impl Domain {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As a certificate is asked whether it is made out to it.
    pub(crate) fn server_name(&self) -> Option<ServerName<'_>> {
        ServerName::try_from(&*self.0).ok()
    }
}

impl Value for Domain {
    const PLACEHOLDER: &'static str = "NAME";
    const NOUN: &'static str = "a domain to have a certificate for";
    type Error = InvalidDomain;

    fn parse(text: &str) -> Result<Self, InvalidDomain> {
        if text.contains('*') {
            return Err(InvalidDomain::Wildcard);
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        // An address would pass for a name.
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) || DnsName::try_from(&*name).is_err() {
            return Err(InvalidDomain::Shape);
        }
        Ok(Self(name))
    }
}

impl Contact {
    /// As the directory wants it (RFC 6068).
    pub(crate) fn url(&self) -> String {
        format!("mailto:{}", self.0)
    }
}

impl Value for Contact {
    const PLACEHOLDER: &'static str = "EMAIL";
    const NOUN: &'static str = "whom to write to";
    type Error = InvalidContact;

    fn parse(text: &str) -> Result<Self, InvalidContact> {
        let plain = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && !b"?,@".contains(&b))
        };
        let address = text.strip_prefix("mailto:").unwrap_or(text);
        match address.split_once('@') {
            Some((local, host)) if plain(local) && plain(host) => Ok(Self(address.to_owned())),
            _ => Err(InvalidContact),
        }
    }
}

impl AcmeDirectory {
    pub(crate) fn url(&self) -> &str {
        &self.0
    }
}

impl Value for AcmeDirectory {
    const PLACEHOLDER: &'static str = "URL";
    const NOUN: &'static str = "the directory of a certificate authority";
    type Error = InvalidAcmeDirectory;

    fn parse(text: &str) -> Result<Self, InvalidAcmeDirectory> {
        let url = match text {
            "letsencrypt" => "https://acme-v02.api.letsencrypt.org/directory",
            "letsencrypt-staging" => "https://acme-staging-v02.api.letsencrypt.org/directory",
            url => url,
        };
        let uri: axum::http::Uri = url.parse().map_err(|_| InvalidAcmeDirectory)?;
        let host = uri.authority().is_some_and(is_plain);
        if uri.scheme_str() == Some("https") && host {
            Ok(Self(url.to_owned()))
        } else {
            Err(InvalidAcmeDirectory)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_ordered_for_what_no_authority_would_certify() {
        let domain = Domain::parse("Events.Example.com.").unwrap();
        assert_eq!(domain.as_str(), "events.example.com");
        assert!(Domain::parse("xn--caf-dma.example").is_ok());
        assert_eq!(Domain::parse("*.example.com"), Err(InvalidDomain::Wildcard));
        for text in [
            "",
            ".",
            "a..b",
            "10.0.0.7",
            "[::1]",
            "https://a.example",
            "a.example:443",
            "café.example",
            "a example",
        ] {
            assert_eq!(Domain::parse(text), Err(InvalidDomain::Shape), "{text}");
        }
    }

    #[test]
    fn a_contact_is_none() {
        for text in ["ops@example.com", "mailto:ops@example.com"] {
            assert_eq!(Contact::parse(text).unwrap().url(), "mailto:ops@example.com");
        }
        for text in ["", "ops", "@example.com", "a@b@c", "a,b@c", "a b@c", "ops@example.com?x"] {
            assert_eq!(Contact::parse(text), Err(InvalidContact), "{text}");
        }
    }

    #[test]
    fn a_directory_is_asked_in_clear_text() {
        assert!(AcmeDirectory::parse("https://ca.internal:14000/dir").is_ok());
        let staging = AcmeDirectory::parse("letsencrypt-staging").unwrap();
        assert!(staging.url().contains("staging"));
        for text in ["", "http://ca.internal/dir", "ca.internal", "staging", "https:///dir"] {
            assert_eq!(AcmeDirectory::parse(text), Err(InvalidAcmeDirectory), "{text}");
        }
    }
}
