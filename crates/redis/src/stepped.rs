//! The engine without tasks, clocks or sockets: whoever has it polls what follows the stream and what
//! publishes, at the times of its choosing, and answers for Redis.
//!
//! What must hold: it is the same code that runs elsewhere on a runtime.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Waker};

use fanfare_log::{Environment, Tail};
use tokio::runtime::Handle;

use crate::connection::SimulatedNetwork;
use crate::dialer::Dialer;
use crate::error::ConnectError;
use crate::log::{Assembled, EngineTask, RedisLog, assemble};
use crate::settings::RedisSettings;
use crate::waiting::{Waiting, WhileWaiting};

/// What does a log's own work. It must be dropped before, or with, its log.
pub struct RedisWork {
    runtime: Handle,
    following: EngineTask,
    publishing: EngineTask,
}

impl RedisLog {
    /// Connects over a simulated network, like [`RedisLog::connect`], to a log that does nothing by itself.
    /// `runtime` is where time is kept, which should be paused.
    ///
    /// # Errors
    ///
    /// As for [`RedisLog::connect`].
    pub fn connect_by_hand(
        settings: &RedisSettings,
        runtime: &Handle,
        network: Arc<dyn SimulatedNetwork>,
        environment: Arc<dyn Environment>,
        while_waiting: WhileWaiting,
        tail: Arc<dyn Tail>,
    ) -> Result<(Arc<Self>, RedisWork), ConnectError> {
        let dialer = Dialer::simulated(settings, network, environment);
        let waiting = Waiting::ByHand { runtime: runtime.clone(), while_waiting };
        let connecting = assemble(settings, runtime.clone(), dialer, waiting.clone(), tail, None);
        let Assembled { log, following, publishing } = waiting.block_on(connecting)?;
        let work = RedisWork { runtime: runtime.clone(), following, publishing };
        Ok((Arc::new(log), work))
    }
}

impl RedisWork {
    /// Lets it go on as far as it can.
    pub fn go_on(&mut self) {
        let _time = self.runtime.enter();
        let mut context = Context::from_waker(Waker::noop());
        let _ = self.following.as_mut().poll(&mut context);
        let _ = self.publishing.as_mut().poll(&mut context);
    }
}

impl fmt::Debug for RedisWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisWork").finish_non_exhaustive()
    }
}
