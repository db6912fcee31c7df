//! Why requests and connections are refused, as `fanfare_refused_total` names it.

use fanfare_hub::reasons;

reasons! {
    /// Why a request was not served as asked.
    pub enum RefusalReason {
        /// A publish whose body or headers are wrong.
        InvalidPublish = "invalid_publish",
        /// A subscription whose parameters are wrong.
        InvalidSubscribe = "invalid_subscribe",
        /// A body or message over its limit.
        TooLarge = "too_large",
        /// A subscription to more topics than is allowed.
        TooManyTopics = "too_many_topics",
        /// A revocation that names no subject.
        InvalidRevocation = "invalid_revocation",
        /// An operator's request whose parameters are wrong, or that names nobody who is there.
        InvalidQuery = "invalid_query",
        /// For another host than the hub's.
        ForeignHost = "foreign_host",
        /// From the page of another site.
        ForeignOrigin = "foreign_origin",
        /// Without credentials, or with ones that are not valid.
        Unauthenticated = "unauthenticated",
        /// With credentials that are not valid, after too many others from the same address.
        CredentialRate = "credential_rate",
        /// With credentials that cannot be verified at the moment.
        CredentialsUnverifiable = "credentials_unverifiable",
        /// For something that was not granted.
        Forbidden = "forbidden",
        /// A publisher was too fast.
        PublishRate = "publish_rate",
        /// An address has too many streams.
        AddressCapacity = "address_capacity",
        /// A subject has too many streams.
        SubjectCapacity = "subject_capacity",
        /// The streams of an address, or all together, name too many patterns.
        PatternCapacity = "pattern_capacity",
        /// Too many requests are being answered.
        Requests = "requests",
        /// Too many requests of an address are being answered.
        AddressRequests = "address_requests",
        /// An address sends requests too fast.
        RequestRate = "request_rate",
        /// All seats are taken.
        Capacity = "capacity",
        /// The hub is shutting down.
        Draining = "draining",
        /// The delivery threads did not answer an operator in time.
        DeliveryBusy = "delivery_busy",
        /// Another process had become the hub.
        HandedOver = "handed_over",
        /// The event log accepts nothing, or cannot be heard.
        LogUnavailable = "log_unavailable",
        /// The event log has no room.
        LogFull = "log_full",
        /// Too many idempotency keys are in use.
        TooManyKeys = "too_many_keys",
        /// An idempotency key was used before, for another content.
        KeyReused = "idempotency_key_reused",
        /// Too many tickets were drawn.
        TooManyTickets = "too_many_tickets",
        /// There are too many connections.
        Connections = "connections",
        /// An address has too many connections.
        AddressConnections = "address_connections",
        /// An address opens connections too fast.
        ConnectionRate = "connection_rate",
        /// There are too many connections on which no request has come yet.
        HalfOpen = "half_open",
        /// There are too many connections between two requests.
        Idle = "idle",
        /// An answer was not read.
        Unread = "unread",
        /// A request's head took too long.
        HeadTimeout = "head_timeout",
        /// A request's head is over its limit.
        HeadTooLarge = "head_too_large",
        /// A request's target is over its limit.
        TargetTooLong = "target_too_long",
        /// What came is not HTTP.
        Malformed = "malformed",
        /// An HTTP/2 peer opens and resets more than anyone needs.
        Flood = "http2_flood",
        /// A request's body took too long.
        BodyTimeout = "body_timeout",
        /// Bodies take up what memory there is for them.
        Bodies = "bodies",
        /// A TLS handshake failed.
        TlsHandshake = "tls_handshake",
        /// Clear text came where TLS is spoken.
        NotTls = "not_tls",
    }
}
