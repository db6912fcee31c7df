//! What a token claims, as it is written.

use std::sync::Arc;

use fanfare_event::{Pattern, Timestamp};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::credential_id::CredentialId;
use crate::grant::{PublishGrant, SubscribeGrant};
use crate::principal::{Identity, Principal};
use crate::secret_digest::SecretDigest;

/// The claims Fanfare reads; the times, the issuer and the audience are checked beside.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    sub: Option<String>,
    /// One issuer (RFC 7519, 4.1.1): a list of them would let whoever may issue a token pass it off
    /// as another's.
    iss: Option<String>,
    exp: Seconds,
    #[serde(default)]
    fanfare: Rights,
}

/// The claim that is Fanfare's own.
#[derive(Debug, Default, Deserialize)]
struct Rights {
    #[serde(default)]
    publish: Patterns,
    #[serde(default)]
    subscribe: Patterns,
    #[serde(default)]
    admin: bool,
}

/// A time as tokens write it: seconds since the Unix epoch, perhaps a fraction (RFC 7519, 2).
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Seconds(pub(crate) f64);

#[derive(Debug, Default)]
struct Patterns(Vec<Pattern>);

/// The most patterns for one right: each costs time at each subscription.
const MAX_PATTERNS: usize = 256;
/// The longest subject, in bytes: each of its streams is counted under it.
const MAX_SUBJECT: usize = 1024;

impl Seconds {
    pub(crate) fn timestamp(self) -> Timestamp {
        // Casting saturates, and makes 0 of what is not a number.
        Timestamp((self.0 * 1000.0) as u64)
    }
}

/// Who the subject of a token is. `None` if streams cannot be counted under it.
pub(crate) fn subject(name: &str, issuer: Option<&str>) -> Option<Identity> {
    // Cuts name credentials so.
    if name.len() > MAX_SUBJECT || name.starts_with(CredentialId::MARK) {
        return None;
    }
    Some(Identity::Subject { name: name.into(), issuer: issuer.map(Arc::from) })
}

impl Claims {
    /// Who issued the token, if it says so.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.iss.as_deref()
    }

    /// When the token ends.
    pub(crate) fn expires(&self) -> Timestamp {
        self.exp.timestamp()
    }

    /// Whose token it is. `None` if it names a subject too long to count streams under.
    pub(crate) fn into_principal(self) -> Option<Principal> {
        let expires = Some(self.expires());
        let Rights { publish, subscribe, admin } = self.fanfare;
        let issuer = self.iss;
        let identity = match self.sub {
            Some(name) => subject(&name, issuer.as_deref())?,
            None => {
                let granted = (&publish.0, &subscribe.0, admin);
                Identity::Bearer(SecretDigest::of(&format!("{issuer:?} {granted:?}")))
            }
        };
        Some(Principal {
            identity,
            publish: PublishGrant::new(publish.0),
            subscribe: SubscribeGrant::new(subscribe.0),
            admin,
            expires,
            credential: None,
            note: None,
        })
    }
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Patterns;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a list of at most {MAX_PATTERNS} patterns")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Patterns, A::Error> {
                let mut patterns = Vec::new();
                while let Some(text) = list.next_element::<String>()? {
                    if patterns.len() == MAX_PATTERNS {
                        return Err(A::Error::invalid_length(MAX_PATTERNS + 1, &self));
                    }
                    patterns.push(Pattern::parse(&text).map_err(A::Error::custom)?);
                }
                Ok(Patterns(patterns))
            }
        }

        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Principal> {
        serde_json::from_str::<Claims>(text).ok().and_then(Claims::into_principal)
    }

    #[test]
    fn a_claim_of_the_wrong_kind_grants_nothing() {
        for rights in [
            r#"{"publish":"**"}"#,
            r#"{"publish":[1]}"#,
            r#"{"subscribe":["a*"]}"#,
            r#"{"subscribe":[""]}"#,
            r#"{"admin":1}"#,
            r#"{"admin":"true"}"#,
            r#"{"admin":true,"admin":false}"#,
            r#""**""#,
        ] {
            assert_eq!(read(&format!(r#"{{"exp":1,"fanfare":{rights}}}"#)), None, "{rights}");
        }
        assert_eq!(read("{}"), None, "exp is required");
        assert_eq!(read(r#"{"exp":1,"iss":["a","b"]}"#), None, "a token has one issuer");
        let many = vec![r#""a""#; MAX_PATTERNS + 1].join(",");
        assert_eq!(read(&format!(r#"{{"exp":1,"fanfare":{{"publish":[{many}]}}}}"#)), None);
        let nothing = read(r#"{"exp":1.5,"sub":"ada","other":1}"#).unwrap();
        assert_eq!(nothing.publish, PublishGrant::default());
        assert_eq!(nothing.subscribe, SubscribeGrant::default());
        assert!(!nothing.admin);
        assert_eq!(nothing.expires, Some(Timestamp(1500)));
    }

    proptest! {
        #[test]
        fn a_time_out_of_range_does_not_wrap(exp in any::<f64>()) {
            let claims = Claims { sub: None, iss: None, exp: Seconds(exp), fanfare: Rights::default() };
            let expires = claims.expires().as_millis();
            if exp <= 0.0 { prop_assert_eq!(expires, 0) }
            if exp > 2e16 { prop_assert_eq!(expires, u64::MAX) }
        }
    }
}
