//! Serving, in three steps: [`Built`] is everything that a hub is made of, with nobody let in;
//! [`Running`] answers; and drained it is nothing again.
//!
//! What must hold: what cannot be served is an error before anybody is let in, and who was let in is
//! answered before the process ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fanfare_cli::Failure;
use fanfare_delivery::{Delivery, DeliverySettings, Retry, Seats};
use fanfare_event::Timestamp;
use fanfare_hub::Hub;
use fanfare_settings::{Flags, Settings, SettingsError};
use fanfare_tls::{CertificateSource, Tls, TlsConfig, TlsError};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::cluster::{Cluster, Presence};
use crate::console::{Console, Observer};
use crate::engine::EngineError;
use crate::greeting::{greet, warn_of_mistakes, warn_of_readable_keys};
use crate::http::{
    Access, Addresses, Connections, Limits, Phase, Quotas, Roster, Shared, Trail, accept,
    keep_keys, router,
};
use crate::key_set_client::KeySetClient;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::reload::Reload;
use crate::{engine, listener, logging, open_files, signals};

/// How often the log is asked to let go of what is too old.
const EXPIRY: Duration = Duration::from_secs(1);
/// How often the key set for tokens is asked for.
const KEY_SET: Duration = Duration::from_secs(300);
/// How long requests in flight may take to finish once the streams are closed.
const GRACE: Duration = Duration::from_secs(5);

/// Why there is no hub.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What was typed or configured is wrong.
    #[error("the settings are wrong")]
    Settings(Vec<SettingsError>),
    /// HTTPS cannot be served with the files that were named.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The event log cannot be opened.
    #[error("cannot open the event log: {0}")]
    Log(#[from] EngineError),
    /// The system refused a thread, a poller, a signal handler.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Settings(errors) => Self::Settings(errors),
            ServeError::Tls(error) => Self::Usage(error.into()),
            error => Self::Serve(error.into()),
        }
    }
}

/// Runs a hub until it is told to stop.
pub fn serve(flags: &Flags) -> Result<(), ServeError> {
    let settings = Settings::load(flags).map_err(ServeError::Settings)?;
    logging::start(&settings)?;
    let tls = tls_config(&settings).map(CertificateSource::open).transpose()?;
    let open_files = open_files::raise_limit();
    let listener = listener::bind(settings.listen, settings.write_timeout)
        .map_err(|source| ServeError::Listen { address: settings.listen, source })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = signals::stop()?;
        let built = Built::new(&settings, open_files, tls, listener).await?;
        let running = built.run(&settings);
        stop.await;
        running.drain(settings.drain).await;
        Ok::<_, ServeError>(())
    })?;
    // Whatever still runs has had its time.
    runtime.shutdown_background();
    Ok(())
}

/// A hub that nobody has reached yet.
struct Built {
    address: SocketAddr,
    listener: TcpListener,
    /// From the moment it is built, a hangup does not end the process.
    hangup: Signal,
    node: Node,
    hub: Arc<Hub>,
    cluster: Option<Arc<Cluster>>,
    console: Arc<Console>,
    metrics: Arc<Metrics>,
    shared: Arc<Shared>,
    certificates: Option<(Arc<Tls>, CertificateSource)>,
    connections: Connections,
    /// Ends once every connection has.
    ended: mpsc::Receiver<std::convert::Infallible>,
    phase: watch::Sender<Phase>,
}

/// A hub that answers.
struct Running {
    cluster: Option<Arc<Cluster>>,
    console: Arc<Console>,
    shared: Arc<Shared>,
    ended: mpsc::Receiver<std::convert::Infallible>,
    phase: watch::Sender<Phase>,
    /// What says to others that this node is there.
    presence: JoinSet<()>,
    /// What keeps things fresh, until nobody is left.
    upkeep: JoinSet<()>,
}

impl Built {
    async fn new(
        settings: &Settings,
        open_files: u64,
        certificates: Option<(Arc<Tls>, CertificateSource)>,
        listener: std::net::TcpListener,
    ) -> Result<Self, ServeError> {
        let hangup = signal(SignalKind::hangup())?;
        let address = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let node = Node::new(settings.node_name.as_ref(), address);
        let seats = settings.max_subscribers.unwrap_or_else(|| open_files::subscribers(open_files));
        let limits = Limits::new(settings, open_files);
        let max_connections = limits.bounds.connections;
        tracing::info!(open_files, max_subscribers = seats, max_connections, "capacity");
        let (hub, cluster) = engine::open(settings, node.id).await?;
        let (hub, cluster) = (Arc::new(hub), cluster.map(Arc::new));
        let delivery = Arc::new(Delivery::start(
            &hub,
            &DeliverySettings {
                shards: settings.shards.unwrap_or_else(cores),
                heartbeat: settings.heartbeat,
                write_timeout: settings.write_timeout,
                min_rate: settings.min_rate.get(),
                retry: Retry(settings.retry),
                seats: Seats::new(seats),
            },
        )?);
        let console = Arc::new(Console::open(settings)?);
        if let Some(cluster) = &cluster {
            cluster.obey(vec![Arc::clone(&delivery), Arc::clone(&console.delivery)]);
        }
        let roster = Roster::new(limits.bounds, delivery.seats().clone());
        let tls = certificates.as_ref().map(|(tls, _)| Arc::clone(tls));
        let (hub_seen, delivery_seen) = (Arc::clone(&hub), Arc::clone(&delivery));
        let metrics =
            Arc::new(Metrics::new(hub_seen, delivery_seen, Arc::clone(&roster), tls.clone()));
        let key_set = settings.jwks_url.clone().map(KeySetClient::new).transpose()?;
        let shared = Arc::new(Shared {
            metrics: Arc::clone(&metrics),
            console: Arc::clone(&console),
            hub: Arc::clone(&hub),
            delivery,
            access: Access::new(settings, key_set, cluster.as_deref()),
            trail: Trail::default(),
            cluster: cluster.clone(),
            node: node.clone(),
            quotas: Quotas::new(settings),
            max_message: settings.max_message.in_memory(),
            draining: AtomicBool::new(false),
        });
        let router = router(Arc::clone(&shared), settings);
        let addresses = Addresses::new(settings, max_connections);
        let (phase, reached) = watch::channel(Phase::Serving);
        let (connections, ended) =
            Connections::new(router, Arc::clone(&shared), roster, limits, addresses, tls, reached);
        Ok(Self {
            address,
            listener,
            hangup,
            node,
            hub,
            cluster,
            console,
            metrics,
            shared,
            certificates,
            connections,
            ended,
            phase,
        })
    }

    /// Lets everyone in.
    fn run(self, settings: &Settings) -> Running {
        let Self { hub, cluster, console, metrics, shared, .. } = self;
        let delivery = Arc::clone(&shared.delivery);
        let mut presence = JoinSet::new();
        if let Some(cluster) = cluster.clone() {
            let (hub, delivery) = (Arc::clone(&hub), Arc::clone(&delivery));
            let line = Presence { node: self.node.clone(), hub, delivery };
            presence.spawn(async move { cluster.attend(line).await });
        }
        let mut upkeep = JoinSet::new();
        // What is read again while the hub runs registers here.
        let mut reload = Reload::default();
        if let Some((tls, source)) = self.certificates {
            let asked = reload.part("the TLS certificate");
            let metrics = Arc::clone(&metrics);
            let ordered = move |issued| metrics.certificate_ordered(issued);
            upkeep.spawn(source.keep(tls, ordered, asked));
        }
        let asked = match shared.access.reads_key_files() {
            true => reload.part("the files of keys"),
            false => Arc::default(),
        };
        upkeep.spawn(keep_keys(Arc::clone(&shared), asked));
        upkeep.spawn(reload.obey(self.hangup));
        let observer =
            Observer::new(Arc::clone(&hub), delivery, metrics, self.node, cluster.clone());
        let feed = Arc::clone(&console);
        upkeep.spawn(async move { feed.feed(observer).await });
        upkeep.spawn(expire(hub));
        upkeep.spawn(refresh_keys(Arc::clone(&shared)));
        warn_of_mistakes(settings);
        warn_of_readable_keys(settings);
        greet(self.address, settings);
        tokio::spawn(accept(self.listener, self.connections));
        let (ended, phase) = (self.ended, self.phase);
        Running { cluster, console, shared, ended, phase, presence, upkeep }
    }
}

impl Running {
    /// Closes the streams, spread over so long, and then everything else.
    async fn drain(mut self, over: Duration) {
        let delivery = Arc::clone(&self.shared.delivery);
        tracing::info!(streams = delivery.seats().taken(), "shutting down");
        self.shared.draining.store(true, Ordering::Relaxed);
        let _ = self.phase.send(Phase::Draining);
        self.presence.abort_all();
        let console = self.console;
        // The console last: it shows the others going.
        let drained = tokio::task::spawn_blocking(move || {
            delivery.drain(over);
            console.delivery.drain(Duration::ZERO);
        });
        if drained.await.is_err() {
            tracing::error!("the streams could not be closed in order");
        }
        let _ = self.phase.send(Phase::Stopping);
        if timeout(GRACE, self.ended.recv()).await.is_err() {
            tracing::warn!("some requests were still in flight");
        }
        if let Some(cluster) = &self.cluster {
            cluster.leave().await;
        }
        self.upkeep.abort_all();
        tracing::info!("stopped");
    }
}

/// Where the certificate is to come from; `None` where clear text is spoken.
fn tls_config(settings: &Settings) -> Option<TlsConfig> {
    if let (Some(certificates), Some(key)) = (&settings.tls_cert, &settings.tls_key) {
        let (certificates, key) = (certificates.path().to_owned(), key.path().to_owned());
        return Some(TlsConfig::Files { certificates, key });
    }
    #[cfg(feature = "acme")]
    if let Some(cache) = &settings.acme_cache {
        return Some(TlsConfig::Acme(fanfare_tls::AcmeConfig {
            domains: settings.acme_domain.clone(),
            contacts: settings.acme_contact.clone(),
            directory: settings.acme_directory.clone(),
            cache: cache.path().to_owned(),
        }));
    }
    None
}

async fn refresh_keys(shared: Arc<Shared>) {
    let mut ticks = interval(KEY_SET);
    loop {
        ticks.tick().await;
        shared.access.refresh_keys().await;
    }
}

async fn expire(hub: Arc<Hub>) {
    let mut ticks = interval(EXPIRY);
    loop {
        ticks.tick().await;
        hub.expire(Timestamp::now());
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
