//! A token: what a client shows the hub to be let in.

use http::HeaderValue;

/// A bearer token (RFC 6750, 2.1). It is sent, and never shown.
#[derive(Debug, Clone)]
pub struct Token(HeaderValue);

/// A text that cannot be a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is one word of visible ASCII characters")]
pub struct InvalidToken;

impl Token {
    /// Checks a text and makes it a token. Whitespace around it is not part of it.
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidToken);
        }
        let mut value =
            HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| InvalidToken)?;
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
    fn a_token_forges_a_header_or_shows_itself() {
        for bad in ["", "  ", "two words", "a\r\nb", "é"] {
            assert!(Token::parse(bad).is_err(), "{bad:?}");
        }
        let token = Token::parse("s3cret\n").unwrap();
        assert_eq!(token.header(), "Bearer s3cret");
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
