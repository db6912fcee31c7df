//! The table of settings: their names, types, defaults, ranges and help, a row each.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use fanfare_auth::{AccessKey, KeyFile, PublicKey, TokenSecret};
use fanfare_disk::SyncPolicy;
use fanfare_event::Pattern;
use fanfare_mercure::MercureUrl;
use fanfare_net::{
    AcmeDirectory, Contact, Domain, Host, KeySetUrl, Network, Origin, SecurityContact,
};

use crate::SettingsError;
use crate::setting::{Setting, settings};
use crate::sources::Sources;
use crate::value::{
    ByteSize, CookieName, DataDirectory, ExistingDirectory, FilePath, IssuerKey, LogFormat,
    LogLevel, Name, Namespace, NodeName, Prefix, RedisUrl,
};

// A row: what `--help` says (the first paragraph is all that `-h` says), the name, the type, the
// default (with none, the type is an `Option` or a `Vec`), and where there is one, the range.
settings! {
    heading "Serving":

    /// Address and port to listen on
    ///
    /// Without a host, as in `:8000`, only this machine is reached; `0.0.0.0:8000` is every
    /// IPv4 interface, `[::]:8000` every interface. Port 0 takes any free port.
    listen: SocketAddr = "127.0.0.1:8000";

    /// Path under which the hub answers
    ///
    /// With `/sse`, publish to `/sse/send` and subscribe at `/sse/events`; with `/`, at `/send` and
    /// `/events`.
    prefix: Prefix = "/sse";

    /// Serve sse_index.html from this directory, not the built-in page
    templates: Option<ExistingDirectory>;

    /// Accept commands such as `fanfare upgrade` on a Unix socket at this path
    ///
    /// Only the hub's own user and root may send them, with this setting or without. Without a path,
    /// the socket is not a file: it has an abstract name (Linux), made of the address that the hub
    /// listens on.
    control_socket: Option<FilePath>;

    /// Let pages of this origin subscribe and publish; may be repeated
    ///
    /// An origin is `scheme://host[:port]`, such as `https://app.example.com`. None are allowed
    /// unless named here, except the hub's own page.
    allow_origin: Vec<Origin>;

    /// Let pages of this machine, on any port, subscribe and publish; for development
    ///
    /// `http://localhost:5173` and its like, so that a development server's pages can use the hub.
    dev: bool = "false";

    heading "TLS":

    /// Serve HTTPS with the certificates in this PEM file: the hub's own, then its issuers'
    ///
    /// Read again when it changes and on SIGHUP; open streams are not touched.
    tls_cert: Option<FilePath>;

    /// The private key of --tls-cert, in PEM
    tls_key: Option<FilePath>;

    /// Serve HTTPS with a certificate for this domain, ordered by ACME; may be repeated
    ///
    /// The authority connects to port 443 of the domain, which must lead to this hub (TLS-ALPN-01).
    /// Renewed after two thirds of its time, without touching open streams; while that fails, the
    /// old one stays. SIGHUP tries at once. To name a domain is to accept the authority's terms.
    acme_domain: Vec<Domain>;

    /// Keep the account and the certificate in this directory, readable by its owner only
    acme_cache: Option<DataDirectory>;

    /// Tell the authority this e-mail address; may be repeated
    acme_contact: Vec<Contact>;

    /// Order from letsencrypt, letsencrypt-staging, or the authority with this ACME directory
    acme_directory: AcmeDirectory = "letsencrypt";

    /// Tell browsers to use nothing but HTTPS with this hub's host for this long, on every port
    ///
    /// Sent over TLS only (Strict-Transport-Security), and never for this machine or an address; `0s`
    /// makes browsers forget it.
    hsts: Duration = "180d", in "0s" to "3650d";

    heading "Access":

    /// Let whoever holds this key publish, everywhere; may be repeated
    ///
    /// At least 16 bytes; `openssl rand -hex 32` makes one. It is sent as `Authorization: Bearer
    /// KEY`. Other users of this machine can see a flag:
    /// `--publish-key-file`, or the environment, keeps it from them.
    publish_key: Vec<AccessKey>;

    /// Let whoever holds a key of this file publish, everywhere; may be repeated
    ///
    /// One key on each line. Read again when it changes and on SIGHUP; streams opened with a removed
    /// key are closed.
    publish_key_file: Vec<KeyFile>;

    /// Let whoever holds this key subscribe to everything; may be repeated
    subscribe_key: Vec<AccessKey>;

    /// Let whoever holds a key of this file subscribe to everything; may be repeated
    subscribe_key_file: Vec<KeyFile>;

    /// Trust tokens signed with this secret, or with the content of @FILE; may be repeated
    ///
    /// JSON Web Tokens with HS256, HS384 or HS512. Their claim
    /// {"fanfare": {"publish": ["orders/*"], "subscribe": ["orders/**"]}} says what they are good
    /// for; `exp` must be there. At least 32 bytes. Files are read again when they change and on
    /// SIGHUP, as all files of keys are; streams admitted by a removed key are closed. The
    /// environment variable holds one secret.
    jwt_secret: Vec<TokenSecret>;

    /// Trust tokens that this public key verifies; may be repeated
    ///
    /// PEM: RSA for RS256 to PS512, P-256 for ES256, P-384 for ES384, Ed25519 for EdDSA.
    jwt_public_key: Vec<PublicKey>;

    /// Trust tokens that a key of this set verifies
    ///
    /// Fetched when the hub starts, every few minutes, and when a token names a key that is not
    /// known. Must be https, or on this machine.
    jwks_url: Option<KeySetUrl>;

    /// Trust only tokens of this issuer; may be repeated
    jwt_issuer: Vec<Name>;

    /// Bind a key to one issuer; may be repeated
    ///
    /// KEY is the file of a secret or a public key, or the URL of the key set, as it is given otherwise. Tokens of this
    /// issuer are verified with its keys and no others, and tokens of other issuers never with these. The issuer is
    /// trusted beside those of --jwt-issuer.
    jwt_issuer_key: Vec<IssuerKey>;

    /// Trust only tokens for this audience; may be repeated
    jwt_audience: Vec<Name>;

    /// Let everyone subscribe to topics of this pattern; may be repeated
    ///
    /// As in a subscription: `*` is one segment, `**` any number; `**` alone is everything.
    anonymous_subscribe: Vec<Pattern>;

    /// Let everyone publish and subscribe, on whatever address the hub listens
    ///
    /// Requests must then name the hub by an address, by this machine's name without a domain or by
    /// one for local use (`.local`, `.internal`), else by --allow-host, so that no web site can reach
    /// it through a visitor's browser. Over TLS they may name it as they like.
    open: bool = "false";

    /// Answer requests for this host; may be repeated
    ///
    /// What a reverse proxy passes on, such as `app.example.com`. Where everyone on this machine
    /// may publish, other hosts than this machine are refused, so that no web site can reach the
    /// hub through a visitor's browser.
    allow_host: Vec<Host>;

    /// Cookie that carries a key or a token [default: __Host-fanfare over TLS, else fanfare]
    ///
    /// It counts only in requests of the hub's own site and of allowed origins.
    cookie_name: Option<CookieName>;

    heading "Limits":

    /// Most failed credentials a second from one address [default: 10; no limit for this machine]
    ///
    /// Twice as many may come at once. Beyond it, answers to failed ones are delayed; a
    /// valid one is accepted without delay.
    failure_rate: Option<u64>, in "1" to "1_000_000_000";

    /// Most events a second from one key, subject or address
    /// [default: 10000; no limit for this machine]
    ///
    /// Bursts of twice as many are accepted. Beyond it, publishers are told when to try again.
    publish_rate: Option<u64>, in "1" to "1_000_000_000";

    /// Most tickets a second drawn from one address [default: 1000; no limit for this machine]
    ///
    /// Twice as many may come at once. However many are drawn, whoever draws them holds at most as
    /// many as are left for all others.
    ticket_rate: Option<u64>, in "1" to "1_000_000_000";

    /// Most streams open at once from one address [default: 1000; no limit for this machine]
    ///
    /// An IPv6 network of 64 bits counts as one address. Beyond it, a new stream is told when to reconnect, and closed.
    max_subscribers_per_address: Option<usize>, in "1" to "10_000_000";

    /// Most streams open at once for one subject of tokens
    max_subscribers_per_subject: usize = "1_000", in "1" to "10_000_000";

    /// Most topics and patterns in one subscription
    max_topics: usize = "256", in "1" to "256";

    /// Most patterns named at once by all streams from one address
    /// [default: 4096; no limit for this machine]
    ///
    /// An event may have to be compared with each of them. One for which more than 1 KiB is kept counts as
    /// several, and so does one with more than eight segments from its first wildcard on: sixteen count as
    /// four. Beyond it, a new stream is told when to reconnect, and closed.
    max_patterns_per_address: Option<usize>, in "0" to "10_000_000";

    /// Most patterns named at once by all streams
    max_patterns: usize = "1_000_000", in "0" to "100_000_000";

    /// Most requests a second from one address [default: 20000; no limit for this machine]
    ///
    /// Twice as many may come at once. Beyond it, they are told when to try again (429), and a stream is
    /// answered, told when to come back, and closed. One for /metrics counts as a hundred; health checks
    /// are not counted. Requests that take more than 100 µs of processor time at a stretch count as
    /// several, so that no address uses more than half a processor by them.
    request_rate: Option<u64>, in "1" to "1_000_000_000";

    /// Most requests being answered at once, not counting open streams
    ///
    /// One remote address may have as many as are left for all others. As many answers may wait
    /// to be read; beyond it, some of the address that has most of them are broken off.
    max_requests: usize = "4_096", in "1" to "1_000_000";

    /// Trust the X-Forwarded-For header of proxies in this address range; may be repeated
    ///
    /// Without it, all that comes through a proxy counts as one address.
    trusted_proxy: Vec<Network>;

    heading "Streams":

    /// Send a keepalive after this long, so that proxies keep a quiet stream open
    heartbeat: Duration = "15s", in "100ms" to "1h";

    /// Let the time between keepalives grow to this for streams that last through it
    /// [default: it does not grow]
    ///
    /// It doubles after four such times in which a stream was sent nothing else, and begins anew with each
    /// connection. Keep it below what proxies in front, and clients that watch for silence, wait for.
    heartbeat_max: Option<Duration>, in "100ms" to "1h";

    /// Close a stream once it has lasted this long [default: when its token ends]
    ///
    /// Its client comes back with the last id, and has to show a credential that is good then: tokens of Mercure's
    /// older claim need not end. Up to a tenth earlier, so that those who came together do not leave together.
    max_stream_age: Option<Duration>, in "1s" to "365d";

    /// Tell clients to wait about this long before they reconnect
    ///
    /// Each connection is told its own value, spread around this one, so that clients do not
    /// all reconnect at the same moment.
    retry: Duration = "3s", in "10ms" to "10m";

    /// Close a stream whose subscriber takes no byte for this long
    ///
    /// Any other answer that is not read for so long is broken off too.
    write_timeout: Duration = "30s", in "100ms" to "1h";

    /// Close a stream whose subscriber takes fewer bytes a second than this while it is behind
    ///
    /// Measured over the write timeout, and only while there is something for it that its connection
    /// does not take: a byte now and then does not keep a stream open. `0B` turns
    /// this off.
    min_rate: ByteSize = "256B", in "0B" to "1GiB";

    /// Spread the closing of streams over this long at shutdown
    drain: Duration = "5s", in "0s" to "10m";

    /// Most streams open at once [default: what the limit of open files allows]
    ///
    /// Beyond it, a new stream is told when to reconnect, and closed.
    max_subscribers: Option<usize>, in "0" to "10_000_000";

    /// Threads that deliver [default: one per core]
    shards: Option<usize>, in "1" to "256";

    heading "Publishing":

    /// Longest message
    ///
    /// A request's body may be six times as long and 8 KiB, so that a message fits however it is escaped; a form of
    /// Mercure's three times and 128 KiB.
    max_message: ByteSize = "1MiB", in "1B" to "64MiB";

    /// Remember an Idempotency-Key for this long
    idempotency_window: Duration = "5m", in "1s" to "24h";

    /// Most Idempotency-Keys remembered at once
    ///
    /// One publisher may have as many as are left for all others: half of them, if it is alone.
    idempotency_keys: usize = "1_000_000", in "1" to "100_000_000";

    heading "History":

    /// Keep events in this directory, so that they survive a restart [default: in memory only]
    ///
    /// Created if it does not exist, private to this user. Only one hub can have it open at a time.
    data: Option<DataDirectory>;

    /// Keep events in this Redis, and be one hub with every other node that does
    ///
    /// `redis://[user:password@]host[:port][/db]`, or `redis+sentinel://` or `redis+cluster://`
    /// with several hosts; `rediss` in place of `redis` is TLS. Needs Redis 7 and the policy
    /// noeviction. Not together with --data.
    redis: Option<RedisUrl>;

    /// The name under which events are kept in Redis; nodes that share it are one hub
    namespace: Namespace = "fanfare";

    /// Acknowledge a publish only once this many of Redis's replicas have it; only with --redis
    ///
    /// It then survives a failover to one of those. If they do not confirm in time, the answer
    /// is 503 and says that the outcome is unknown. Subscribers may receive it earlier.
    redis_wait_replicas: u32 = "0", in "0" to "64";

    /// The name of this node on the console [default: the machine's name and the port]
    node_name: Option<NodeName>;

    /// When a publish is acknowledged: disk, interval:100ms or os
    ///
    /// With `disk`, once the event is on disk: it survives the machine. With `interval:TIME` or
    /// `os`, once the operating system has it: it survives the hub; it reaches the disk within
    /// that time, or when the system writes it. Only with --data.
    sync: SyncPolicy = "disk";

    /// Most events kept for replay
    retain_count: u64 = "100_000", in "1" to "1_000_000_000";

    /// Most bytes of events kept for replay
    retain_bytes: ByteSize = "256MiB", in "1KiB" to "16TiB";

    /// Most events of one topic kept for replay; only with --data
    retain_topic_count: Option<u64>, in "1" to "1_000_000_000";

    /// Longest time an event is kept for replay
    retain_age: Duration = "24h", in "100ms" to "3650d";

    /// Most recent events kept encoded in memory
    ///
    /// A subscriber within this window is served without reading the event log.
    window_count: usize = "65_536", in "1" to "16_777_216";

    /// Most bytes of recent events kept encoded in memory
    window_bytes: ByteSize = "64MiB", in "1KiB" to "64GiB";

    heading "Mercure":

    /// Speak Mercure's protocol too, at /.well-known/mercure
    ///
    /// Over the same events: what is published in one is received in both. Without any keys it is
    /// ready for development, on this machine alone: it then trusts tokens signed with
    /// `!ChangeThisMercureHubJWTSecretKey!`, the secret that clients of the protocol are set up with.
    mercure: bool = "false";

    /// The URL under which clients reach it [default: this port of localhost]
    ///
    /// Such as `https://hub.example.com/.well-known/mercure`. Tokens of version 1.0 must be meant for
    /// it (`aud`), and relative topics and URL Patterns are resolved against it.
    mercure_url: Option<MercureUrl>;

    /// Trust only tokens signed with this secret to publish by it, or with the content of @FILE; may be
    /// repeated
    ///
    /// In place of the hub's other keys for tokens.
    mercure_publisher_key: Vec<TokenSecret>;

    /// Trust only tokens signed with this secret to subscribe by it, or with the content of @FILE; may
    /// be repeated
    mercure_subscriber_key: Vec<TokenSecret>;

    /// Take a token in the address too, as `authorization=TOKEN`
    ///
    /// As clients did before 1.0. Addresses end up in logs and histories; the cookie and the header do
    /// not.
    mercure_query_token: bool = "false";

    /// Report in a stream what it may have missed, as the event fanfare.gap
    ///
    /// An EventSource receives that event, and cannot see the header Mercure-Last-Event-ID, which says
    /// the same where a stream begins. Without the event, a stream ends before what is missing, and the
    /// header of the next one says that something is.
    mercure_gap_events: bool = "true";

    /// List active subscriptions, and publish an update when one begins or ends
    ///
    /// At /.well-known/mercure/subscriptions, and by private updates there, for whoever was granted them. Each
    /// update is an event like others, and counts in what is retained; each node publishes these updates in at
    /// most ten batches a second.
    mercure_subscriptions: bool = "false";

    heading "Connections":

    /// Most connections at once, streams included [default: what the limit of open files allows]
    ///
    /// Beyond it, those that have sent no request yet, then those that are idle, then those that do
    /// not read their answers make room for newcomers, the longest-standing first.
    max_connections: Option<usize>, in "1" to "10_000_000";

    /// Most connections at once from one address, streams included
    /// [default: a quarter of all, at most 2000; no limit for this machine]
    ///
    /// An IPv6 network of 64 bits counts as one address. Beyond it, a new one is closed at once.
    /// Trusted proxies are not limited.
    max_connections_per_address: Option<usize>, in "1" to "10_000_000";

    /// Most new connections a second from one address [default: 500; no limit for this machine]
    ///
    /// Twice as many may come at once. Beyond it, a new one is closed at once. Trusted proxies are
    /// not limited.
    connection_rate: Option<u64>, in "1" to "1_000_000";

    /// Most connections that have not sent a whole request yet [default: half of all]
    ///
    /// Beyond it, the longest-standing of them are closed, those first whose address has most of
    /// them. Whoever connected within the last second is not counted, so that a crowd can come at
    /// once.
    max_half_open: Option<usize>, in "1" to "10_000_000";

    /// Most connections kept open between two requests
    max_idle: usize = "16_384", in "0" to "1_000_000";

    /// Close a connection that has sent no whole request for this long, TLS handshake included
    head_timeout: Duration = "10s", in "100ms" to "10m";

    /// Refuse a request whose body takes longer than this
    body_timeout: Duration = "30s", in "100ms" to "1h";

    /// Close a connection that is idle for this long
    idle_timeout: Duration = "75s", in "100ms" to "24h";

    /// Longest head of a request: its line and its headers
    max_head: ByteSize = "64KiB", in "1KiB" to "1MiB";

    /// Longest target of a request: its path and query
    max_target: ByteSize = "32KiB", in "256B" to "64KiB";

    /// Most bytes of requests' bodies in memory at once; one alone may be larger
    ///
    /// Large answers that are not read yet may take up as much again. One address from elsewhere may
    /// take up a quarter of each.
    max_bodies: ByteSize = "256MiB", in "1B" to "1TiB";

    /// Most requests and streams at once on one HTTP/2 connection
    max_http2_requests: usize = "256", in "1" to "1_000_000";

    heading "Logging":

    /// Format of the log lines on standard error: text or json
    ///
    /// With json, each line is an object with timestamp, level, target, message and further fields.
    log_format: LogFormat = "text";

    /// Least severe level to log: error, warn, info, debug, trace or off
    ///
    /// Single modules may differ, as in `info,fanfare_delivery=debug`.
    log_level: LogLevel = "info";

    /// Write the audit trail to this file, as JSON, instead of to the log
    ///
    /// Who was let in to do what, and who was refused: failed logins, refusals, tickets, streams that
    /// were cut, keys that came and went. Created readable by its owner only, and created again if it
    /// is moved away.
    audit_log: Option<FilePath>;

    /// Where to report a security problem, as /.well-known/security.txt tells; may be repeated
    ///
    /// A mailto: or https: address (RFC 9116). Without one, there is no such file.
    security_contact: Vec<SecurityContact>;
}
