//! A Redis URL: one server, a group watched by Sentinel, or a cluster.
//!
//! The forms are those the ecosystem uses (redis-py, Celery, `redis-sentinel-url`):
//!
//! - `redis://[user:password@]host[:port][/db]`
//! - `redis+sentinel://[user:password@]host[:port][,host[:port]…]/master[/db]`, where user and
//!   password are those of the Redis servers; Sentinel's own come as
//!   `?sentinel_username=…&sentinel_password=…`
//! - `redis+cluster://[user:password@]host[:port][,host[:port]…]`
//!
//! `rediss` in place of `redis` means TLS on every connection, to Sentinels too. Names and
//! passwords are percent-encoded. `redis://:password@host` has a password and no user.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// Where Redis is, and how to sign in. Its text forms never show a password.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RedisUrl {
    pub(crate) tls: bool,
    pub(crate) credentials: Credentials,
    pub(crate) db: i64,
    pub(crate) place: ServerLocation,
}

/// How the one server that holds a namespace is found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ServerLocation {
    Server(HostAndPort),
    Sentinel { nodes: Vec<HostAndPort>, master: String, credentials: Credentials },
    Cluster { nodes: Vec<HostAndPort> },
}

/// A host and its port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostAndPort {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// What a server asks of those who connect.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Credentials {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
}

/// Why a text is not a Redis URL. No message repeats the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Another scheme, or none.
    #[error(
        "a Redis URL begins with redis://, rediss://, redis+sentinel://, rediss+sentinel://, \
         redis+cluster:// or rediss+cluster://"
    )]
    Scheme,
    /// A host is missing, or a port is not a number from 1 to 65535.
    #[error("a Redis URL names its servers as host or host:port, joined by commas")]
    Nodes,
    /// Several servers where the scheme allows one.
    #[error("redis:// names one server; use redis+sentinel:// or redis+cluster:// for several")]
    SeveralServers,
    /// A Sentinel URL without the master's name.
    #[error("a Sentinel URL names its master: redis+sentinel://host:26379/mymaster")]
    Master,
    /// The database is not a number.
    #[error("the path of a Redis URL is a database number")]
    Database,
    /// A cluster has only database 0.
    #[error("a Redis Cluster has no database other than 0")]
    ClusterDatabase,
    /// User or password is not UTF-8 after decoding.
    #[error("user and password of a Redis URL are percent-encoded UTF-8")]
    Credentials,
    /// An unknown query parameter or a fragment.
    #[error("a Redis URL has no parameters but sentinel_username and sentinel_password")]
    Parameter,
}

impl FromStr for RedisUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidUrl::Scheme)?;
        let (base, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match base {
            "redis" => false,
            "rediss" => true,
            _ => return Err(InvalidUrl::Scheme),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, nodes) = match authority.rsplit_once('@') {
            Some((signature, nodes)) => (Credentials::parse(signature)?, nodes),
            None => (Credentials::default(), authority),
        };
        if kind != "sentinel" && !query.is_empty() {
            return Err(InvalidUrl::Parameter);
        }
        let (place, db) = match kind {
            "" => (ServerLocation::Server(HostAndPort::one(nodes)?), path),
            "cluster" => {
                (ServerLocation::Cluster { nodes: HostAndPort::several(nodes, 6379)? }, path)
            }
            "sentinel" => {
                let (master, db) = path.split_once('/').unwrap_or((path, ""));
                let master = decoded(master)?;
                if master.is_empty() {
                    return Err(InvalidUrl::Master);
                }
                let nodes = HostAndPort::several(nodes, 26379)?;
                (
                    ServerLocation::Sentinel {
                        nodes,
                        master,
                        credentials: Credentials::query(query)?,
                    },
                    db,
                )
            }
            _ => return Err(InvalidUrl::Scheme),
        };
        let db = match db.trim_end_matches('/') {
            "" => 0,
            number => i64::from(number.parse::<u16>().map_err(|_| InvalidUrl::Database)?),
        };
        if db != 0 && matches!(place, ServerLocation::Cluster { .. }) {
            return Err(InvalidUrl::ClusterDatabase);
        }
        Ok(Self { tls, credentials, db, place })
    }
}

impl HostAndPort {
    fn one(text: &str) -> Result<Self, InvalidUrl> {
        if text.contains(',') {
            return Err(InvalidUrl::SeveralServers);
        }
        Self::parse(text, 6379)
    }

    fn several(text: &str, port: u16) -> Result<Vec<Self>, InvalidUrl> {
        text.split(',').map(|node| Self::parse(node, port)).collect()
    }

    /// A host, a host and port, or an IPv6 address in brackets with or without a port.
    pub(crate) fn parse(text: &str, default_port: u16) -> Result<Self, InvalidUrl> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(InvalidUrl::Nodes)?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or(InvalidUrl::Nodes)?),
                };
                (host, port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|&port| port != 0).ok_or(InvalidUrl::Nodes)?,
            None => default_port,
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:%".contains(&b);
        let plain = !host.is_empty() && host.bytes().all(plain);
        if plain { Ok(Self { host: host.to_owned(), port }) } else { Err(InvalidUrl::Nodes) }
    }
}

impl Credentials {
    fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        let given = |text: String| (!text.is_empty()).then_some(text);
        Ok(Self { user: given(decoded(user)?), password: given(decoded(password)?) })
    }

    fn query(text: &str) -> Result<Self, InvalidUrl> {
        let mut credentials = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').ok_or(InvalidUrl::Parameter)? {
                ("sentinel_username", user) => credentials.user = Some(decoded(user)?),
                ("sentinel_password", password) => credentials.password = Some(decoded(password)?),
                _ => return Err(InvalidUrl::Parameter),
            }
        }
        Ok(credentials)
    }
}

fn decoded(text: &str) -> Result<String, InvalidUrl> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| InvalidUrl::Credentials)?;
    Ok(text.into_owned())
}

impl fmt::Display for HostAndPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, nodes, master) = match &self.place {
            ServerLocation::Server(node) => ("", std::slice::from_ref(node), None),
            ServerLocation::Sentinel { nodes, master, .. } => {
                ("+sentinel", &nodes[..], Some(master))
            }
            ServerLocation::Cluster { nodes } => ("+cluster", &nodes[..], None),
        };
        write!(f, "redis{}{kind}://", if self.tls { "s" } else { "" })?;
        for (n, node) in nodes.iter().enumerate() {
            write!(f, "{}{node}", if n == 0 { "" } else { "," })?;
        }
        if let Some(master) = master {
            write!(f, "/{master}")?;
        }
        if self.db != 0 { write!(f, "/{}", self.db) } else { Ok(()) }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| "…");
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("password", &password)
            .finish()
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> RedisUrl {
        text.parse().unwrap()
    }

    fn node(host: &str, port: u16) -> HostAndPort {
        HostAndPort { host: host.to_owned(), port }
    }

    #[test]
    fn every_documented_form_is_understood() {
        let plain = url("redis://127.0.0.1");
        assert_eq!(plain.place, ServerLocation::Server(node("127.0.0.1", 6379)));
        assert!(!plain.tls);
        let full = url("rediss://us%40er:p%3Aw%2F@[::1]:7000/3");
        assert_eq!(full.place, ServerLocation::Server(node("::1", 7000)));
        assert_eq!(full.credentials.user.as_deref(), Some("us@er"));
        assert_eq!(full.credentials.password.as_deref(), Some("p:w/"));
        assert_eq!((full.tls, full.db), (true, 3));
        let sentinel = url("redis+sentinel://:pw@a,b:26380/mymaster/2?sentinel_password=s");
        let nodes = vec![node("a", 26379), node("b", 26380)];
        let credentials = Credentials { user: None, password: Some("s".to_owned()) };
        let place = ServerLocation::Sentinel { nodes, master: "mymaster".to_owned(), credentials };
        assert_eq!((sentinel.place, sentinel.db), (place, 2));
        let cluster = url("redis+cluster://a:1,b:2");
        assert_eq!(
            cluster.place,
            ServerLocation::Cluster { nodes: vec![node("a", 1), node("b", 2)] }
        );
    }

    #[test]
    fn what_is_wrong_with_a_url_is_named() {
        for (text, wrong) in [
            ("127.0.0.1:6379", InvalidUrl::Scheme),
            ("http://a", InvalidUrl::Scheme),
            ("redis+x://a", InvalidUrl::Scheme),
            ("redis://", InvalidUrl::Nodes),
            ("redis://a:0", InvalidUrl::Nodes),
            ("redis://a:99999", InvalidUrl::Nodes),
            ("redis://[::1", InvalidUrl::Nodes),
            ("redis://a#insecure", InvalidUrl::Nodes),
            ("redis://a,b", InvalidUrl::SeveralServers),
            ("redis://a/x", InvalidUrl::Database),
            ("redis://a?protocol=3", InvalidUrl::Parameter),
            ("redis+sentinel://a,b", InvalidUrl::Master),
            ("redis+cluster://a/1", InvalidUrl::ClusterDatabase),
            ("redis://u:%ff@a", InvalidUrl::Credentials),
        ] {
            assert_eq!(text.parse::<RedisUrl>(), Err(wrong), "{text}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = url("redis+sentinel://me:secret@a/m/2?sentinel_password=secret");
        assert_eq!(format!("{url}"), "redis+sentinel://a:26379/m/2");
        assert!(!format!("{url:?}").contains("secret"));
    }
}
