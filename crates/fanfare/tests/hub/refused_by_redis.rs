//! The ways to a Redis that the guide names lead there, through the real binary.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use fanfare_testkit::{RedisServer, free_port};
use serde_json::json;

use crate::support::Setup;

#[test]
fn a_user_with_the_rights_of_the_guide_suffices() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cluster.md");
    let guide = fs::read_to_string(guide).unwrap();
    let rule = guide.lines().find(|line| line.starts_with("ACL SETUSER fanfare ")).unwrap();
    let redis = RedisServer::start(&[]);
    redis.command(&rule.split(' ').collect::<Vec<_>>());
    // Nothing in it is to be forgiven by an all-powerful default.
    assert!(redis.command(&["ACL", "DRYRUN", "fanfare", "FLUSHALL"]).contains("no permissions"));

    let url = format!("redis://fanfare:PASSWORD@127.0.0.1:{}", redis.port());
    // Long enough for all of it to be read before it is too old, on a busy machine too.
    let arguments = ["--redis", &url, "--window-count", "4", "--retain-age", "5s"];
    let hub = Setup::new(&arguments).own_log().start();
    let mut publisher = hub.publisher();
    let first = publisher.send("0");
    let keyed = [("Content-Type", "application/json"), ("Idempotency-Key", "k")];
    for repeated in [false, true] {
        let answer = publisher.post(&keyed, json!({ "message": "1" }).to_string());
        assert_eq!(answer.status, 200, "{repeated}: {}", answer.text());
    }
    publisher.batch((2..20).map(|n| json!({ "message": n.to_string() })));
    // Out of Redis, not of the window.
    let mut subscriber = hub.subscription().after(&first).open();
    let numbers: Vec<_> = (1..20).map(|n| n.to_string()).collect();
    assert_eq!(subscriber.messages(19), numbers);
    // Until what is too old is gone: the script that expires may run.
    let begun = std::time::Instant::now();
    while redis.number(&["XLEN", "{fanfare}:events"]) > 1 {
        assert!(begun.elapsed() < crate::support::TEST_TIMEOUT, "nothing expires");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(hub.get("/readyz").status, 200, "{}", hub.get("/readyz").text());
    assert!(!hub.logged().contains("NOPERM"));
    let denied = redis.command(&["ACL", "LOG"]);
    assert!(denied.is_empty(), "denied: {denied}");
}

#[test]
fn a_private_authority_is_trusted_where_named() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = certified.cert.pem();
    let mut redis = RedisServer::prepared(&["--save", ""]);
    let port = free_port();
    redis.serve_tls(port, &certificate, &certified.signing_key.serialize_pem());
    let authority = redis.directory().join("authority.pem");
    fs::write(&authority, certificate).unwrap();
    let hub = |trusted: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        let url = format!("rediss://localhost:{port}");
        command.args(["--listen", "127.0.0.1:0", "--redis", &url]);
        if trusted {
            command.env("SSL_CERT_FILE", &authority);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let refused = hub(false).wait_with_output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("ertificate"), "{said}");

    let mut hub = hub(true);
    let mut greeting = String::new();
    let greeted = BufReader::new(hub.stdout.take().unwrap()).read_line(&mut greeting);
    hub.kill().unwrap();
    let said = hub.wait_with_output().unwrap().stderr;
    greeted.unwrap();
    assert!(greeting.contains("is listening"), "{}", String::from_utf8_lossy(&said));
}
