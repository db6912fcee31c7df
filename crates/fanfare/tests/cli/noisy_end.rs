//! A command ends quietly when nobody wants more from it.

use rustix::process::Signal;

use crate::support::{Hub, Running, fanfare, run, shell};

#[test]
fn a_closed_output_ends_the_command_quietly() {
    let hub = Hub::start(&[]);
    for n in 1..=3 {
        hub.publish(&[&n.to_string()]);
    }
    // Nothing more is published: the command must notice by itself.
    for script in [
        "$fanfare subscribe --since earliest | head -1; exit ${PIPESTATUS[0]}",
        "$fanfare subscribe --since earliest --json | grep -m1 -o 1; exit ${PIPESTATUS[0]}",
        "yes | $fanfare publish - | head -1 > ids; exit ${PIPESTATUS[1]}",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let script = format!("cd {}; {script}", directory.path().display());
        let output = shell(&hub, &script);
        assert_eq!(output.status.code(), Some(0), "{script}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{script}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let hub = Hub::start(&["--data", data]);
    hub.publish(&["kept"]);
    for asked in ["stats", "verify"] {
        let output = shell(&hub, &format!("$fanfare log {asked} {data} > /dev/full"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{asked}: {stderr}");
        assert!(stderr.starts_with("error: cannot write to standard output"), "{asked}: {stderr}");
        let unread = format!("$fanfare log {asked} {data} | exec <&-; exit ${{PIPESTATUS[0]}}");
        let output = shell(&hub, &unread);
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{asked}");
    }
    let ended = run(&mut fanfare(&["log", "stats", "/nowhere"]));
    assert!(ended.code == Some(1) && ended.stderr.contains("/nowhere"), "{ended:?}");
}

#[test]
fn an_interruption_exits_with_130() {
    let hub = Hub::start(&[]);
    let mut subscriber = hub.subscriber(&[]);
    subscriber.signal(Signal::INT);
    assert_eq!(subscriber.wait().code(), Some(130));
    assert_eq!((subscriber.stdout(), subscriber.stderr()), (String::new(), String::new()));
}

#[test]
fn an_interruption_does_not_wait_for_the_hub() {
    let hub = Hub::start(&[]);
    // Before it has its answer, a hub that goes is one that was never there.
    let mut subscriber = hub.subscriber_with_id(&[]);
    hub.kill();
    subscriber.await_output("a notice", |s| s.stderr().contains("connecting again in"));
    subscriber.signal(Signal::INT);
    assert_eq!(subscriber.wait().code(), Some(130));
}

#[test]
fn a_subscriber_without_events_is_warned_of_a_gap() {
    let hub = Hub::start(&[]);
    let subscriber = hub.subscriber_with_id(&[]);
    let hub = hub.kill().restart();
    subscriber.await_output("a warning", |s| s.stderr().contains("warning: gap (unknown_epoch)"));
    hub.publish(&["after"]);
    subscriber.await_output("what follows", |s| s.stdout() == "after\n");
}

#[test]
fn a_subscriber_waits_until_its_hub_is_there() {
    let hub = Hub::start(&[]);
    let address = hub.url();
    let crashed = hub.kill();
    let waiting = ["subscribe", "--wait", "--since", "earliest", "--url", &address];
    let subscriber = Running::start(&mut crate::support::fanfare(&waiting));
    subscriber.await_output("a notice", |s| s.stderr().contains("Connection refused"));
    let hub = crashed.restart();
    hub.publish(&["here"]);
    subscriber.await_output("the event", |s| s.stdout() == "here\n");
}
