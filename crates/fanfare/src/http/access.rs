//! Access: who a request's caller is, and what a hub grants them.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::request::Parts;
use fanfare_auth::{
    AccessKeys, Authenticator, Authorised, Forbidden, HolderId, Identity, Jwks, MemoryTickets, Principal,
    PublishGrant, SubscribeGrant, Ticket, TicketId, TicketStore, TokenRules, TokenVerifier,
    VerificationKey,
};
use fanfare_event::{Draft, Selector, Timestamp};

use super::client::{client, network_of};
use super::credentials::{self, Presented};
use super::error::Error;
use super::guard::Guard;
use super::peer::Peer;
use crate::cluster::Cluster;
use crate::key_set_client::KeySetClient;
use crate::settings::{AccessKey, KeyFile, Network, Settings};

/// The most tickets that may wait to be used.
const TICKETS: usize = 100_000;

/// Who is let in, and how they are known.
#[derive(Debug)]
pub(crate) struct Access {
    authenticator: Authenticator,
    tickets: Box<dyn TicketStore>,
    /// What those are granted who present nothing; everyone else is granted it too.
    anyone: Arc<Principal>,
    cookie: Option<String>,
    pub(super) guard: Guard,
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
        let secret = settings.jwt_secret.iter().map(|s| VerificationKey::from_secret(&s.0));
        let public = settings.jwt_public_key.iter().map(|public| public.key.clone());
        let key_set = key_set.map(|client| Jwks::new(Box::new(client), Jwks::INTERVAL));
        let rules = TokenRules {
            issuers: settings.jwt_issuer.iter().map(|name| name.0.clone()).collect(),
            audiences: settings.jwt_audience.iter().map(|name| name.0.clone()).collect(),
        };
        Self {
            authenticator: Authenticator {
                publish_keys: access_keys(&settings.publish_key, &settings.publish_key_file),
                subscribe_keys: access_keys(&settings.subscribe_key, &settings.subscribe_key_file),
                tokens: TokenVerifier::new(secret.chain(public).collect(), key_set, rules),
            },
            tickets: match cluster {
                Some(cluster) => Box::new(cluster.tickets(TICKETS)),
                None => Box::new(MemoryTickets::new(TICKETS)),
            },
            anyone: Arc::new(anyone),
            cookie: settings.cookie_name.as_ref().map(|name| name.0.clone()),
            guard: Guard::new(settings),
            proxies: settings.trusted_proxy.clone(),
        }
    }

    /// Asks for the key set once more, if there is one.
    pub(crate) async fn refresh_keys(&self) {
        if let Some(key_set) = self.authenticator.tokens.key_set() {
            key_set.refresh().await;
        }
    }

    /// Whether there is any credential that would be accepted.
    pub(super) fn has_credentials(&self) -> bool {
        !self.authenticator.is_empty()
    }

    /// Who sent this request.
    pub(super) async fn caller(&self, request: &Parts) -> Result<Caller, Error> {
        let presented = credentials::header(request).or_else(|| self.cookie(request));
        self.know(request, presented).await
    }

    /// Who sent this request for a stream, for which a ticket will do. It goes before the cookie,
    /// which browsers send unasked.
    pub(super) async fn listener(&self, request: &Parts) -> Result<Caller, Error> {
        let ticket = credentials::ticket(request.uri.query().unwrap_or_default())?;
        if ticket.is_none() || credentials::header(request).is_some() {
            return self.caller(request).await;
        }
        match (self.know(request, ticket).await, self.cookie(request)) {
            // An EventSource that comes back repeats its address, with a ticket that has been used.
            (Err(Error::UsedTicket | Error::Tickets(_)), cookie @ Some(_)) => {
                self.know(request, cookie).await
            }
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
        let (principal, presented) = match presented {
            None => (Arc::clone(&self.anyone), false),
            Some(Presented::Bearer(text)) => {
                let principal = self.authenticator.authenticate(&text, now).await?;
                (Arc::new(self.with_what_anyone_may(principal)), true)
            }
            Some(Presented::Ticket(text)) => {
                let holder = self.tickets.take(TicketId::of(&text), now).await?;
                // A ticket gives no time that its holder had not.
                let good = |holder: &Principal| holder.expires.is_none_or(|end| end > now);
                let holder = holder.filter(good).ok_or(Error::UsedTicket)?;
                (Arc::new(self.with_what_anyone_may(holder)), true)
            }
        };
        let peer = request.extensions.get::<Peer>().copied().ok_or(Error::NoPeer)?;
        let address = client(peer, &request.headers, &self.proxies);
        Ok(Caller { principal, address, verified, presented })
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
        self.tickets.put(TicketId::of(ticket.expose()), holder, expires).await?;
        Ok(ticket)
    }
}

fn access_keys(keys: &[AccessKey], files: &[KeyFile]) -> AccessKeys {
    let given = keys.iter().map(|key| &key.0);
    let all: Vec<_> = given.chain(files.iter().flat_map(|file| &file.0)).cloned().collect();
    AccessKeys::new(&all)
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
        if self.presented { Error::Forbidden } else { Error::Unauthenticated }
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(hidden)")
    }
}
