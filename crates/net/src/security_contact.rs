//! Where to report a security problem.

use http::Uri;

/// An address by which those who found a problem reach those who can mend it: `mailto:` or `https:`.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub struct SecurityContact(String);

/// A text that is not such an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write mailto:security@example.com or https://example.com/security")]
pub struct InvalidSecurityContact;

impl SecurityContact {
    /// Parses a `mailto:` or `https:` URL.
    pub fn parse(text: &str) -> Result<Self, InvalidSecurityContact> {
        let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
        let mail = |text: &str| {
            let (name, host) = text.split_once('@').unwrap_or_default();
            !name.is_empty() && !host.is_empty() && !host.contains('@')
        };
        let known = match text.split_once(':') {
            Some(("mailto", address)) => mail(address),
            Some(("https", _)) => text.parse::<Uri>().is_ok_and(|uri| uri.host().is_some()),
            _ => false,
        };
        if graphic && known { Ok(Self(text.to_owned())) } else { Err(InvalidSecurityContact) }
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_contact_forges_a_field_of_the_file() {
        for text in ["mailto:a@example.com", "https://example.com/report?to=us"] {
            assert!(SecurityContact::parse(text).is_ok(), "{text}");
        }
        for text in
            ["", "a@example.com", "mailto:a", "http://a/", "mailto:a@b\nExpires: x", "https://é/"]
        {
            assert!(SecurityContact::parse(text).is_err(), "{text:?}");
        }
    }
}
