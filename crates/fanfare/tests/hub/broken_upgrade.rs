//! An upgrade that comes to nothing costs the old process something.
//!
//! Invariant: *one commitment*.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::{Hub, SetOnDrop, Setup, TEST_TIMEOUT, await_that};

/// A program of this script, in a directory of its own.
pub(crate) struct Script(tempfile::TempDir);

impl Script {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("program");
        // Written and closed by another process: none that is started meanwhile holds it open.
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        Self(directory)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("program")
    }
}

/// Has it fail with this, and sees that nobody noticed.
fn fails(hub: &mut Hub, program: &Path, why: &str) {
    let mut subscriber = hub.subscribe("");
    let mut publisher = hub.publisher();
    publisher.send("before");
    let pid = hub.pid();
    let output = hub.ask_for_upgrade(&["--binary", program.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains(why), "{said}");
    assert!(said.contains("the hub goes on as before"), "{said}");
    publisher.send("after");
    assert_eq!(subscriber.messages(2), ["before", "after"]);
    assert_eq!((hub.pid(), hub.runs()), (pid, true));
}

#[test]
fn a_program_that_is_no_hub_does_no_harm() {
    let mut hub = Setup::new(&[]).own_log().alone().start();
    fails(&mut hub, Path::new("/nowhere/fanfare"), "cannot be started: No such file");
    fails(&mut hub, Path::new("/"), "cannot be started: Permission denied");
    let other = Script::new("\u{7f}ELF of another machine");
    fails(&mut hub, &other.path(), "cannot be started: Exec format error");
    fails(
        &mut hub,
        Path::new("/bin/false"),
        "ended; expected: the formats that it knows; exit status: 1",
    );
    let garbage = Script::new("#!/bin/sh\nprintf 'HTTP/1.1 200 OK' >&0\nsleep 60\n");
    fails(&mut hub, &garbage.path(), "not a message of a hub");
    let sleeper = Script::new("#!/bin/sh\nexec sleep 60\n");
    fails(&mut hub, &sleeper.path(), "sent nothing for 5s; expected: the formats that it knows");
    let failed = hub.metrics().sum("fanfare_upgrades_failed_total");
    assert_eq!(failed, 6.0);
}

/// What a new process says, in hexadecimal digits.
pub(crate) const HELLO: &str = "4646484f01010002000100000000000000 39";
pub(crate) const READY: &str = "4646484f03";
pub(crate) const RECEIVED: &str = "4646484f06";
pub(crate) const PREPARED: &str = "4646484f07";
/// It hears one message.
pub(crate) const HEAR: &str = "dd bs=9999 count=1 status=none | wc -c >&2";
pub(crate) const HANG: &str = "exec sleep 60";
pub(crate) const END: &str = "exit 7";

/// A program that does this in turn, where what is hexadecimal is said.
pub(crate) fn acting(parts: &[&str]) -> Script {
    let act = |part: &&str| {
        if !part.starts_with("46") {
            return (*part).to_owned();
        }
        let hex = part.replace(' ', "");
        let octal = |byte: &[u8]| {
            let byte = u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 16).unwrap();
            format!("\\{byte:03o}")
        };
        let octal: String = hex.as_bytes().chunks(2).map(octal).collect();
        format!("printf '{octal}' >&0")
    };
    let lines: Vec<_> = parts.iter().map(act).collect();
    Script::new(&format!("#!/bin/sh\n{}\n", lines.join("\n")))
}

#[test]
fn a_program_that_is_not_ready_does_no_harm() {
    let mut hub = Setup::new(&[]).own_log().alone().start();
    let newer = "4646484f01 0900 0900 0100000000000000 39";
    let failed = "4646484f0b 0300000000000000 776879";
    for (parts, why) in [
        (&[newer][..], "knows formats 9 of the hand-over, and this one 1 to 2"),
        (&[HELLO, END], "ended; expected: that its settings are good"),
        (&[HELLO, HEAR, END], "ended; expected: that its settings are good; exit status: 7"),
        (&[failed], "cannot take over: why"),
        (&[HELLO, HEAR, failed, HANG], "cannot take over: why"),
        (&[READY], "sent an unexpected message; expected: the formats that it knows"),
    ] {
        fails(&mut hub, &acting(parts).path(), why);
    }
}

#[test]
fn streams_survive_a_program_that_dies_with_them() {
    let mut hub = Setup::new(&[]).own_log().alone().start();
    let beginning = [HELLO, HEAR, READY];
    let receipt = "that it has received the streams";
    let prepared = "that it is prepared to serve them";
    let commitment = "its commitment";
    let (silent, unexpected) = ("sent nothing for 5s", "sent an unexpected message");
    for (rest, did, expected) in [
        (&[END][..], "ended", receipt),
        (&[HANG], silent, receipt),
        (&[HEAR, HEAR, END], "ended", receipt),
        (&[HEAR, HEAR, RECEIVED, END], "ended", prepared),
        (&[HEAR, HEAR, RECEIVED, HANG], silent, prepared),
        (&[HEAR, HEAR, RECEIVED, PREPARED, END], "ended", commitment),
        (&[HEAR, HEAR, RECEIVED, PREPARED, HEAR, END], "ended", commitment),
        (&[HEAR, HEAR, RECEIVED, PREPARED, HEAR, HANG], silent, commitment),
        (&[HEAR, HEAR, RECEIVED, PREPARED, HEAR, READY, HANG], unexpected, commitment),
    ] {
        let script = acting(&[&beginning, rest].concat());
        fails(&mut hub, &script.path(), &format!("{did}; expected: {expected}"));
    }
    // And then it works.
    let mut stream = hub.subscribe("");
    hub.upgrade();
    hub.publisher().send("at last");
    assert_eq!(stream.messages(1), ["at last"]);
}

#[test]
fn a_committed_process_is_not_killed() {
    const COMMITTED: &str = "4646484f09";
    let directory = tempfile::tempdir().unwrap();
    let noted = directory.path().join("pid");
    let note = format!("echo $$ > {}", noted.display());
    let mut hub = Setup::new(&[]).own_log().alone().start();
    let _subscriber = hub.subscribe("");
    let script =
        acting(&[HELLO, HEAR, READY, HEAR, HEAR, RECEIVED, PREPARED, HEAR, COMMITTED, &note, HANG]);
    let output = hub.ask_for_upgrade(&["--binary", script.path().to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.contains("has not answered since: the new process sent nothing for 5s"), "{said}");
    hub.wait();
    let pid = std::fs::read_to_string(&noted).unwrap().trim().parse().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    assert_eq!(state, Some('S'), "it holds every stream: {stat}");
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Has it upgraded to this program, which notes something in a file of this directory first; and does something then.
fn while_upgraded(
    hub: &Hub,
    program: &Script,
    noted: &Path,
    act: impl FnOnce(&str),
) -> std::process::Output {
    thread::scope(|scope| {
        let path = program.path();
        let asked = scope.spawn(move || hub.ask_for_upgrade(&["--binary", path.to_str().unwrap()]));
        let read = || std::fs::read_to_string(noted).unwrap_or_default().trim().to_owned();
        await_that("the program", || !read().is_empty());
        act(&read());
        asked.join().unwrap()
    })
}

#[test]
fn a_stop_does_not_wait_for_the_upgrade() {
    let directory = tempfile::tempdir().unwrap();
    let noted = directory.path().join("pid");
    let note = format!("echo $$ > {}", noted.display());
    // It reads its settings for ever; it is given the streams, and is to make a hub of them.
    for parts in [&[HELLO, HEAR, &note, HANG][..], &[HELLO, HEAR, READY, HEAR, HEAR, &note, HANG]] {
        let _ = std::fs::remove_file(&noted);
        let mut hub = Setup::new(&["--drain", "0s"]).own_log().alone().start();
        let mut stream = hub.subscribe("");
        let mut pid = 0;
        let output = while_upgraded(&hub, &acting(parts), &noted, |said| {
            pid = said.parse().unwrap();
            hub.terminate();
        });
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(said.contains("the hub was told to stop"), "{said}");
        assert_eq!(stream.until_closed(), []);
        assert_eq!(stream.retries.len(), 2, "it is told when to come back");
        assert!(hub.wait().success());
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        assert!(stat.is_err(), "the new process is left behind: {stat:?}");
    }
}

#[test]
fn a_stop_reaches_the_committed_process() {
    const COMMITTED: &str = "4646484f09";
    let directory = tempfile::tempdir().unwrap();
    let (notify, noted) = (directory.path().join("notify"), directory.path().join("pid"));
    let systemd = UnixDatagram::bind(&notify).unwrap();
    systemd.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
    let told = || {
        let mut words = [0; 256];
        let length = systemd.recv(&mut words).unwrap();
        String::from_utf8(words[..length].to_vec()).unwrap()
    };
    let mut hub = Setup::new(&[]).variable("NOTIFY_SOCKET", &notify).own_log().alone().start();
    assert_eq!(told(), "READY=1");
    let stopped = directory.path().join("stopped");
    let note =
        format!("trap 'echo > {}; exit' TERM; echo $$ > {}", stopped.display(), noted.display());
    let wait = "while :; do sleep 0.1; done";
    let script = acting(&[HELLO, HEAR, READY, HEAR, PREPARED, HEAR, COMMITTED, &note, wait]);
    let output = while_upgraded(&hub, &script, &noted, |pid| {
        // It has committed, and is not heard since: its end would be taken for the hub's.
        assert_eq!(told(), format!("MAINPID={pid}\nREADY=1"));
        hub.terminate();
        await_that("the new process is told to stop", || stopped.exists());
    });
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    hub.wait();
}

#[test]
fn a_hub_with_a_control_socket_is_found_by_process_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control");
    let mut hub =
        Setup::new(&["--control-socket", path.to_str().unwrap()]).own_log().alone().start();
    let mut stream = hub.subscribe("");
    // By the process; so does `systemctl reload`.
    hub.upgrade();
    hub.upgrade();
    let checked = std::process::Command::new(env!("CARGO_BIN_EXE_fanfare"))
        .args(["upgrade", "--check", "--control-socket", path.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    hub.publisher().send("after");
    assert_eq!(stream.messages(1), ["after"]);
}

#[test]
fn a_stream_with_an_unknown_matcher_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fanfare.toml");
    let mercure = "mercure = true\nmercure_url = \"https://hub.example.com/.well-known/mercure\"\n\
                   jwt_issuer = [\"https://issuer.example.com\"]\n";
    std::fs::write(&file, mercure).unwrap();
    let mut hub = Setup::new(&["--config", file.to_str().unwrap()]).own_log().alone().start();
    let asking = |query: &str| hub.subscription().at("/.well-known/mercure").query(query).open();
    let mut odd = asking("topic=https://example.com/books/%7Bid%7D");
    let mut plain = asking("topic=https://example.com/books/1");
    let mut own = hub.subscribe("topic=**");
    std::fs::write(&file, "").unwrap();
    hub.upgrade();
    assert_eq!(odd.until_closed(), []);
    assert_eq!(odd.retries.len(), 2, "it is told when to come back");
    hub.publisher().send_to("https://example.com/books/1", "after");
    assert_eq!(plain.messages(1), ["after"]);
    assert_eq!(own.messages(1), ["after"]);
}

#[test]
fn a_body_that_arrives_meanwhile_is_read() {
    let mut hub = Setup::new(&[]).own_log().alone().start();
    let mut subscriber = hub.subscribe("");
    let mut connection = hub.connect();
    let body = r#"{"message": "all the same"}"#;
    connection.send(format!(
        "POST /sse/send HTTP/1.1\r\nHost: hub.test\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{}",
        body.len(),
        &body[..10]
    ));
    let dying = acting(&[HELLO, HEAR, READY, HEAR, END]);
    fails(&mut hub, &dying.path(), "ended; expected: that it has received the streams");
    connection.send(&body[10..]);
    assert_eq!(connection.response("POST").status, 200);
    assert_eq!(subscriber.messages(3), ["before", "after", "all the same"]);
}

#[test]
fn refused_settings_do_not_stop_the_hub() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fanfare.toml");
    std::fs::write(&file, "heartbeat = \"5s\"\n").unwrap();
    let arguments = ["--config", file.to_str().unwrap()];
    let mut hub = Setup::new(&arguments).own_log().alone().start();
    let own = PathBuf::from(env!("CARGO_BIN_EXE_fanfare"));
    std::fs::write(&file, "heartbeat = \"soon\"\n").unwrap();
    fails(&mut hub, &own, "cannot take over: --heartbeat");
    std::fs::write(&file, "listen = \"127.0.0.2:1\"\n").unwrap();
    let mut subscriber = hub.subscribe("");
    // The address is an argument here, and an argument wins.
    hub.upgrade();
    hub.publisher().send("after");
    assert_eq!(subscriber.messages(1), ["after"]);
}

#[test]
fn a_log_on_disk_is_thawed() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let mut hub = Setup::new(&["--data", data]).own_log().alone().start();
    for rest in [&[END][..], &[HEAR, HEAR, RECEIVED, PREPARED, HEAR, END]] {
        let script = acting(&[&[HELLO, HEAR, READY], rest].concat());
        fails(&mut hub, &script.path(), "ended; expected: ");
    }
}

#[test]
fn another_log_than_the_old_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fanfare.toml");
    std::fs::write(&file, "").unwrap();
    let arguments = ["--config", file.to_str().unwrap()];
    let mut hub = Setup::new(&arguments).own_log().alone().start();
    std::fs::write(&file, format!("data = {:?}\n", directory.path().join("log"))).unwrap();
    let own = PathBuf::from(env!("CARGO_BIN_EXE_fanfare"));
    fails(&mut hub, &own, "has its event log in memory, and the settings say on disk");
}

#[test]
fn a_check_changes_nothing() {
    let mut hub = Setup::new(&[]).own_log().alone().start();
    let mut stream = hub.subscribe("");
    let _other = hub.subscription().over(crate::support::Http::Two).open();
    hub.await_metrics("both", |now| now.sum("fanfare_subscribers") == 2.0);
    let pid = hub.pid();
    let output = hub.ask_for_upgrade(&["--check"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(
        said.contains("1 streams would keep") && said.contains("1 streams would be closed"),
        "{said}"
    );
    hub.publisher().send("after");
    assert_eq!(stream.messages(1), ["after"]);
    assert_eq!((hub.pid(), hub.runs()), (pid, true));
}

#[test]
fn a_stranger_cannot_upgrade_the_hub() {
    if !rustix::process::geteuid().is_root() {
        // Only root can be somebody else.
        return;
    }
    let mut hub = Setup::new(&[]).own_log().alone().start();
    let program = Script::new("");
    let binary = program.0.path().join("fanfare");
    // By another process: none that is started here meanwhile holds it open.
    let copied = std::process::Command::new("cp")
        .args([Path::new(env!("CARGO_BIN_EXE_fanfare")), &binary])
        .status();
    assert!(copied.unwrap().success());
    std::fs::set_permissions(program.0.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = std::process::Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&binary)
        .args(["upgrade", "--pid", &hub.pid().to_string()])
        .output()
        .expect("setpriv is installed");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let refused = "a command of another user was refused";
    hub.await_log(refused);
    // It knocks again and again, as fast as it can.
    let knocks = format!("for n in $(seq 200); do \"$0\" upgrade --pid {}; done", hub.pid());
    let begun = std::time::Instant::now();
    let knocked = std::process::Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c", &knocks])
        .arg(&binary)
        .output()
        .unwrap();
    assert_eq!(knocked.status.code(), Some(1), "{knocked:?}");
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    let lines = hub.logged().matches(refused).count();
    assert!(lines <= seconds + 3, "{lines} lines in {seconds} seconds");
    assert!(hub.runs());
    assert_eq!(hub.metrics().sum("fanfare_upgrades_total"), 0.0);
}

/// Asks for streams over one connection, ever again, each after an event that is far from having happened.
async fn ask_ahead(address: SocketAddr, ahead: &str, done: &AtomicBool) {
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let (requests, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    while !done.load(Ordering::Relaxed) {
        ticks.tick().await;
        // The hub may be another process by now.
        let Ok(mut requests) = requests.clone().ready().await else { break };
        let request = http::Request::get(format!("http://{address}/sse/events"));
        let request = request.header("Last-Event-ID", ahead).body(()).unwrap();
        let Ok((response, _)) = requests.send_request(request, true) else { break };
        // Once it is a stream it is given up: there are only so many of them on a connection.
        tokio::spawn(async move { drop(response.await) });
    }
    connection.abort();
}

#[test]
fn clients_that_wait_for_an_event_do_not_stop_it() {
    let mut hub = Setup::new(&[]).own_log().alone().start();
    let mut stream = hub.subscribe("");
    let id = hub.publisher().send("before");
    let ahead = format!("{}-1000000000", id.split_once('-').unwrap().0);
    for _ in 0..2 {
        let (address, done) = (hub.address(), AtomicBool::new(false));
        thread::scope(|scope| {
            let strangers = || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let ask = || ask_ahead(address, &ahead, &done);
                runtime.block_on(async { tokio::join!(ask(), ask(), ask(), ask()) });
            };
            scope.spawn(strangers);
            let _done = SetOnDrop(&done);
            // Until the first have become streams: from now on some wait at any time.
            hub.await_metrics("strangers", |now| now.sum("fanfare_subscribers") > 1.0);
            hub.upgrade();
        });
    }
    hub.publisher().send("after");
    assert_eq!(stream.messages(2), ["before", "after"]);
}
