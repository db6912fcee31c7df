//! Batches, limits, and what must hold for any body at all.

use fanfare_payload::{
    MAX_DEPTH, MAX_DETAILS, MAX_ECHO, PayloadRefusal, Submission, SubmissionKind, SubmissionLimits,
    decode, decode_line,
};
use proptest::prelude::*;
use serde_json::json;

const LIMITS: SubmissionLimits = SubmissionLimits { message_bytes: 1000, batch_events: 500 };
const JSON: Option<&str> = Some("application/json");
const JSON_LINES: Option<&str> = Some("application/x-ndjson");

fn batch(body: &str) -> Result<Vec<String>, (u16, String)> {
    match decode(JSON_LINES, body.as_bytes(), &LIMITS) {
        Ok(Submission { drafts, kind }) => {
            assert_eq!(kind, SubmissionKind::Batch);
            Ok(drafts.iter().map(|draft| draft.message.to_string()).collect())
        }
        Err(refusal) => Err((refusal.status(), refusal.body())),
    }
}

#[test]
fn a_batch_keeps_its_order_and_passes_over_blank_lines() {
    let body = "\u{feff}{\"message\":\"a\"}\r\n\n \t\r\n{\"message\":\"b\"}\n{\"message\":\"\"}";
    assert_eq!(batch(body), Ok(vec!["a".into(), "b".into(), "".into()]));
}

#[test]
fn a_refusal_repeats_only_a_little_of_what_was_sent() {
    let long = "\\u0000".repeat(100_000);
    let values = "[],".repeat(50_000);
    for (content_type, body) in [
        (JSON, format!(r#""{long}""#)),
        (JSON, format!(r#"{{"other":"{long}"}}"#)),
        (JSON, format!(r#"{{"{long}":1}}"#)),
        (JSON, format!(r#"{{"message":[{values}1]}}"#)),
        (JSON, format!(r#"{{"message":"a","topic":"{long}","event":"{long}"}}"#)),
        (None, "\u{1}".repeat(600_000)),
    ] {
        let refusal = decode(content_type, body.as_bytes(), &LIMITS).unwrap_err();
        let answer = refusal.body();
        assert!(answer.len() < 3 * MAX_ECHO, "{} bytes of {}", answer.len(), body.len());
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert!(answer["detail"][0]["input"].to_string().contains('…'));
    }
    let line = format!(r#"{{"message":["{long}"]}}"#);
    let (_, answer) = batch(&vec![line; 400].join("\n")).unwrap_err();
    assert!(answer.len() < MAX_DETAILS * (MAX_ECHO + 200), "{}", answer.len());
}

#[test]
fn a_batch_without_events_is_a_missing_body() {
    let missing =
        r#"{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}"#;
    for body in ["", "\n", " \r\n\r\n", "\u{feff}"] {
        assert_eq!(batch(body), Err((422, missing.into())), "{body:?}");
    }
}

#[test]
fn every_bad_line_is_named_by_its_number() {
    let body = "{\"message\":\"a\"}\n\n{\"message\":1}\r\n{\"é\" 1}\n[]\n{\"topic\":\"*\"}\n";
    let (status, answer) = batch(body).unwrap_err();
    assert_eq!(status, 422);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let expected = json!({"detail": [
        {"type": "string_type", "loc": ["body", 3, "message"],
         "msg": "Line 3: Input should be a valid string", "input": 1},
        {"type": "json_invalid", "loc": ["body", 4, 5], "msg": "Line 4: JSON decode error",
         "input": {}, "ctx": {"error": "Expecting ':' delimiter"}},
        {"type": "model_attributes_type", "loc": ["body", 5], "input": [],
         "msg": "Line 5: Input should be a valid dictionary or object to extract fields from"},
        {"type": "missing", "loc": ["body", 6, "message"], "msg": "Line 6: Field required",
         "input": {"topic": "*"}},
        {"type": "value_error", "loc": ["body", 6, "topic"], "input": "*", "ctx": {"error": {}},
         "msg": "Line 6: Value error, a topic to publish to must not contain `*`, which only \
                 patterns use"},
    ]});
    assert_eq!(answer, expected);
}

#[test]
fn an_unreadable_line_is_named_too() {
    let refused = |body: &[u8]| decode(JSON_LINES, body, &LIMITS).unwrap_err();
    let answer = r#"{"detail":"Line 2: There was an error parsing the body"}"#;
    let deep = format!("{{\"message\":\"a\"}}\n{}", "[".repeat(MAX_DEPTH + 1));
    for body in [&b"{\"message\":\"a\"}\n\"\xff\"\n"[..], deep.as_bytes()] {
        let refusal = refused(body);
        assert_eq!((refusal.status(), refusal.body().as_str()), (400, answer));
    }
}

#[test]
fn an_answer_lists_a_bounded_number_of_faults() {
    let (status, answer) = batch(&"{\"topic\":\"*\"}\n".repeat(400)).unwrap_err();
    assert_eq!(status, 422);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["detail"].as_array().unwrap().len(), MAX_DETAILS);
}

#[test]
fn what_exceeds_a_limit_is_refused_with_413() {
    let line = |length: usize| json!({"message": "x".repeat(length)}).to_string();
    assert!(decode(JSON, line(1000).as_bytes(), &LIMITS).is_ok());
    let refusal = decode(JSON, line(1001).as_bytes(), &LIMITS).unwrap_err();
    assert_eq!(refusal.status(), 413);
    let detail = r#"{"detail":"the message has 1001 bytes, at most 1000 are accepted"}"#;
    assert_eq!(refusal.body(), detail);

    assert_eq!(batch(&"{\"message\":\"\"}\n\n".repeat(500)).unwrap().len(), 500);
    let detail =
        r#"{"detail":"the batch has 501 events, at most 500 are accepted in one request"}"#;
    assert_eq!(batch(&"{\"message\":\"\"}\n".repeat(501)), Err((413, detail.into())));
    let detail = r#"{"detail":"Line 2: the message has 1001 bytes, at most 1000 are accepted"}"#;
    assert_eq!(batch(&format!("{}\n{}", line(1), line(1001))), Err((413, detail.into())));
}

#[test]
fn no_nesting_overflows_the_stack() {
    let unreadable = r#"{"detail":"There was an error parsing the body"}"#;
    for open in ["[", "{\"a\":", "[{\"a\":["] {
        for front in ["", "{\"message\":", "{\"message\":\"x\",\"other\":", "{\"topic\":"] {
            let body = format!("{front}{}", open.repeat(200_000));
            let refusal = decode(JSON, body.as_bytes(), &LIMITS).unwrap_err();
            assert_eq!((refusal.status(), refusal.body().as_str()), (400, unreadable), "{front}");
        }
    }
    let levels = MAX_DEPTH - 1;
    let nested = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let ignored = format!("{{\"message\":\"x\",\"other\":{nested}}}");
    assert!(decode(JSON, ignored.as_bytes(), &LIMITS).is_ok());
    let echoed = format!("{{\"message\":{nested}}}");
    assert_eq!(decode(JSON, echoed.as_bytes(), &LIMITS).unwrap_err().status(), 422);
}

fn content_types() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(JSON.map(str::to_owned)),
        Just(JSON_LINES.map(str::to_owned)),
        proptest::option::of(any::<String>()),
    ]
}

/// Bytes that look enough like a submission to get somewhere.
fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        8 => proptest::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud800", "\\udc00", "\n", " ", "-",
            "0", "1", ".", "e", "NaN", "null", "true", "\"message\":", "\"topic\":", "\"event\":",
            "\"a\"", "\"*\"", "é", "😀", "\u{feff}", "{\"message\":\"x\"}", "\u{1}",
        ])
        .prop_map(|token| token.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(token, 0..30).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_message_that_can_be_written_arrives_unchanged(
        message in any::<String>(), ascii in any::<bool>(),
    ) {
        let mut body = json!({"message": message, "other": [message]}).to_string();
        if ascii {
            // As Python's json.dumps writes by default.
            let mut units = [0; 2];
            body = body
                .chars()
                .map(|c| match c {
                    c if c.is_ascii() => c.to_string(),
                    c => c.encode_utf16(&mut units).iter().map(|u| format!("\\u{u:04x}")).collect(),
                })
                .collect();
        }
        let limits = SubmissionLimits { message_bytes: usize::MAX, ..LIMITS };
        for content_type in [JSON, JSON_LINES] {
            let submission = decode(content_type, body.as_bytes(), &limits).unwrap();
            prop_assert_eq!(&*submission.drafts[0].message, message.as_str());
        }
    }

    #[test]
    fn a_line_alone_is_read_as_in_a_batch(body in nearly_json()) {
        let lines = (1..).zip(body.split(|byte| *byte == b'\n'));
        let alone: Vec<_> =
            lines.map(|(number, line)| decode_line(line, number, LIMITS.message_bytes)).collect();
        match decode(JSON_LINES, &body, &LIMITS) {
            Ok(batch) => {
                let drafts: Vec<_> = alone.into_iter().filter_map(Result::unwrap).collect();
                prop_assert_eq!(drafts, batch.drafts);
            }
            Err(PayloadRefusal::BatchTooLong { .. }) => {}
            Err(refusal) => {
                let all: Vec<_> = alone.iter().filter_map(|line| line.as_ref().err()).collect();
                let nothing = alone.iter().all(|line| matches!(line, Ok(None)));
                prop_assert!(!all.is_empty() || nothing, "{refusal}");
                if let ([one], PayloadRefusal::Invalid(_)) = (&all[..], &refusal) {
                    prop_assert_eq!(*one, &refusal, "in other words");
                }
            }
        }
    }

    #[test]
    fn any_bytes_get_an_answer_that_is_json(
        content_type in content_types(),
        body in prop_oneof![nearly_json(), proptest::collection::vec(any::<u8>(), 0..200)],
    ) {
        if let Err(refusal) = decode(content_type.as_deref(), &body, &LIMITS) {
            prop_assert!([400, 413, 422].contains(&refusal.status()));
            let answer: serde_json::Value = serde_json::from_str(&refusal.body()).unwrap();
            prop_assert!(answer["detail"].is_array() == (refusal.status() == 422));
        }
    }
}
