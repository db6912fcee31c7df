//! A connection: found by way of the URL, checked, fenced; used until its first failure, then
//! thrown away. Nothing here reconnects.

use std::sync::Arc;
use std::time::Duration;

use fanfare_event::Position;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, RedisError, ServerErrorKind, TlsCertificates, Value,
};
use tokio::time::timeout;

use crate::entry::text;
use crate::error::{ConnectError, RequestError, words};
use crate::fence::{Fenced, Scripts};
use crate::keys::Keys;
use crate::settings::RedisSettings;
use crate::url::{Credentials, Node, Place, RedisUrl};

/// How often a cluster may send us on to another node before we give up.
const MAX_REDIRECTIONS: usize = 5;
/// An idle peer is probed after this long, and as often.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// The pause after the first failure to connect; it doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two attempts to connect.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// Opens connections to the server that holds the namespace.
pub(crate) struct Dialer {
    url: RedisUrl,
    certificates: TlsCertificates,
    /// For setting up a connection as a whole, and for each request but blocking ones.
    patience: Duration,
    pub(crate) keys: Keys,
}

/// A fenced connection to the server that holds the namespace.
pub(crate) struct Link {
    pub(crate) connection: MultiplexedConnection,
    pub(crate) node: String,
    pub(crate) scripts: Scripts,
    pub(crate) keys: Keys,
    pub(crate) patience: Duration,
    /// What the fence found when the connection was opened, or since.
    pub(crate) fenced: Fenced,
    /// Until the server refuses to say how it is configured.
    pub(crate) may_ask_config: bool,
}

impl Dialer {
    pub(crate) fn new(settings: &RedisSettings) -> Self {
        Self {
            url: settings.url.clone(),
            certificates: TlsCertificates {
                client_tls: None,
                root_cert: settings.certificate_authority.clone(),
            },
            patience: settings.patience,
            keys: Keys::of(&settings.namespace),
        }
    }

    /// Connects, checks that the server will do, and fences. `heard` is the last position of each
    /// epoch that this node knows of; a server that has less begins a new epoch.
    pub(crate) async fn open(&self, heard: &[Position]) -> Result<Link, ConnectError> {
        let (connection, node) = self.reach().await?;
        let mut link = Link {
            connection,
            node,
            scripts: Scripts::default(),
            keys: self.keys.clone(),
            patience: self.patience,
            fenced: Fenced::UNKNOWN,
            may_ask_config: true,
        };
        link.prepare().await?;
        link.fence(heard).await.map_err(|error| error.at(&link.node))?;
        Ok(link)
    }

    /// A connection to the right server, not yet fenced.
    pub(crate) async fn reach(&self) -> Result<(MultiplexedConnection, String), ConnectError> {
        match &self.url.place {
            Place::Server(node) => self.dial(node, &self.url.credentials, self.url.db).await,
            Place::Sentinel { nodes, master, credentials } => {
                let node = self.ask_sentinels(nodes, master, credentials).await?;
                self.dial(&node, &self.url.credentials, self.url.db).await
            }
            Place::Cluster { nodes } => self.find_owner(nodes).await,
        }
    }

    /// The first Sentinel that knows the master says where it is.
    async fn ask_sentinels(
        &self,
        sentinels: &[Node],
        master: &str,
        credentials: &Credentials,
    ) -> Result<Node, ConnectError> {
        let mut reason = String::new();
        for sentinel in sentinels {
            let (mut connection, _) = match self.dial(sentinel, credentials, 0).await {
                Ok(connected) => connected,
                Err(error) => {
                    reason = error.to_string();
                    continue;
                }
            };
            let mut question = redis::cmd("SENTINEL");
            question.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
            match request(&mut connection, &question, self.patience).await {
                Ok(Value::Array(address)) => {
                    let mut parts = address.into_iter().map(text);
                    if let (Some(Some(host)), Some(Some(port))) = (parts.next(), parts.next())
                        && let Ok(port) = port.parse()
                    {
                        return Ok(Node { host, port });
                    }
                    reason = format!("sentinel {sentinel} gave an answer that is not understood");
                }
                Ok(_) => reason = format!("sentinel {sentinel} does not know it"),
                Err(error) => reason = format!("sentinel {sentinel}: {error}"),
            }
        }
        Err(ConnectError::NoMaster { master: master.to_owned(), reason })
    }

    /// Asks for a key of the namespace and follows the redirections. All of a namespace is in one
    /// slot, so no map of the others is needed.
    async fn find_owner(
        &self,
        seeds: &[Node],
    ) -> Result<(MultiplexedConnection, String), ConnectError> {
        let mut question = redis::cmd("EXISTS");
        question.arg(&*self.keys.events);
        let mut reason = String::new();
        for seed in seeds {
            let mut node = seed.clone();
            for _ in 0..MAX_REDIRECTIONS {
                let (mut connection, name) = match self.dial(&node, &self.url.credentials, 0).await
                {
                    Ok(connected) => connected,
                    Err(error) => {
                        reason = error.to_string();
                        break;
                    }
                };
                match request(&mut connection, &question, self.patience).await {
                    Ok(_) => return Ok((connection, name)),
                    Err(RequestError::Refused(error))
                        if error.kind() == Some(ServerErrorKind::Moved) =>
                    {
                        reason = format!("{name}: {}", words(&error));
                        // "<slot> <host>:<port>"; without a host it is the one that answered.
                        let to = error.details().and_then(|d| d.split(' ').nth(1));
                        let Some(to) = to.and_then(|to| to.rsplit_once(':')) else { break };
                        let Ok(port) = to.1.parse() else { break };
                        let host = to.0.trim_matches(['[', ']']);
                        let host = if host.is_empty() { node.host } else { host.to_owned() };
                        node = Node { host, port };
                    }
                    Err(error) => {
                        reason = format!("{name}: {error}");
                        break;
                    }
                }
            }
        }
        Err(ConnectError::NoOwner { reason })
    }

    async fn dial(
        &self,
        node: &Node,
        credentials: &Credentials,
        db: i64,
    ) -> Result<(MultiplexedConnection, String), ConnectError> {
        let name = node.to_string();
        let setup = |source| ConnectError::Setup { source: Arc::new(source) };
        let client = self.client(node, credentials, db).map_err(setup)?;
        // The time-outs are ours: one for the whole, and one per request where it is made.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let opening = client.get_multiplexed_async_connection_with_config(&config);
        match timeout(self.patience, opening).await {
            Ok(Ok(connection)) => Ok((connection, name)),
            Ok(Err(error)) if error.is_io_error() => Err(RequestError::Lost(error).at(&name)),
            Ok(Err(error)) => Err(ConnectError::Refused { node: name, message: error.to_string() }),
            Err(_) => Err(RequestError::Silent(self.patience).at(&name)),
        }
    }

    fn client(
        &self,
        node: &Node,
        credentials: &Credentials,
        db: i64,
    ) -> Result<Client, RedisError> {
        let (host, port) = (node.host.clone(), node.port);
        let address = if self.url.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let mut signing_in = RedisConnectionInfo::default().set_db(db).set_skip_set_lib_name();
        if let Some(user) = &credentials.user {
            signing_in = signing_in.set_username(user);
        }
        if let Some(password) = &credentials.password {
            signing_in = signing_in.set_password(password);
        }
        let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
        let info = address
            .into_connection_info()?
            .set_redis_settings(signing_in)
            .set_tcp_settings(TcpSettings::default().set_nodelay(true).set_keepalive(keepalive));
        if self.url.tls {
            Client::build_with_tls(info, self.certificates.clone())
        } else {
            Client::open(info)
        }
    }
}

impl Link {
    /// Checks version and policy, and loads the scripts: one round trip.
    async fn prepare(&mut self) -> Result<(), ConnectError> {
        let mut setup = Pipeline::with_capacity(2 + Scripts::COUNT);
        setup.cmd("INFO").arg("server");
        setup.cmd("INFO").arg("memory");
        Scripts::load(&mut setup);
        let mut answers = self
            .pipeline(&setup, 2 + Scripts::COUNT)
            .await
            .map_err(|error| error.at(&self.node))?
            .into_iter();
        let unexpected = |what| ConnectError::Unexpected { node: self.node.clone(), what };
        let mut info = || match answers.next() {
            Some(Value::ServerError(error)) => Err(RequestError::Refused(error).at(&self.node)),
            Some(value) => text(value).ok_or_else(|| unexpected("INFO")),
            None => Err(unexpected("INFO")),
        };
        let (server, memory) = (info()?, info()?);
        let version = info_field(&server, "redis_version").unwrap_or("unknown");
        if !is_new_enough(version) {
            return Err(ConnectError::TooOld {
                node: self.node.clone(),
                found: version.to_owned(),
            });
        }
        let policy = info_field(&memory, "maxmemory_policy").unwrap_or("noeviction");
        if policy != "noeviction" {
            return Err(ConnectError::Evicts {
                node: self.node.clone(),
                policy: policy.to_owned(),
            });
        }
        self.scripts = Scripts::loaded(answers).map_err(|error| error.at(&self.node))?;
        Ok(())
    }

    /// One command, answered within the link's patience. After any error but
    /// [`RequestError::Refused`] the link must not be used again.
    pub(crate) async fn request(&mut self, command: &Cmd) -> Result<Value, RequestError> {
        request(&mut self.connection, command, self.patience).await
    }

    /// The same for a command that may take longer.
    pub(crate) async fn request_within(
        &mut self,
        command: &Cmd,
        within: Duration,
    ) -> Result<Value, RequestError> {
        request(&mut self.connection, command, within).await
    }

    /// Several commands in one round trip; refusals are among the values.
    pub(crate) async fn pipeline(
        &mut self,
        commands: &Pipeline,
        count: usize,
    ) -> Result<Vec<Value>, RequestError> {
        let answering = self.connection.send_packed_commands(commands, 0, count);
        let values = match timeout(self.patience, answering).await {
            Ok(answer) => answer.map_err(RequestError::Lost)?,
            Err(_) => return Err(RequestError::Silent(self.patience)),
        };
        if values.len() == count {
            Ok(values)
        } else {
            Err(RequestError::Unexpected("the number of answers to a pipeline"))
        }
    }
}

/// One command on a connection of any kind.
pub(crate) async fn request(
    connection: &mut MultiplexedConnection,
    command: &Cmd,
    within: Duration,
) -> Result<Value, RequestError> {
    match timeout(within, connection.send_packed_command(command)).await {
        Ok(Ok(Value::ServerError(error))) => Err(RequestError::Refused(error)),
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(RequestError::Lost(error)),
        Err(_) => Err(RequestError::Silent(within)),
    }
}

/// The server's clock, in milliseconds since 1970, in an answer to `TIME`.
pub(crate) fn clock(answer: Value) -> Result<u64, RequestError> {
    const UNEXPECTED: RequestError = RequestError::Unexpected("TIME");
    let Value::Array(parts) = answer else { return Err(UNEXPECTED) };
    let mut parts = parts.into_iter().filter_map(|part| text(part)?.parse::<u64>().ok());
    match (parts.next(), parts.next()) {
        (Some(seconds), Some(micros)) => Ok(seconds * 1000 + micros / 1000),
        _ => Err(UNEXPECTED),
    }
}

/// The value of a field in an answer to `INFO`.
pub(crate) fn info_field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim_end)
}

/// Whether a `redis_version` has `XADD … <epoch>-*` and script flags: 7.0 and newer.
pub(crate) fn is_new_enough(version: &str) -> bool {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major >= 7)
}

/// Pauses between attempts to connect: exponential with jitter, bounded.
pub(crate) struct BackOff {
    next: Duration,
}

impl BackOff {
    pub(crate) fn new() -> Self {
        Self { next: FIRST_PAUSE }
    }

    /// How long to pause now: between half and all of a bound that doubles from call to call.
    pub(crate) fn pause(&mut self) -> Duration {
        let bound = self.next;
        self.next = (bound * 2).min(MAX_PAUSE);
        bound.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_are_jittered_and_bounded() {
        let mut back_off = BackOff::new();
        let pauses: Vec<_> = (0..20).map(|_| back_off.pause()).collect();
        assert!(pauses[0] >= FIRST_PAUSE / 2 && pauses[0] <= FIRST_PAUSE);
        assert!(pauses.iter().all(|&pause| pause <= MAX_PAUSE));
        assert!(pauses[10..].iter().all(|&pause| pause >= MAX_PAUSE / 2));
    }

    #[test]
    fn versions_before_7_are_too_old() {
        assert!(is_new_enough("7.0.15"));
        assert!(is_new_enough("8.2"));
        assert!(!is_new_enough("6.2.14"));
        assert!(!is_new_enough("unknown"));
        assert_eq!(info_field("# A\r\nrun_id:ab\r\nrun_idx:c\r\n", "run_id"), Some("ab"));
    }
}
