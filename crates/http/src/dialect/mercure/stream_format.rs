//! What a stream of Mercure's protocol says: what a native one does, but ids are references (`#` and a position), and a
//! gap may be left out, for clients that know no events but the protocol's. Then the head alone tells of it: a stream
//! that comes to another one, behind events, ends before it, and the head of the next one tells.

use fanfare_delivery::StreamFormat;
use fanfare_event::{EventId, Position};
use fanfare_hub::{Envelope, Gap};
use fanfare_sse::{Encoded, Fields, comment, encode};
use serde_json::json;

/// The format, with gaps or without them.
pub(crate) fn format(gaps: bool) -> &'static dyn StreamFormat {
    static WITH_GAPS: Format = Format { gaps: true };
    static WITHOUT_GAPS: Format = Format { gaps: false };
    if gaps { &WITH_GAPS } else { &WITHOUT_GAPS }
}

#[derive(Debug)]
struct Format {
    gaps: bool,
}

/// A position as an id of the hub's.
pub(super) fn reference(position: Position) -> String {
    format!("{}{position}", EventId::MARK)
}

impl StreamFormat for Format {
    fn name(&self) -> &'static str {
        if self.gaps { "mercure" } else { "mercure-without-gaps" }
    }

    fn envelope(&self) -> Envelope {
        Envelope::OwnId
    }

    fn gap(&self, gap: &Gap) -> Encoded {
        if !self.gaps {
            return comment();
        }
        let id = reference(gap.resumed_from);
        let requested: String = gap.requested.chars().take(Gap::MAX_REQUESTED).collect();
        let data = json!({
            "reason": gap.reason.as_str(), "requested": requested, "resumed_from": id,
        });
        encode(Fields { id: Some(&id), event: Some("fanfare.gap"), data: &data.to_string() })
    }

    fn tells_gaps(&self) -> bool {
        self.gaps
    }

    fn cursor(&self, position: Position) -> Encoded {
        let id = reference(position);
        encode(Fields { id: Some(&id), event: Some("fanfare.cursor"), data: "{}" })
    }

    fn expired(&self, position: Option<Position>) -> Encoded {
        let id = position.map(reference);
        encode(Fields { id: id.as_deref(), event: Some("fanfare.expired"), data: "{}" })
    }
}
