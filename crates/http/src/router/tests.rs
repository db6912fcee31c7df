//! That a second dialect is a value: everything of it is in this file, and all that the hub checks is
//! checked for it too, and answered in it.

use axum::body::{Body, Bytes};
use axum::http::header::{ALLOW, CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, Request, StatusCode};
use fanfare_auth::{AccessKeys, Secret};
use fanfare_delivery::native;
use fanfare_event::{Draft, EventId, Selector, Topic};
use fanfare_hub::{Envelope, Requested};
use fanfare_log::Appended;
use fanfare_payload::SubmissionKind;
use http_body_util::BodyExt as _;

use super::*;
use crate::access::{AccessConfig, CredentialPlaces, Peer};
use crate::dialect::{Paths, PublishRequest, SubscribeRequest};
use crate::query;
use crate::quotas::QuotaLimits;
use crate::refusal::Refusal;
use crate::stream::StreamSlot;

/// One path for both, forms, and answers in plain text.
#[derive(Debug)]
struct Plain;

impl Dialect for Plain {
    fn paths(&self, _: &str) -> Paths {
        let path = "/.well-known/plain".to_owned();
        Paths { publish: path.clone(), subscribe: path }
    }

    fn credentials(&self) -> CredentialPlaces {
        CredentialPlaces { token: Some("authorization"), ..CredentialPlaces::default() }
    }

    fn subscription(&self, request: &Parts) -> Result<SubscribeRequest, Refusal> {
        let query = request.uri.query().unwrap_or_default();
        let topic = query::find(query, "topic")?.unwrap_or_default();
        let selector = Selector::parse([&*topic], [])?;
        Ok(SubscribeRequest {
            selector,
            format: native(Envelope::None),
            cadence: None,
            cursor: Requested::parse(None),
            note: None,
        })
    }

    fn body_limit(&self, message: usize) -> usize {
        3 * message + 1024
    }

    fn publication(
        &self,
        _: &HeaderMap,
        form: &Bytes,
        _: usize,
    ) -> Result<PublishRequest, Refusal> {
        let form = String::from_utf8_lossy(form);
        let message = query::find(&form, "data")?.unwrap_or_default().into();
        let draft = Draft { topic: Topic::default(), event_type: None, message, extras: None };
        Ok(PublishRequest { drafts: vec![draft], kind: SubmissionKind::Single, key: None })
    }

    fn accepted(&self, _: SubmissionKind, appended: &Appended, _: Option<&EventId>) -> Response {
        appended.first.to_string().into_response()
    }

    fn refused(&self, refusal: &Refusal) -> Response {
        let status = match refusal {
            Refusal::Unauthenticated => StatusCode::UNAUTHORIZED,
            Refusal::ForeignHost => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, refusal.to_string()).into_response()
    }

    fn method_not_allowed(&self) -> Response {
        (StatusCode::METHOD_NOT_ALLOWED, "no").into_response()
    }
}

const KEY: &str = "a-key-that-is-long-enough-for-anyone";

fn hub(access: AccessConfig) -> (Arc<AppState>, Front) {
    let app = AppState::idle(&QuotaLimits::few(), access, 1);
    let config =
        RouterConfig { prefix: "/sse", templates: None, security_contacts: &[], mercure: None };
    let router = speaking(&app, config, &[&Plain]);
    (app, router)
}

fn with_a_key() -> AccessConfig {
    let mut access = AccessConfig::private();
    access.keys.publish = AccessKeys::new(&[Secret::new(KEY.to_owned(), 1).unwrap()]);
    access.anyone = Default::default();
    access
}

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
    has_stream: bool,
}

async fn ask(router: &Front, method: &str, target: &str, host: &str, body: &str) -> Answered {
    let slot = StreamSlot::default();
    let peer = Peer { address: ([127, 0, 0, 1], 1).into(), tls: false };
    let request = Request::builder().method(method).uri(target).header(HOST, host);
    let request = request.extension(peer).extension(slot.clone());
    let response = router.answer(request.body(Body::from(body.to_owned())).unwrap()).await;
    let (head, body) = response.into_parts();
    let text = match slot.take() {
        Some(_stream) => None,
        None => Some(body.collect().await.unwrap().to_bytes()),
    };
    Answered {
        status: head.status,
        headers: head.headers,
        has_stream: text.is_none(),
        text: String::from_utf8(text.unwrap_or_default().to_vec()).unwrap(),
    }
}

#[tokio::test]
async fn another_dialect_publishes_and_subscribes() {
    let (app, router) = hub(AccessConfig::private());
    let path = "/.well-known/plain";
    let published = ask(&router, "POST", path, "localhost", "data=a+b").await;
    assert_eq!(published.status, 200, "{}", published.text);
    assert_eq!(published.text, app.hub.window().last().to_string());
    let stream = ask(&router, "GET", &format!("{path}?topic=a"), "localhost", "").await;
    assert!(stream.has_stream, "{}", stream.text);
    assert_eq!(stream.headers[CONTENT_TYPE], "text/event-stream");
}

#[tokio::test]
async fn what_another_dialect_is_refused_is_answered_in_it_and_counted() {
    let (app, router) = hub(with_a_key());
    let path = "/.well-known/plain";
    let unknown = ask(&router, "GET", &format!("{path}?topic=a"), "localhost", "").await;
    assert_eq!((unknown.status.as_u16(), &*unknown.text), (401, "Not authenticated"));
    let invalid = ask(&router, "POST", &format!("{path}?authorization=x"), "localhost", "").await;
    assert_eq!(invalid.status, 400, "{}", invalid.text);
    let known = ask(&router, "POST", &format!("{path}?authorization={KEY}"), "localhost", "").await;
    assert_eq!(known.status, 200, "{}", known.text);
    let foreign = ask(&router, "GET", path, "evil.example", "").await;
    assert_eq!(foreign.status, 403);
    assert!(foreign.text.contains("--allow-host"), "{}", foreign.text);
    let wrong = ask(&router, "PUT", path, "localhost", "").await;
    assert_eq!((wrong.status.as_u16(), &*wrong.text), (405, "no"));
    assert!(wrong.headers.contains_key(ALLOW));
    let counted = app.metrics.refusals();
    for (reason, count) in [("unauthenticated", 2), ("foreign_host", 1)] {
        assert!(counted.contains(&(reason, count)), "{counted:?}");
    }
}

#[tokio::test]
async fn the_hubs_own_dialect_is_spoken_beside_another() {
    let (_, router) = hub(with_a_key());
    let refused = ask(&router, "POST", "/sse/send", "localhost", "{}").await;
    assert_eq!(
        (refused.status.as_u16(), &*refused.text),
        (401, r#"{"detail":"Not authenticated"}"#)
    );
    let foreign = ask(&router, "GET", "/sse/events", "evil.example", "").await;
    assert!(foreign.text.starts_with(r#"{"detail":"#), "{}", foreign.text);
    let nowhere = ask(&router, "GET", "/nowhere", "localhost", "").await;
    assert_eq!((nowhere.status.as_u16(), &*nowhere.text), (404, r#"{"detail":"Not Found"}"#));
}
