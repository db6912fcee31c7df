//! The dialer: finds the server by way of the URL and opens connections to it. Nothing here reconnects.

use std::sync::Arc;
use std::time::Duration;

use fanfare_event::Position;
use fanfare_log::{Environment, SystemEnvironment};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, ServerErrorKind, TlsCertificates, Value,
};
use tokio::time::timeout;

use crate::connection::{RedisConnection, SimulatedNetwork};
use crate::entry::text;
use crate::error::{ConnectError, RedisRequestError, words};
use crate::keys::Keys;
use crate::link::{Link, request};
use crate::settings::RedisSettings;
use crate::url::{Credentials, HostAndPort, RedisUrl, ServerLocation};

/// How often a cluster may send us on to another node before we give up.
const MAX_REDIRECTIONS: usize = 5;
/// An idle peer is probed after this long, and as often.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Opens connections to the server that holds the namespace.
pub(crate) struct Dialer {
    url: RedisUrl,
    certificates: TlsCertificates,
    /// For setting up a connection as a whole, and for each request but blocking ones.
    response_timeout: Duration,
    pub(crate) keys: Keys,
    pub(crate) environment: Arc<dyn Environment>,
    /// Where there is no URL to go by.
    simulated: Option<Arc<dyn SimulatedNetwork>>,
}

impl Dialer {
    pub(crate) fn new(settings: &RedisSettings) -> Self {
        Self {
            url: settings.url.clone(),
            certificates: TlsCertificates {
                client_tls: None,
                root_cert: settings.certificate_authority.clone(),
            },
            response_timeout: settings.response_timeout,
            keys: Keys::of(&settings.namespace),
            environment: Arc::new(SystemEnvironment::new()),
            simulated: None,
        }
    }

    /// One that finds its server over a simulated network.
    pub(crate) fn simulated(
        settings: &RedisSettings,
        network: Arc<dyn SimulatedNetwork>,
        environment: Arc<dyn Environment>,
    ) -> Self {
        Self { environment, simulated: Some(network), ..Self::new(settings) }
    }

    /// Connects, checks that the server will do, and fences. `heard` is the last position of each
    /// epoch that this node knows of; a server that has less begins a new epoch.
    pub(crate) async fn open(&self, heard: &[Position]) -> Result<Link, ConnectError> {
        let (connection, node) = self.reach().await?;
        let mut link = Link::new(
            connection,
            node,
            self.keys.clone(),
            self.response_timeout,
            Arc::clone(&self.environment),
        );
        link.prepare().await?;
        link.fence(heard).await.map_err(|error| error.at(&link.node))?;
        Ok(link)
    }

    /// A connection to the right server, not yet fenced.
    pub(crate) async fn reach(&self) -> Result<(RedisConnection, String), ConnectError> {
        if let Some(network) = &self.simulated {
            let node = "simulated".to_owned();
            return match network.connect() {
                Ok(connection) => Ok((RedisConnection::Simulated(connection), node)),
                Err(error) => Err(RedisRequestError::Lost(error.into()).at(&node)),
            };
        }
        match &self.url.place {
            ServerLocation::Server(node) => {
                self.dial(node, &self.url.credentials, self.url.db).await
            }
            ServerLocation::Sentinel { nodes, master, credentials } => {
                let node = self.ask_sentinels(nodes, master, credentials).await?;
                self.dial(&node, &self.url.credentials, self.url.db).await
            }
            ServerLocation::Cluster { nodes } => self.find_owner(nodes).await,
        }
    }

    /// The first Sentinel that knows the master says where it is.
    async fn ask_sentinels(
        &self,
        sentinels: &[HostAndPort],
        master: &str,
        credentials: &Credentials,
    ) -> Result<HostAndPort, ConnectError> {
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
            match request(&mut connection, &question, self.response_timeout).await {
                Ok(Value::Array(address)) => {
                    let mut parts = address.into_iter().map(text);
                    if let (Some(Some(host)), Some(Some(port))) = (parts.next(), parts.next())
                        && let Ok(port) = port.parse()
                    {
                        return Ok(HostAndPort { host, port });
                    }
                    reason = format!("sentinel {sentinel} gave an unexpected answer");
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
        seeds: &[HostAndPort],
    ) -> Result<(RedisConnection, String), ConnectError> {
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
                match request(&mut connection, &question, self.response_timeout).await {
                    Ok(_) => return Ok((connection, name)),
                    Err(RedisRequestError::Refused(error))
                        if error.kind() == Some(ServerErrorKind::Moved) =>
                    {
                        reason = format!("{name}: {}", words(&error));
                        // "<slot> <host>:<port>"; without a host it is the one that answered.
                        let to = error.details().and_then(|d| d.split(' ').nth(1));
                        let Some(to) = to.and_then(|to| to.rsplit_once(':')) else { break };
                        let Ok(port) = to.1.parse() else { break };
                        let host = to.0.trim_matches(['[', ']']);
                        let host = if host.is_empty() { node.host } else { host.to_owned() };
                        node = HostAndPort { host, port };
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
        node: &HostAndPort,
        credentials: &Credentials,
        db: i64,
    ) -> Result<(RedisConnection, String), ConnectError> {
        let name = node.to_string();
        let setup = |source| ConnectError::Setup { source: Arc::new(source) };
        let client = self.client(node, credentials, db).map_err(setup)?;
        // The time-outs are ours: one for the whole, and one per request where it is made.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let opening = client.get_multiplexed_async_connection_with_config(&config);
        match timeout(self.response_timeout, opening).await {
            Ok(Ok(connection)) => Ok((RedisConnection::Server(connection), name)),
            Ok(Err(error)) if error.is_io_error() => Err(RedisRequestError::Lost(error).at(&name)),
            Ok(Err(error)) => Err(ConnectError::Refused { node: name, message: error.to_string() }),
            Err(_) => Err(RedisRequestError::Silent(self.response_timeout).at(&name)),
        }
    }

    fn client(
        &self,
        node: &HostAndPort,
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
