//! Serving: a hub is built ([`BuiltHub`]), serves ([`RunningHub`](crate::running_hub::RunningHub)), and is drained, or
//! handed over to another process.
//!
//! What must hold: what cannot be served is an error before anyone is let in, and every request that was let in is
//! answered, or has had its time, before the process ends.

use fanfare_settings::{Flags, Settings};
use fanfare_tls::CertificateSource;
use tokio::signal::unix::{SignalKind, signal};

use crate::built_hub::BuiltHub;
use crate::control::ControlSockets;
use crate::greeting::print_greeting;
use crate::notify_systemd::notify;
use crate::serve_error::ServeError;
use crate::signals::StopSignal;
use crate::upgrade::{Predecessor, ReceivedState, TakeoverError};
use crate::{config, listener, logging, open_files};

/// Runs a hub until it is told to stop, or has handed over to another process.
pub fn serve(flags: &Flags) -> Result<(), ServeError> {
    let mut old = Predecessor::of_this_process()?;
    serve_after(flags, old.as_mut()).inspect_err(|error| {
        if let Some(old) = &old {
            old.failed(&error.reasons());
        }
    })
}

/// The same, in place of the `old` process if there is one.
fn serve_after(flags: &Flags, mut old: Option<&mut Predecessor>) -> Result<(), ServeError> {
    let settings = Settings::load(flags).map_err(ServeError::Settings)?;
    logging::start(&settings)?;
    let tls = config::tls(&settings).map(CertificateSource::open).transpose()?;
    let open_files = open_files::raise_limit();
    let listener = match &mut old {
        Some(old) => old.listener(settings.listen)?,
        None => listener::bind(settings.listen, settings.write_timeout)
            .map_err(|source| ServeError::Listen { address: settings.listen, source })?,
    };
    let inherited = old.as_mut().and_then(|old| old.control());
    let path = config::control_socket(&settings);
    let control = ControlSockets::open(path, listener.local_addr()?, inherited);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = StopSignal::new(old.is_some())?;
        let upgrade = signal(SignalKind::user_defined2())?;
        let mut received_state = old.as_mut().map(|old| old.receive()).transpose()?;
        let state = received_state.as_mut().map(ReceivedState::state).transpose();
        let state = state.map_err(TakeoverError::from)?;
        let built = BuiltHub::new(&settings, open_files, tls, listener, control, state).await?;
        let running = match (old, received_state) {
            (Some(old), Some(received_state)) => {
                built.take_over(old, received_state, &settings).await?
            }
            _ => {
                let running = built.run(&settings);
                print_greeting(running.address, &settings);
                notify("READY=1");
                running
            }
        };
        running.serve(upgrade, &stop, settings.drain).await;
        Ok::<_, ServeError>(())
    })?;
    // Whatever still runs has had its time.
    runtime.shutdown_background();
    Ok(())
}
