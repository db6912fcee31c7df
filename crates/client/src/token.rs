//! A token: what a client shows the hub to be let in.

use http::HeaderValue;

/// A bearer token (RFC 6750, 2.1). It is sent, and never shown.
#[derive(Debug, Clone)]
pub struct BearerToken(HeaderValue);

/// A text that cannot be a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is one word of visible ASCII characters")]
pub struct InvalidBearerToken;

impl BearerToken {
    /// Checks a text and makes it a token. Whitespace around it is not part of it.
    pub fn parse(text: &str) -> Result<Self, InvalidBearerToken> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidBearerToken);
        }
        let mut value =
            HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| InvalidBearerToken)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// The value of the `Authorization` header.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_neither_forges_a_header_nor_shows_itself() {
        for bad in ["", "  ", "two words", "a\r\nb", "é"] {
            assert!(BearerToken::parse(bad).is_err(), "{bad:?}");
        }
        let token = BearerToken::parse("s3cret\n").unwrap();
        assert_eq!(token.header(), "Bearer s3cret");
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
