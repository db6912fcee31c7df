//! `fanfare doctor` finds what a proxy in front breaks, or a Redis behind, and calls nothing broken
//! that is not.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use fanfare_testkit::Nginx;
use fanfare_testkit::{RedisServer, free_port};
use serde_json::Value;

use crate::support::{Ended, Hub, fanfare, run};

/// What a proxy does that it should not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Holds a stream's bytes back.
    Buffers,
    /// Does not pass on what makes resuming and repeating safe.
    DropsHeaders,
    /// Tells caches that they may keep the stream.
    RewritesCaching,
}

/// Starts a proxy before `hub`, and returns its address.
fn proxy(hub: SocketAddr, fault: Fault) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, hub) = (client.unwrap(), TcpStream::connect(hub).unwrap());
            let (up_from, up_to) = (client.try_clone().unwrap(), hub.try_clone().unwrap());
            thread::spawn(move || copy(up_from, up_to, |bytes| request(bytes, fault)));
            thread::spawn(move || copy(hub, client, |bytes| answer(bytes, fault)));
        }
    });
    url
}

fn copy(mut from: TcpStream, mut to: TcpStream, mut pass: impl FnMut(Vec<u8>) -> Vec<u8>) {
    let mut buffer = [0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&pass(buffer[..read].to_vec())).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

fn request(bytes: Vec<u8>, fault: Fault) -> Vec<u8> {
    if fault != Fault::DropsHeaders {
        return bytes;
    }
    let text = String::from_utf8(bytes).unwrap();
    text.replace("last-event-id:", "x-event-id:").replace("idempotency-key:", "x-key:").into_bytes()
}

fn answer(bytes: Vec<u8>, fault: Fault) -> Vec<u8> {
    let text = String::from_utf8(bytes).unwrap();
    match fault {
        // A stream's head is let through, and nothing that follows it.
        Fault::Buffers if text.contains("text/event-stream") => {
            let (head, _) = text.split_once("\r\n\r\n").unwrap();
            format!("{head}\r\n\r\n").into_bytes()
        }
        Fault::Buffers if !text.starts_with("HTTP/") => Vec::new(),
        Fault::RewritesCaching => {
            text.replace("no-store, no-transform", "public, max-age=60").into_bytes()
        }
        _ => text.into_bytes(),
    }
}

fn doctor(url: &str) -> (Ended, Value) {
    let ended = run(&mut fanfare(&["doctor", "--json", "--wait", "10s", "--url", url]));
    let report = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    (ended, report)
}

/// The verdicts on the way to the hub; those on the machine are its own affair.
fn verdicts(report: &Value) -> Vec<(&str, &str)> {
    let findings = report["findings"].as_array().unwrap().iter();
    let pairs = findings.map(|f| (f["check"].as_str().unwrap(), f["verdict"].as_str().unwrap()));
    pairs.skip_while(|(check, _)| *check != "subscribe").collect()
}

fn wrong(report: &Value) -> Vec<&str> {
    let found = verdicts(report).into_iter();
    found.filter(|(_, verdict)| *verdict == "wrong").map(|(check, _)| check).collect()
}

#[test]
fn a_sound_hub_is_called_sound() {
    let hub = Hub::start(&["--heartbeat", "100ms"]);
    for url in [hub.url(), proxy(hub.address(), Fault::None)] {
        let (ended, report) = doctor(&url);
        let verdicts = verdicts(&report);
        let checks: Vec<_> = verdicts.iter().map(|(check, _)| *check).collect();
        assert_eq!(
            checks,
            [
                "subscribe",
                "Cache-Control",
                "X-Accel-Buffering",
                "first bytes",
                "live delivery",
                "resume",
                "idempotency",
                "compression",
                "keepalive"
            ]
        );
        assert_eq!(wrong(&report), [""; 0], "{ended:?}");
        let machine_is_well = report["verdict"] != "wrong";
        assert_eq!(ended.code, Some(i32::from(!machine_is_well)), "{ended:?}");
    }
}

#[test]
fn a_proxy_that_buffers_is_found() {
    let hub = Hub::start(&[]);
    let (ended, report) = doctor(&proxy(hub.address(), Fault::Buffers));
    assert_eq!(ended.code, Some(1));
    assert_eq!(wrong(&report), ["first bytes", "live delivery"], "{ended:?}");
    assert!(ended.stdout.contains("proxy_buffering off"), "{ended:?}");
}

/// A real one, which holds back even the head of a stream.
#[test]
fn an_nginx_that_buffers_is_found() {
    let hub = Hub::start(&["--heartbeat", "100ms"]);
    let nginx = |buffering: &str| {
        Nginx::start(|address, directory| {
            let (hub, directory) = (hub.address(), directory.display());
            let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
            let paths: String =
                kinds.map(|kind| format!("{kind}_temp_path {directory}/{kind}; ")).concat();
            format!(
                "user root; pid {directory}/pid; error_log stderr; events {{}}\n\
                 http {{ access_log off; {paths}\n\
                 server {{ listen {address}; location / {{ proxy_pass http://{hub}; {buffering} }} }} }}"
            )
        })
    };
    // It heeds the hub's X-Accel-Buffering, unless it is told not to.
    let heedful = nginx("");
    let (ended, report) = doctor(&format!("http://{}", heedful.address()));
    assert_eq!(wrong(&report), [""; 0], "{ended:?}");
    let deaf = nginx("proxy_ignore_headers X-Accel-Buffering;");
    let (ended, report) = doctor(&format!("http://{}", deaf.address()));
    assert_eq!((ended.code, &*wrong(&report)), (Some(1), &["subscribe"][..]), "{ended:?}");
    assert!(ended.stdout.contains("a publish through the same address was answered"), "{ended:?}");
    assert!(ended.stdout.contains("proxy_buffering off"), "{ended:?}");
}

#[test]
fn a_proxy_that_drops_headers_is_found() {
    let hub = Hub::start(&["--heartbeat", "100ms"]);
    let (ended, report) = doctor(&proxy(hub.address(), Fault::DropsHeaders));
    assert_eq!((ended.code, &*wrong(&report)), (Some(1), &["resume", "idempotency"][..]));
    let (ended, report) = doctor(&proxy(hub.address(), Fault::RewritesCaching));
    assert_eq!((ended.code, &*wrong(&report)), (Some(1), &["Cache-Control"][..]), "{ended:?}");
}

#[test]
fn a_hub_that_is_not_there_is_reported() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (ended, report) = doctor(&url);
    assert_eq!((ended.code, &*wrong(&report)), (Some(1), &["subscribe"][..]));
    assert!(ended.stdout.contains("is the hub running?"));

    let ended = run(&mut fanfare(&["doctor", "--offline"]));
    assert!(ended.stdout.contains(" open files: "), "{ended:?}");
}

/// What is seen of a Redis: each check with its verdict.
fn doctor_of_redis(url: &str) -> (Ended, Vec<(String, String)>) {
    let ended = run(&mut fanfare(&["doctor", "--json", "--redis", url]));
    let report: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    let findings = findings.inspect(|finding| assert!(finding["why"].is_string(), "{finding}"));
    (ended, findings.map(|finding| (text(&finding["check"]), text(&finding["verdict"]))).collect())
}

#[test]
fn a_sound_redis_is_called_sound() {
    let server = RedisServer::start(&["--appendonly", "yes", "--maxmemory", "1gb"]);
    let (ended, findings) = doctor_of_redis(&server.url());
    let checks: Vec<_> = findings.iter().map(|(check, _)| &**check).collect();
    let all = [
        "connection",
        "version",
        "policy",
        "memory",
        "persistence",
        "replication",
        "clock",
        "latency",
    ];
    assert_eq!(checks, all);
    assert!(findings.iter().all(|(_, verdict)| verdict != "wrong"), "{ended:?}");
    assert_eq!(ended.code, Some(0));
    assert_eq!(server.command(&["DBSIZE"]), "0", "it writes nothing");
}

#[test]
fn a_redis_that_evicts_is_found() {
    let server = RedisServer::start(&["--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"]);
    let (ended, findings) = doctor_of_redis(&server.url());
    assert!(findings.contains(&("policy".to_owned(), "wrong".to_owned())), "{findings:?}");
    assert_eq!(ended.code, Some(1));
    let ended = run(&mut fanfare(&["doctor", "--redis", &server.url()]));
    for part in
        ["wrong   policy: maxmemory-policy allkeys-lru\n", "\n        CONFIG SET maxmemory-policy"]
    {
        assert!(ended.stdout.contains(part), "{ended:?}");
    }
}

#[test]
fn a_missing_redis_is_reported_without_its_password() {
    let (ended, findings) = doctor_of_redis(&format!("redis://:secret@127.0.0.1:{}", free_port()));
    assert_eq!(findings, [("connection".to_owned(), "wrong".to_owned())]);
    assert_eq!(ended.code, Some(1));
    let mistaken = run(&mut fanfare(&["doctor", "--redis", "http://:secret@127.0.0.1"]));
    assert_eq!(mistaken.code, Some(2));
    assert!(mistaken.stderr.contains("a Redis URL begins with redis://"), "{mistaken:?}");
    let variable = |url: &str| {
        run(fanfare(&["doctor", "--redis", "--namespace", "n"]).env("FANFARE_REDIS", url))
    };
    let unset = variable("");
    assert_eq!(unset.code, Some(2));
    assert!(unset.stderr.contains("or in FANFARE_REDIS"), "{unset:?}");
    let elsewhere = variable("http://:secret@127.0.0.1");
    assert_eq!(elsewhere.code, Some(2));
    assert!(elsewhere.stderr.contains("FANFARE_REDIS: a Redis URL begins with"), "{elsewhere:?}");
    let server = RedisServer::start(&[]);
    server.command(&["CONFIG", "SET", "requirepass", "secret"]);
    let found = variable(&format!("redis://:secret@127.0.0.1:{}", server.port()));
    assert_eq!(found.code, Some(0), "{found:?}");
    for ended in [ended, mistaken, elsewhere, found] {
        assert!(!format!("{ended:?}").contains("secret"), "{ended:?}");
    }
}
