//! What becomes of the process when one of delivery's threads panics.

/// Runs what others rely on, a thread or a turn on a thread of someone else. Should it panic, the process ends: its
/// subscribers would hang in silence, where a restarted hub lets them resume.
pub(crate) fn abort_on_panic<T>(run: impl FnOnce() -> T) -> T {
    struct Abort;
    impl Drop for Abort {
        fn drop(&mut self) {
            if std::thread::panicking() {
                tracing::error!("a delivery thread panicked; stopping, so that clients can resume");
                std::process::abort();
            }
        }
    }
    let _abort = Abort;
    run()
}
