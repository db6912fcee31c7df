//! The cluster store: what the nodes of a namespace share beside its log.
//!
//! - A *deposit* is kept under a name for a while, and given out once, at whichever node.
//! - A *notice* is a short text that every node receives: at once, or when it comes back to Redis. The
//!   latest [`ClusterStore::MAX_NOTICES`] are kept. Nodes receive them in the same read as events, and are
//!   told where they have missed some.
//! - A *heartbeat* says that a node is there, in a line of its own, every few seconds.
//!
//! What must hold: whoever waits here waits no longer than the response timeout; to ask twice for a lost
//! answer is to ask once. What Redis loses of this is lost: there are no epochs here.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fanfare_log::Cause;
use redis::{Cmd, Value};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::dialer::Dialer;
use crate::entry::text;
use crate::error::{ConnectError, RedisRequestError};
use crate::health::Health;
use crate::link::{Link, request};
use crate::refusal::PublishRefusal;
use crate::view::View;

/// In the place of a notice's id, before the first.
pub(crate) const NO_NOTICE: &str = "0";
/// Among how many of the latest notices a repeated one is known again.
const REPEATS: usize = 64;

/// Receives what nodes tell each other.
pub trait NoticeListener: Send + Sync + 'static {
    /// These were broadcast, oldest first. Some may have been received before. Must be quick.
    fn on_notices(&self, notices: Vec<Notice>);

    /// Others were broadcast until now, and are no longer there to be received. Must be quick.
    fn on_missed(&self);
}

/// What one node has told all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// In the words of whoever gave it.
    pub text: String,
    /// How long ago, by Redis's clock. Counted back from when it is heard, this leads to when it was
    /// given or a round trip later, never to before.
    pub age: Duration,
}

/// What the nodes of a namespace share beside its log, as one node reaches it.
pub struct ClusterStore {
    dialer: Arc<Dialer>,
    view: Arc<View>,
    health: Arc<Health>,
    response_timeout: Duration,
    /// One connection, opened when it is wanted and thrown away when it is of no more use.
    link: Mutex<Option<Arc<Link>>>,
    listener: ListenerSlot,
}

/// Whoever receives notices, once there is someone.
pub(crate) type ListenerSlot = Arc<OnceLock<Arc<dyn NoticeListener>>>;

/// Why something could be neither left nor fetched.
#[derive(Debug, thiserror::Error)]
pub enum ClusterStoreError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Redis did not answer, refused, or is known to be away.
    #[error("redis is not available: {source}")]
    Unavailable {
        /// What was seen.
        source: Cause,
    },
}

impl Link {
    /// The id of the last notice that was given.
    pub(crate) async fn last_notice(&mut self) -> Result<String, RedisRequestError> {
        let mut question = redis::cmd("XREVRANGE");
        question.arg(&*self.keys.notices).arg("+").arg("-").arg("COUNT").arg(1);
        let ids = ids(self.request(&question).await?)?;
        Ok(ids.into_iter().next().unwrap_or_else(|| NO_NOTICE.to_owned()))
    }

    /// Whether a notice of this id is still kept.
    pub(crate) async fn has_notice(&mut self, id: &str) -> Result<bool, RedisRequestError> {
        let mut question = redis::cmd("XRANGE");
        question.arg(&*self.keys.notices).arg(id).arg(id);
        Ok(!ids(self.request(&question).await?)?.is_empty())
    }
}

/// The ids of entries in an answer to `XRANGE`.
fn ids(answer: Value) -> Result<Vec<String>, RedisRequestError> {
    const UNEXPECTED: RedisRequestError = RedisRequestError::Unexpected("XRANGE");
    let Value::Array(entries) = answer else { return Err(UNEXPECTED) };
    let id = |entry| match entry {
        Value::Array(parts) => parts.into_iter().next().and_then(text),
        _ => None,
    };
    entries.into_iter().map(|entry| id(entry).ok_or(UNEXPECTED)).collect()
}

impl From<RedisRequestError> for ClusterStoreError {
    fn from(error: RedisRequestError) -> Self {
        Self::Unavailable { source: error.into() }
    }
}

impl ClusterStore {
    /// How many notices are kept.
    pub const MAX_NOTICES: usize = 4096;
    /// How many nodes are listed; further ones are not.
    pub const MAX_NODES: usize = 256;
    /// How long a node is listed after its last heartbeat.
    pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(15);

    pub(crate) fn new(
        dialer: Arc<Dialer>,
        view: Arc<View>,
        health: Arc<Health>,
        response_timeout: Duration,
        listener: ListenerSlot,
    ) -> Self {
        Self { dialer, view, health, response_timeout, link: Mutex::default(), listener }
    }

    /// Names the one who receives notices from now on; the first stays.
    pub fn listen(&self, notices: Arc<dyn NoticeListener>) {
        let first = self.listener.set(notices).is_ok();
        debug_assert!(first, "there is one listener");
    }

    /// Keeps a value under a name that nobody else uses.
    pub async fn deposit(
        &self,
        name: &str,
        value: &str,
        keep: Duration,
    ) -> Result<(), ClusterStoreError> {
        self.ask(|link| {
            let mut keeping = redis::cmd("EVALSHA");
            keeping.arg(&link.scripts.deposit).arg(1).arg(link.keys.deposit(name));
            keeping.arg(value).arg(millis(keep));
            keeping
        })
        .await
        .map(drop)
    }

    /// Takes what is kept under a name. Of several who ask, on whatever node, one gets it.
    pub async fn withdraw(&self, name: &str) -> Result<Option<String>, ClusterStoreError> {
        let taker = unique();
        let take = self.ask(|link| {
            let mut take = redis::cmd("EVALSHA");
            take.arg(&link.scripts.withdraw).arg(1).arg(link.keys.deposit(name)).arg(taker);
            take
        });
        Ok(text(take.await?))
    }

    /// A name for a question that other nodes answer by deposits: it does not repeat.
    pub fn question_name(&self) -> String {
        format!("{:016x}", unique())
    }

    /// Tells every node, this one among them.
    pub async fn broadcast(&self, notice: &str) -> Result<(), ClusterStoreError> {
        let name = unique();
        self.ask(|link| {
            let mut add = redis::cmd("EVALSHA");
            add.arg(&link.scripts.broadcast).arg(1).arg(&*link.keys.notices);
            add.arg(Self::MAX_NOTICES).arg(notice).arg(name).arg(REPEATS);
            add
        })
        .await
        .map(drop)
    }

    /// Lists the node of this name with its line, and returns the lines of all that are there.
    pub async fn heartbeat(
        &self,
        name: &str,
        line: &str,
    ) -> Result<Vec<String>, ClusterStoreError> {
        let answer = self.ask(|link| {
            let mut call = redis::cmd("EVALSHA");
            call.arg(&link.scripts.heartbeat).arg(1).arg(&*link.keys.nodes);
            call.arg(name).arg(line).arg(millis(Self::HEARTBEAT_TIMEOUT)).arg(Self::MAX_NODES);
            call
        });
        let Value::Array(lines) = answer.await? else {
            return Err(RedisRequestError::Unexpected("the list of nodes").into());
        };
        Ok(lines.into_iter().filter_map(text).collect())
    }

    /// How many events Redis has that this node has not heard of, as far as it knows: it looks about
    /// once a second.
    pub fn lag(&self) -> u64 {
        self.view.lag()
    }

    /// Takes a node off the list.
    pub async fn leave(&self, name: &str) -> Result<(), ClusterStoreError> {
        self.ask(|link| {
            let mut remove = redis::cmd("HDEL");
            remove.arg(&*link.keys.nodes).arg(name);
            remove
        })
        .await
        .map(drop)
    }

    /// One command that may be repeated, on a new connection where the one there was has gone
    /// meanwhile.
    async fn ask(&self, command: impl Fn(&Link) -> Cmd) -> Result<Value, ClusterStoreError> {
        // While Redis is away, those who come must not all wait for a connection.
        if let Some(error) = self.health.tail_error() {
            return Err(ClusterStoreError::Unavailable { source: error.into() });
        }
        let asking = async {
            let link = self.link().await?;
            match self.ask_over(&link, &command(&link)).await {
                Err(error) if may_succeed_elsewhere(&error) => {
                    let link = self.link().await?;
                    Ok(self.ask_over(&link, &command(&link)).await?)
                }
                answer => Ok(answer?),
            }
        };
        timeout(self.response_timeout, asking)
            .await
            .unwrap_or_else(|_| Err(RedisRequestError::Silent(self.response_timeout).into()))
    }

    async fn link(&self) -> Result<Arc<Link>, ConnectError> {
        let mut kept = self.link.lock().await;
        // One from before an epoch may lead to a server that has been replaced.
        let epoch = self.view.heard().epoch;
        if let Some(link) = kept.as_ref().filter(|link| link.fenced.last.epoch >= epoch) {
            return Ok(Arc::clone(link));
        }
        let link = Arc::new(self.dialer.open(&self.view.known()).await?);
        *kept = Some(Arc::clone(&link));
        Ok(link)
    }

    async fn ask_over(&self, link: &Arc<Link>, command: &Cmd) -> Result<Value, RedisRequestError> {
        let mut connection = link.connection.clone();
        // Sooner than whoever waits gives up, so that a silent link is thrown away.
        let answer = request(&mut connection, command, self.response_timeout.mul_f64(0.9)).await;
        // A refusal for want of memory, say, is not the connection's fault.
        let useless = |error| {
            !matches!(error, &RedisRequestError::Refused(_)) || may_succeed_elsewhere(error)
        };
        if answer.as_ref().is_err_and(useless) {
            let mut kept = self.link.lock().await;
            if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, link)) {
                *kept = None;
            }
        }
        answer
    }
}

/// A number that does not repeat; no secret.
fn unique() -> u64 {
    RandomState::new().hash_one(())
}

/// Whether another connection may have a better answer.
fn may_succeed_elsewhere(error: &RedisRequestError) -> bool {
    match error {
        RedisRequestError::Lost(_) => true,
        RedisRequestError::Refused(said) => {
            matches!(PublishRefusal::of(said.clone()), PublishRefusal::Elsewhere(_))
        }
        RedisRequestError::Silent(_) | RedisRequestError::Unexpected(_) => false,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

impl fmt::Debug for ClusterStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterStore")
            .field("response_timeout", &self.response_timeout)
            .finish_non_exhaustive()
    }
}
