//! What Fanfare is sent, in its own protocol or in Mercure's.

use std::io::Write as _;

use crate::payload::BenchMessage;
use crate::plan::{BenchPlan, Protocol};
use crate::spread::Spread;
use crate::target::Target;

/// Where Mercure's protocol is spoken, whatever the path of the hub's page.
const MERCURE: &str = "/.well-known/mercure";

/// What a hub for development lets publish everything: its secret is public (`docs/mercure.md`).
const DEVELOPMENT_TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
    eyJtZXJjdXJlIjp7InB1Ymxpc2giOlsiKiJdLCJzdWJzY3JpYmUiOlsiKiJdfX0.nINXJPMGL7u4vvquYYm3zgMosrqrxTSooTs7R_OJLZA";

/// The request for a stream of a subscriber's topics.
pub(crate) fn subscription(plan: &BenchPlan, spread: Spread, number: u32) -> Vec<u8> {
    let (mut target, parameter) = match plan.dialect {
        Protocol::Native => (plan.url.path("events"), "topic"),
        Protocol::Mercure => (MERCURE.to_owned(), "match"),
    };
    let topics = spread.topics_of(number).filter(|_| plan.topics > 1);
    let topics = topics.map(|topic| format!("{parameter}=bench/{topic}"));
    let default = (plan.dialect == Protocol::Mercure && plan.topics == 1)
        .then(|| format!("{parameter}=default"));
    let wishes =
        topics.chain(default).chain(plan.interval.map(|interval| format!("interval={interval}")));
    for (wish, mark) in wishes.zip("?".chars().chain("&".chars().cycle())) {
        target.push(mark);
        target.push_str(&wish);
    }
    let (host, authorization) = (plan.url.authority(), plan.authorization_line());
    format!(
        "GET {target} HTTP/1.1\r\nhost: {host}\r\n{authorization}accept: text/event-stream\r\n\r\n"
    )
    .into()
}

/// Appends a message to the body of a publish.
pub(crate) fn message(body: &mut Vec<u8>, plan: &BenchPlan, payload: BenchMessage) {
    let several = plan.topics > 1;
    match plan.dialect {
        Protocol::Native => {
            body.extend_from_slice(b"{\"message\":\"");
            payload.write(body, plan.size);
            body.push(b'"');
            if several {
                // Writing to a vector cannot fail.
                let _ = write!(body, ",\"topic\":\"bench/{}\"", payload.topic);
            }
            let lines = plan.batch > 1 || plan.publish_stream;
            body.extend_from_slice(if lines { b"}\n" } else { b"}" });
        }
        Protocol::Mercure => {
            if several {
                let _ = write!(body, "topic=bench%2F{}&data=", payload.topic);
            } else {
                body.extend_from_slice(b"topic=default&data=");
            }
            let begin = body.len();
            payload.write(body, plan.size);
            // Of all that a payload holds, a form writes only spaces otherwise.
            body[begin..].iter_mut().filter(|byte| **byte == b' ').for_each(|byte| *byte = b'+');
        }
    }
}

/// The head of a publish with a body of this length.
pub(crate) fn publication(plan: &BenchPlan, target: &Target, length: usize) -> Vec<u8> {
    let host = target.authority();
    let (path, kind) = match plan.dialect {
        Protocol::Native if plan.batch > 1 => (target.path("send"), "application/x-ndjson"),
        Protocol::Native => (target.path("send"), "application/json"),
        Protocol::Mercure => (MERCURE.to_owned(), "application/x-www-form-urlencoded"),
    };
    let authorization = match plan.dialect {
        Protocol::Mercure if plan.authorization.is_none() => {
            format!("authorization: Bearer {DEVELOPMENT_TOKEN}\r\n")
        }
        _ => plan.authorization_line(),
    };
    format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\n{authorization}content-type: {kind}\r\n\
         content-length: {length}\r\n\r\n"
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::tests::plan;

    #[test]
    fn every_form_says_what_json_says() {
        let payload = BenchMessage { run: 1, publisher: 2, topic: 3, sequence: 4, stamp: 5 };
        let text = |line: &str| {
            let mut body = Vec::new();
            message(&mut body, &plan(line).unwrap(), payload);
            String::from_utf8(body).unwrap()
        };
        let native = text("--topics 4");
        let said = native.strip_prefix("{\"message\":\"").unwrap();
        let said = said.strip_suffix("\",\"topic\":\"bench/3\"}").unwrap();
        let form = text("--topics 4 --dialect mercure");
        let data = form.strip_prefix("topic=bench%2F3&data=").unwrap();
        assert_eq!(data.replace('+', " "), said);
        assert_eq!(text("--dialect mercure"), format!("topic=default&data={data}"));
    }

    #[test]
    fn whoever_has_a_token_may_publish_in_mercures_protocol() {
        let head = |line: &str, authorization: Option<&str>| {
            let mut plan = plan(line).unwrap();
            plan.authorization = authorization.map(|it| crate::Authorization::new(it.to_owned()));
            String::from_utf8(publication(&plan, &plan.url, 9)).unwrap()
        };
        let development = head("--dialect mercure", None);
        assert!(development.starts_with("POST /.well-known/mercure HTTP/1.1\r\n"), "{development}");
        assert!(development.contains("\r\nauthorization: Bearer eyJ"), "{development}");
        let guarded = head("--dialect mercure", Some("Bearer own"));
        assert!(guarded.contains("\r\nauthorization: Bearer own\r\n"), "{guarded}");
        assert!(!head("", None).contains("authorization"), "a native hub asks for none");
    }
}
