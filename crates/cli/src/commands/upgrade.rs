//! `fanfare upgrade`: has a running hub hand its sockets to a new process, and waits until that serves.

use std::io;
use std::net::ToSocketAddrs as _;
use std::path::PathBuf;

use clap::Args;
use fanfare_client::HubUrl;
use fanfare_handover::control::{
    ControlAddress, ControlClient, ControlReport, ControlRequest, UpgradeOutcome, UpgradePreview,
};

use super::CommandError;
use super::hub_args::{hub_url, variable};
use super::terminal::Output;
use crate::exit::CODES;

const EXAMPLES: &str = "\
Examples:
  After a new program has been put in the place of the old one:
    fanfare upgrade
  What would it do?
    fanfare upgrade --check
  With a program elsewhere:
    fanfare upgrade --binary /opt/fanfare-2/fanfare

Streams over HTTP/1.1 keep their connections, in clear text and over TLS 1.3, and so do connections
in clear text between two requests; streams over HTTP/2 and TLS 1.2 are told to come back, and
resume by their ids. The hub hands over to a new process with its own arguments and environment;
files are read anew. If that fails at any step, the hub goes on as if nothing had been asked. Only the hub's own
user and root may ask, on the hub's machine.";

/// Which hub is to be upgraded, and how.
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{CODES}"))]
pub(crate) struct UpgradeArgs {
    /// Program to start [default: what the hub was started as]
    #[arg(long, value_name = "PATH", conflicts_with = "check")]
    binary: Option<PathBuf>,
    /// Say what would move and what would be closed, and do nothing
    #[arg(long)]
    check: bool,
    /// Address of the hub [default: http://127.0.0.1:8000] [env: FANFARE_URL]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The hub with this process id
    #[arg(long, value_name = "PID", conflicts_with = "url")]
    pid: Option<u32>,
    /// The hub with this --control-socket [env: FANFARE_CONTROL_SOCKET]
    #[arg(long, value_name = "PATH", conflicts_with_all = ["url", "pid"])]
    control_socket: Option<PathBuf>,
}

/// Has a hub upgraded; fails where it goes on as before.
pub(crate) fn upgrade(args: &UpgradeArgs) -> Result<(), CommandError> {
    let places = args.places()?;
    let unreachable =
        |source| CommandError::NoControlSocket { place: places[0].to_string(), source };
    let mut hub = ControlClient::connect(&places).map_err(unreachable)?;
    let request = if args.check {
        ControlRequest::Check
    } else {
        // The hub may be in another directory.
        let absolute = args.binary.as_deref().map(std::path::absolute).transpose();
        ControlRequest::Upgrade { binary: absolute.map_err(CommandError::Start)? }
    };
    hub.ask(&request).map_err(unreachable)?;
    let mut out = Output::new();
    loop {
        match hub.report().map_err(unreachable)? {
            Some(ControlReport::Progress(text)) => {
                // To a person who waits, and not into a result.
                eprintln!("{text}");
            }
            Some(ControlReport::Checked(preview)) => return checked(&preview, &mut out),
            Some(ControlReport::Done(outcome)) => return done(&outcome, &mut out),
            Some(ControlReport::Refused(reason)) => return Err(CommandError::NotUpgraded(reason)),
            Some(ControlReport::Lost(reason)) => return Err(CommandError::HubLost(reason)),
            None => return Err(unreachable(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

impl UpgradeArgs {
    fn places(&self) -> Result<Vec<ControlAddress>, CommandError> {
        if let Some(pid) = self.pid {
            return Ok(vec![ControlAddress::Process(pid)]);
        }
        if let Some(path) = &self.control_socket {
            return Ok(vec![ControlAddress::File(path.clone())]);
        }
        if self.url.is_none()
            && let Some(path) = variable("FANFARE_CONTROL_SOCKET")?
        {
            return Ok(vec![ControlAddress::File(path.into())]);
        }
        let url: HubUrl = hub_url(self.url.as_deref())?;
        let (host, port) = url.place();
        let found = (host, port)
            .to_socket_addrs()
            .map_err(|source| CommandError::NoControlSocket { place: host.to_owned(), source })?;
        let places: Vec<_> = found.flat_map(ControlAddress::reached_at).collect();
        if places.is_empty() {
            let source = io::ErrorKind::NotFound.into();
            return Err(CommandError::NoControlSocket { place: host.to_owned(), source });
        }
        Ok(places)
    }
}

fn checked(preview: &UpgradePreview, out: &mut Output) -> Result<(), CommandError> {
    let UpgradePreview { streams, closed, obstacle } = preview;
    if let Some(obstacle) = obstacle {
        return Err(CommandError::NotUpgraded(obstacle.clone()));
    }
    out.line(format_args!("{streams} streams would keep their connections"))?;
    out.line(format_args!("{closed} streams would be closed, and resume by their ids"))?;
    out.flush()
}

fn done(outcome: &UpgradeOutcome, out: &mut Output) -> Result<(), CommandError> {
    let UpgradeOutcome { streams, connections, closed, pause_micros, pid, version } = outcome;
    out.line(format_args!("process {pid} of version {version} serves"))?;
    out.line(format_args!("{streams} streams kept their connections, and {connections} others"))?;
    out.line(format_args!("{closed} streams were closed, and resume by their ids"))?;
    let pause = *pause_micros as f64 / 1_000.0;
    out.line(format_args!("nothing was delivered or acknowledged for {pause:.1} ms"))?;
    out.flush()
}
