//! An identity provider's key set, served on this machine.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// Answers every request with a set of keys, while it is there.
pub(crate) struct KeyServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// `None`: the provider is out of order.
    keys: Option<Vec<Value>>,
    asked: usize,
}

impl KeyServer {
    /// One that is out of order until it is given keys.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for mut socket in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
                while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                let mut state = shared.lock().unwrap();
                state.asked += 1;
                let (status, body) = match &state.keys {
                    Some(keys) => ("200 OK", json!({ "keys": keys }).to_string()),
                    None => ("503 Service Unavailable", String::new()),
                };
                let length = body.len();
                let _ = write!(
                    socket,
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { address, state }
    }

    /// Where the set is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    /// What it answers from now on: keys, each with its name.
    pub(crate) fn serve(&self, keys: &[(&str, &Value)]) {
        let named = keys.iter().map(|(kid, key)| {
            let mut key = (*key).clone();
            key["kid"] = (*kid).into();
            key
        });
        self.state.lock().unwrap().keys = Some(named.collect());
    }

    /// Puts it out of order.
    pub(crate) fn break_down(&self) {
        self.state.lock().unwrap().keys = None;
    }

    /// How often it has been asked.
    pub(crate) fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }
}
