//! The dialer: finds the server by way of the URL and opens connections to it. Nothing here reconnects.

use std::sync::Arc;
use std::time::Duration;

use fanfare_event::Position;
use fanfare_log::{Environment, SystemEnvironment};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, ServerErrorKind, TlsCertificates, Value,
};
use tokio::time::{sleep, timeout};

use crate::back_off::BackOff;
use crate::connection::{RedisConnection, SimulatedNetwork};
use crate::entry::text;
use crate::error::{ConnectError, RedisRequestError};
use crate::keys::Keys;
use crate::link::{Link, request};
use crate::settings::RedisSettings;
use crate::url::{Credentials, HostAndPort, RedisUrl, ServerLocation};
use crate::view::View;

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

    /// Opens a link, however often that fails: `on_failure` is told why, and then it is tried again after
    /// a pause.
    pub(crate) async fn reopen(
        &self,
        view: &View,
        back_off: &mut BackOff,
        mut on_failure: impl FnMut(ConnectError),
    ) -> Link {
        loop {
            match self.open(&view.known()).await {
                Ok(link) => return link,
                Err(error) => on_failure(error),
            }
            sleep(back_off.pause()).await;
        }
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
        let (last, others) = sentinels.split_last().ok_or_else(no_server)?;
        for sentinel in others {
            if let Ok(address) = self.ask_sentinel(sentinel, master, credentials).await {
                return Ok(address);
            }
        }
        let found = self.ask_sentinel(last, master, credentials).await;
        found.map_err(|error| ConnectError::NoMaster {
            master: master.to_owned(),
            source: Box::new(error),
        })
    }

    async fn ask_sentinel(
        &self,
        sentinel: &HostAndPort,
        master: &str,
        credentials: &Credentials,
    ) -> Result<HostAndPort, ConnectError> {
        let (mut connection, name) = self.dial(sentinel, credentials, 0).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
        let answer = request(&mut connection, &question, self.response_timeout).await;
        match answer.map_err(|error| error.at(&name))? {
            Value::Array(address) => address_in(address)
                .ok_or_else(|| RedisRequestError::Unexpected("SENTINEL").at(&name)),
            _ => Err(ConnectError::UnknownMaster { sentinel: name }),
        }
    }

    /// Asks for a key of the namespace and follows the redirections. All of a namespace is in one
    /// slot, so no map of the others is needed.
    async fn find_owner(
        &self,
        seeds: &[HostAndPort],
    ) -> Result<(RedisConnection, String), ConnectError> {
        let (last, others) = seeds.split_last().ok_or_else(no_server)?;
        for seed in others {
            if let Ok(owner) = self.follow_redirections(seed).await {
                return Ok(owner);
            }
        }
        let found = self.follow_redirections(last).await;
        found.map_err(|error| ConnectError::NoOwner { source: Box::new(error) })
    }

    /// The owner of the namespace's slot, beginning with what this node of the cluster says.
    async fn follow_redirections(
        &self,
        seed: &HostAndPort,
    ) -> Result<(RedisConnection, String), ConnectError> {
        let mut question = redis::cmd("EXISTS");
        question.arg(&*self.keys.events);
        let mut node = seed.clone();
        let mut redirections = 0;
        loop {
            let (mut connection, name) = self.dial(&node, &self.url.credentials, 0).await?;
            let error = match request(&mut connection, &question, self.response_timeout).await {
                Ok(_) => return Ok((connection, name)),
                Err(error) => error,
            };
            redirections += 1;
            match redirection(&error, node) {
                Some(next) if redirections < MAX_REDIRECTIONS => node = next,
                _ => return Err(error.at(&name)),
            }
        }
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
            Ok(Err(error)) => Err(ConnectError::Refused { node: name, source: Arc::new(error) }),
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

/// A URL that was parsed names at least one server.
fn no_server() -> ConnectError {
    let source = (ErrorKind::InvalidClientConfig, "the URL names no server");
    ConnectError::Setup { source: Arc::new(source.into()) }
}

/// The address in a Sentinel's answer: host, then port.
fn address_in(answer: Vec<Value>) -> Option<HostAndPort> {
    let mut parts = answer.into_iter().map(text);
    let (host, port) = (parts.next()??, parts.next()??);
    Some(HostAndPort { host, port: port.parse().ok()? })
}

/// Where `node` of a cluster sends its clients on to, if it does: "<slot> <host>:<port>". Without a host it
/// is `node`'s own.
fn redirection(error: &RedisRequestError, node: HostAndPort) -> Option<HostAndPort> {
    let RedisRequestError::Refused(error) = error else { return None };
    if error.kind() != Some(ServerErrorKind::Moved) {
        return None;
    }
    let (host, port) = error.details()?.split(' ').nth(1)?.rsplit_once(':')?;
    let host = host.trim_matches(['[', ']']);
    let host = if host.is_empty() { node.host } else { host.to_owned() };
    Some(HostAndPort { host, port: port.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> RedisRequestError {
        match redis::parse_redis_value(format!("-{line}\r\n").as_bytes()) {
            Ok(Value::ServerError(error)) => RedisRequestError::Refused(error),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_redirection_names_a_port_and_perhaps_a_host() {
        let asked = HostAndPort { host: "here".to_owned(), port: 1 };
        let leads_to = |line| redirection(&refused(line), asked.clone()).map(|to| to.to_string());
        assert_eq!(leads_to("MOVED 3999 there:2").as_deref(), Some("there:2"));
        assert_eq!(leads_to("MOVED 3999 :2").as_deref(), Some("here:2"));
        assert_eq!(leads_to("MOVED 3999 [::1]:2").as_deref(), Some("[::1]:2"));
        for line in ["MOVED 3999", "MOVED 3999 there", "MOVED 3999 there:x", "ASK 3999 there:2"] {
            assert_eq!(leads_to(line), None, "{line}");
        }
    }

    #[test]
    fn what_a_server_refused_is_said_in_its_own_words() {
        let error = refused("NOPERM this user has no permissions").at("there:2");
        let said = "redis at there:2 refused: NOPERM this user has no permissions";
        assert_eq!(error.to_string(), said);
        let none = ConnectError::NoOwner { source: Box::new(error) };
        assert!(none.to_string().ends_with(said), "{none}");
        assert!(std::error::Error::source(&none).is_some());
    }
}
