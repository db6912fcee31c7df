//! A domain that the hub can have a certificate for.

use rustls_pki_types::{DnsName, ServerName};

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

impl Domain {
    /// Parses a name of a host in punycode.
    pub fn parse(text: &str) -> Result<Self, InvalidDomain> {
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

    /// The name, in lower case, without a dot at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a certificate is asked whether it is made out to it.
    pub fn server_name(&self) -> Option<ServerName<'_>> {
        ServerName::try_from(&*self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_certificate_is_ordered_for_what_no_authority_would_certify() {
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
}
