//! Serving, in three steps: [`Built`] is everything that a hub is made of, with nobody let in;
//! [`Running`] answers; and drained it is nothing again.
//!
//! What must hold: what cannot be served is an error before anybody is let in, and who was let in is
//! answered before the process ends.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use fanfare_cli::Failure;
use fanfare_delivery::Delivery;
use fanfare_event::Timestamp;
use fanfare_http::{
    Access, Addresses, AppState, Cluster, ConnectionTable, Connections, Console, Gate, Lifecycle,
    MetricSource, Metrics, Node, Observer, Presence, PublishStreams, QuestionHandler, Quotas,
    RouterConfig, Trail, accept, router,
};
use fanfare_hub::Hub;
use fanfare_log::Tail;
use fanfare_settings::{FilePath, Flags, Settings, SettingsError};
use fanfare_tls::{CertificateSource, Tls, TlsConfig, TlsError};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::certificate_metrics::CertificateMetrics;
use crate::cluster::{Heartbeat, RedisCluster};
use crate::control::{ControlCommand, ControlSockets, upgrade_on};
use crate::engine::{EngineError, OpenEngine};
use crate::greeting::{print_greeting, warn_about_readable_keys, warn_about_settings};
use crate::key_files::{KeyFiles, keep_keys};
use crate::key_set_client::KeySetClient;
use crate::logs::{self, Logs};
use crate::notify_systemd::notify;
use crate::reload::Reload;
use crate::signals::StopSignal;
use crate::state::HubState;
use crate::upgrade::{Handover, Predecessor, PreparedTakeover, ReceivedState, TakeoverError};
use crate::{config, engine, listener, logging, open_files};

/// How often the log is asked to let go of what is too old.
const EXPIRY: Duration = Duration::from_secs(1);
/// How often the key set for tokens is asked for.
const KEY_SET: Duration = Duration::from_secs(300);
/// How long requests in flight may take to finish once the streams are closed.
const GRACE: Duration = Duration::from_secs(5);

/// How many orders may wait.
const ORDERS: usize = 1;

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
    /// The hub that runs cannot be taken over from.
    #[error(transparent)]
    Takeover(#[from] TakeoverError),
    /// The system refused a thread, a poller, a signal handler.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
}

impl ServeError {
    /// All that is wrong, in one line.
    fn reasons(&self) -> String {
        match self {
            Self::Settings(errors) => {
                errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            }
            error => error.to_string(),
        }
    }
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

/// Runs a hub until it is told to stop, or has handed over to another process.
pub fn serve(flags: &Flags) -> Result<(), ServeError> {
    let mut old = Predecessor::of_this_process()?;
    serve_after(flags, old.as_mut()).inspect_err(|error| {
        if let Some(old) = &old {
            old.failed(&error.reasons());
        }
    })
}

/// The same, in place of the `old` process if there is one.
fn serve_after(flags: &Flags, mut old: Option<&mut Predecessor>) -> Result<(), ServeError> {
    let settings = Settings::load(flags).map_err(ServeError::Settings)?;
    logging::start(&settings)?;
    let tls = tls_config(&settings).map(CertificateSource::open).transpose()?;
    let open_files = open_files::raise_limit();
    let listener = match &mut old {
        Some(old) => old.listener(settings.listen)?,
        None => listener::bind(settings.listen, settings.write_timeout)
            .map_err(|source| ServeError::Listen { address: settings.listen, source })?,
    };
    let path = settings.control_socket.as_ref().map(FilePath::path);
    let inherited = old.as_mut().and_then(|old| old.control());
    let control = ControlSockets::open(path, listener.local_addr()?, inherited);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = StopSignal::new(old.is_some())?;
        let upgrade = signal(SignalKind::user_defined2())?;
        let mut received_state = old.as_mut().map(|old| old.receive()).transpose()?;
        let state = received_state.as_mut().map(ReceivedState::state).transpose();
        let state = state.map_err(TakeoverError::from)?;
        let built = Built::new(&settings, open_files, tls, listener, control, state).await?;
        let mut running = match (old, received_state) {
            (Some(old), Some(received_state)) => built.take_over(old, received_state, &settings).await?,
            _ => {
                let running = built.run(&settings);
                print_greeting(running.address, &settings);
                notify("READY=1");
                running
            }
        };
        let mut commands = running.listen_for_commands(upgrade);
        loop {
            tokio::select! {
                // A stop comes first: no upgrade begins after it.
                biased;
                () = stop.given() => {
                    notify("STOPPING=1");
                    drop(commands);
                    running.drain(settings.drain).await;
                    break;
                }
                Some(command) = commands.recv() => {
                    let Some(new_hub) = running.handover().handle_command(command, &stop).await else { continue };
                    drop(commands);
                    let mut finished = pin!(running.finish_after_handover());
                    tokio::select! {
                        () = &mut finished => {}
                        () = stop.given() => {
                            new_hub.stop();
                            finished.await;
                        }
                    }
                    break;
                },
            }
        }
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
    /// The same, for a process that takes over.
    listening: std::net::TcpListener,
    control: ControlSockets,
    /// From the moment it is built, a hangup does not end the process.
    hangup: Signal,
    app: Arc<AppState>,
    logs: Logs,
    cluster: Option<Arc<RedisCluster>>,
    presence: Option<Presence>,
    key_files: KeyFiles,
    certificates: Option<(Arc<Tls>, CertificateSource)>,
    commands: Arc<CertificateMetrics>,
    connections: Connections,
    /// Ends once every connection has.
    ended: mpsc::Receiver<Infallible>,
    lifecycle: watch::Sender<Lifecycle>,
}

/// A hub that answers.
struct Running {
    address: SocketAddr,
    listening: std::net::TcpListener,
    control: Arc<ControlSockets>,
    app: Arc<AppState>,
    logs: Logs,
    connections: Connections,
    cluster: Option<Arc<RedisCluster>>,
    presence: Option<Presence>,
    ended: mpsc::Receiver<Infallible>,
    lifecycle: watch::Sender<Lifecycle>,
    /// What says to others that this node is there.
    heartbeats: JoinSet<()>,
    /// What keeps things fresh, until nobody is left.
    upkeep: JoinSet<()>,
    /// Who hears orders.
    listeners: JoinSet<()>,
}

impl Built {
    async fn new(
        settings: &Settings,
        open_files: u64,
        certificates: Option<(Arc<Tls>, CertificateSource)>,
        listening: std::net::TcpListener,
        control: ControlSockets,
        state: Option<HubState>,
    ) -> Result<Self, ServeError> {
        let hangup = signal(SignalKind::hangup())?;
        let address = listening.local_addr()?;
        let listener = TcpListener::from_std(listening.try_clone()?)?;
        let node = Node::new(settings.node_name.as_ref().map(|name| name.as_str()), address);
        let (node, engine_state, console_state, rest) = match state {
            Some(HubState { node: identity, engine, console, rest }) => {
                (node.resumed(&identity), Some(engine), Some(console), Some(rest))
            }
            None => (node, None, None, None),
        };
        let seats = settings.max_subscribers.unwrap_or_else(|| open_files::subscribers(open_files));
        let limits = config::limits(settings, open_files);
        let max_connections = limits.bounds.connections;
        tracing::info!(open_files, max_subscribers = seats, max_connections, "capacity");
        let mercure = config::mercure(settings, address.port());
        let presence = mercure.as_ref().and_then(|mercure| mercure.presence.clone());
        let OpenEngine { hub, engine, cluster } =
            engine::open(settings, node.id, engine_state).await?;
        let cluster = cluster.map(Arc::new);
        let delivery = Arc::new(Delivery::start(&hub, &config::delivery(settings, seats))?);
        let window = Console::window();
        let console_log = logs::console(Arc::clone(&window) as Arc<dyn Tail>, console_state);
        let logs = Logs { engine, console: Arc::clone(&console_log) };
        let console = Arc::new(Console::new(config::console(settings), window, console_log)?);
        let publish_streams = PublishStreams::new();
        if let Some(cluster) = &cluster {
            let deliveries = vec![Arc::clone(&delivery), Arc::clone(&console.delivery)];
            let answers =
                presence.clone().map(|presence| Arc::new(presence) as Arc<dyn QuestionHandler>);
            cluster.listen(deliveries, Arc::clone(&publish_streams), answers);
        }
        let others = cluster.clone().map(|cluster| cluster as Arc<dyn Cluster>);
        let table = ConnectionTable::new(limits.bounds, delivery.seats().clone());
        let tls = certificates.as_ref().map(|(tls, _)| Arc::clone(tls));
        let commands = Arc::new(CertificateMetrics::new(tls.clone()));
        let mut sources: Vec<Box<dyn MetricSource>> =
            vec![Box::new(Arc::clone(&commands)), Box::new(Arc::clone(&table))];
        sources.push(Box::new(Arc::clone(&publish_streams)));
        sources.extend(presence.clone().map(|presence| Box::new(presence) as Box<_>));
        let metrics = Arc::new(Metrics::new(Arc::clone(&hub), Arc::clone(&delivery), sources));
        let key_set = settings.jwks_url.clone().map(KeySetClient::new).transpose()?;
        let (key_files, keys) = KeyFiles::new(settings);
        let tickets = others.as_ref().map(|others| others.tickets(Access::TICKETS));
        let app = Arc::new(AppState {
            hub,
            delivery,
            metrics,
            console,
            access: Access::new(config::access(settings, mercure.as_ref(), keys, key_set, tickets)),
            trail: Trail::default(),
            cluster: others,
            node,
            quotas: Quotas::new(&config::quotas(settings)),
            publish_streams,
            reserved: mercure.iter().map(|mercure| mercure.reserved_names()).collect(),
            max_message: settings.max_message.in_memory(),
            gate: Gate::new(),
            draining: AtomicBool::new(false),
        });
        if let Some(rest) = rest {
            rest.restore(&app).map_err(TakeoverError::from)?;
        }
        let contacts = settings.security_contact.iter();
        let contacts: Vec<_> = contacts.map(|contact| contact.as_str().to_owned()).collect();
        let router = router(
            &app,
            RouterConfig {
                prefix: settings.prefix.as_str(),
                templates: settings.templates.as_ref().map(|directory| directory.path()),
                security_contacts: &contacts,
                mercure: mercure.as_ref(),
            },
        );
        let addresses = Addresses::new(config::addresses(settings, max_connections));
        let tls = tls.map(|tls| tls.config());
        let (lifecycle, reached) = watch::channel(Lifecycle::Serving);
        let (connections, ended) =
            Connections::new(router, Arc::clone(&app), table, limits, addresses, tls, reached);
        Ok(Self {
            address,
            listener,
            listening,
            control,
            hangup,
            app,
            logs,
            cluster,
            presence,
            key_files,
            certificates,
            commands,
            connections,
            ended,
            lifecycle,
        })
    }

    /// Becomes the hub in place of the old process, with all that it had, and lets everyone in.
    async fn take_over(
        self,
        old: &Predecessor,
        received_state: ReceivedState,
        settings: &Settings,
    ) -> Result<Running, ServeError> {
        let mercure = config::mercure(settings, self.address.port());
        let (mercure, presence) = (mercure.as_ref(), self.presence.as_ref());
        let prepared = PreparedTakeover::prepare(
            received_state,
            &self.app,
            &self.connections,
            mercure,
            presence,
        );
        let prepared = prepared.map_err(TakeoverError::from)?;
        // The moment of commitment: before it nothing was written to any socket, after it nobody goes back.
        old.commit()?;
        self.logs.engine.thaw();
        let resumed = prepared.resume(&self.app, &self.connections);
        let running = self.run(settings);
        resumed.report(old, &running.app).await;
        Ok(running)
    }

    /// Lets everyone in.
    fn run(self, settings: &Settings) -> Running {
        let Self { app, cluster, presence, ended, lifecycle, .. } = self;
        let (hub, delivery) = (&app.hub, &app.delivery);
        let mut heartbeats = JoinSet::new();
        if let Some(cluster) = cluster.clone() {
            let (node, hub, delivery) = (app.node.clone(), Arc::clone(hub), Arc::clone(delivery));
            let heartbeat = Heartbeat { node, hub, delivery };
            heartbeats.spawn(async move { cluster.send_heartbeats(heartbeat).await });
        }
        let mut upkeep = JoinSet::new();
        // What is read again while the hub runs registers here.
        let mut reload = Reload::default();
        if let Some((tls, source)) = self.certificates {
            let asked = reload.part("the TLS certificate");
            let commands = self.commands;
            upkeep.spawn(source.keep(tls, move |issued| commands.ordered(issued), asked));
        }
        let asked = match self.key_files.is_empty() {
            true => Arc::default(),
            false => reload.part("the files of keys"),
        };
        upkeep.spawn(keep_keys(self.key_files, Arc::clone(&app), asked));
        upkeep.spawn(reload.notify_on_hangup(self.hangup));
        let observer = Observer::new(
            Arc::clone(hub),
            Arc::clone(delivery),
            Arc::clone(&app.metrics),
            app.node.clone(),
            app.cluster.clone(),
        );
        let feed = Arc::clone(&app.console);
        upkeep.spawn(async move { feed.feed(observer).await });
        if let Some(presence) = presence.clone() {
            upkeep.spawn(presence.keep(Arc::clone(hub), Arc::clone(&app.gate)));
        }
        upkeep.spawn(expire(Arc::clone(hub)));
        upkeep.spawn(refresh_key_set(Arc::clone(&app)));
        warn_about_settings(settings);
        warn_about_readable_keys(settings);
        tokio::spawn(accept(self.listener, self.connections.clone()));
        Running {
            address: self.address,
            listening: self.listening,
            control: Arc::new(self.control),
            app,
            logs: self.logs,
            connections: self.connections,
            cluster,
            presence,
            ended,
            lifecycle,
            heartbeats,
            upkeep,
            listeners: JoinSet::new(),
        }
    }
}

impl Running {
    /// Hears orders from now on, of which `upgrade` is one.
    fn listen_for_commands(&mut self, upgrade: Signal) -> mpsc::Receiver<ControlCommand> {
        let (heard, commands) = mpsc::channel(ORDERS);
        let (control, on_socket) = (Arc::clone(&self.control), heard.clone());
        self.listeners.spawn(async move { control.listen(on_socket).await });
        self.upkeep.spawn(upgrade_on(upgrade, heard));
        commands
    }

    /// The hub, as it can be handed over.
    fn handover(&self) -> Handover<'_> {
        Handover {
            app: &self.app,
            connections: &self.connections,
            logs: &self.logs,
            presence: self.presence.as_ref(),
            listening: &self.listening,
            control: &self.control,
        }
    }

    /// Ends beside another process that is the hub now: closes what could not move, and touches nothing that
    /// is the other's.
    async fn finish_after_handover(mut self) {
        self.cluster = None;
        // Whoever gave the order is told of its end.
        let told = async { while self.listeners.join_next().await.is_some() {} };
        if timeout(GRACE, told).await.is_err() {
            tracing::debug!("whoever gave the order does not listen");
        }
        self.drain(Duration::ZERO).await;
    }

    /// Closes the streams, spread over so long, and then everything else.
    async fn drain(mut self, over: Duration) {
        let delivery = Arc::clone(&self.app.delivery);
        tracing::info!(streams = delivery.seats().taken(), "shutting down");
        self.app.begin_drain();
        let _ = self.lifecycle.send(Lifecycle::Draining);
        self.heartbeats.abort_all();
        let console = Arc::clone(&self.app.console);
        // The console last: it shows the others going.
        let drained = tokio::task::spawn_blocking(move || {
            delivery.drain(over);
            console.delivery.drain(Duration::ZERO);
        });
        if drained.await.is_err() {
            tracing::error!("the streams could not be closed in order");
        }
        let _ = self.lifecycle.send(Lifecycle::Stopping);
        // It counts as one of them.
        drop(self.connections);
        if timeout(GRACE, self.ended.recv()).await.is_err() {
            tracing::warn!("some requests were still in flight");
        }
        if let Some(presence) = &self.presence
            && timeout(GRACE, presence.settle()).await.is_err()
        {
            tracing::warn!("of some subscriptions it was not told that they have ended");
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

async fn refresh_key_set(app: Arc<AppState>) {
    let mut ticks = interval(KEY_SET);
    loop {
        ticks.tick().await;
        app.access.refresh_key_set().await;
    }
}

async fn expire(hub: Arc<Hub>) {
    let mut ticks = interval(EXPIRY);
    loop {
        ticks.tick().await;
        hub.expire(Timestamp::now());
    }
}
