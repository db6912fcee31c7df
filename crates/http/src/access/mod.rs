//! Access: who a request's caller is, and what a hub grants them.

mod administrator;
mod authenticators;
mod caller;
mod client;
mod credentials;
mod current_keys;
mod failures;
mod guard;
mod hints;
mod peer;
mod realm;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use fanfare_auth::{
    CredentialId, Jwks, MemoryTickets, Principal, PublishGrant, SubscribeGrant, Ticket, TicketId,
    TicketStore, TokenRules, Untrusted,
};
use fanfare_event::Timestamp;
use fanfare_handover::{Malformed, Reader, Writer};
use fanfare_net::Network;
use fanfare_shares::Amount;

use self::administrator::is_local;
use self::authenticators::{Authenticators, Role};
pub(crate) use self::caller::Caller;
#[cfg(any(test, fuzzing))]
pub(crate) use self::client::is_passed_on;
pub(crate) use self::client::{UNKNOWN, client};
#[cfg(any(test, fuzzing))]
pub(crate) use self::credentials::presented;
pub(crate) use self::credentials::{CredentialPlaces, Presented};
pub use self::current_keys::{CurrentKeys, ForeignKeys};
pub(crate) use self::failures::EndsConnection;
use self::failures::Failures;
pub(crate) use self::guard::Guard;
pub use self::guard::GuardConfig;
pub(crate) use self::peer::Peer;
pub use self::realm::ForeignRealm;
pub(crate) use self::realm::Realm;
use crate::refusal::Refusal;

/// Who is let in, and how they are known.
#[derive(Debug)]
pub struct Access {
    authenticators: RwLock<Arc<Authenticators>>,
    key_set: Option<Jwks>,
    rules: TokenRules,
    foreign: Option<ForeignRealm>,
    /// The credentials that were accepted when they were last looked at.
    accepted: Mutex<HashSet<CredentialId>>,
    tickets: Box<dyn TicketStore>,
    /// What those are granted who present nothing; everyone else is granted it too.
    anyone: Arc<Principal>,
    /// The same in the other realm, and what whoever has a credential of it is granted beside that.
    foreign_anyone: Arc<Principal>,
    foreign_bearer: Arc<Principal>,
    cookie: Option<String>,
    pub(crate) guard: Guard,
    pub(crate) failures: Arc<Failures>,
    proxies: Vec<Network>,
}

/// What access goes by.
#[derive(Debug)]
pub struct AccessConfig {
    /// The keys that are accepted at first.
    pub keys: CurrentKeys,
    /// Where further keys for tokens come from.
    pub key_set: Option<Jwks>,
    /// Whose tokens are accepted.
    pub token_rules: TokenRules,
    /// Where tickets are kept; `None` is here.
    pub tickets: Option<Box<dyn TicketStore>>,
    /// What everyone is granted, whoever they are.
    pub anyone: (PublishGrant, SubscribeGrant),
    /// The tokens of another protocol, if it is spoken.
    pub foreign: Option<ForeignRealm>,
    /// The cookie that carries a key or a token; `None` is the hub's own name for it.
    pub cookie: Option<String>,
    /// Which hosts and pages are let through.
    pub guard: GuardConfig,
    /// How many credentials a second may fail for one address; `None` is ten, and no limit for this
    /// machine.
    pub failure_rate: Option<u64>,
    /// Who may say whom a request comes from.
    pub proxies: Vec<Network>,
}

impl Access {
    /// How many tickets may wait to be used or to run out, and what they may take up. Whoever draws them
    /// gets a share; in a store that nodes share, each node leaves at most so much.
    pub const TICKETS: Amount = Amount { count: 100_000, bytes: 64 << 20 };

    /// Goes by this from now on.
    pub fn new(config: AccessConfig) -> Self {
        let AccessConfig {
            keys,
            key_set,
            token_rules: rules,
            anyone: (publish, subscribe),
            foreign,
            ..
        } = config;
        let authenticators = Authenticators::new(keys, key_set.as_ref(), &rules, foreign.as_ref());
        let foreign_anyone = foreign.as_ref().map(|realm| realm.anyone.clone()).unwrap_or_default();
        Self {
            accepted: Mutex::new(authenticators.credentials()),
            authenticators: RwLock::new(Arc::new(authenticators)),
            key_set,
            rules,
            foreign,
            foreign_bearer: Arc::new(Principal::anonymous(
                foreign_anyone.0.clone(),
                SubscribeGrant::EVERYTHING,
            )),
            foreign_anyone: Arc::new(Principal::anonymous(foreign_anyone.0, foreign_anyone.1)),
            tickets: config.tickets.unwrap_or_else(|| Box::new(MemoryTickets::new(Self::TICKETS))),
            anyone: Arc::new(Principal::anonymous(publish, subscribe)),
            cookie: config.cookie,
            guard: Guard::new(config.guard),
            failures: Arc::new(Failures::new(config.failure_rate)),
            proxies: config.proxies,
        }
    }

    /// Asks for the key set once more, if there is one.
    pub async fn refresh_key_set(&self) {
        if let Some(key_set) = &self.key_set {
            key_set.refresh().await;
        }
    }

    /// Accepts these keys from now on, and no others but those of the key set.
    pub(crate) fn replace_keys(&self, keys: CurrentKeys) {
        let foreign = self.foreign.as_ref();
        let new = Authenticators::new(keys, self.key_set.as_ref(), &self.rules, foreign);
        *self.authenticators.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
    }

    /// Whether a credential of this name is accepted, or may be one of a key set that was not asked for yet.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.key_set.is_some()
            || self
                .authenticators()
                .credentials()
                .iter()
                .any(|credential| &**credential.name() == name)
    }

    /// The credentials that have gone since this was last asked.
    pub(crate) fn withdrawn(&self) -> Vec<CredentialId> {
        let now = self.authenticators().credentials();
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = accepted.difference(&now).cloned().collect();
        *accepted = now;
        gone
    }

    /// Writes down the tickets that were drawn.
    pub fn write_tickets(&self, writer: &mut Writer) {
        self.tickets.write(writer);
    }

    /// Takes in the tickets that were drawn of another process.
    ///
    /// # Errors
    ///
    /// It is not what [`Access::write_tickets`] has written.
    pub fn read_tickets(&self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        self.tickets.read(reader)
    }

    pub(crate) fn write_failures(&self, writer: &mut Writer, now: Instant) {
        self.failures.write(writer, now);
    }

    pub(crate) fn read_failures(
        &self,
        reader: &mut Reader<'_>,
        now: Instant,
    ) -> Result<(), Malformed> {
        self.failures.read(reader, now)
    }

    /// Refuses a caller who may not look at the console and cut the streams of others.
    pub(crate) fn require_administrator(
        &self,
        request: &Parts,
        caller: &Caller,
    ) -> Result<(), Refusal> {
        if self.has_credentials() {
            caller.administer()
        } else if is_local(request) {
            Ok(())
        } else {
            Err(Refusal::Elsewhere)
        }
    }

    fn authenticators(&self) -> Arc<Authenticators> {
        Arc::clone(&self.authenticators.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there is any credential of the hub's own that would be accepted.
    pub(crate) fn has_credentials(&self) -> bool {
        !self.authenticators().of(Role::Own).is_empty()
    }

    /// Who sent this request.
    pub(crate) async fn caller(
        &self,
        request: &Parts,
        places: CredentialPlaces,
    ) -> Result<Caller, Refusal> {
        self.bearer(request, places, Role::publisher(places.realm)).await
    }

    async fn bearer(
        &self,
        request: &Parts,
        places: CredentialPlaces,
        role: Role,
    ) -> Result<Caller, Refusal> {
        let presented = match credentials::header(request)?.or_else(|| self.cookie(request, places))
        {
            None => credentials::parameter(request, places.token, Presented::Bearer)?,
            presented => presented,
        };
        self.verify(request, presented, role).await
    }

    /// Whether whoever asks for a stream shows a ticket that [`Access::listener`] uses up.
    pub(crate) fn presents_ticket(&self, request: &Parts, places: CredentialPlaces) -> bool {
        let ticket = credentials::parameter(request, places.ticket, Presented::Ticket);
        let header = credentials::header(request);
        matches!((ticket, header), (Ok(Some(_)), Ok(None)))
    }

    /// Who sent this request for a stream, for which a ticket will do. It goes before the cookie,
    /// which browsers send unasked.
    pub(crate) async fn listener(
        &self,
        request: &Parts,
        places: CredentialPlaces,
    ) -> Result<Caller, Refusal> {
        let role = Role::subscriber(places.realm);
        let ticket = credentials::parameter(request, places.ticket, Presented::Ticket)?;
        if ticket.is_none() || credentials::header(request)?.is_some() {
            return self.bearer(request, places, role).await;
        }
        match (self.verify(request, ticket, role).await, self.cookie(request, places)) {
            // An EventSource that comes back repeats its address, with a ticket that has been used.
            (Err(Refusal::UsedTicket | Refusal::Tickets(_)), cookie @ Some(_)) => {
                self.verify(request, cookie, role).await
            }
            (Err(Refusal::UsedTicket), None) => Err(self.fail_ticket(request)),
            (known, _) => known,
        }
    }

    fn cookie(&self, request: &Parts, places: CredentialPlaces) -> Option<Presented> {
        credentials::cookie(request, &self.guard, places.cookies, self.cookie.as_deref())
    }

    async fn verify(
        &self,
        request: &Parts,
        presented: Option<Presented>,
        role: Role,
    ) -> Result<Caller, Refusal> {
        let verified = Instant::now();
        let authenticators = self.authenticators();
        let authenticator = authenticators.of(role);
        let (anyone, bearer) = match role {
            Role::Own => (&self.anyone, &self.anyone),
            Role::Publisher | Role::Subscriber => (&self.foreign_anyone, &self.foreign_bearer),
        };
        // Nothing that is presented means anything to a hub that knows no credentials.
        let presented = presented.filter(|_| !authenticator.is_empty());
        let now = Timestamp::now();
        let address = self.address(&request.extensions, &request.headers).ok_or(Refusal::NoPeer)?;
        let (principal, own, presented) = match presented {
            None => (Arc::clone(anyone), SubscribeGrant::default(), false),
            Some(Presented::Bearer(text)) => {
                let known = authenticator.authenticate(&text, now).await;
                let principal = known.map_err(|untrusted| self.fail(untrusted, address))?;
                let own = principal.subscribe.clone();
                (Arc::new(merged_with_anonymous(principal, bearer)), own, true)
            }
            Some(Presented::Ticket(text)) => {
                // What is no ticket is looked for nowhere: in Redis that is a command.
                let holder = match TicketId::parse(&text) {
                    Some(id) => self.tickets.take(id, now).await?,
                    None => None,
                };
                // A ticket gives no time that its holder had not.
                let good = |holder: &Principal| holder.expires.is_none_or(|end| end > now);
                let holder = holder.filter(good).filter(|holder| self.accepts(holder));
                let holder = holder.ok_or(Refusal::UsedTicket)?;
                let own = holder.subscribe.clone();
                (Arc::new(merged_with_anonymous(holder, bearer)), own, true)
            }
        };
        Ok(Caller { principal, own, address, verified, presented })
    }

    /// Whether the credential that someone was known by is accepted still.
    fn accepts(&self, holder: &Principal) -> bool {
        let Some(credential) = &holder.credential else { return true };
        self.authenticators().of(Role::Own).credentials().contains(credential)
    }

    /// Where a request comes from.
    pub(crate) fn address(&self, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = extensions.get::<Peer>().copied()?;
        Some(client(peer, headers, &self.proxies))
    }

    /// Counts a credential that may be a guess.
    fn fail(&self, untrusted: Untrusted, address: IpAddr) -> Refusal {
        match untrusted {
            Untrusted::Invalid(invalid) if invalid.is_foreign() => {
                match self.failures.count(address) {
                    Ok(()) => untrusted.into(),
                    Err(wait) => Refusal::TooManyFailures { invalid, address, wait },
                }
            }
            _ => untrusted.into(),
        }
    }

    /// Counts a ticket that may be a guess.
    fn fail_ticket(&self, request: &Parts) -> Refusal {
        let Some(address) = self.address(&request.extensions, &request.headers) else {
            return Refusal::NoPeer;
        };
        match self.failures.count(address) {
            Ok(()) => Refusal::UsedTicket,
            Err(wait) => Refusal::TooManyFalseTickets { address, wait },
        }
    }

    /// A ticket for one stream, with the caller's rights to listen.
    pub(crate) async fn ticket(&self, caller: &Caller) -> Result<Ticket, Refusal> {
        if !self.has_credentials() {
            // A page that draws tickets works on an open hub too, where nobody looks at them.
            return Ok(Ticket::draw()?);
        }
        if !caller.presented {
            return Err(Refusal::Unauthenticated);
        }
        let ticket = Ticket::draw()?;
        let expires = Timestamp(Timestamp::now().as_millis() + Ticket::SECONDS * 1000);
        let holder = caller.as_listener();
        let id = TicketId::of(ticket.expose());
        self.tickets.put(id, holder, caller.holder(), expires).await?;
        Ok(ticket)
    }
}

fn merged_with_anonymous(principal: Principal, anyone: &Principal) -> Principal {
    Principal {
        publish: principal.publish.or(&anyone.publish),
        subscribe: principal.subscribe.or(&anyone.subscribe),
        ..principal
    }
}

#[cfg(any(test, fuzzing))]
impl AccessConfig {
    /// Of a hub without credentials.
    pub(crate) fn private() -> Self {
        Self {
            keys: CurrentKeys::default(),
            key_set: None,
            foreign: None,
            token_rules: TokenRules::default(),
            tickets: None,
            anyone: (PublishGrant::EVERYTHING, SubscribeGrant::EVERYTHING),
            cookie: None,
            guard: GuardConfig { private: true, ..GuardConfig::default() },
            failure_rate: None,
            proxies: Vec::new(),
        }
    }
}
