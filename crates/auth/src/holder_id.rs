//! The id of a holder: under which tables that all share count what is whose.

use std::net::IpAddr;

use aws_lc_rs::digest::{Context, SHA256};

use crate::principal::Identity;

/// A digest of who someone is. Two have the same id only if they cannot be told apart: the same
/// access key, the same subject of the same issuer, or nobody in particular at the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HolderId([u8; 16]);

impl HolderId {
    /// Of someone who comes from `network`: an address, or those that count as one.
    pub fn of(identity: &Identity, network: IpAddr) -> Self {
        match identity {
            Identity::Anonymous => Self::digest(b'n', &[network.to_string().as_bytes()]),
            Identity::AccessKey(key) => Self::digest(b'k', &[key.as_bytes()]),
            Identity::Bearer(token) => Self::digest(b'b', &[token.as_bytes()]),
            Identity::Subject { name, issuer: None } => Self::digest(b's', &[name.as_bytes()]),
            Identity::Subject { name, issuer: Some(issuer) } => {
                Self::digest(b'i', &[name.as_bytes(), issuer.as_bytes()])
            }
        }
    }

    /// Of this digest, as it was handed over.
    pub(crate) fn of_bytes(digest: [u8; 16]) -> Self {
        Self(digest)
    }

    /// The digest itself.
    pub fn as_bytes(&self) -> [u8; 16] {
        self.0
    }

    fn digest(kind: u8, parts: &[&[u8]]) -> Self {
        Self(digest_of(kind, parts))
    }
}

/// A digest of several texts, which tells apart where one ends and the next begins.
pub fn digest_of<'a>(
    kind: u8,
    parts: impl IntoIterator<Item = &'a (impl AsRef<[u8]> + ?Sized + 'a)>,
) -> [u8; 16] {
    let mut context = Context::new(&SHA256);
    context.update(&[kind]);
    for part in parts {
        let part = part.as_ref();
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut digest = [0; 16];
    digest.copy_from_slice(&context.finish().as_ref()[..16]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretDigest;

    #[test]
    fn no_two_who_can_be_told_apart_share_an_id() {
        let subject = |name: &str, issuer: Option<&str>| Identity::Subject {
            name: name.into(),
            issuer: issuer.map(Into::into),
        };
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        let there: IpAddr = "192.0.2.2".parse().unwrap();
        let ids = [
            HolderId::of(&Identity::Anonymous, here),
            HolderId::of(&Identity::Anonymous, there),
            HolderId::of(&Identity::AccessKey(SecretDigest::of("a")), here),
            HolderId::of(&Identity::AccessKey(SecretDigest::of("b")), here),
            HolderId::of(&Identity::Bearer(SecretDigest::of("a")), here),
            HolderId::of(&subject("ada", None), here),
            HolderId::of(&subject("ada", Some("")), here),
            HolderId::of(&subject("ada", Some("x")), here),
            HolderId::of(&subject("adax", Some("")), here),
            HolderId::of(&subject("192.0.2.1", None), here),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id), "{at}");
        }
        let elsewhere = HolderId::of(&subject("ada", None), there);
        assert_eq!(elsewhere, ids[5], "whoever says who they are is the same anywhere");
    }
}
