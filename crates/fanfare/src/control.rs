//! The control socket: commands from the hub's own user and from root; and SIGUSR2, which is one.
//!
//! What must hold: a client of any other user is refused before a byte of it is read, and logged, at most once a
//! second; one command is carried out at a time; and a client that sends nothing does not hold up the next for long.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::time::{Duration, Instant};

use fanfare_handover::control::{
    ControlAddress, ControlReport, ControlRequest, MAX_BYTES, framed, may_command,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How much time lies at least between two lines of the log about refused clients.
const LOGGED: Duration = Duration::from_secs(1);
/// How long a client may take to send its command, and to take a report.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What the hub is to do, and where its reports go.
#[derive(Debug)]
pub(crate) struct ControlCommand {
    pub(crate) request: ControlRequest,
    pub(crate) reports: mpsc::UnboundedSender<ControlReport>,
}

/// Clients that were refused, and how many of them are not in the log.
#[derive(Debug, Default)]
struct Refusals {
    logged: Option<Instant>,
    left_out: u64,
}

/// Where commands come in.
#[derive(Debug)]
pub(crate) struct ControlSockets {
    /// Of this process alone.
    own: Option<StdListener>,
    /// Of the hub, whatever process it is.
    hub: Option<StdListener>,
}

impl ControlSockets {
    /// Listens at `path`, or where the process and the address say. `inherited` is the hub's, from the
    /// process before. Without one the hub serves all the same.
    pub(crate) fn open(
        path: Option<&Path>,
        listen: SocketAddr,
        inherited: Option<OwnedFd>,
    ) -> Self {
        let warn = |place: ControlAddress| {
            move |error: &io::Error| {
                tracing::warn!(
                    %error,
                    "the control socket {place} could not be opened; `fanfare upgrade` will not work there"
                );
            }
        };
        let hub = match (inherited, path) {
            (Some(inherited), _) => Some(StdListener::from(inherited)),
            (None, Some(path)) => {
                let place = ControlAddress::File(path.to_owned());
                bind_file(path).inspect_err(warn(place)).ok()
            }
            (None, None) => {
                let place = ControlAddress::Listening(listen);
                bind(&place).inspect_err(warn(place)).ok()
            }
        };
        // Also beside a path: it can be found by the process id, as systemd's unit does.
        let place = ControlAddress::Process(std::process::id());
        let own = bind(&place).inspect_err(warn(place)).ok();
        for listener in hub.iter().chain(&own) {
            if let Err(error) = listener.set_nonblocking(true) {
                tracing::warn!(%error, "a control socket cannot be used");
            }
        }
        Self { own, hub }
    }

    /// The hub's own, for the process that is the hub next.
    pub(crate) fn descriptor(&self) -> Option<OwnedFd> {
        self.hub.as_ref()?.as_fd().try_clone_to_owned().ok()
    }

    /// Takes commands until the receiver is dropped.
    pub(crate) async fn listen(&self, commands: mpsc::Sender<ControlCommand>) {
        let open = |listener: &Option<StdListener>| {
            let listener = listener.as_ref()?.try_clone().ok()?;
            UnixListener::from_std(listener).ok()
        };
        let (own, hub) = (open(&self.own), open(&self.hub));
        let mut refusals = Refusals::default();
        loop {
            let accepted = tokio::select! {
                accepted = accept(own.as_ref()) => accepted,
                accepted = accept(hub.as_ref()) => accepted,
                () = commands.closed() => return,
            };
            let Some(stream) = refusals.authorise(accepted, Instant::now()) else { continue };
            // Whatever becomes of it, the next one is taken.
            if let Err(error) = serve(stream, &commands).await {
                tracing::debug!(%error, "a control command broke off");
            }
        }
    }
}

/// Passes on what SIGUSR2 asks for, for ever.
pub(crate) async fn upgrade_on(mut signal: Signal, commands: mpsc::Sender<ControlCommand>) {
    while signal.recv().await.is_some() {
        let (reports, _) = mpsc::unbounded_channel();
        let command = ControlCommand { request: ControlRequest::Upgrade { binary: None }, reports };
        if commands.send(command).await.is_err() {
            return;
        }
    }
}

fn bind(place: &ControlAddress) -> io::Result<StdListener> {
    StdListener::bind_addr(&place.address()?)
}

/// A socket of this name is another hub's if something listens there; otherwise it was left behind, and is replaced.
fn bind_file(path: &Path) -> io::Result<StdListener> {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let listener = StdListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The next client.
async fn accept(listener: Option<&UnixListener>) -> UnixStream {
    /// How long to wait when the system has no descriptor left.
    const PAUSE: Duration = Duration::from_millis(100);
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

impl Refusals {
    /// The client, if it is of the hub's own user or of root; otherwise it is refused.
    fn authorise(&mut self, stream: UnixStream, now: Instant) -> Option<UnixStream> {
        let peer = stream.peer_cred();
        if peer.as_ref().is_ok_and(|peer| may_command(peer.uid())) {
            return Some(stream);
        }
        if let Some(left_out) = self.line(now) {
            match peer {
                Ok(peer) => {
                    let uid = peer.uid();
                    tracing::warn!(uid, left_out, "a command of another user was refused");
                }
                Err(error) => {
                    tracing::warn!(%error, left_out, "a command of unknown origin was refused");
                }
            }
        }
        None
    }

    /// Whether there may be a line about one more; how many were left out since the last.
    fn line(&mut self, now: Instant) -> Option<u64> {
        if self.logged.is_some_and(|logged| now.saturating_duration_since(logged) < LOGGED) {
            self.left_out += 1;
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

async fn serve(mut stream: UnixStream, commands: &mpsc::Sender<ControlCommand>) -> io::Result<()> {
    let request = timeout(TIMEOUT, read(&mut stream)).await.map_err(io::Error::other)??;
    let (reports, mut reported) = mpsc::unbounded_channel();
    let gone = ControlReport::Refused("this process is no longer the hub: try again".to_owned());
    if commands.send(ControlCommand { request, reports }).await.is_err() {
        return write(&mut stream, &gone).await;
    }
    while let Some(report) = reported.recv().await {
        write(&mut stream, &report).await?;
        if report.is_last() {
            return Ok(());
        }
    }
    write(&mut stream, &gone).await
}

async fn read(stream: &mut UnixStream) -> io::Result<ControlRequest> {
    let length = stream.read_u32_le().await? as usize;
    if length > MAX_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    ControlRequest::decode(&bytes).map_err(io::Error::other)
}

async fn write(stream: &mut UnixStream, report: &ControlReport) -> io::Result<()> {
    let bytes = framed(&report.encode());
    timeout(TIMEOUT, stream.write_all(&bytes)).await.map_err(io::Error::other)?
}
