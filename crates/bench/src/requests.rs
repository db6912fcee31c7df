//! How a hub is asked that is not asked as Fanfare is: whole requests, with places in them.
//!
//! Only three things are filled in, and none of them needs an escape anywhere: the topic, the message,
//! and the id to resume after, which is the hub's own text.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;

/// The requests of a hub.
#[derive(Debug, Clone)]
pub struct Requests {
    /// For a stream: a head with `{topic}`.
    pub subscribe: String,
    /// For a stream that goes on: a head with `{topic}` and `{id}`. `None` where the hub cannot.
    pub resume: Option<String>,
    /// To publish: a head with `{topic}` and `{length}`, of the body.
    pub publish: String,
    /// The body, with `{topic}` and `{message}`.
    pub body: String,
    /// Where to publish, if not where streams are.
    pub publish_address: Option<SocketAddr>,
    /// The hub puts something around a message, such as JSON.
    pub wrapped: bool,
    /// What the id to resume after stands behind, where it is no field of an event: ended by `"`.
    pub id_after: Option<String>,
    /// All connections are over TLS, with this.
    pub tls: Option<Arc<ClientConfig>>,
}

impl Requests {
    /// What a topic is called.
    pub(crate) fn topic(number: u32) -> String {
        format!("bench-{number}")
    }

    /// The request for a stream of a topic: after `id`, where there is one and the hub can.
    pub(crate) fn stream(&self, topic: u32, id: &[u8]) -> Vec<u8> {
        let topic = Self::topic(topic);
        let after = self.resume.as_ref().filter(|_| !id.is_empty());
        let head = after.unwrap_or(&self.subscribe).replace("{topic}", &topic);
        let Some((before, behind)) = head.split_once("{id}") else { return head.into() };
        [before.as_bytes(), id, behind.as_bytes()].concat()
    }

    /// Writes the request that publishes `message` to a topic.
    pub(crate) fn write_publication(&self, out: &mut Vec<u8>, topic: u32, message: &[u8]) {
        let topic = Self::topic(topic);
        let mut body = Vec::with_capacity(self.body.len() + message.len());
        let (before, behind) = self.body.split_once("{message}").unwrap_or((&self.body, ""));
        body.extend_from_slice(before.replace("{topic}", &topic).as_bytes());
        body.extend_from_slice(message);
        body.extend_from_slice(behind.replace("{topic}", &topic).as_bytes());
        let head = self.publish.replace("{topic}", &topic);
        out.extend_from_slice(head.replace("{length}", &body.len().to_string()).as_bytes());
        out.extend_from_slice(&body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Requests {
        Requests {
            subscribe: "GET /{topic} HTTP/1.1\r\n\r\n".into(),
            resume: Some("GET /{topic} HTTP/1.1\r\nlast-event-id: {id}\r\n\r\n".into()),
            publish: "POST /{topic} HTTP/1.1\r\ncontent-length: {length}\r\n\r\n".into(),
            body: "{\"to\":\"{topic}\",\"text\":\"{message}\"}".into(),
            publish_address: None,
            wrapped: false,
            id_after: None,
            tls: None,
        }
    }

    #[test]
    fn a_length_counts_the_body_as_it_is_sent() {
        let mut out = Vec::new();
        requests().write_publication(&mut out, 7, b"hello");
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "{\"to\":\"bench-7\",\"text\":\"hello\"}");
        assert_eq!(head, format!("POST /bench-7 HTTP/1.1\r\ncontent-length: {}", body.len()));
    }

    #[test]
    fn whoever_has_no_id_does_not_resume() {
        let requests = requests();
        assert_eq!(requests.stream(1, b""), b"GET /bench-1 HTTP/1.1\r\n\r\n");
        let resumed = requests.stream(1, b"5-1");
        assert_eq!(resumed, b"GET /bench-1 HTTP/1.1\r\nlast-event-id: 5-1\r\n\r\n");
    }
}
