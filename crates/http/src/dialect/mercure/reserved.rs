//! What of Mercure's protocol only the hub may say.

use fanfare_event::Draft;
use fanfare_mercure::{MercureUrl, Update, name_of};

use crate::reserved::{ReservedField, ReservedName, ReservedNames};

impl ReservedNames for MercureUrl {
    fn find(&self, draft: &Draft) -> Option<ReservedName> {
        if let Some(topic) = draft.topics().find(|topic| self.owns(&name_of(topic))) {
            let has_several = draft.topics().nth(1).is_some();
            return Some(ReservedName {
                field: if has_several { ReservedField::Topics } else { ReservedField::Topic },
                name: topic.as_str().to_owned(),
                why: "topics under /.well-known/mercure are the hub's own",
            });
        }
        let event_type = draft.event_type.as_ref()?.as_str();
        (event_type == Update::RESERVED_TYPE).then(|| ReservedName {
            field: ReservedField::EventType,
            name: event_type.to_owned(),
            why: "the event type `mercure` is the hub's own, where Mercure's protocol is spoken",
        })
    }
}
