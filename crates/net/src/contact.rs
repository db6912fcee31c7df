//! Whom a certificate authority may write to.

/// Whom a certificate authority may write to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contact(String);

/// A text that is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write an e-mail address, such as ops@example.com")]
pub struct InvalidContact;

impl Contact {
    /// Parses an e-mail address, with or without `mailto:`.
    pub fn parse(text: &str) -> Result<Self, InvalidContact> {
        let plain = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && !b"?,@".contains(&b))
        };
        let address = text.strip_prefix("mailto:").unwrap_or(text);
        match address.split_once('@') {
            Some((local, host)) if plain(local) && plain(host) => Ok(Self(address.to_owned())),
            _ => Err(InvalidContact),
        }
    }

    /// As the directory wants it (RFC 6068).
    pub fn url(&self) -> String {
        format!("mailto:{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_contact_is_refused() {
        for text in ["ops@example.com", "mailto:ops@example.com"] {
            assert_eq!(Contact::parse(text).unwrap().url(), "mailto:ops@example.com");
        }
        for text in ["", "ops", "@example.com", "a@b@c", "a,b@c", "a b@c", "ops@example.com?x"] {
            assert_eq!(Contact::parse(text), Err(InvalidContact), "{text}");
        }
    }
}
