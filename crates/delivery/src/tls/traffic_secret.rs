//! A traffic secret: what the keys of one direction come from (RFC 8446, 7.1 to 7.3).

use std::fmt;

use aws_lc_rs::aead::{LessSafeKey, NONCE_LEN, UnboundKey};
use aws_lc_rs::hkdf::{KeyType, Prk};
use zeroize::Zeroizing;

use super::CipherSuite;

/// The longest secret of a suite, in bytes.
const LONGEST: usize = 48;
/// The longest key.
const LONGEST_KEY: usize = 32;

/// The secret of one direction of one connection; overwritten when it is dropped. It is not to be
/// cloned: whoever has it has the right to seal with it.
pub struct TrafficSecret {
    suite: CipherSuite,
    bytes: Zeroizing<[u8; LONGEST]>,
}

/// What a secret gives: the key that records are sealed or opened with, and what their numbers are
/// added to.
pub(super) struct TrafficKeys {
    pub(super) key: LessSafeKey,
    pub(super) iv: Iv,
}

pub(super) type Iv = Zeroizing<[u8; NONCE_LEN]>;

impl TrafficSecret {
    /// These bytes as a secret of this suite; `None` if they are not as many as its secrets have.
    pub fn new(suite: CipherSuite, secret: &[u8]) -> Option<Self> {
        if secret.len() != suite.secret_length() {
            return None;
        }
        let mut bytes = Zeroizing::new([0; LONGEST]);
        bytes[..secret.len()].copy_from_slice(secret);
        Some(Self { suite, bytes })
    }

    /// The suite.
    pub fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.suite.secret_length()]
    }

    /// The secret that takes this one's place when the key changes.
    #[must_use]
    pub fn next(&self) -> Self {
        let mut bytes = Zeroizing::new([0; LONGEST]);
        self.expand("traffic upd", &mut bytes[..self.suite.secret_length()]);
        Self { suite: self.suite, bytes }
    }

    /// Whether this is the key that it gives, with this IV.
    pub fn gives(&self, key: &[u8], iv: &[u8]) -> bool {
        let (own_key, own_iv) = self.derive();
        let own_key = &own_key[..self.suite.aead().key_len()];
        // Both are ours: there is nobody who could learn from how long this takes.
        own_key == key && &own_iv[..] == iv
    }

    pub(super) fn keys(&self) -> TrafficKeys {
        let (key, iv) = self.derive();
        let aead = self.suite.aead();
        let key = UnboundKey::new(aead, &key[..aead.key_len()]);
        TrafficKeys { key: LessSafeKey::new(key.expect("a key of the suite's length")), iv }
    }

    fn derive(&self) -> (Zeroizing<[u8; LONGEST_KEY]>, Iv) {
        let (mut key, mut iv) = (Zeroizing::new([0; LONGEST_KEY]), Iv::default());
        self.expand("key", &mut key[..self.suite.aead().key_len()]);
        self.expand("iv", &mut iv[..]);
        (key, iv)
    }

    /// `HKDF-Expand-Label(secret, label, "", out.len())`.
    fn expand(&self, label: &str, out: &mut [u8]) {
        const PREFIX: &[u8] = b"tls13 ";
        struct Length(usize);
        impl KeyType for Length {
            fn len(&self) -> usize {
                self.0
            }
        }
        let length = out.len() as u16;
        let label_length = (PREFIX.len() + label.len()) as u8;
        let info: [&[u8]; 5] =
            [&length.to_be_bytes(), &[label_length], PREFIX, label.as_bytes(), &[0]];
        let secret = Prk::new_less_safe(self.suite.hkdf(), self.as_bytes());
        let expanded = secret.expand(&info, Length(out.len())).and_then(|okm| okm.fill(out));
        expanded.expect("fewer bytes than 255 hashes have");
    }
}

impl fmt::Debug for TrafficSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrafficSecret").field("suite", &self.suite).finish_non_exhaustive()
    }
}
