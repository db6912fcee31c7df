//! Serving: from settings to a running hub, and back to nothing.

use std::future::Future;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fanfare_delivery::{Delivery, DeliverySettings, Retry, Seats, StepLimits};
use fanfare_event::Timestamp;
use fanfare_hub::Hub;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::cluster::Presence;
use crate::console::{Console, Observer};
use crate::exit::Failure;
use crate::http::{
    Access, Addresses, Connections, Limits, Phase, Quotas, Roster, Shared, Trail, accept,
    keep_keys, router,
};
use crate::key_set_client::KeySetClient;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::reload::Reload;
use crate::settings::{Flags, Settings};
use crate::tls::{CertificateSource, Tls};
use crate::{engine, listener, logging, open_files};

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
    let limits = Limits::new(&settings, open_files);
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
    let node = Node::new(settings.node_name.as_ref(), address);
    let (hub, cluster) = engine::open(settings, node.id).await?;
    let hub = Arc::new(hub);
    let cluster = cluster.map(Arc::new);
    let delivery = Arc::new(Delivery::start(
        &hub,
        &DeliverySettings {
            shards: settings.shards.unwrap_or_else(cores),
            heartbeat: settings.heartbeat,
            write_timeout: settings.write_timeout,
            min_rate: settings.min_rate.get(),
            retry: Retry(settings.retry),
            seats: Seats::new(seats),
            limits: StepLimits::default(),
        },
    )?);
    let roster = Roster::new(limits.bounds, delivery.seats().clone());
    let (tls, certificates) = tls.unzip();
    let metrics =
        Metrics::new(Arc::clone(&hub), Arc::clone(&delivery), Arc::clone(&roster), tls.clone());
    let metrics = Arc::new(metrics);
    let key_set = settings.jwks_url.clone().map(KeySetClient::new).transpose()?;
    let console = Arc::new(Console::open(settings)?);
    let shared = Arc::new(Shared {
        metrics: Arc::clone(&metrics),
        console: Arc::clone(&console),
        hub: Arc::clone(&hub),
        delivery: Arc::clone(&delivery),
        access: Access::new(settings, key_set, cluster.as_deref()),
        trail: Trail::default(),
        cluster: cluster.clone(),
        node: node.clone(),
        quotas: Quotas::new(settings),
        max_message: settings.max_message.in_memory(),
        draining: AtomicBool::new(false),
    });
    let attendance = cluster.clone().map(|cluster| {
        cluster.obey(vec![Arc::clone(&delivery), Arc::clone(&console.delivery)]);
        let (hub, delivery) = (Arc::clone(&hub), Arc::clone(&delivery));
        let presence = Presence { node: node.clone(), hub, delivery };
        tokio::spawn(async move { cluster.attend(presence).await })
    });
    let (enter, phase) = watch::channel(Phase::Serving);
    let router = router(Arc::clone(&shared), settings);
    let addresses = Addresses::new(settings, limits.bounds.connections);
    let certificates = match (&tls, certificates) {
        (Some(tls), Some(source)) => {
            let asked = reload.part("the TLS certificate");
            Some(tokio::spawn(source.keep(Arc::clone(tls), Arc::clone(&metrics), asked)))
        }
        _ => None,
    };
    let (connections, mut ended) =
        Connections::new(router, Arc::clone(&shared), roster, limits, addresses, tls, phase);
    let observer = Observer::new(
        Arc::clone(&hub),
        Arc::clone(&delivery),
        metrics,
        node.clone(),
        cluster.clone(),
    );
    let feed = Arc::clone(&console);
    let feed = tokio::spawn(async move { feed.feed(observer).await });
    let expiry = tokio::spawn(expire(hub));
    let keys = tokio::spawn(refresh_keys(Arc::clone(&shared)));
    let asked = match shared.access.reads_key_files() {
        true => reload.part("the files of keys"),
        false => Arc::default(),
    };
    let key_files = tokio::spawn(keep_keys(Arc::clone(&shared), asked));
    // What else is read again while the hub runs registers above.
    let reload = tokio::spawn(reload.obey(hangup));
    warn_of_mistakes(settings);
    greet(address, settings);
    tokio::spawn(accept(listener, connections));

    signals.await;
    tracing::info!(streams = shared.delivery.seats().taken(), "shutting down");
    shared.draining.store(true, Ordering::Relaxed);
    let _ = enter.send(Phase::Draining);
    attendance.inspect(JoinHandle::abort);
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
    let _ = enter.send(Phase::Stopping);
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

async fn refresh_keys(shared: Arc<Shared>) {
    let mut ticks = interval(KEY_SET);
    loop {
        ticks.tick().await;
        shared.access.refresh_keys().await;
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

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
