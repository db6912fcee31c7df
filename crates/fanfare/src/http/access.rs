//! Access: who a request's caller is, and what a hub grants them.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use fanfare_auth::{
    Authenticator, Authorised, CredentialId, Forbidden, HolderId, Identity, Jwks, MemoryTickets,
    Principal, PublishGrant, SubscribeGrant, Ticket, TicketId, TicketStore, TokenRules,
    TokenVerifier, Untrusted,
};
use fanfare_event::{Draft, Selector, Timestamp};
use fanfare_shares::Amount;

use super::client::{client, network_of};
use super::credentials::{self, Presented};
use super::error::Error;
use super::failures::Failures;
use super::guard::Guard;
use super::key_files::{KeyFiles, Keys};
use super::peer::Peer;
use crate::cluster::Cluster;
use crate::key_set_client::KeySetClient;
use crate::settings::{Network, Settings};

/// How many tickets may wait to be used or to run out, and what they may take up. Whoever draws them
/// gets a share; in Redis, each node leaves at most so much.
const TICKETS: Amount = Amount { count: 100_000, bytes: 64 << 20 };

/// The most requests that wait for the key set at once, because their tokens name unknown keys.
const KEY_SET_WAITERS: usize = 32;

/// Who is let in, and how they are known.
#[derive(Debug)]
pub(crate) struct Access {
    authenticator: RwLock<Arc<Authenticator>>,
    pub(super) key_files: Arc<KeyFiles>,
    key_set: Option<Jwks>,
    rules: TokenRules,
    /// The credentials that were accepted when they were last looked at.
    accepted: Mutex<HashSet<CredentialId>>,
    tickets: Box<dyn TicketStore>,
    /// What those are granted who present nothing; everyone else is granted it too.
    anyone: Arc<Principal>,
    cookie: Option<String>,
    pub(super) guard: Guard,
    pub(super) failures: Arc<Failures>,
    proxies: Vec<Network>,
}

/// Whoever made a request.
#[derive(Debug)]
pub(super) struct Caller {
    principal: Arc<Principal>,
    /// Where they are.
    pub(super) address: IpAddr,
    /// When their credentials were looked at.
    pub(super) verified: Instant,
    /// Whether they said who they are.
    presented: bool,
}

impl Access {
    pub(crate) fn new(
        settings: &Settings,
        key_set: Option<KeySetClient>,
        cluster: Option<&Cluster>,
    ) -> Self {
        let everyone = settings.open || settings.is_private();
        let anyone = if everyone {
            Principal::anonymous(PublishGrant::EVERYTHING, SubscribeGrant::EVERYTHING)
        } else {
            let topics = settings.anonymous_subscribe.iter().cloned();
            Principal::anonymous(PublishGrant::default(), SubscribeGrant::new(topics))
        };
        // Those who wait keep a place among the requests being answered: most must be left.
        let waiters = (settings.max_requests / 4).clamp(1, KEY_SET_WAITERS);
        let key_set = key_set.map(|client| Jwks::new(Box::new(client), Jwks::INTERVAL, waiters));
        let rules = TokenRules {
            issuers: settings.jwt_issuer.iter().map(|name| name.0.clone()).collect(),
            audiences: settings.jwt_audience.iter().map(|name| name.0.clone()).collect(),
        };
        let (key_files, keys) = KeyFiles::new(settings);
        let authenticator = authenticator(keys, key_set.clone(), rules.clone());
        Self {
            accepted: Mutex::new(authenticator.credentials()),
            authenticator: RwLock::new(Arc::new(authenticator)),
            key_files: Arc::new(key_files),
            key_set,
            rules,
            tickets: match cluster {
                Some(cluster) => Box::new(cluster.tickets(TICKETS)),
                None => Box::new(MemoryTickets::new(TICKETS)),
            },
            anyone: Arc::new(anyone),
            cookie: settings.cookie_name.as_ref().map(|name| name.0.clone()),
            guard: Guard::new(settings),
            failures: Arc::new(Failures::new(settings.failure_rate)),
            proxies: settings.trusted_proxy.clone(),
        }
    }

    /// Asks for the key set once more, if there is one.
    pub(crate) async fn refresh_keys(&self) {
        if let Some(key_set) = &self.key_set {
            key_set.refresh().await;
        }
    }

    /// Accepts these keys from now on, and no others but those of the key set.
    pub(super) fn replace_keys(&self, keys: Keys) {
        let new = authenticator(keys, self.key_set.clone(), self.rules.clone());
        *self.authenticator.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
    }

    /// Whether credentials are read from files.
    pub(crate) fn reads_key_files(&self) -> bool {
        !self.key_files.is_empty()
    }

    /// The credentials that have gone since this was last asked.
    pub(super) fn withdrawn(&self) -> Vec<CredentialId> {
        let now = self.authenticator().credentials();
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = accepted.difference(&now).cloned().collect();
        *accepted = now;
        gone
    }

    fn authenticator(&self) -> Arc<Authenticator> {
        Arc::clone(&self.authenticator.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there is any credential that would be accepted.
    pub(super) fn has_credentials(&self) -> bool {
        !self.authenticator().is_empty()
    }

    /// Who sent this request.
    pub(super) async fn caller(&self, request: &Parts) -> Result<Caller, Error> {
        let presented = credentials::header(request)?.or_else(|| self.cookie(request));
        self.know(request, presented).await
    }

    /// Who sent this request for a stream, for which a ticket will do. It goes before the cookie,
    /// which browsers send unasked.
    pub(super) async fn listener(&self, request: &Parts) -> Result<Caller, Error> {
        let ticket = credentials::ticket(request.uri.query().unwrap_or_default())?;
        if ticket.is_none() || credentials::header(request)?.is_some() {
            return self.caller(request).await;
        }
        match (self.know(request, ticket).await, self.cookie(request)) {
            // An EventSource that comes back repeats its address, with a ticket that has been used.
            (Err(Error::UsedTicket | Error::Tickets(_)), cookie @ Some(_)) => {
                self.know(request, cookie).await
            }
            (Err(Error::UsedTicket), None) => Err(self.fail_ticket(request)),
            (known, _) => known,
        }
    }

    fn cookie(&self, request: &Parts) -> Option<Presented> {
        credentials::cookie(request, &self.guard, self.cookie.as_deref())
    }

    async fn know(&self, request: &Parts, presented: Option<Presented>) -> Result<Caller, Error> {
        let verified = Instant::now();
        // Nothing that is presented means anything to a hub that knows no credentials.
        let presented = presented.filter(|_| self.has_credentials());
        let now = Timestamp::now();
        let address = self.address(&request.extensions, &request.headers).ok_or(Error::NoPeer)?;
        let (principal, presented) = match presented {
            None => (Arc::clone(&self.anyone), false),
            Some(Presented::Bearer(text)) => {
                let known = self.authenticator().authenticate(&text, now).await;
                let principal = known.map_err(|untrusted| self.fail(untrusted, address))?;
                (Arc::new(self.with_what_anyone_may(principal)), true)
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
                let holder = holder.ok_or(Error::UsedTicket)?;
                (Arc::new(self.with_what_anyone_may(holder)), true)
            }
        };
        Ok(Caller { principal, address, verified, presented })
    }

    /// Whether the credential that someone was known by is accepted still.
    fn accepts(&self, holder: &Principal) -> bool {
        let Some(credential) = &holder.credential else { return true };
        self.authenticator().credentials().contains(credential)
    }

    /// Where a request comes from.
    pub(super) fn address(&self, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = extensions.get::<Peer>().copied()?;
        Some(client(peer, headers, &self.proxies))
    }

    /// Counts a credential that may be a guess.
    fn fail(&self, untrusted: Untrusted, address: IpAddr) -> Error {
        match untrusted {
            Untrusted::Invalid(invalid) if invalid.is_foreign() => {
                match self.failures.count(address) {
                    Ok(()) => untrusted.into(),
                    Err(wait) => Error::TooManyFailures { invalid, address, wait },
                }
            }
            _ => untrusted.into(),
        }
    }

    /// Counts a ticket that may be a guess.
    fn fail_ticket(&self, request: &Parts) -> Error {
        let Some(address) = self.address(&request.extensions, &request.headers) else {
            return Error::NoPeer;
        };
        match self.failures.count(address) {
            Ok(()) => Error::UsedTicket,
            Err(wait) => Error::TooManyFalseTickets { address, wait },
        }
    }

    fn with_what_anyone_may(&self, principal: Principal) -> Principal {
        Principal {
            publish: principal.publish.or(&self.anyone.publish),
            subscribe: principal.subscribe.or(&self.anyone.subscribe),
            ..principal
        }
    }

    /// A ticket for one stream, with the caller's rights to listen.
    pub(super) async fn ticket(&self, caller: &Caller) -> Result<Ticket, Error> {
        if !self.has_credentials() {
            // A page that draws tickets works on an open hub too, where nobody looks at them.
            return Ok(Ticket::draw()?);
        }
        if !caller.presented {
            return Err(Error::Unauthenticated);
        }
        let ticket = Ticket::draw()?;
        let expires = Timestamp(Timestamp::now().as_millis() + Ticket::SECONDS * 1000);
        let holder = caller.principal.as_listener();
        let id = TicketId::of(ticket.expose());
        self.tickets.put(id, holder, caller.holder(), expires).await?;
        Ok(ticket)
    }
}

fn authenticator(keys: Keys, key_set: Option<Jwks>, rules: TokenRules) -> Authenticator {
    Authenticator {
        publish_keys: keys.publish,
        subscribe_keys: keys.subscribe,
        tokens: TokenVerifier::new(keys.tokens, key_set, rules),
    }
}

impl Caller {
    /// Who they are, as far as they have said.
    pub(super) fn identity(&self) -> &Identity {
        &self.principal.identity
    }

    /// Under whom what they take of a shared table is counted.
    pub(super) fn holder(&self) -> HolderId {
        HolderId::of(self.identity(), network_of(self.address))
    }

    /// Whose streams theirs are.
    pub(super) fn subject(&self) -> Option<&Arc<str>> {
        self.principal.subject()
    }

    /// By which credential they were let in.
    pub(super) fn credential(&self) -> Option<&CredentialId> {
        self.principal.credential.as_ref()
    }

    /// When their right ends.
    pub(super) fn expires(&self) -> Option<Instant> {
        /// Further ahead than any connection lives, and within what clocks can hold.
        const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
        let left = self.principal.expires?.as_millis().saturating_sub(Timestamp::now().as_millis());
        Some(Instant::now() + Duration::from_millis(left).min(FAR))
    }

    /// Refuses those who may publish nowhere, before their body is read.
    pub(super) fn may_publish(&self) -> Result<(), Error> {
        if self.principal.publish.is_nowhere() { Err(self.refuse(Forbidden)) } else { Ok(()) }
    }

    pub(super) fn publish(&self, drafts: Vec<Draft>) -> Result<Authorised<Vec<Draft>>, Error> {
        self.principal.publish.authorise(drafts).map_err(|error| self.refuse(error))
    }

    pub(super) fn subscribe(&self, selector: Selector) -> Result<Authorised<Selector>, Error> {
        self.principal.subscribe.authorise(selector).map_err(|error| self.refuse(error))
    }

    /// Refuses those who may not cut the streams of others.
    pub(super) fn administer(&self) -> Result<(), Error> {
        if self.principal.admin { Ok(()) } else { Err(self.refuse(Forbidden)) }
    }

    /// Those who have not said who they are may try again when they have.
    fn refuse(&self, _: Forbidden) -> Error {
        if self.presented {
            Error::Forbidden(self.identity().clone())
        } else {
            Error::Unauthenticated
        }
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(hidden)")
    }
}
