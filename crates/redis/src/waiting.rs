//! Waiting: blocking on a future from a thread outside the runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;

/// What is called while a read waits for an answer of Redis: it lets the answer come.
pub type WhileWaiting = Arc<dyn Fn() + Send + Sync>;

/// How a thread outside the runtime blocks on a future.
#[derive(Clone)]
pub(crate) enum Waiting {
    OnRuntime(Handle),
    ByHand { runtime: Handle, while_waiting: WhileWaiting },
}

impl Waiting {
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let (runtime, while_waiting) = match self {
            Self::OnRuntime(runtime) => return runtime.block_on(future),
            Self::ByHand { runtime, while_waiting } => (runtime, while_waiting),
        };
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            {
                let _time = runtime.enter();
                if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                    return result;
                }
            }
            while_waiting();
        }
    }
}
