//! An issuer and a key of its own.

use std::fmt;
use std::path::Path;

use fanfare_net::KeySetUrl;

use super::{FilePath, Name, SettingValue};

/// Whose a key is: `ISSUER=KEY`, where KEY is the file or the address that another setting gives it by.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub struct IssuerKey {
    issuer: Name,
    source: IssuerKeySource,
}

/// Where an issuer's key is.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum IssuerKeySource {
    KeySet(KeySetUrl),
    File(FilePath),
}

/// A text that binds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write the issuer as tokens name it, `=`, and the key's file or the key set's URL")]
pub struct InvalidIssuerKey;

impl IssuerKey {
    /// The issuer, as tokens name it.
    pub fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// Whether the key is in this file.
    pub fn is_in_file(&self, path: &Path) -> bool {
        matches!(&self.source, IssuerKeySource::File(file) if file.path() == path)
    }

    /// Whether the key is one of this key set's.
    pub fn is_in_key_set(&self, url: &KeySetUrl) -> bool {
        matches!(&self.source, IssuerKeySource::KeySet(of) if of == url)
    }
}

impl fmt::Display for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuer = self.issuer();
        match &self.source {
            IssuerKeySource::KeySet(url) => write!(f, "{issuer}={}", url.uri()),
            IssuerKeySource::File(file) => write!(f, "{issuer}={}", file.path().display()),
        }
    }
}

impl SettingValue for IssuerKey {
    const PLACEHOLDER: &'static str = "ISSUER=KEY";
    const NOUN: &'static str = "an issuer and its key";
    type Error = InvalidIssuerKey;

    fn parse(text: &str) -> Result<Self, InvalidIssuerKey> {
        let (issuer, key) = text.split_once('=').ok_or(InvalidIssuerKey)?;
        let issuer = Name::parse(issuer).map_err(|_| InvalidIssuerKey)?;
        let (path, key_set) = match key.strip_prefix('@') {
            Some(path) => (path, None),
            None => (key, KeySetUrl::parse(key).ok()),
        };
        let source = match key_set {
            Some(url) => IssuerKeySource::KeySet(url),
            None => IssuerKeySource::File(FilePath::parse(path).map_err(|_| InvalidIssuerKey)?),
        };
        Ok(Self { issuer, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_and_a_key_are_read_as_written() {
        let of_file = IssuerKey::parse("https://id.example.com=@/etc/key=1").unwrap();
        assert_eq!(of_file.issuer(), "https://id.example.com");
        assert!(of_file.is_in_file(Path::new("/etc/key=1")));
        assert_eq!(of_file.to_string(), "https://id.example.com=/etc/key=1");
        assert_eq!(IssuerKey::parse("https://id.example.com=/etc/key=1"), Ok(of_file));

        let url = KeySetUrl::parse("https://id.example.com/keys").unwrap();
        let of_set = IssuerKey::parse("issuer=https://id.example.com/keys").unwrap();
        assert!(
            of_set.is_in_key_set(&url)
                && !of_set.is_in_file(Path::new("https://id.example.com/keys"))
        );
        for wrong in ["", "issuer", "=key", "issuer=", "issuer=@"] {
            assert_eq!(IssuerKey::parse(wrong), Err(InvalidIssuerKey), "{wrong}");
        }
    }
}
