//! A request, to be sent as it is written: with what is wrong in it, where that is the point.

use crate::address::Address;

/// A request to one address.
#[derive(Debug, Clone)]
pub(crate) struct RawRequest {
    pub(crate) address: Address,
    pub(crate) method: String,
    pub(crate) target: Vec<u8>,
    minor: u8,
    fields: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
    chunked: bool,
}

impl RawRequest {
    pub(crate) fn new(method: &str, address: Address, target: Vec<u8>) -> Self {
        let host = address.host.clone().into_bytes();
        Self {
            address,
            method: method.to_owned(),
            target,
            minor: 1,
            fields: vec![("Host".to_owned(), host)],
            body: None,
            chunked: false,
        }
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    pub(crate) fn target(mut self, target: impl Into<Vec<u8>>) -> Self {
        self.target = target.into();
        self
    }

    /// HTTP/1.0 in place of 1.1.
    pub(crate) fn old(mut self) -> Self {
        self.minor = 0;
        self
    }

    pub(crate) fn field(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.fields.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(field, _)| !field.eq_ignore_ascii_case(name));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// In chunks in place of with a length.
    pub(crate) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// The body alone.
    pub(crate) fn payload(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// Without its body, but with the fields that announce it.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(self.method.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(&self.target);
        bytes.extend_from_slice(format!(" HTTP/1.{}\r\n", self.minor).as_bytes());
        for (name, value) in &self.fields {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        match &self.body {
            Some(_) if self.chunked => bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            Some(body) => {
                let length = format!("Content-Length: {}\r\n", body.len());
                bytes.extend_from_slice(length.as_bytes());
            }
            None => {}
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        match &self.body {
            Some(body) if self.chunked => {
                // Two chunks, so that they have to be put together.
                let (one, two) = body.split_at(body.len() / 2);
                for part in [one, two].into_iter().filter(|part| !part.is_empty()) {
                    bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
                    bytes.extend_from_slice(part);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
            Some(body) => bytes.extend_from_slice(body),
            None => {}
        }
        bytes
    }
}
