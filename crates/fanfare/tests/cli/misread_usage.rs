//! Exit codes tell a mistake of the caller from a failure, and messages say what to do.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::support::{Hub, fanfare, run};

/// An address at which nobody listens: a port that the system gives to no other test meanwhile.
fn nobody() -> String {
    "http://127.0.0.1:1".to_owned()
}

#[test]
fn a_missing_hub_is_explained() {
    let url = nobody();
    for arguments in [&["publish", "x", "--retry-for", "0s"][..], &["publish", "x"], &["subscribe"]]
    {
        let ended = run(fanfare(arguments).args(["--url", &url]));
        assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{ended:?}");
        assert!(ended.stderr.contains("is the hub running? start it with `fanfare`"), "{ended:?}");
        assert!(ended.stderr.contains("Connection refused"), "{ended:?}");
    }
}

#[test]
fn a_mistake_in_usage_exits_with_2() {
    let token = tempfile::tempdir().unwrap().path().join("gone").display().to_string();
    for (arguments, says) in [
        (&["publish"][..], "`echo Hello | fanfare publish -`"),
        (&["publish", "a", "b", "c"], "unexpected"),
        (&["publish", "a/*", "x"], "`*`, which only patterns use"),
        (&["publish", "x", "--event", "fanfare.gap"], "the hub's own"),
        (&["publish", "x", "--retry-for", "2"], "a number and a unit"),
        (&["publish", "-", "--key", "k"], "for one message"),
        (&["publish", "x", "--key", ""], "1 to 255"),
        (&["publish", "x", "--url", "localhost:8000"], "http://"),
        (&["publish", "x", "--url", "http://u:hunter2@localhost"], "name or password"),
        (&["publish", "x", "--token", "two words"], "one word"),
        (&["publish", "x", "--token-file", &token], "cannot read the token"),
        (&["subscribe", "a*"], "whole segments"),
        (&["subscribe", "--since", ""], "not an event id"),
        (&["subscribe", "--count", "0"], "1.."),
        (&["subscribe", "--json", "--exec", "cat"], "cannot be used with"),
        (&["bench", "--url", "https://localhost"], "plain HTTP"),
        (&["bench", "--subscribers", "0"], "subscribers"),
        (&["man", "nothing"], "no command `nothing`"),
        (&["completions", "elvis"], "possible values"),
    ] {
        let ended = run(&mut fanfare(arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(says), "{arguments:?}: {}", ended.stderr);
        let secret = ["two words", "hunter2"].iter().any(|word| ended.stderr.contains(word));
        assert!(!secret, "a secret is shown: {}", ended.stderr);
    }
}

#[test]
fn a_mistake_in_the_environment_is_named_without_secrets() {
    for (name, value, says) in [
        ("FANFARE_URL", "localhost", "FANFARE_URL: it must begin with http://"),
        ("FANFARE_TOKEN", "my secret", "FANFARE_TOKEN: a token is one word"),
    ] {
        let ended = run(fanfare(&["publish", "x"]).env(name, value));
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(says) && !ended.stderr.contains("my secret"), "{ended:?}");
    }
}

#[test]
fn a_hub_under_another_prefix_is_found() {
    let hub = Hub::start(&["--prefix", "/live/v1"]);
    let url = format!("{}/live/v1/", hub.url());
    assert!(run(&mut fanfare(&["publish", "x", "--url", &url])).code == Some(0));
    let ended = run(&mut hub.fanfare(&["publish", "x"]));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("404 Not Found") && ended.stderr.contains("is that a hub?"));

    let hub = Hub::start(&["--prefix", "/"]);
    let url = format!("{}/events", hub.url());
    assert!(run(&mut fanfare(&["publish", "x", "--url", &url])).code == Some(0));
}

#[test]
fn a_server_that_is_no_hub_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 8192]);
            let _ = stream.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<ok>",
            );
        }
    });
    for arguments in [&["publish", "x"][..], &["subscribe"]] {
        let ended = run(fanfare(arguments).args(["--url", &url]));
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("does not answer as a Fanfare hub does"), "{ended:?}");
        assert!(ended.stderr.contains("text/html"), "{ended:?}");
    }
}
