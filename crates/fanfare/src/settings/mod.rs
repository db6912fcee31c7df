//! The settings of the hub: one table, from which the flags, the environment variables, the keys
//! of `fanfare.toml`, the help and the checked [`Settings`] all follow.
//!
//! What must hold:
//!
//! - *Declared once*: a setting is one entry in the table below. Its name gives the flag
//!   (`--retain-age`), the variable (`FANFARE_RETAIN_AGE`) and the key (`retain_age`); its type
//!   gives the parser; its documentation is its help.
//! - *One order*: a flag wins over the environment, the environment over the file, the file over
//!   the default. A list is taken from one source, never merged.
//! - *Checked as a whole*: [`Settings`] exist only if every value is valid. Otherwise every mistake
//!   is reported, each with the setting, the source and what is allowed.

mod address;
mod byte_size;
mod config_file;
mod count;
mod data_directory;
mod directory;
mod duration;
mod error;
mod field;
mod flags;
mod log_format;
mod log_level;
mod origin;
mod prefix;
mod redis;
mod setting;
mod source;
mod sync_policy;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

pub use address::InvalidAddress;
pub use byte_size::{ByteSize, InvalidSize};
pub use config_file::ConfigFile;
pub use count::InvalidCount;
pub use data_directory::DataDirectory;
pub use directory::{Directory, InvalidDirectory};
pub use duration::InvalidDuration;
pub use error::SettingsError;
pub use flags::Flags;
pub use log_format::{InvalidLogFormat, LogFormat};
pub use log_level::{InvalidLogLevel, LogLevel};
pub use origin::{InvalidOrigin, Origin};
pub use prefix::{InvalidPrefix, Prefix};
pub use source::Source;

use fanfare_log::SyncPolicy;
use fanfare_redis::{Namespace, RedisUrl};
use setting::{Setting, settings};
use source::Sources;

// A row: what `--help` says (the first paragraph is all that `-h` says), the name, the type, the
// default (with none, the type is an `Option` or a `Vec`), and where there is one, the range.
settings! {
    heading "Serving":

    /// Address and port to listen on
    ///
    /// Without a host, as in `:8000`, only this machine is reached; `0.0.0.0:8000` is every
    /// IPv4 interface, `[::]:8000` every interface. Port 0 takes any free port.
    listen: SocketAddr = "127.0.0.1:8000";

    /// Path under which the hub answers
    ///
    /// With `/sse`, publish to `/sse/send` and subscribe at `/sse/events`; with `/`, at `/send` and
    /// `/events`.
    prefix: Prefix = "/sse";

    /// Serve sse_index.html from this directory, not the built-in page
    templates: Option<Directory>;

    /// Let pages of this origin subscribe and publish; may be repeated
    ///
    /// An origin is `scheme://host[:port]`, such as `https://app.example.com`. None are allowed
    /// unless named here, except the hub's own page.
    allow_origin: Vec<Origin>;

    heading "Streams":

    /// Send a keepalive after this long, so that proxies keep a quiet stream open
    heartbeat: Duration = "15s", in "100ms" to "1h";

    /// Tell clients to wait about this long before they reconnect
    ///
    /// Each connection is told its own value, spread around this one, so that a fleet does not come
    /// back in one beat.
    retry: Duration = "3s", in "10ms" to "10m";

    /// Close a stream whose subscriber takes no byte for this long
    write_timeout: Duration = "30s", in "100ms" to "1h";

    /// Spread the closing of streams over this long at shutdown
    drain: Duration = "5s", in "0s" to "10m";

    /// Most streams open at once [default: what the limit of open files allows]
    ///
    /// Beyond it, a stream is answered, told when to come back, and closed.
    max_subscribers: Option<usize>, in "0" to "10_000_000";

    /// Threads that deliver [default: one per core]
    shards: Option<usize>, in "1" to "256";

    heading "Publishing":

    /// Longest message
    ///
    /// A request's body may be six times as long, so that a message fits however it is escaped.
    max_message: ByteSize = "1MiB", in "1B" to "64MiB";

    /// Remember an Idempotency-Key for this long
    idempotency_window: Duration = "5m", in "1s" to "24h";

    /// Most Idempotency-Keys remembered at once
    idempotency_keys: usize = "1_000_000", in "1" to "100_000_000";

    heading "History":

    /// Keep events in this directory, so that they survive a restart [default: in memory only]
    ///
    /// Made if it is not there. One hub at a time can have it open.
    data: Option<DataDirectory>;

    /// Keep events in this Redis, and be one hub with every other node that does
    ///
    /// `redis://[user:password@]host[:port][/db]`, or `redis+sentinel://` or `redis+cluster://`
    /// with several hosts; `rediss` in place of `redis` is TLS. Needs Redis 7 and the policy
    /// noeviction. Not together with --data.
    redis: Option<RedisUrl>;

    /// The name under which events are kept in Redis; nodes that share it are one hub
    namespace: Namespace = "fanfare";

    /// When a publish is acknowledged: disk, interval:100ms or os
    ///
    /// With `disk`, once the event is on disk: it survives the machine. With `interval:TIME` or
    /// `os`, once the operating system has it: it survives the hub; the disk follows within that
    /// time, or when the system likes. Only with --data.
    sync: SyncPolicy = "disk";

    /// Most events kept for replay
    retain_count: u64 = "100_000", in "1" to "1_000_000_000";

    /// Most bytes of events kept for replay
    retain_bytes: ByteSize = "256MiB", in "1KiB" to "16TiB";

    /// Most events of one topic kept for replay; only with --data
    retain_topic_count: Option<u64>, in "1" to "1_000_000_000";

    /// Longest time an event is kept for replay
    retain_age: Duration = "24h", in "100ms" to "3650d";

    /// Most recent events kept encoded in memory
    ///
    /// A subscriber within this window is served without reading the event log.
    window_count: usize = "65_536", in "1" to "16_777_216";

    /// Most bytes of recent events kept encoded in memory
    window_bytes: ByteSize = "64MiB", in "1KiB" to "64GiB";

    heading "Logging":

    /// Form of the log lines on standard error: text or json
    log_format: LogFormat = "text";

    /// Least severe level to log: error, warn, info, debug, trace or off
    ///
    /// Single modules may differ, as in `info,fanfare_delivery=debug`.
    log_level: LogLevel = "info";
}

impl Settings {
    /// Resolves the settings of this process: `flags`, its environment, and the file that
    /// `--config` or `FANFARE_CONFIG` names, else `fanfare.toml` in the working directory if there
    /// is one. Returns every mistake found.
    pub fn load(flags: &Flags) -> Result<Self, Vec<SettingsError>> {
        let named = flags.config().map(Path::to_owned).or_else(|| {
            std::env::var_os("FANFARE_CONFIG").filter(|name| !name.is_empty()).map(Into::into)
        });
        let file = match named {
            Some(path) => ConfigFile::read(&path).map(Some),
            None => ConfigFile::read_default(),
        };
        let file = file.map_err(|error| vec![error])?;
        Self::resolve(flags, |name| std::env::var_os(name), file.as_ref())
    }

    /// Resolves the settings from these sources alone. Returns every mistake found.
    pub fn resolve(
        flags: &Flags,
        env: impl Fn(&str) -> Option<OsString>,
        file: Option<&ConfigFile>,
    ) -> Result<Self, Vec<SettingsError>> {
        let sources = Sources { flags, env, file };
        let settings =
            Self::read(&sources, file.map(ConfigFile::unknown_keys).unwrap_or_default())?;
        if settings.data.is_some() && settings.redis.is_some() {
            return Err(vec![SettingsError::Exclusive { one: "data", other: "redis" }]);
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests;
