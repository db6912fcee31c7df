//! A hub that is built, and that nobody has reached yet.
//!
//! What must hold: whatever cannot be served is an error of [`BuiltHub::new`] or, before its commitment, of
//! [`BuiltHub::take_over`]. Until then no connection is accepted, and nothing is written to one.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fanfare_http::{
    Access, Addresses, AppState, Cluster, ConnectionTable, Connections, Gate, Lifecycle,
    MercureConfig, MetricSource, Metrics, Observer, Quotas, Trail, accept, router,
};
use fanfare_settings::Settings;
use fanfare_tls::{CertificateSource, Tls};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::certificate_metrics::CertificateMetrics;
use crate::cluster::RedisCluster;
use crate::config;
use crate::control::ControlSockets;
use crate::greeting::{warn_about_readable_keys, warn_about_settings};
use crate::hub_core::HubCore;
use crate::hub_state::HubState;
use crate::key_files::{KeyFiles, keep_keys};
use crate::logs::Logs;
use crate::reload::Reload;
use crate::running_hub::RunningHub;
use crate::serve_error::ServeError;
use crate::upgrade::{Predecessor, PreparedTakeover, ReceivedState, TakeoverError};
use crate::upkeep::{expire, refresh_key_set};

/// A hub that nobody has reached yet.
pub(crate) struct BuiltHub {
    address: SocketAddr,
    listener: TcpListener,
    /// The same socket, for a process that takes over.
    listening: std::net::TcpListener,
    control: ControlSockets,
    /// From the moment that the hub is built, a hangup does not end the process.
    hangup: Signal,
    app: Arc<AppState>,
    logs: Logs,
    cluster: Option<Arc<RedisCluster>>,
    mercure: Option<MercureConfig>,
    key_files: KeyFiles,
    certificates: Option<(Arc<Tls>, CertificateSource)>,
    certificate_metrics: Arc<CertificateMetrics>,
    connections: Connections,
    /// Ends once every connection has.
    ended: mpsc::Receiver<Infallible>,
    lifecycle: watch::Sender<Lifecycle>,
}

impl BuiltHub {
    /// Builds it in a process that may have `open_files` descriptors, with the `state` of another process if it is to
    /// go on with one.
    pub(crate) async fn new(
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
        let delivery = config::delivery(settings, open_files);
        let max_subscribers = delivery.seats.capacity();
        let limits = config::limits(settings, open_files);
        let max_connections = limits.bounds.connections;
        tracing::info!(open_files, max_subscribers, max_connections, "capacity");
        let mercure = config::mercure(settings, address.port());
        let presence = mercure.as_ref().and_then(|mercure| mercure.presence.as_ref());
        let core = HubCore::open(settings, address, &delivery, presence, state).await?;
        let HubCore { node, hub, logs, delivery, console, publish_streams, cluster, rest } = core;

        let others = cluster.clone().map(|cluster| cluster as Arc<dyn Cluster>);
        let table = ConnectionTable::new(limits.bounds, delivery.seats().clone());
        let tls = certificates.as_ref().map(|(tls, _)| Arc::clone(tls));
        let certificate_metrics = Arc::new(CertificateMetrics::new(tls.clone()));
        let mut sources: Vec<Box<dyn MetricSource>> = vec![
            Box::new(Arc::clone(&certificate_metrics)),
            Box::new(Arc::clone(&table)),
            Box::new(Arc::clone(&publish_streams)),
        ];
        sources.extend(presence.map(|presence| Box::new(presence.clone()) as Box<_>));
        let metrics = Arc::new(Metrics::new(Arc::clone(&hub), Arc::clone(&delivery), sources));
        let key_set = config::key_set(settings)?;
        let (key_files, keys) = KeyFiles::new(settings);
        let tickets = others.as_ref().map(|others| others.tickets(Access::TICKETS));
        let access = config::access(settings, mercure.as_ref(), keys, key_set, tickets);
        let app = Arc::new(AppState {
            hub,
            delivery,
            metrics,
            console,
            access: Access::new(access),
            trail: Trail::default(),
            cluster: others,
            node,
            quotas: Quotas::new(&config::quotas(settings)),
            publish_streams,
            reserved: mercure.iter().map(|mercure| mercure.reserved_names()).collect(),
            max_message: config::max_message(settings),
            gate: Gate::new(),
            draining: AtomicBool::new(false),
        });
        if let Some(rest) = rest {
            rest.restore(&app).map_err(TakeoverError::from)?;
        }

        let contacts = config::security_contacts(settings);
        let router = router(&app, config::router(settings, &contacts, mercure.as_ref()));
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
            mercure,
            key_files,
            certificates,
            certificate_metrics,
            connections,
            ended,
            lifecycle,
        })
    }

    /// Becomes the hub in place of the old process, with all that it had, and lets everyone in.
    pub(crate) async fn take_over(
        self,
        old: &Predecessor,
        received_state: ReceivedState,
        settings: &Settings,
    ) -> Result<RunningHub, ServeError> {
        let (app, mercure) = (&self.app, self.mercure.as_ref());
        let prepared = PreparedTakeover::prepare(received_state, app, &self.connections, mercure);
        let prepared = prepared.map_err(TakeoverError::from)?;
        // The moment of commitment: before it nothing was written to any socket, after it there is no way back.
        old.commit()?;
        self.logs.engine.thaw();
        let resumed = prepared.resume(&self.app, &self.connections);
        let running = self.run(settings);
        resumed.report(old, &running.app).await;
        Ok(running)
    }

    /// Lets everyone in.
    pub(crate) fn run(self, settings: &Settings) -> RunningHub {
        let Self { app, cluster, ended, lifecycle, .. } = self;
        let presence = self.mercure.and_then(|mercure| mercure.presence);
        let mut heartbeats = JoinSet::new();
        if let Some(cluster) = cluster.clone() {
            let app = Arc::clone(&app);
            heartbeats.spawn(async move { cluster.send_heartbeats(&app).await });
        }
        let mut upkeep = JoinSet::new();
        // What is read again while the hub runs registers here.
        let mut reload = Reload::default();
        if let Some((tls, source)) = self.certificates {
            let asked = reload.part("the TLS certificate");
            let metrics = self.certificate_metrics;
            upkeep.spawn(source.keep(tls, move |issued| metrics.count_order(issued), asked));
        }
        let asked = match self.key_files.is_empty() {
            true => Arc::default(),
            false => reload.part("the files of keys"),
        };
        upkeep.spawn(keep_keys(self.key_files, Arc::clone(&app), asked));
        upkeep.spawn(reload.notify_on_hangup(self.hangup));
        let observer = Observer::new(
            Arc::clone(&app.hub),
            Arc::clone(&app.delivery),
            Arc::clone(&app.metrics),
            app.node.clone(),
            app.cluster.clone(),
        );
        let feed = Arc::clone(&app.console);
        upkeep.spawn(async move { feed.feed(observer).await });
        if let Some(presence) = presence.clone() {
            upkeep.spawn(presence.keep(Arc::clone(&app.hub), Arc::clone(&app.gate)));
        }
        upkeep.spawn(expire(Arc::clone(&app.hub)));
        upkeep.spawn(refresh_key_set(Arc::clone(&app)));
        warn_about_settings(settings);
        warn_about_readable_keys(settings);
        tokio::spawn(accept(self.listener, self.connections.clone()));
        RunningHub {
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
