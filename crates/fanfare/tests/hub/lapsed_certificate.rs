//! Certificates that the hub orders for itself come, are kept, and are renewed in time; whatever
//! the authority does, the old one stays. Orders go to a directory made for the tests, which checks
//! what an authority checks; it is not Let's Encrypt.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::pebble::Place;
use crate::support::{
    Authority, Http, Hub, Lifetime, Metrics, Publisher, Setup, await_that, certificate_shown,
};

/// Names the file of the authorities that the hub trusts.
const TRUST: &str = "SSL_CERT_FILE";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// One that is due for renewal when it is issued, though good for a while.
const OLD: Lifetime = Lifetime { past: Duration::from_secs(80 * 24 * 3600), left: DAY };

/// Starts a hub that orders from this authority for these domains, which do not lead to it yet.
fn start_astray(authority: &Authority, cache: &Path, domains: &[&str]) -> Hub {
    setup(&authority.directory(), cache, domains).variable(TRUST, authority.file()).start()
}

fn setup(directory: &str, cache: &Path, domains: &[&str]) -> Setup {
    let cache = cache.to_str().unwrap();
    let mut arguments = vec!["--acme-directory", directory, "--acme-cache", cache];
    arguments.extend(domains.iter().flat_map(|domain| ["--acme-domain", domain]));
    arguments.extend(["--acme-contact", "ops@hub.test"]);
    Setup::new(&arguments).alone()
}

/// Starts one, and has the domains lead to it.
fn start(authority: &Authority, cache: &Path, domains: &[&str]) -> Hub {
    let hub = start_astray(authority, cache, domains);
    for domain in domains {
        authority.lead(domain, hub.address());
    }
    hub
}

/// Starts one for `localhost`, and waits for its first certificate.
fn start_and_await(authority: &Authority, cache: &Path) -> Hub {
    let hub = start(authority, cache, &["localhost"]);
    hub.await_log("a certificate has been issued");
    hub
}

fn metrics(hub: &Hub, authority: &Authority) -> Metrics {
    let mut connection = hub.connect_securely(&authority.trust());
    Metrics::parse(&connection.request("GET", "/metrics", &[], b"").text())
}

fn shown(hub: &Hub, authority: &Authority) -> Vec<u8> {
    certificate_shown(hub.address(), &authority.trust())
}

#[test]
fn a_first_certificate_is_issued() {
    let (authority, cache) = (Authority::start(), TempDir::new().unwrap());
    let hub = start(&authority, cache.path(), &["localhost", "events.localhost"]);
    hub.await_log("a certificate has been issued");
    assert_eq!(authority.violations(), [""; 0]);
    assert_eq!(authority.contacts(), ["mailto:ops@hub.test"]);

    for http in [Http::One, Http::Two] {
        let trust = authority.trust();
        let mut subscriber = hub.subscription().over(http).secure(&trust).open();
        Publisher::over(hub.connect_securely(&trust)).send("over TLS");
        assert_eq!(subscriber.messages(1), ["over TLS"]);
    }
    let metrics = metrics(&hub, &authority);
    assert_eq!(metrics.labelled("fanfare_certificate_orders_total", "issued"), 1.0);
    let expiry = metrics.sum("fanfare_certificate_expiry_timestamp_seconds");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!(expiry > now + 89.0 * DAY.as_secs_f64(), "{expiry}");

    let [authority] = &entries(cache.path())[..] else { panic!("one authority, one directory") };
    let files = entries(authority);
    assert_eq!(files.len(), 2, "the account and the certificate: {files:?}");
    for file in files {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file:?} can be read by others");
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn no_restart_orders_again() {
    let (authority, cache) = (Authority::start(), TempDir::new().unwrap());
    let hub = start_and_await(&authority, cache.path());
    let first = shown(&hub, &authority);
    drop(hub);
    authority.break_connections(true);
    let hub = start(&authority, cache.path(), &["localhost"]);
    assert_eq!(shown(&hub, &authority), first);
    hub.await_log("the certificate that was kept is shown");
    hub.signal(Signal::HUP);
    hub.await_log("the certificate need not be renewed yet");
    assert_eq!((authority.issued(), authority.orders()), (1, 1));
}

#[test]
fn a_new_domain_is_added_without_an_outage() {
    let (authority, cache) = (Authority::start(), TempDir::new().unwrap());
    let first = shown(&start_and_await(&authority, cache.path()), &authority);
    authority.break_connections(true);
    let hub = start(&authority, cache.path(), &["localhost", "events.localhost"]);
    hub.await_log("no certificate has been issued; what was shown stays");
    assert_eq!(shown(&hub, &authority), first);
    authority.break_connections(false);
    hub.signal(Signal::HUP);
    hub.await_log("a certificate has been issued");
    assert_ne!(shown(&hub, &authority), first);
    assert_eq!((authority.issued(), authority.accounts()), (2, 1), "the account is kept");
}

#[test]
fn a_renewal_disturbs_no_stream() {
    let (authority, cache) = (Authority::start(), TempDir::new().unwrap());
    authority.issue_for(OLD);
    let hub = start_and_await(&authority, cache.path());
    let first = shown(&hub, &authority);
    drop(hub);
    authority.issue_for(Lifetime::default());
    authority.stall_visits("localhost");
    let hub = start_astray(&authority, cache.path(), &["localhost"]);
    let trust = authority.trust();
    let mut subscribers =
        [Http::One, Http::Two].map(|http| hub.subscription().over(http).secure(&trust).open());
    let mut publisher = Publisher::over(hub.connect_securely(&trust));
    publisher.send("before");

    authority.lead("localhost", hub.address());
    hub.await_log("a certificate has been issued");
    assert_ne!(shown(&hub, &authority), first);
    publisher.send("after");
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.messages(2), ["before", "after"]);
    }
    assert_eq!((authority.issued(), authority.accounts()), (2, 1));
    assert_eq!(authority.violations(), [""; 0]);
}

#[test]
fn a_certificate_is_renewed_without_a_restart() {
    let (authority, cache) = (Authority::start(), TempDir::new().unwrap());
    authority.issue_for(Lifetime { past: Duration::ZERO, left: Duration::from_secs(3) });
    let hub = start_and_await(&authority, cache.path());
    authority.issue_for(Lifetime::default());
    await_that("a renewal by itself", || authority.issued() >= 2);
    let good = || {
        let mut connection = hub.connect_securely(&authority.trust());
        connection.try_send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").is_ok()
    };
    await_that("a certificate that is good", good);
}

#[test]
fn the_certificate_stays_while_the_authority_is_away() {
    let (authority, cache) = (Authority::start(), TempDir::new().unwrap());
    authority.issue_for(OLD);
    let first = shown(&start_and_await(&authority, cache.path()), &authority);
    authority.break_connections(true);
    let hub = start(&authority, cache.path(), &["localhost"]);
    let trust = authority.trust();
    let mut subscriber = hub.subscription().secure(&trust).open();
    hub.await_log("no certificate has been issued; what was shown stays");
    assert!(hub.logged().contains("retry_in="), "{}", hub.logged());
    assert_eq!(shown(&hub, &authority), first);
    let seen = metrics(&hub, &authority);
    assert!(seen.labelled("fanfare_certificate_orders_total", "failed") >= 1.0);

    authority.break_connections(false);
    authority.issue_for(Lifetime::default());
    hub.signal(Signal::HUP);
    hub.await_log("a certificate has been issued");
    assert_ne!(shown(&hub, &authority), first);
    Publisher::over(hub.connect_securely(&trust)).send("all along");
    assert_eq!(subscriber.messages(1), ["all along"]);
}

#[test]
fn a_refused_order_is_repeated_later() {
    let (authority, cache) = (Authority::start(), TempDir::new().unwrap());
    authority.refuse(true);
    let hub = start(&authority, cache.path(), &["localhost"]);
    hub.await_log("the test forbids it");
    assert_eq!(authority.orders(), 1);
    let mut connection = hub.connect_securely(&authority.trust());
    assert!(connection.try_send("GET / HTTP/1.1\r\n\r\n").is_err(), "there is nothing to show");
    authority.refuse(false);
    hub.signal(Signal::HUP);
    hub.await_log("a certificate has been issued");
    assert_eq!(authority.orders(), 2, "one refused, one filled");
}

#[test]
fn a_forgotten_account_is_made_anew() {
    let (authority, cache) = (Authority::start(), TempDir::new().unwrap());
    authority.issue_for(OLD);
    drop(start_and_await(&authority, cache.path()));
    authority.forget();
    authority.issue_for(Lifetime::default());
    let hub = start_and_await(&authority, cache.path());
    assert!(hub.logged().contains("a new one is made"), "{}", hub.logged());
    assert_eq!((authority.issued(), authority.accounts()), (2, 1));
}

#[test]
fn a_domain_that_leads_elsewhere_is_logged() {
    log_a_domain_that_leads_elsewhere(&Authority::start());
}

#[test]
fn a_quick_authoritys_refusal_is_logged_the_same() {
    let authority = Authority::start();
    authority.visit_at_once();
    log_a_domain_that_leads_elsewhere(&authority);
}

fn log_a_domain_that_leads_elsewhere(authority: &Authority) {
    let cache = TempDir::new().unwrap();
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    authority.lead("events.localhost", elsewhere.local_addr().unwrap());
    thread::spawn(move || {
        // Of a server that speaks no TLS.
        let _ = elsewhere.accept().unwrap().0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let hub = start_astray(authority, cache.path(), &["events.localhost"]);
    hub.await_log("the authority could not prove that events.localhost leads here");
}

#[test]
fn a_stranger_asking_as_an_authority_learns_nothing() {
    let (authority, cache) = (Authority::start(), TempDir::new().unwrap());
    let hub = start_and_await(&authority, cache.path());
    let mut trust = (*authority.trust()).clone();
    trust.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let mut stranger = hub.connect_securely(&trust.into());
    assert!(stranger.try_send("GET / HTTP/1.1\r\n\r\n").is_err(), "no proof is wanted now");
}

#[test]
fn an_untrusted_authority_is_refused() {
    let (authority, cache) = (Authority::start(), TempDir::new().unwrap());
    let hub = setup(&authority.directory(), cache.path(), &["localhost"])
        .variable(TRUST, Authority::start().file())
        .start();
    hub.await_log("no certificate has been issued");
    assert!(hub.logged().contains("invalid peer certificate"), "{}", hub.logged());
    assert_eq!(authority.accounts(), 0);
}

#[test]
#[ignore = "needs Pebble, which Let's Encrypt maintains for tests: scripts/pebble builds it"]
fn pebble_issues_and_renews_a_certificate() {
    let (place, cache) = (Place::find(), TempDir::new().unwrap());
    let hub = setup(&place.directory(), cache.path(), &["localhost"])
        .variable(TRUST, place.file())
        .start();
    hub.await_log("no certificate has been issued");
    let pebble = place.settle(hub.address().port());
    hub.signal(Signal::HUP);
    hub.await_log("a certificate has been issued");
    let issued = || hub.logged().matches("a certificate has been issued").count();
    await_that("two renewals by themselves", || issued() >= 3);
    let trust = pebble.trust();
    let good = || {
        let mut connection = hub.connect_securely(&trust);
        connection.try_send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").is_ok()
    };
    await_that("a certificate that is good", good);
}
