//! `fanfare ready` succeeds where the hub is ready, and nowhere else.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use crate::support::{Ended, Hub, fanfare, run};

fn ready(url: &str) -> Ended {
    run(&mut fanfare(&["ready", "--within", "20s", "--url", url]))
}

/// The address of a server that answers one request with this.
fn answering(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let read = client.read(&mut [0; 4096]).unwrap();
        assert!(read > 0);
        client.write_all(answer.as_bytes()).unwrap();
    });
    url
}

fn response(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

#[test]
fn a_ready_hub_is_called_ready() {
    let hub = Hub::start(&[]);
    for url in [format!("http://{}", hub.address()), format!("http://{}/sse/", hub.address())] {
        let ended = ready(&url);
        assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (Some(0), "ready\n", ""));
    }
}

#[test]
fn an_unready_hub_is_called_not_ready() {
    let not_ready = r#"{"status":"not ready","reason":"redis refuses writes"}"#;
    let ended = ready(&answering(response("503 Service Unavailable", not_ready)));
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert!(ended.stderr.contains("not ready: ") && ended.stderr.contains("redis refuses writes"));

    let ended = ready(&answering(response("200 OK", "<html>")));
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "a page is not a hub");

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = ready(&format!("http://{nobody}"));
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""), "{}", ended.stderr);
}
