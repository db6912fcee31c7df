//! Serving: from settings to a running hub, and back to nothing.

use std::future::Future;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use fanfare_delivery::Delivery;
use fanfare_event::Timestamp;
use fanfare_hub::Hub;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::certificate_metrics::CertificateMetrics;
use crate::cluster::Heartbeat;
use crate::exit::Failure;
use crate::http::{
    Access, Addresses, AppState, Cluster, ConnectionTable, Connections, Console, Lifecycle, Limits,
    Metrics, Node, Observer, Quotas, RouterConfig, Trail, accept, router,
};
use crate::key_files::{KeyFiles, keep_keys};
use crate::key_set_client::KeySetClient;
use crate::reload::Reload;
use crate::settings::{Flags, Settings};
use crate::tls::{CertificateSource, Tls};
use crate::{config, engine, listener, logging, open_files};

/// How often the log is asked to let go of what is too old.
const EXPIRY: Duration = Duration::from_secs(1);
/// How often the key set for tokens is asked for.
const KEY_SET: Duration = Duration::from_secs(300);
/// How long requests in flight may take to finish once the streams are closed.
const GRACE: Duration = Duration::from_secs(5);

/// Runs a hub until it is told to stop.
pub fn serve(flags: &Flags) -> Result<(), Failure> {
    let settings = Settings::load(flags).map_err(Failure::Settings)?;
    logging::start(&settings)?;
    let tls = Tls::open(&settings)?;
    let open_files = open_files::raise_limit();
    let listener = listener::bind(settings.listen, settings.write_timeout)
        .map_err(|source| Failure::Listen { address: settings.listen, source })?;
    let seats = settings.max_subscribers.unwrap_or_else(|| open_files::subscribers(open_files));
    let limits = config::limits(&settings, open_files);
    let connections = limits.bounds.connections;
    tracing::info!(open_files, max_subscribers = seats, max_connections = connections, "capacity");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run(&settings, seats, limits, tls, listener))?;
    // Whatever still runs has had its time.
    runtime.shutdown_background();
    Ok(())
}

async fn run(
    settings: &Settings,
    seats: usize,
    limits: Limits,
    tls: Option<(Arc<Tls>, CertificateSource)>,
    listener: std::net::TcpListener,
) -> Result<(), Failure> {
    let signals = signals()?;
    // From here on, a hangup does not end the process.
    let hangup = signal(SignalKind::hangup())?;
    let mut reload = Reload::default();
    let address = listener.local_addr()?;
    let listener = TcpListener::from_std(listener)?;
    let node = Node::new(settings.node_name.as_ref().map(|name| name.as_str()), address);
    let (hub, cluster) = engine::open(settings, node.id).await?;
    let hub = Arc::new(hub);
    let cluster = cluster.map(Arc::new);
    let delivery = Arc::new(Delivery::start(&hub, &config::delivery(settings, seats))?);
    let table = ConnectionTable::new(limits.bounds, delivery.seats().clone());
    let (tls, certificates) = tls.unzip();
    let orders = Arc::new(CertificateMetrics::new(tls.clone()));
    let metrics = Arc::new(Metrics::new(
        Arc::clone(&hub),
        Arc::clone(&delivery),
        vec![Box::new(Arc::clone(&orders)), Box::new(Arc::clone(&table))],
    ));
    let key_set = settings.jwks_url.clone().map(KeySetClient::new).transpose()?;
    let (key_files, keys) = KeyFiles::new(settings);
    let console = Arc::new(Console::open(config::console(settings))?);
    let others = cluster.clone().map(|cluster| cluster as Arc<dyn Cluster>);
    let tickets = others.as_ref().map(|cluster| cluster.tickets(Access::TICKETS));
    let app = Arc::new(AppState {
        metrics: Arc::clone(&metrics),
        console: Arc::clone(&console),
        hub: Arc::clone(&hub),
        delivery: Arc::clone(&delivery),
        access: Access::new(config::access(settings, keys, key_set, tickets)),
        trail: Trail::default(),
        cluster: others.clone(),
        node: node.clone(),
        quotas: Quotas::new(&config::quotas(settings)),
        max_message: settings.max_message.in_memory(),
        draining: AtomicBool::new(false),
    });
    let heartbeats = cluster.clone().map(|cluster| {
        cluster.listen_for_cuts(vec![Arc::clone(&delivery), Arc::clone(&console.delivery)]);
        let (hub, delivery) = (Arc::clone(&hub), Arc::clone(&delivery));
        let heartbeat = Heartbeat { node: node.clone(), hub, delivery };
        tokio::spawn(async move { cluster.send_heartbeats(heartbeat).await })
    });
    let (enter, phase) = watch::channel(Lifecycle::Serving);
    let contacts: Vec<_> = settings.security_contact.iter().map(|c| c.0.clone()).collect();
    let router = router(
        &app,
        RouterConfig {
            prefix: settings.prefix.as_str(),
            templates: settings.templates.as_ref().map(|directory| directory.path()),
            security_contacts: &contacts,
        },
    );
    let addresses = Addresses::new(config::addresses(settings, limits.bounds.connections));
    let certificates = match (&tls, certificates) {
        (Some(tls), Some(source)) => {
            let asked = reload.part("the TLS certificate");
            Some(tokio::spawn(source.keep(Arc::clone(tls), orders, asked)))
        }
        _ => None,
    };
    let (connections, mut ended) = Connections::new(
        router,
        Arc::clone(&app),
        table,
        limits,
        addresses,
        tls.map(|tls| tls.config()),
        phase,
    );
    let observer =
        Observer::new(Arc::clone(&hub), Arc::clone(&delivery), metrics, node.clone(), others);
    let feed = Arc::clone(&console);
    let feed = tokio::spawn(async move { feed.feed(observer).await });
    let expiry = tokio::spawn(expire(hub));
    let keys = tokio::spawn(refresh_keys(Arc::clone(&app)));
    let asked = match key_files.is_empty() {
        true => Arc::default(),
        false => reload.part("the files of keys"),
    };
    let key_files = tokio::spawn(keep_keys(key_files, Arc::clone(&app), asked));
    // What else is read again while the hub runs registers above.
    let reload = tokio::spawn(reload.obey(hangup));
    warn_of_mistakes(settings);
    greet(address, settings);
    tokio::spawn(accept(listener, connections));

    signals.await;
    tracing::info!(streams = app.delivery.seats().taken(), "shutting down");
    app.begin_drain();
    let _ = enter.send(Lifecycle::Draining);
    heartbeats.inspect(JoinHandle::abort);
    let over = settings.drain;
    // The console last: it shows the others going.
    let drain = move || {
        delivery.drain(over);
        console.delivery.drain(Duration::ZERO);
    };
    let drained = tokio::task::spawn_blocking(drain).await;
    if drained.is_err() {
        tracing::error!("the streams could not be closed in order");
    }
    let _ = enter.send(Lifecycle::Stopping);
    if timeout(GRACE, ended.recv()).await.is_err() {
        tracing::warn!("some requests were still in flight");
    }
    if let Some(cluster) = &cluster {
        cluster.leave().await;
    }
    expiry.abort();
    keys.abort();
    key_files.abort();
    certificates.inspect(JoinHandle::abort);
    feed.abort();
    reload.abort();
    tracing::info!("stopped");
    Ok(())
}

async fn refresh_keys(app: Arc<AppState>) {
    let mut ticks = interval(KEY_SET);
    loop {
        ticks.tick().await;
        app.access.refresh_key_set().await;
    }
}

/// Says what is allowed and most likely not meant.
fn warn_of_mistakes(settings: &Settings) {
    if settings.open {
        if !settings.listen.ip().to_canonical().is_loopback() {
            tracing::warn!("everyone on the network may publish and subscribe (--open)");
        }
        return;
    }
    if settings.is_private() || settings.has_token_keys() {
        return;
    }
    if settings.publish_key.is_empty() && settings.publish_key_file.is_empty() {
        tracing::warn!("nobody may publish: no --publish-key and no key for tokens is given");
    }
    if settings.subscribe_key.is_empty()
        && settings.subscribe_key_file.is_empty()
        && settings.anonymous_subscribe.is_empty()
    {
        tracing::warn!(
            "nobody may subscribe: give --subscribe-key, a key for tokens, or \
             --anonymous-subscribe '**'"
        );
    }
}

async fn expire(hub: Arc<Hub>) {
    let mut ticks = interval(EXPIRY);
    loop {
        ticks.tick().await;
        hub.expire(Timestamp::now());
    }
}

/// Resolves at the first signal to stop; a second one ends the process at once.
fn signals() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => 143,
            _ = interrupt.recv() => 130,
        }
    };
    Ok(async move {
        next().await;
        tokio::spawn(async move { process::exit(next().await) });
    })
}

/// Says where the page is and how to send a first message. Nobody need be listening.
fn greet(address: SocketAddr, settings: &Settings) {
    let prefix = settings.prefix.as_str();
    let host = match settings.acme_domain.first() {
        Some(domain) if address.port() == 443 => domain.as_str().to_owned(),
        Some(domain) => format!("{}:{}", domain.as_str(), address.port()),
        None if address.ip().is_unspecified() => format!("localhost:{}", address.port()),
        None => address.to_string(),
    };
    let scheme = if settings.is_secure() { "https" } else { "http" };
    let development = if settings.dev {
        "Development: pages of this machine, on any port, may use this hub (--dev).\n\n"
    } else {
        ""
    };
    let greeting = format!(
        "Fanfare {version} is listening.\n\n  \
         Open  {scheme}://{host}{prefix}/\n  \
         Try   curl -X POST {scheme}://{host}{prefix}/send -H 'Content-Type: application/json' \
         -d '{{\"message\": \"Hello from server!\"}}'\n\n{development}",
        version = env!("CARGO_PKG_VERSION"),
    );
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(greeting.as_bytes()).and_then(|()| stdout.flush());
}
