//! A run against the floor: what is published must arrive at every subscriber, and be counted.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fanfare_bench::{BenchError, BenchPlan, BenchReport, Load, Protocol, Violations, run};

/// The floor, on a free port, until dropped.
struct Floor {
    child: Child,
    url: String,
}

impl Floor {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_floor"))
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the floor starts");
        let mut url = String::new();
        let stdout = child.stdout.as_mut().expect("it is piped");
        BufReader::new(stdout).read_line(&mut url).expect("the floor prints its URL");
        Self { child, url: url.trim().to_owned() }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn plan(url: &str, load: Load) -> BenchPlan {
    BenchPlan {
        url: url.parse().expect("it is a URL"),
        publish_url: None,
        authorization: None,
        dialect: Protocol::Native,
        subscribers: 20,
        load,
        size: 100,
        topics: 1,
        interval: None,
        slow: 0,
        requests: None,
        publishers: 1,
        batch: 1,
        publish_stream: false,
        warmup: Duration::ZERO,
        // So long that something arrives within it, whoever else has the processor for a moment.
        duration: Duration::from_secs(2),
        pid: None,
    }
}

fn run_quietly(plan: &BenchPlan) -> Result<BenchReport, BenchError> {
    run(plan, &mut |_| {})
}

#[test]
fn every_paced_message_arrives_at_every_subscriber() {
    let floor = Floor::start();
    let plan =
        BenchPlan { pid: Some(floor.child.id()), ..plan(&floor.url, Load::Paced { rate: 200.0 }) };
    let report = run_quietly(&plan).unwrap();
    assert_eq!(report.violations, Violations::default());
    let window = report.window.unwrap();
    assert!(window.published > 0);
    let server = report.server.unwrap();
    assert!(server.resident_idle >= server.resident_before);
    assert!(server.cpu_per_delivery.is_some_and(|nanoseconds| nanoseconds > 0.0));
}

#[test]
fn batches_of_several_publishers_arrive_in_each_ones_order() {
    let floor = Floor::start();
    let load = Load::Unpaced { in_flight: 1000 };
    let plan = BenchPlan { publishers: 3, batch: 7, size: 43, ..plan(&floor.url, load) };
    let report = run_quietly(&plan).unwrap();
    assert_eq!(report.violations, Violations::default());
    assert!(report.window.unwrap().deliveries > 0);
}

#[test]
fn a_hub_that_sends_topics_to_everyone_is_found_out() {
    let floor = Floor::start();
    let plan = BenchPlan { topics: 4, ..plan(&floor.url, Load::Paced { rate: 100.0 }) };
    let violations = run_quietly(&plan).unwrap().violations;
    assert!(violations.misrouted > 0);
    assert_eq!(violations.lost, 0);
}

#[test]
fn idle_subscribers_are_held_and_nothing_is_published() {
    let floor = Floor::start();
    let report = run_quietly(&plan(&floor.url, Load::Idle)).unwrap();
    assert!(report.window.is_none());
    assert!(report.is_clean());
}

/// Serves one connection with what `answer` writes on it, then closes.
fn serve_once(answer: impl FnOnce(&mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}/sse/", listener.local_addr().expect("it is bound"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client connects");
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).expect("a request comes");
        answer(&mut stream);
    });
    url
}

#[test]
fn a_refusal_is_quoted() {
    let url = serve_once(|stream| {
        let answer = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 5\r\n\r\nnope!";
        stream.write_all(answer).unwrap();
    });
    let error = run_quietly(&BenchPlan { subscribers: 1, ..plan(&url, Load::Idle) }).unwrap_err();
    assert!(matches!(error, BenchError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("HTTP/1.1 403 Forbidden"), "{error}");
    assert!(error.to_string().contains("nope!"), "{error}");
}

#[test]
fn a_stream_that_ends_is_an_error() {
    let url = serve_once(|stream| {
        let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
            8\r\ndata: x\n\r\n0\r\n\r\n";
        stream.write_all(answer).unwrap();
    });
    let error = run_quietly(&BenchPlan { subscribers: 1, ..plan(&url, Load::Idle) }).unwrap_err();
    let ended = BenchError::StreamEnded { subscriber: 0, messages: 1 };
    assert_eq!(error.to_string(), ended.to_string());
}

#[test]
fn nobody_listening_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/sse/", listener.local_addr().unwrap());
    drop(listener);
    let error = run_quietly(&plan(&url, Load::Idle)).unwrap_err();
    assert!(matches!(error, BenchError::Connect { .. }), "{error:?}");
}
