//! The `fanfare` program.

use std::process::ExitCode;

/// The leanest of those measured for many idle subscribers; see `bench/README.md`.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    fanfare_cli::run(|flags| Ok(fanfare::serve(flags)?))
}
