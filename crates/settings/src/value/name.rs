//! Small texts with rules of their own: issuers and audiences, cookies, booleans.

use super::SettingValue;

/// The name of an issuer or an audience of tokens, compared byte for byte (RFC 7519, 2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

/// A text that names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write it as the tokens do, such as https://id.example.com")]
pub struct InvalidName;

impl Name {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SettingValue for Name {
    const PLACEHOLDER: &'static str = "NAME";
    const NOUN: &'static str = "a name";
    type Error = InvalidName;

    fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() { Err(InvalidName) } else { Ok(Self(text.to_owned())) }
    }
}

/// The name of a cookie: a token (RFC 6265, 4.1.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CookieName(String);

/// A text that names no cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write letters, digits, -, _ and . only, such as __Host-fanfare")]
pub struct InvalidCookieName;

impl CookieName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SettingValue for CookieName {
    const PLACEHOLDER: &'static str = "NAME";
    const NOUN: &'static str = "a cookie's name";
    type Error = InvalidCookieName;

    fn parse(text: &str) -> Result<Self, InvalidCookieName> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if text.is_empty() || !text.bytes().all(plain) {
            return Err(InvalidCookieName);
        }
        Ok(Self(text.to_owned()))
    }
}

/// A text that is neither yes nor no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write true or false")]
pub struct InvalidSwitch;

impl SettingValue for bool {
    const PLACEHOLDER: &'static str = "BOOL";
    const NOUN: &'static str = "a boolean";
    const SWITCH: bool = true;
    type Error = InvalidSwitch;

    fn parse(text: &str) -> Result<Self, InvalidSwitch> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(InvalidSwitch),
        }
    }
}
