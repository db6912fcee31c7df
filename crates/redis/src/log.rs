//! [`RedisLog`]: the event log, put together.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fanfare_event::{EventId, Position, Selector};
use fanfare_log::{
    Appending, Batch, EventLog, Finding, Hearing, LogSize, Page, PageLimit, ReadError, ReadFrom,
    Tail, Unready,
};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::cluster_store::{ClusterStore, ListenerSlot};
use crate::dialer::Dialer;
use crate::error::ConnectError;
use crate::health::Health;
use crate::publisher::Publisher;
use crate::settings::RedisSettings;
use crate::state::{RedisState, Unsettled};
use crate::stream_reader::StreamReader;
use crate::tail::TailTask;
use crate::view::View;
use crate::waiting::Waiting;

/// How long is waited before it is looked again whether everything was answered.
const PAUSE: Duration = Duration::from_millis(1);

/// The event log of a namespace, as one node sees it. Dropping it ends its tasks and closes its
/// connections.
pub struct RedisLog {
    publisher: Publisher,
    reader: Arc<StreamReader>,
    view: Arc<View>,
    health: Arc<Health>,
    store: Arc<ClusterStore>,
    /// None where whoever has the log does its work.
    tasks: Vec<AbortHandle>,
}

impl RedisLog {
    /// Connects, checks that Redis will do, fences, tells `tail` where the log stands and begins
    /// to follow it. Runs on the runtime it is called on; while Redis is away later, it comes back
    /// by itself.
    ///
    /// # Errors
    ///
    /// Redis cannot be reached now, or will not do: [`ConnectError`] says which in one line.
    pub async fn connect(
        settings: RedisSettings,
        tail: Arc<dyn Tail>,
    ) -> Result<Arc<Self>, ConnectError> {
        Self::open(settings, tail, None).await
    }

    /// The same in place of another process, which was this node until now: what it had heard is told to Redis,
    /// and of the other nodes' notices none is missed.
    ///
    /// # Errors
    ///
    /// See [`RedisLog::connect`].
    pub async fn resume(
        settings: RedisSettings,
        tail: Arc<dyn Tail>,
        state: RedisState,
    ) -> Result<Arc<Self>, ConnectError> {
        Self::open(settings, tail, Some(state)).await
    }

    async fn open(
        settings: RedisSettings,
        tail: Arc<dyn Tail>,
        state: Option<RedisState>,
    ) -> Result<Arc<Self>, ConnectError> {
        let runtime = Handle::current();
        let dialer = Dialer::new(&settings);
        let waiting = Waiting::OnRuntime(runtime.clone());
        let assembled = assemble(&settings, runtime.clone(), dialer, waiting, tail, state).await?;
        let Assembled { mut log, following, publishing } = assembled;
        log.tasks = [runtime.spawn(following), runtime.spawn(publishing)]
            .map(|task| task.abort_handle())
            .into();
        Ok(Arc::new(log))
    }

    /// Waits until nothing that was published here is on its way any more, and says what another process needs
    /// to be this node. To be called where nobody publishes any more; blocks. Nothing changes by it.
    ///
    /// # Errors
    ///
    /// Redis has not answered within this time.
    pub fn settle(&self, within: Duration) -> Result<RedisState, Unsettled> {
        let began = Instant::now();
        while !self.publisher.is_settled() {
            if began.elapsed() >= within {
                return Err(Unsettled { within });
            }
            std::thread::sleep(PAUSE);
        }
        let keys = self.publisher.keys();
        Ok(RedisState { noticed: self.view.noticed(), known: self.view.known(), keys: Some(keys) })
    }

    /// What the nodes of the namespace share beside the log.
    pub fn cluster_store(&self) -> &Arc<ClusterStore> {
        &self.store
    }
}

/// A log, and what it needs to have done for it.
pub(crate) struct Assembled {
    pub(crate) log: RedisLog,
    pub(crate) following: EngineTask,
    pub(crate) publishing: EngineTask,
}

/// What goes on for as long as a log does.
pub(crate) type EngineTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Puts a log together: connects, fences, and tells `tail` where the log stands.
pub(crate) async fn assemble(
    settings: &RedisSettings,
    runtime: Handle,
    dialer: Dialer,
    waiting: Waiting,
    tail: Arc<dyn Tail>,
    state: Option<RedisState>,
) -> Result<Assembled, ConnectError> {
    let dialer = Arc::new(dialer);
    let known = state.as_ref().map_or(&[][..], |state| &state.known);
    let mut following = dialer.open(known).await?;
    let publishing = dialer.open(&[following.fenced.last]).await?;
    let last = following.fenced.last;
    let lineage = following.lineage(last.epoch).await.map_err(|error| error.at(&following.node))?;
    let noticed = match &state {
        Some(state) => state.noticed.clone(),
        // What is said from now on concerns whoever comes from now on.
        None => following.last_notice().await.map_err(|error| error.at(&following.node))?,
    };
    let view = Arc::new(View::new(lineage, last, noticed));
    known.iter().for_each(|known| view.record_known(*known));
    let health = Arc::new(Health::new(settings.echo_deadline));
    health.received(last);

    let listener = ListenerSlot::default();
    let store = Arc::new(ClusterStore::new(
        dialer.clone(),
        view.clone(),
        health.clone(),
        settings.response_timeout,
        listener.clone(),
    ));
    // Notices are for streams that are on their way, and whom nobody can end yet.
    let resumes = state.is_some();
    let task = TailTask::begin(
        dialer.clone(),
        view.clone(),
        health.clone(),
        tail,
        listener,
        resumes,
        settings.max_message,
    );
    let following = Box::pin(task.run(Some(following)));
    let (publisher, task) = Publisher::new(
        settings,
        runtime.clone(),
        dialer.clone(),
        view.clone(),
        health.clone(),
        state.and_then(|state| state.keys),
    );
    let publishing = Box::pin(task.run(Some(publishing)));
    let reader =
        StreamReader::new(settings, runtime, waiting, dialer, view.clone(), health.clone());
    let log =
        RedisLog { publisher, reader: Arc::new(reader), view, health, store, tasks: Vec::new() };
    Ok(Assembled { log, following, publishing })
}

impl EventLog for RedisLog {
    fn append(&self, batch: Batch) -> Appending {
        self.publisher.append(batch)
    }

    fn read(
        &self,
        from: ReadFrom,
        until: Position,
        selector: &Selector,
        limit: PageLimit,
    ) -> Result<Page, ReadError> {
        self.reader.read(from, until, selector, limit)
    }

    fn find(&self, id: &EventId) -> Finding {
        self.reader.find(id)
    }

    fn is_in_step(&self) -> bool {
        self.health.tail_error().is_none()
    }

    fn hear_all(&self) -> Hearing {
        self.view.soundings.next_passed()
    }

    fn size(&self) -> Option<LogSize> {
        self.view.size()
    }

    fn ready(&self) -> Result<(), Unready> {
        self.health.ready().map_err(|outage| Unready { source: outage.into() })
    }
}

impl Drop for RedisLog {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
