//! Cipher suites of TLS 1.3 (RFC 8446, B.4).

use aws_lc_rs::{aead, hkdf};

/// What records are sealed with, and secrets derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CipherSuite {
    /// `TLS_AES_128_GCM_SHA256`.
    Aes128Gcm,
    /// `TLS_AES_256_GCM_SHA384`.
    Aes256Gcm,
    /// `TLS_CHACHA20_POLY1305_SHA256`.
    Chacha20Poly1305,
}

impl CipherSuite {
    /// Its number in the registry of TLS.
    pub fn number(self) -> u16 {
        match self {
            Self::Aes128Gcm => 0x1301,
            Self::Aes256Gcm => 0x1302,
            Self::Chacha20Poly1305 => 0x1303,
        }
    }

    /// The one of this number.
    pub fn from_number(number: u16) -> Option<Self> {
        let all = [Self::Aes128Gcm, Self::Aes256Gcm, Self::Chacha20Poly1305];
        all.into_iter().find(|suite| suite.number() == number)
    }

    /// How long its secrets are, in bytes: as its hash.
    pub(super) fn secret_length(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Chacha20Poly1305 => 32,
            Self::Aes256Gcm => 48,
        }
    }

    pub(super) fn aead(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128Gcm => &aead::AES_128_GCM,
            Self::Aes256Gcm => &aead::AES_256_GCM,
            Self::Chacha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }

    pub(super) fn hkdf(self) -> hkdf::Algorithm {
        match self {
            Self::Aes128Gcm | Self::Chacha20Poly1305 => hkdf::HKDF_SHA256,
            Self::Aes256Gcm => hkdf::HKDF_SHA384,
        }
    }
}
