//! Processor time: what answering a request takes of it, and where what takes long is done.
//!
//! What must hold: what is counted is this thread's own work, not what others did meanwhile, nor the time it waited;
//! and nothing that takes long keeps the connections of others waiting.

use std::pin::pin;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Handle, RuntimeFlavor};

/// From how many bytes on a body is read where nobody waits for it: it may take milliseconds.
pub(crate) const LONG_BODY: usize = 128 * 1024;

/// Runs a future. `note` is told how much processor time each poll of it took. That costs two system calls a poll.
pub(crate) async fn noting_time<F: Future>(future: F, note: impl Fn(Duration)) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        let began = used_by_this_thread();
        let polled = future.as_mut().poll(context);
        note(used_by_this_thread().saturating_sub(began));
        polled
    })
    .await
}

/// Does some work. If it may take long, the other tasks of this worker go on in another thread meanwhile.
pub(crate) fn aside<T>(is_long: bool, work: impl FnOnce() -> T) -> T {
    let may_block = || {
        let handle = Handle::try_current();
        handle.is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
    };
    if is_long && may_block() { tokio::task::block_in_place(work) } else { work() }
}

/// The processor time that this thread has used so far.
pub(crate) fn used_by_this_thread() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    // It is never negative.
    Duration::try_from(used).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn waiting_takes_no_processor_time_and_work_does() {
        let (noted, stretches) = (Cell::new(Duration::ZERO), Cell::new(0));
        let note = |took| {
            noted.set(noted.get() + took);
            stretches.set(stretches.get() + 1);
        };
        noting_time(tokio::time::sleep(Duration::from_millis(50)), note).await;
        assert!(stretches.get() >= 2 && noted.get() < Duration::from_millis(25), "{noted:?}");
        let work = async {
            let began = used_by_this_thread();
            while used_by_this_thread() - began < Duration::from_millis(30) {
                std::hint::black_box(Instant::now());
            }
        };
        noting_time(work, note).await;
        assert!(noted.get() >= Duration::from_millis(30), "{noted:?}");
    }

    #[test]
    fn what_takes_long_keeps_nobody_waiting() {
        // One thread for everything: whatever blocks it would block the other task.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.block_on(async {
            let (said, heard) = std::sync::mpsc::channel();
            let (begun, begins) = tokio::sync::oneshot::channel();
            let long = tokio::spawn(async move {
                aside(true, || {
                    begun.send(()).unwrap();
                    heard.recv().unwrap();
                });
            });
            begins.await.unwrap();
            tokio::spawn(async move { said.send(()).unwrap() }).await.unwrap();
            long.await.unwrap();
        });
    }
}
