//! The holder of a ticket as text, for a store outside this process. Only what a listener may do:
//! a ticket is good for nothing else.

use fanfare_event::{Pattern, Timestamp};
use serde::{Deserialize, Serialize};

use crate::credential_id::CredentialId;
use crate::grant::{PublishGrant, SubscribeGrant};
use crate::principal::{Identity, Principal};
use crate::secret_digest::SecretDigest;

/// A text that is not a ticket's holder.
#[derive(Debug, thiserror::Error)]
#[error("the rights that are kept under the ticket cannot be read")]
pub struct InvalidHolder;

#[derive(Debug, Serialize, Deserialize)]
struct HolderJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer: Option<String>,
    subscribe: Vec<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    admin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    /// Which key had signed the token, so that a ticket is worth nothing when that is taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Principal {
    /// The right to listen, as text.
    pub fn listener_to_text(&self) -> String {
        let text = |digest: &SecretDigest| Some(digest.to_text());
        let (mut subject, mut issuer, mut key, mut bearer) = (None, None, None, None);
        match &self.identity {
            Identity::Anonymous => {}
            Identity::AccessKey(digest) => key = text(digest),
            Identity::Bearer(digest) => bearer = text(digest),
            Identity::Subject { name, issuer: by } => {
                subject = Some(name.to_string());
                issuer = by.as_ref().map(ToString::to_string);
            }
        }
        let subscribe = self.subscribe.patterns().map(str::to_owned).collect();
        let expires = self.expires.map(Timestamp::as_millis);
        let admin = self.admin;
        // An access key says it itself.
        let credential = self.credential.as_ref().filter(|_| key.is_none());
        let credential = credential.map(|id| id.to_text().to_owned());
        let written =
            HolderJson { subject, issuer, key, bearer, subscribe, admin, expires, credential };
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// What [`Principal::listener_to_text`] has written, and nothing more.
    pub fn listener_from_text(text: &str) -> Result<Self, InvalidHolder> {
        let HolderJson { subject, issuer, key, bearer, subscribe, admin, expires, credential } =
            serde_json::from_str(text).map_err(|_| InvalidHolder)?;
        let digest = |text: String| SecretDigest::from_text(&text).ok_or(InvalidHolder);
        let identity = match (subject, key, bearer) {
            (None, None, None) => Identity::Anonymous,
            (None, Some(key), None) => Identity::AccessKey(digest(key)?),
            (None, None, Some(bearer)) => Identity::Bearer(digest(bearer)?),
            (Some(subject), None, None) => {
                Identity::Subject { name: subject.into(), issuer: issuer.map(Into::into) }
            }
            _ => return Err(InvalidHolder),
        };
        let credential = match &identity {
            Identity::AccessKey(digest) => Some(CredentialId::of_digest(*digest)),
            _ => {
                let read = |text: String| CredentialId::from_text(&text).ok_or(InvalidHolder);
                credential.map(read).transpose()?
            }
        };
        let patterns = subscribe.iter().map(|pattern| Pattern::parse(pattern));
        let patterns: Vec<_> = patterns.collect::<Result<_, _>>().map_err(|_| InvalidHolder)?;
        Ok(Self {
            identity,
            publish: PublishGrant::default(),
            subscribe: SubscribeGrant::new(patterns),
            admin,
            expires: expires.map(Timestamp),
            credential,
            note: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_comes_back_with_the_same_rights() {
        let some = ["orders/*", "news"].map(|pattern| Pattern::parse(pattern).unwrap());
        for identity in [
            Identity::Anonymous,
            Identity::AccessKey(SecretDigest::of("key")),
            Identity::Bearer(SecretDigest::of("token")),
            Identity::Subject { name: "ada \"\n".into(), issuer: None },
            Identity::Subject { name: "ada".into(), issuer: Some("https://id".into()) },
        ] {
            for subscribe in [SubscribeGrant::EVERYTHING, SubscribeGrant::new(some.clone())] {
                let publish = PublishGrant::EVERYTHING;
                let expires = Some(Timestamp(7));
                let identity = identity.clone();
                let admin = identity != Identity::Anonymous;
                let known = identity != Identity::Anonymous;
                let credential = known.then(|| CredentialId::of(b"key"));
                let note = None;
                let holder =
                    Principal { identity, publish, subscribe, admin, expires, credential, note };
                let back = Principal::listener_from_text(&holder.listener_to_text()).unwrap();
                assert_eq!(back, holder.as_listener());
            }
        }
    }

    #[test]
    fn what_is_no_holder_is_given_no_rights() {
        for text in [
            "",
            "{}",
            r#"{"subscribe":["a/***b"]}"#,
            r#"{"subscribe":"**"}"#,
            r#"{"subscribe":[],"key":"short"}"#,
            r#"{"subscribe":[],"key":"a","subject":"a"}"#,
            r#"{"subscribe":[],"bearer":"short"}"#,
            r#"{"subscribe":[],"subject":"a","credential":"short"}"#,
        ] {
            assert!(Principal::listener_from_text(text).is_err(), "{text}");
        }
    }
}
