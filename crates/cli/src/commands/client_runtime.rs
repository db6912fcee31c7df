//! The runtime of the subcommands that are clients.

use super::CommandError;

/// Runs a client to its end, on this thread.
pub(super) fn block_on<T>(
    client: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Start)?;
    runtime.block_on(client)
}
