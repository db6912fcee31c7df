//! Replays what FastAPI answered (`record_fastapi_cases.py`) and expects the same, byte for byte,
//! except where a case says why the hub answers otherwise, and for the advice that the hub adds.

use fanfare_payload::{SubmissionKind, SubmissionLimits, decode};
use serde::Deserialize;
use serde_json::Value;

const LIMITS: SubmissionLimits = SubmissionLimits { message_bytes: 1 << 20, batch_events: 100 };

#[derive(Deserialize)]
struct Case {
    content_type: Option<String>,
    body: Option<String>,
    hex: Option<String>,
    status: u16,
    draft: Option<Written>,
    answer: Option<String>,
    deviation: Option<Deviation>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Written {
    message: String,
    topic: Option<String>,
    event: Option<String>,
}

#[derive(Deserialize)]
struct Deviation {
    why: String,
    status: u16,
    answer: String,
}

impl Case {
    fn body(&self) -> Vec<u8> {
        match (&self.body, &self.hex) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(hex)) => (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits a byte"))
                .collect(),
            _ => panic!("a case has either a body or its hex"),
        }
    }

    /// What the hub makes of it: the draft, or the status and the answer.
    fn outcome(&self) -> Result<Written, (u16, String)> {
        match decode(self.content_type.as_deref(), &self.body(), &LIMITS) {
            Ok(submission) => {
                assert_eq!(submission.kind, SubmissionKind::Single);
                let [draft] = &submission.drafts[..] else { panic!("one body, one draft") };
                Ok(Written {
                    message: draft.message.to_string(),
                    topic: Some(draft.topic.to_string()),
                    event: draft.event_type.as_ref().map(ToString::to_string),
                })
            }
            Err(refusal) => Err((refusal.status(), refusal.body())),
        }
    }

    fn expected(self) -> Result<Written, (u16, String)> {
        match (self.deviation, self.draft, self.answer) {
            (Some(ours), _, _) => Err((ours.status, ours.answer)),
            (None, Some(draft), None) => {
                let topic = draft.topic.or(Some("default".into()));
                Ok(Written { topic, ..draft })
            }
            (None, None, Some(answer)) => Err((self.status, answer)),
            _ => panic!("a case has either a draft or an answer"),
        }
    }
}

/// An answer without what the hub says beyond FastAPI: a hint at the Content-Type, and names that are nearly
/// right, which are refused. Nothing, if nothing is left that is wrong.
fn without_advice(answer: &str) -> Option<Value> {
    let mut answer: Value = serde_json::from_str(answer).expect("an answer is JSON");
    answer.as_object_mut().expect("an answer is an object").remove("hint");
    let detail = answer["detail"].as_array_mut().expect("faults are a list");
    detail.retain(|fault| !fault["msg"].as_str().expect("a text").contains("did you mean"));
    (!detail.is_empty()).then_some(answer)
}

/// Whether they differ in nothing but the hub's advice.
fn is_advised(
    outcome: &Result<Written, (u16, String)>,
    expected: &Result<Written, (u16, String)>,
) -> bool {
    let Err((status, answer)) = outcome else { return false };
    if !answer.contains("did you mean") && !answer.contains(r#""hint""#) {
        return false;
    }
    match (without_advice(answer), expected) {
        (None, Ok(_)) => true,
        (Some(left), Err((theirs, expected))) => {
            status == theirs && serde_json::from_str::<Value>(expected).is_ok_and(|it| it == left)
        }
        _ => false,
    }
}

#[test]
fn every_recorded_body_is_answered_as_fastapi_answers_it() {
    // A longer recording can be put in its place for a one-off comparison.
    let path = std::env::var("FASTAPI_CASES")
        .unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fastapi_cases.json").to_owned());
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(cases.len() > 800, "the corpus has shrunk to {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let body = String::from_utf8_lossy(&case.body()).into_owned();
        if let Some(Deviation { why, status, answer }) = &case.deviation {
            assert!(!why.is_empty());
            let same = case.status == *status && case.answer.as_ref() == Some(answer);
            assert!(!same, "not a deviation: {body:.200}");
        }
        let content_type = case.content_type.clone();
        let (outcome, expected) = (case.outcome(), case.expected());
        if outcome != expected && !is_advised(&outcome, &expected) {
            wrong.push(format!(
                "{body:.200} as {content_type:?}\n  expected {expected:?}\n  got      {outcome:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}
