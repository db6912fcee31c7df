//! One run against any hub, as a job in JSON on standard input tells it; the report, in JSON, goes to
//! standard output. `bench/compare` writes the jobs and starts the hubs.

use std::fs;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use fanfare_bench::{BenchError, BenchPlan, Load, Protocol, Requests, run, storm};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde_json::json;

/// What is to be done. `crates/bench/src/requests.rs` says which places requests have.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    /// The core that this program runs on.
    core: Option<usize>,
    address: SocketAddr,
    publish_address: Option<SocketAddr>,
    subscribe: String,
    resume: Option<String>,
    publish: String,
    body: String,
    #[serde(default)]
    wrapped: bool,
    id_after: Option<String>,
    /// All connections are over TLS; the server shows this certificate, in PEM.
    certificate: Option<PathBuf>,
    /// The server's process; those that it started count too.
    pid: u32,
    work: Work,
    subscribers: u32,
    #[serde(default)]
    slow: u32,
    size: usize,
    topics: u32,
    publishers: u32,
    warmup: f64,
    seconds: f64,
}

/// Which kind of run.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Work {
    Idle,
    Paced { rate: f64 },
    Unpaced { in_flight: u64 },
    Storm { missed: u32 },
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum DriveError {
    #[error("cannot read the job: {0}")]
    Read(#[from] io::Error),
    #[error("the job is wrong: {0}")]
    Job(#[from] serde_json::Error),
    #[error("cannot stay on core {core}: {source}")]
    Core { core: usize, source: io::Error },
    #[error("cannot use the certificate {path}: {reason}", path = path.display())]
    Certificate { path: PathBuf, reason: String },
    #[error("a time is not one: {0}")]
    Time(#[from] std::time::TryFromFloatSecsError),
    #[error(transparent)]
    Run(#[from] BenchError),
}

fn main() -> ExitCode {
    match drive() {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn drive() -> Result<serde_json::Value, DriveError> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let job: Job = serde_json::from_str(&text)?;
    if let Some(core) = job.core {
        pin_to_core(core)?;
    }
    let work = job.work;
    let plan = job.plan()?;
    Ok(match work {
        Work::Storm { missed } => json!({ "storm": storm(&plan, missed)? }),
        _ => json!({ "run": run(&plan, &mut |_| ())? }),
    })
}

impl Job {
    fn plan(self) -> Result<BenchPlan, DriveError> {
        let tls = self.certificate.as_deref().map(trusting).transpose()?.map(Arc::new);
        let requests = Requests {
            subscribe: self.subscribe,
            resume: self.resume,
            publish: self.publish,
            body: self.body,
            publish_address: self.publish_address,
            wrapped: self.wrapped,
            id_after: self.id_after,
            tls,
        };
        Ok(BenchPlan {
            // Of the page, only the address is used.
            url: format!("http://{}/", self.address).parse().map_err(BenchError::Target)?,
            publish_url: None,
            authorization: None,
            subscribers: self.subscribers,
            dialect: Protocol::Native,
            load: match self.work {
                Work::Idle | Work::Storm { .. } => Load::Idle,
                Work::Paced { rate } => Load::Paced { rate },
                Work::Unpaced { in_flight } => Load::Unpaced { in_flight },
            },
            size: self.size,
            topics: self.topics,
            interval: None,
            publishers: self.publishers,
            batch: 1,
            publish_stream: false,
            warmup: Duration::try_from_secs_f64(self.warmup)?,
            duration: Duration::try_from_secs_f64(self.seconds)?,
            slow: self.slow,
            requests: Some(Arc::new(requests)),
            pid: Some(self.pid),
        })
    }
}

fn pin_to_core(core: usize) -> Result<(), DriveError> {
    let mut cores = CpuSet::new();
    if core < CpuSet::MAX_CPU {
        cores.set(core);
    }
    sched_setaffinity(None, &cores).map_err(|error| DriveError::Core { core, source: error.into() })
}

/// A client of whoever has this certificate. Each connection makes a whole handshake: those who come back
/// after an hour have no session to resume.
fn trusting(path: &Path) -> Result<ClientConfig, DriveError> {
    let failed = |reason: String| DriveError::Certificate { path: path.to_owned(), reason };
    let pem = fs::read(path).map_err(|error| failed(error.to_string()))?;
    let certificate =
        CertificateDer::from_pem_slice(&pem).map_err(|error| failed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
}
