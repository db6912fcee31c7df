//! Configuration: what each part of the hub is told of the settings.
//!
//! What must hold: no part is told more than it needs; and what the settings leave open is decided here, once.

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use fanfare_auth::{Jwks, PublishGrant, SubscribeGrant, TicketStore, TokenRules};
use fanfare_delivery::{DeliverySettings, Retry, Seats, StepLimits};
use fanfare_disk::DiskOptions;
use fanfare_http::{
    AccessConfig, AddressLimits, ConnectionLimits, CurrentKeys, ForeignRealm, GuardConfig,
    MercureConfig, MercureTokens, Node, Presence, QuotaLimits, RouterConfig, StreamConfig,
    TableLimits,
};
use fanfare_hub::{Window, WindowBounds};
use fanfare_log::Retention;
use fanfare_memory::MemorySettings;
use fanfare_mercure::MercureUrl;
use fanfare_settings::{FilePath, Name, Settings};
use fanfare_tls::TlsConfig;

use crate::engine::EngineConfig;
use crate::key_set_client::KeySetClient;
use crate::open_files;

/// The most requests that wait for the key set at once, because their tokens name unknown keys.
const KEY_SET_WAITERS: usize = 32;

/// Where the certificate is to come from; `None` if the hub speaks clear text.
pub(crate) fn tls(settings: &Settings) -> Option<TlsConfig> {
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

/// Where the control socket is to be a file, if it is.
pub(crate) fn control_socket(settings: &Settings) -> Option<&Path> {
    settings.control_socket.as_ref().map(FilePath::path)
}

/// This node, at a hub that listens at this address.
pub(crate) fn node(settings: &Settings, address: SocketAddr) -> Node {
    Node::new(settings.node_name.as_ref().map(|name| name.as_str()), address)
}

pub(crate) fn engine(settings: &Settings) -> EngineConfig {
    let retention = retention(settings);
    #[cfg(feature = "redis")]
    if let Some(url) = &settings.redis {
        return EngineConfig::Redis(Box::new(fanfare_redis::RedisSettings {
            retention,
            max_message: max_message(settings),
            idempotency_window: settings.idempotency_window,
            idempotency_keys: settings.idempotency_keys,
            wait_replicas: settings.redis_wait_replicas,
            ..fanfare_redis::RedisSettings::new(url.clone(), settings.namespace.clone())
        }));
    }
    match &settings.data {
        Some(directory) => EngineConfig::Disk {
            directory: directory.path().to_owned(),
            options: DiskOptions {
                retain_topic_count: settings.retain_topic_count,
                sync: settings.sync,
                key_window: settings.idempotency_window,
                key_capacity: settings.idempotency_keys,
                ..DiskOptions::new(retention)
            },
        },
        None => EngineConfig::Memory(MemorySettings {
            retention,
            key_window: settings.idempotency_window,
            key_capacity: settings.idempotency_keys,
        }),
    }
}

/// The window over the log, with nothing in it.
pub(crate) fn window(settings: &Settings) -> Window {
    let bounds =
        WindowBounds { count: settings.window_count, bytes: settings.window_bytes.in_memory() };
    Window::new(bounds, retention(settings))
}

fn retention(settings: &Settings) -> Retention {
    Retention {
        count: settings.retain_count,
        bytes: settings.retain_bytes.get(),
        age: settings.retain_age,
    }
}

/// How Mercure's protocol is spoken, if it is, by a hub that listens on this port.
pub(crate) fn mercure(settings: &Settings, port: u16) -> Option<MercureConfig> {
    if !settings.mercure {
        return None;
    }
    let scheme = if settings.is_secure() { "https" } else { "http" };
    let local =
        || MercureUrl::parse(&format!("{scheme}://localhost:{port}{}", MercureUrl::PATH)).ok();
    let hub = Arc::new(settings.mercure_url.clone().or_else(local)?);
    let (token_in_query, gap_events) = (settings.mercure_query_token, settings.mercure_gap_events);
    let presence = settings.mercure_subscriptions.then(Presence::new);
    Some(MercureConfig { hub, token_in_query, gap_events, presence })
}

/// Whose tokens of Mercure's protocol are accepted, and what a client without one may do: never publish.
fn mercure_realm(settings: &Settings, config: &MercureConfig) -> ForeignRealm {
    let names = |list: &[Name]| list.iter().map(|name| name.as_str().to_owned()).collect();
    let (issuers, audiences) = (issuers(settings), names(&settings.jwt_audience));
    let (publish, subscribe) = anyone(settings);
    let publish = if settings.open { publish } else { PublishGrant::default() };
    let tokens = MercureTokens::new(Arc::clone(&config.hub), issuers, audiences);
    ForeignRealm {
        reader: Arc::new(MercureTokens { keeps_payloads: config.presence.is_some(), ..tokens }),
        anyone: (publish, subscribe),
    }
}

fn token_rules(settings: &Settings) -> TokenRules {
    let of_set = settings
        .jwks_url
        .as_ref()
        .and_then(|url| settings.jwt_issuer_key.iter().find(|bound| bound.is_in_key_set(url)));
    TokenRules {
        issuers: issuers(settings),
        audiences: settings.jwt_audience.iter().map(|name| name.as_str().to_owned()).collect(),
        bound: bound_issuers(settings).collect(),
        key_set_issuer: of_set.map(|bound| bound.issuer().to_owned()),
    }
}

/// The issuers that are trusted; if empty, every holder of a key.
fn issuers(settings: &Settings) -> Vec<String> {
    let named = settings.jwt_issuer.iter().map(|name| name.as_str().to_owned());
    if settings.jwt_issuer.is_empty() {
        return Vec::new();
    }
    named.chain(bound_issuers(settings)).collect()
}

fn bound_issuers(settings: &Settings) -> impl Iterator<Item = String> {
    settings.jwt_issuer_key.iter().map(|bound| bound.issuer().to_owned())
}

fn anyone(settings: &Settings) -> (PublishGrant, SubscribeGrant) {
    if settings.open || settings.is_private() {
        (PublishGrant::EVERYTHING, SubscribeGrant::EVERYTHING)
    } else {
        let topics = settings.anonymous_subscribe.iter().cloned();
        (PublishGrant::default(), SubscribeGrant::new(topics))
    }
}

/// Asks for the key set for tokens, if there is one.
pub(crate) fn key_set(settings: &Settings) -> io::Result<Option<KeySetClient>> {
    settings.jwks_url.clone().map(KeySetClient::new).transpose()
}

pub(crate) fn access(
    settings: &Settings,
    mercure: Option<&MercureConfig>,
    keys: CurrentKeys,
    key_set: Option<KeySetClient>,
    tickets: Option<Box<dyn TicketStore>>,
) -> AccessConfig {
    // A request that waits keeps its place among those being answered: most places must be left.
    let waiters = (settings.max_requests / 4).clamp(1, KEY_SET_WAITERS);
    AccessConfig {
        keys,
        key_set: key_set.map(|client| Jwks::new(Box::new(client), Jwks::INTERVAL, waiters)),
        token_rules: token_rules(settings),
        tickets,
        anyone: anyone(settings),
        foreign: mercure.map(|config| mercure_realm(settings, config)),
        cookie: settings.cookie_name.as_ref().map(|name| name.as_str().to_owned()),
        guard: GuardConfig {
            hosts: settings.allow_host.clone(),
            origins: settings.allow_origin.clone(),
            dev: settings.dev,
            private: settings.is_private(),
            open: settings.open && !settings.is_secure(),
        },
        failure_rate: settings.failure_rate,
        proxies: settings.trusted_proxy.clone(),
    }
}

pub(crate) fn quotas(settings: &Settings) -> QuotaLimits {
    QuotaLimits {
        publish_rate: settings.publish_rate,
        ticket_rate: settings.ticket_rate,
        streams_per_address: settings.max_subscribers_per_address,
        streams_per_subject: settings.max_subscribers_per_subject,
        topics: settings.max_topics,
        patterns_per_address: settings.max_patterns_per_address,
        patterns: settings.max_patterns,
        request_rate: settings.request_rate,
        requests: settings.max_requests,
    }
}

/// For so many connections in all.
pub(crate) fn addresses(settings: &Settings, all: usize) -> AddressLimits {
    AddressLimits {
        all,
        each: settings.max_connections_per_address,
        rate: settings.connection_rate,
        proxies: settings.trusted_proxy.clone(),
    }
}

/// In a process that may have `open_files` descriptors.
pub(crate) fn limits(settings: &Settings, open_files: u64) -> ConnectionLimits {
    let connections =
        settings.max_connections.unwrap_or_else(|| open_files::connections(open_files));
    ConnectionLimits {
        head: settings.max_head.in_memory(),
        target: settings.max_target.in_memory(),
        body_timeout: settings.body_timeout,
        bodies: settings.max_bodies.in_memory(),
        http2_requests: u32::try_from(settings.max_http2_requests).unwrap_or(u32::MAX),
        hsts: settings.hsts,
        bounds: TableLimits {
            connections,
            half_open: settings.max_half_open.unwrap_or(connections.div_ceil(2)),
            idle: settings.max_idle,
            unread: settings.max_requests,
            head_timeout: settings.head_timeout,
            idle_timeout: settings.idle_timeout,
            write_timeout: settings.write_timeout,
        },
    }
}

/// In a process that may have `open_files` descriptors.
pub(crate) fn delivery(settings: &Settings, open_files: u64) -> DeliverySettings {
    let seats = settings.max_subscribers.unwrap_or_else(|| open_files::subscribers(open_files));
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    DeliverySettings {
        shards: settings.shards.unwrap_or_else(cores),
        heartbeat: settings.heartbeat,
        longest_heartbeat: settings.heartbeat_max.unwrap_or(settings.heartbeat),
        write_timeout: settings.write_timeout,
        min_rate: settings.min_rate.get(),
        max_age: settings.max_stream_age,
        retry: Retry(settings.retry),
        seats: Seats::new(seats),
        limits: StepLimits::default(),
    }
}

pub(crate) fn console(settings: &Settings) -> StreamConfig {
    StreamConfig {
        heartbeat: settings.heartbeat,
        write_timeout: settings.write_timeout,
        min_rate: settings.min_rate.get(),
        retry: settings.retry,
    }
}

/// The longest message, in bytes.
pub(crate) fn max_message(settings: &Settings) -> usize {
    settings.max_message.in_memory()
}

/// Where to report a security problem, each as a URL.
pub(crate) fn security_contacts(settings: &Settings) -> Vec<String> {
    settings.security_contact.iter().map(|contact| contact.as_str().to_owned()).collect()
}

pub(crate) fn router<'a>(
    settings: &'a Settings,
    security_contacts: &'a [String],
    mercure: Option<&'a MercureConfig>,
) -> RouterConfig<'a> {
    RouterConfig {
        prefix: settings.prefix.as_str(),
        templates: settings.templates.as_ref().map(|directory| directory.path()),
        security_contacts,
        mercure,
    }
}
