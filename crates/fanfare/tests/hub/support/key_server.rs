//! An identity provider's key set, served on this machine.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::Ca;

/// Answers every request with a set of keys, while it is there.
pub(crate) struct KeyServer {
    scheme: &'static str,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    answer: String,
    asked: usize,
}

const OUT_OF_ORDER: &str =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

impl KeyServer {
    /// One that is out of order until it is given keys.
    pub(crate) fn start() -> Self {
        Self::serve_on(None)
    }

    /// The same over TLS.
    pub(crate) fn start_securely(ca: &Ca) -> Self {
        Self::serve_on(Some(ca.server()))
    }

    fn serve_on(tls: Option<Arc<ServerConfig>>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { answer: OUT_OF_ORDER.to_owned(), asked: 0 };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for mut socket in listener.incoming().map_while(Result::ok) {
                match &tls {
                    None => answer(&mut socket, &shared),
                    Some(tls) => {
                        let tls = ServerConnection::new(Arc::clone(tls)).unwrap();
                        let mut stream = StreamOwned::new(tls, socket);
                        answer(&mut stream, &shared);
                        stream.conn.send_close_notify();
                        let _ = stream.flush();
                    }
                }
            }
        });
        Self { scheme, address, state }
    }

    /// Where the set is.
    pub(crate) fn url(&self) -> String {
        format!("{}://localhost:{}/keys", self.scheme, self.address.port())
    }

    /// What it answers from now on: keys, each with its name.
    pub(crate) fn serve(&self, keys: &[(&str, &Value)]) {
        let named = keys.iter().map(|(kid, key)| {
            let mut key = (*key).clone();
            key["kid"] = (*kid).into();
            key
        });
        let set = json!({ "keys": named.collect::<Vec<_>>() });
        let body = set.to_string();
        let length = body.len();
        self.say(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ));
    }

    /// What it answers from now on, head and body.
    pub(crate) fn say(&self, answer: &str) {
        self.state.lock().unwrap().answer = answer.to_owned();
    }

    /// Lets whoever asks from now on wait for ever.
    pub(crate) fn hang(&self) {
        self.say("");
    }

    /// Puts it out of order.
    pub(crate) fn break_down(&self) {
        self.say(OUT_OF_ORDER);
    }

    /// How often it has been asked.
    pub(crate) fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }
}

/// Reads a request's head and answers it. Whoever has broken off is not missed.
fn answer(stream: &mut (impl Read + Write), state: &Mutex<State>) {
    let mut lines = BufReader::new(&mut *stream).lines();
    loop {
        match lines.next() {
            Some(Ok(line)) if line.is_empty() => break,
            Some(Ok(_)) => {}
            // A handshake that failed is no question.
            _ => return,
        }
    }
    let mut state = state.lock().unwrap();
    state.asked += 1;
    let answer = state.answer.clone();
    drop(state);
    while answer.is_empty() {
        thread::park();
    }
    let _ = stream.write_all(answer.as_bytes());
}
