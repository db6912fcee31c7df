//! An issuer and a key of its own.

use super::SettingValue;

/// Whose a key is: `ISSUER=KEY`, where KEY is the file or the address that another setting gives it by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IssuerKey {
    issuer: String,
    key: String,
}

/// A text that binds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write the issuer as tokens name it, `=`, and the key's file or the key set's URL")]
pub struct InvalidIssuerKey;

impl IssuerKey {
    /// The issuer, as tokens name it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Where its key is: the path of a file, or the URL of a key set.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl SettingValue for IssuerKey {
    const PLACEHOLDER: &'static str = "ISSUER=KEY";
    const NOUN: &'static str = "an issuer and its key";
    type Error = InvalidIssuerKey;

    fn parse(text: &str) -> Result<Self, InvalidIssuerKey> {
        let (issuer, key) = text.split_once('=').ok_or(InvalidIssuerKey)?;
        let key = key.strip_prefix('@').unwrap_or(key);
        if issuer.is_empty() || key.is_empty() {
            return Err(InvalidIssuerKey);
        }
        Ok(Self { issuer: issuer.to_owned(), key: key.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_and_a_key_are_read_as_written() {
        let parsed = IssuerKey::parse("https://id.example.com=@/etc/key=1").unwrap();
        assert_eq!((parsed.issuer(), parsed.key()), ("https://id.example.com", "/etc/key=1"));
        for wrong in ["", "issuer", "=key", "issuer=", "issuer=@"] {
            assert_eq!(IssuerKey::parse(wrong), Err(InvalidIssuerKey), "{wrong}");
        }
    }
}
