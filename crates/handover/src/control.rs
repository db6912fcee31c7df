//! The control socket: where a hub accepts commands from its own user, and from root.
//!
//! A client connects, sends one [`ControlRequest`], and receives [`ControlReport`]s until the last. Both are records
//! with their length before them. Where no path is set, the socket has no file: its names are of Linux's
//! abstract kind, one of the process and one of the address that the hub listens on, so that none is left
//! behind and none has to be cleaned up. A path takes the place of the latter.
//!
//! What must hold: who may give commands is decided by what the kernel says of the peer, and by nothing else.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::{self, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use rustix::process::{Uid, geteuid};

use crate::codec::{Malformed, Reader, Writer};

/// The longest request or report, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;
/// For how long a client waits for the next report: longer than any step of an upgrade may take.
const NEXT_REPORT: Duration = Duration::from_secs(120);

/// Where a hub accepts commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlAddress {
    /// The hub that is this process.
    Process(u32),
    /// The hub that listens here.
    Listening(SocketAddr),
    /// The hub that was given this path.
    File(PathBuf),
}

/// What a hub is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlRequest {
    /// To hand over to a new process.
    Upgrade {
        /// Of this program; of its own, where it is not given.
        binary: Option<PathBuf>,
    },
    /// To say what would move.
    Check,
}

/// What a hub answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlReport {
    /// How far the hub has come, for a person to read.
    Progress(String),
    /// What would move. The last report.
    Checked(UpgradePreview),
    /// The new process serves. The last report.
    Done(UpgradeOutcome),
    /// It goes on as before, and why. The last report.
    Refused(String),
    /// The new process has become the hub, but has not answered since. The last report.
    Lost(String),
}

/// What would move, and what would not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpgradePreview {
    /// Streams that would keep their connections.
    pub streams: u64,
    /// Streams that would be closed, and resume elsewhere by their ids.
    pub closed: u64,
    /// Why the hub cannot be upgraded at all, if so.
    pub obstacle: Option<String>,
}

/// What an upgrade has moved, and how long it took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpgradeOutcome {
    /// Streams that kept their connections.
    pub streams: u64,
    /// Connections between requests that were kept.
    pub connections: u64,
    /// Streams that were closed, and resume by their ids.
    pub closed: u64,
    /// For how long no event was delivered and no publish acknowledged, in microseconds.
    pub pause_micros: u64,
    /// The new process.
    pub pid: u32,
    /// Which program it is.
    pub version: String,
}

impl ControlAddress {
    /// Its address.
    ///
    /// # Errors
    ///
    /// The path is too long for a socket.
    pub fn address(&self) -> io::Result<net::SocketAddr> {
        match self {
            Self::Process(pid) => {
                net::SocketAddr::from_abstract_name(format!("fanfare/process/{pid}"))
            }
            Self::Listening(address) => {
                net::SocketAddr::from_abstract_name(format!("fanfare/listen/{address}"))
            }
            Self::File(path) => net::SocketAddr::from_pathname(path),
        }
    }

    /// Where a hub may be that is reached at `address`: it, or every address of its kind with that port.
    pub fn reached_at(address: SocketAddr) -> Vec<Self> {
        let any = match address.ip() {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        let both = IpAddr::from(Ipv6Addr::UNSPECIFIED);
        let mut places: Vec<_> = [address.ip(), any, both]
            .map(|ip| Self::Listening(SocketAddr::new(ip, address.port())))
            .into();
        places.dedup();
        places
    }
}

impl fmt::Display for ControlAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(pid) => write!(f, "process {pid}"),
            Self::Listening(address) => write!(f, "{address}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Whether this user may give commands to this process: its own user may, and root.
pub fn may_command(uid: u32) -> bool {
    uid == Uid::ROOT.as_raw() || uid == geteuid().as_raw()
}

/// The client's end of a hub's control socket.
#[derive(Debug)]
pub struct ControlClient(UnixStream);

impl ControlClient {
    /// Reaches the hub at the first of these places where there is one.
    ///
    /// # Errors
    ///
    /// There is none; or what listens there is another user's, and not to be trusted.
    pub fn connect(places: &[ControlAddress]) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for place in places {
            match UnixStream::connect_addr(&place.address()?) {
                Ok(stream) => {
                    let owner = socket_peercred(&stream)?.uid;
                    let own = geteuid();
                    if owner != own && !owner.is_root() && !own.is_root() {
                        let reason =
                            format!("{place} belongs to another user: only it and root may");
                        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
                    }
                    stream.set_read_timeout(Some(NEXT_REPORT))?;
                    return Ok(Self(stream));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// The hub has gone.
    pub fn ask(&mut self, request: &ControlRequest) -> io::Result<()> {
        self.0.write_all(&framed(&request.encode()))
    }

    /// The next report; `None` once the hub has closed the connection.
    ///
    /// # Errors
    ///
    /// The hub sends nothing for too long, or something that cannot be read.
    pub fn report(&mut self) -> io::Result<Option<ControlReport>> {
        let mut length = [0; 4];
        match self.0.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_BYTES {
            return Err(io::Error::other(Malformed("a report is too long")));
        }
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes)?;
        ControlReport::decode(&bytes).map(Some).map_err(io::Error::other)
    }
}

/// A record with its length before it.
pub fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes()[..], bytes].concat()
}

impl ControlRequest {
    /// The request as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Self::Upgrade { binary } => {
                writer.u8(1);
                writer.option(binary.as_ref(), |writer, path| {
                    writer.bytes(path.as_os_str().as_bytes());
                });
            }
            Self::Check => writer.u8(2),
        }
        writer.finish()
    }

    /// The request of these bytes.
    ///
    /// # Errors
    ///
    /// They are not a request.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let request = match reader.u8()? {
            1 => Self::Upgrade {
                binary: reader.option(|reader| {
                    let path = OsStr::from_bytes(reader.bytes()?).to_owned();
                    Ok::<_, Malformed>(PathBuf::from(std::ffi::OsString::from_vec(path.into_vec())))
                })?,
            },
            2 => Self::Check,
            _ => return Err(Malformed("an unknown request")),
        };
        reader.end()?;
        Ok(request)
    }
}

impl ControlReport {
    /// Whether no other follows.
    pub fn is_last(&self) -> bool {
        !matches!(self, Self::Progress(_))
    }

    /// The report as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Self::Progress(text) => {
                writer.u8(1);
                writer.text(text);
            }
            Self::Checked(UpgradePreview { streams, closed, obstacle }) => {
                writer.u8(2);
                writer.u64(*streams);
                writer.u64(*closed);
                writer.option(obstacle.as_deref(), Writer::text);
            }
            Self::Done(UpgradeOutcome {
                streams,
                connections,
                closed,
                pause_micros,
                pid,
                version,
            }) => {
                writer.u8(3);
                for figure in [streams, connections, closed, pause_micros] {
                    writer.u64(*figure);
                }
                writer.u32(*pid);
                writer.text(version);
            }
            Self::Refused(text) => {
                writer.u8(4);
                writer.text(text);
            }
            Self::Lost(text) => {
                writer.u8(5);
                writer.text(text);
            }
        }
        writer.finish()
    }

    /// The report of these bytes.
    ///
    /// # Errors
    ///
    /// They are not a report.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let report = match reader.u8()? {
            1 => Self::Progress(reader.text()?.to_owned()),
            2 => Self::Checked(UpgradePreview {
                streams: reader.u64()?,
                closed: reader.u64()?,
                obstacle: reader.option(|reader| reader.text().map(str::to_owned))?,
            }),
            3 => Self::Done(UpgradeOutcome {
                streams: reader.u64()?,
                connections: reader.u64()?,
                closed: reader.u64()?,
                pause_micros: reader.u64()?,
                pid: reader.u32()?,
                version: reader.text()?.to_owned(),
            }),
            4 => Self::Refused(reader.text()?.to_owned()),
            5 => Self::Lost(reader.text()?.to_owned()),
            _ => return Err(Malformed("an unknown report")),
        };
        reader.end()?;
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_reports_are_read_as_they_were_written() {
        let binary = Some(PathBuf::from("/usr/local/bin/fanfare"));
        for request in [
            ControlRequest::Upgrade { binary: None },
            ControlRequest::Upgrade { binary },
            ControlRequest::Check,
        ] {
            assert_eq!(ControlRequest::decode(&request.encode()), Ok(request));
        }
        let preview = UpgradePreview { streams: 1, closed: 2, obstacle: Some("why".to_owned()) };
        let outcome = UpgradeOutcome {
            streams: 1,
            connections: 2,
            closed: 3,
            pause_micros: 4,
            pid: 5,
            version: "6".to_owned(),
        };
        for report in [
            ControlReport::Progress("a".to_owned()),
            ControlReport::Checked(preview),
            ControlReport::Done(outcome),
            ControlReport::Refused("b".to_owned()),
            ControlReport::Lost("c".to_owned()),
        ] {
            assert_eq!(ControlReport::decode(&report.encode()), Ok(report));
        }
    }

    #[test]
    fn a_hub_on_every_interface_is_found_by_one_address() {
        let places = ControlAddress::reached_at(([127, 0, 0, 1], 8000).into());
        let names: Vec<_> = places.iter().map(ControlAddress::to_string).collect();
        assert_eq!(names, ["127.0.0.1:8000", "0.0.0.0:8000", "[::]:8000"]);
    }

    #[test]
    fn only_the_user_and_root_may_send_commands() {
        let own = geteuid().as_raw();
        assert!(may_command(own) && may_command(0) && !may_command(own + 1));
    }
}
