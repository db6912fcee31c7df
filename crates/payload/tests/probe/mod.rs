//! The body of a publish, as anyone may send it.

use fanfare_payload::{SubmissionKind, SubmissionLimits, decode};

const LIMITS: SubmissionLimits = SubmissionLimits { message_bytes: 64, batch_events: 8 };

/// Tries one input.
pub(crate) fn probe(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else { return };
    let content_type = match kind % 4 {
        0 => None,
        1 => Some("application/json"),
        2 => Some("application/x-ndjson; charset=utf-8"),
        _ => Some("text/plain"),
    };
    match decode(content_type, body, &LIMITS) {
        Ok(submission) => {
            let drafts = submission.drafts.len();
            match submission.kind {
                SubmissionKind::Single => assert_eq!(drafts, 1),
                SubmissionKind::Batch => assert!((1..=LIMITS.batch_events).contains(&drafts)),
            }
            for draft in &submission.drafts {
                assert!(draft.message.len() <= LIMITS.message_bytes);
            }
        }
        Err(refusal) => {
            assert!(matches!(refusal.status(), 400 | 413 | 422), "{}", refusal.status());
            let body: serde_json::Value =
                serde_json::from_str(&refusal.body()).expect("a refusal is JSON");
            assert!(body.get("detail").is_some());
        }
    }
}
