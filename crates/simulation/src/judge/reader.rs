//! A reader: one client over all its connections, by what its sockets took.

use std::collections::HashSet;
use std::fmt;

use super::event_stream::{JudgedStream, StreamEvent};
use super::facts::{BatchNumber, Facts, Recorded, SentMessage};
use super::{FindingKind, IdRank, JudgedId, SpecEnvelope, SubscriptionSpec, Unchunked, flat_json};

/// With what a client connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConnectCursor {
    /// Nothing.
    Live,
    /// `earliest`.
    Earliest,
    /// An id that it was once given.
    After(String),
    /// An id of no log, or no id at all: it must be told of a gap first.
    Stray(String),
}

/// A client.
#[derive(Debug)]
pub(crate) struct ReaderAccount {
    number: usize,
    spec: SubscriptionSpec,
    /// Up to where it has everything that it wants, or was told of a gap.
    accounted: Option<IdRank>,
    /// What began earlier it is not owed unless it comes after `accounted`.
    since: u64,
    /// What remains of this epoch was lost, and it was told.
    lost_rest: Option<u64>,
    /// Where the log was said to hold nothing for it.
    claims: Vec<Claim>,
    /// What was lost where it went from one epoch to the next, and it was not told yet.
    crossed: Option<String>,
    /// Ids that it has been given, latest last.
    ids: Vec<String>,
    /// The id of the last gap that it was told of, if it has come back with that.
    gap_again: Option<JudgedId>,
    last_gap: Option<JudgedId>,
    /// The id of one that it was told of twice.
    circled: Option<JudgedId>,
    connection: Option<JudgedConnection>,
}

/// Nothing wanted lies after the one and before the other that was begun since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    after: Option<IdRank>,
    before: IdRank,
    since: u64,
    /// When this was said: it says nothing of what is published later.
    said: u64,
}

#[derive(Debug)]
struct JudgedConnection {
    unchunked: Unchunked,
    stream: JudgedStream,
    received: HashSet<IdRank>,
    beginning: ConnectCursor,
    was_open: bool,
    /// Nothing may come before a gap.
    needs_gap: bool,
    heard_nothing: bool,
    cut: Option<u64>,
}

impl ReaderAccount {
    pub(super) fn new(number: usize, spec: SubscriptionSpec) -> Self {
        Self {
            number,
            spec,
            accounted: None,
            since: 0,
            lost_rest: None,
            claims: Vec::new(),
            crossed: None,
            ids: Vec::new(),
            gap_again: None,
            last_gap: None,
            circled: None,
            connection: None,
        }
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// The ids it was given, latest last.
    pub(crate) fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Whether its response has begun.
    pub(crate) fn is_open(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.was_open)
    }

    pub(super) fn connect(&mut self, facts: &mut Facts, beginning: ConnectCursor) {
        self.lost_rest = None;
        self.gap_again = None;
        let mut needs_gap = false;
        let mut last_id = String::new();
        if !matches!(&beginning, ConnectCursor::After(id) if Some(id) == self.ids.last()) {
            self.crossed = None;
        }
        match &beginning {
            ConnectCursor::Live => (self.accounted, self.since) = (None, u64::MAX),
            ConnectCursor::Earliest => {
                self.accounted = None;
                let owed_all = facts.guarantees.keeps_all && !facts.may_lose;
                self.since = if owed_all { 0 } else { u64::MAX };
            }
            ConnectCursor::After(id) => {
                last_id.clone_from(id);
                let id = JudgedId::parse(id).expect("it was parsed when it was given");
                self.accounted = Some(facts.rank(id));
                self.since = 0;
                self.gap_again = self.last_gap.filter(|gap| *gap == id);
            }
            ConnectCursor::Stray(id) => {
                last_id.clone_from(id);
                (self.accounted, self.since) = (None, u64::MAX);
                needs_gap = true;
            }
        }
        self.connection = Some(JudgedConnection {
            unchunked: Unchunked::new(self.spec.chunked),
            stream: JudgedStream::new(&last_id),
            received: HashSet::new(),
            beginning,
            was_open: false,
            needs_gap,
            heard_nothing: true,
            cut: None,
        });
    }

    pub(super) fn disconnect(&mut self) {
        self.connection = None;
    }

    pub(super) fn cut(&mut self, tick: u64) {
        if let Some(connection) = &mut self.connection {
            connection.cut = Some(tick);
        }
    }

    pub(super) fn is_unfinished(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            self.spec.chunked && connection.was_open && !connection.unchunked.has_ended()
        })
    }

    pub(super) fn read(
        &mut self,
        facts: &mut Facts,
        bytes: &[u8],
    ) -> Result<Vec<StreamEvent>, String> {
        let Some(connection) = &mut self.connection else { return Ok(Vec::new()) };
        let carried = connection.unchunked.push(bytes)?;
        if connection.unchunked.is_open() && !connection.was_open {
            connection.was_open = true;
            facts.tick += 1;
            match connection.beginning {
                ConnectCursor::Live => self.since = facts.tick,
                // Its response says what is there now, not what was there when it asked.
                ConnectCursor::Earliest if facts.may_lose => self.since = u64::MAX,
                _ => {}
            }
        }
        connection.stream.push(&carried)
    }

    /// The batch of which this event is one, and where that begins.
    pub(super) fn infer(
        &self,
        facts: &mut Facts,
        event: &StreamEvent,
    ) -> Option<(BatchNumber, JudgedId)> {
        if event.event.as_deref().is_some_and(|name| name.starts_with("fanfare.")) {
            return None;
        }
        let (text, _) = self.open(event)?;
        let number = facts.identify(&text)?;
        if facts.is_refused(number) {
            let text = format!("{self} received m{number}, which was refused");
            facts.report(FindingKind::Refused, text);
            return None;
        }
        let first = facts.first_of(number, JudgedId::parse(&event.last_id)?);
        if first.is_none() {
            let text = format!("m{number} stands at {} before its batch", event.last_id);
            facts.report(FindingKind::TornBatch, text);
        }
        first
    }

    /// The message in an event's data, and its event type.
    fn open(&self, event: &StreamEvent) -> Option<(String, Option<String>)> {
        if self.spec.envelope == SpecEnvelope::None {
            return Some((event.data.clone(), event.event.clone()));
        }
        let members = flat_json(&event.data)?;
        let member = |name: &str| members.iter().find(|(n, _)| n == name)?.1.clone();
        Some((member("message")?, member("event")))
    }

    pub(super) fn on_event(&mut self, facts: &mut Facts, event: &StreamEvent) {
        if facts.finding.is_some() {
            return;
        }
        let name = event.event.as_deref().unwrap_or("");
        if !event.has_id {
            if name != "fanfare.expired" {
                let text = format!("{self}: {event:?} has no id");
                facts.report(FindingKind::Malformed, text);
            }
            return;
        }
        let Some(id) = JudgedId::parse(&event.last_id) else {
            let text = format!("{self}: {event:?} has an id that is none");
            return facts.report(FindingKind::Malformed, text);
        };
        let place = facts.rank(id);
        match name {
            "fanfare.gap" => self.on_gap(facts, id, place, &event.data),
            "fanfare.cursor" | "fanfare.expired" => self.on_cursor(facts, place, name),
            _ => self.on_message(facts, id, place, event),
        }
        if let Some(connection) = &mut self.connection {
            connection.needs_gap = false;
            connection.heard_nothing = false;
        }
        self.ids.push(event.last_id.clone());
    }

    fn on_gap(&mut self, facts: &mut Facts, id: JudgedId, place: IdRank, data: &str) {
        let Some(connection) = &mut self.connection else { return };
        let returns = connection.heard_nothing && self.gap_again == Some(id);
        // Once more, where a server was replaced in between, is a false alarm; again and again is a circle.
        if returns && facts.guarantees.tells_late && self.circled != Some(id) {
            self.circled = Some(id);
        } else if returns {
            let text = format!("{self}: came back with {id} and is told of a gap to {id}");
            return facts.report(FindingKind::Circular, text);
        }
        let lossy = data.contains(r#""engine_lost_writes""#) || data.contains(r#""unknown_epoch""#);
        let covers = facts.guarantees.keeps_all
            && !facts.may_lose
            && !data.contains(r#""bad_id""#)
            && self.since != u64::MAX;
        let missed = covers.then(|| self.missed(facts, place, true)).flatten();
        if let Some((_, missed)) = missed {
            let text = format!("{self}: a gap to {id} ({data}) covers {:?}", missed.message.text);
            return facts.report(FindingKind::Lost, text);
        }
        if lossy {
            self.crossed = None;
            self.claims.retain(|claim| claim.before > place);
        }
        let backwards = self.accounted.is_some_and(|accounted| place <= accounted);
        if backwards && !lossy {
            let text = format!("{self}: a gap to {id} ({data}), having {:?}", self.accounted);
            return facts.report(FindingKind::Reordered, text);
        }
        self.lost_rest = (backwards && lossy).then_some(place.rank);
        (self.accounted, self.since) = (Some(place), 0);
        self.last_gap = Some(id);
    }

    /// Word that nothing is missing up to here.
    fn on_cursor(&mut self, facts: &mut Facts, place: IdRank, name: &str) {
        if self.is_untold(facts, name) {
            return;
        }
        if let Some(accounted) = self.accounted.filter(|accounted| place < *accounted) {
            // The end of an epoch and the beginning of the next are one place, if none was lost.
            let between = facts.held.range(place..=accounted);
            let numbers = between.filter(|(at, _)| **at > place).map(|(_, number)| *number);
            let back = numbers.map(|number| &facts.messages[number]).find(|it| self.wants(it));
            // Somebody may have gone on in the epoch before at a server that was replaced. Who comes back with
            // that id is told.
            let is_told =
                facts.guarantees.tells_late && facts.may_lose && place.rank < accounted.rank;
            if let Some(back) = back.filter(|_| !is_told) {
                let back = &back.message.text;
                let text = format!("{self}: {name} goes back to {place:?}, before {back:?}");
                facts.report(FindingKind::Reordered, text);
            }
            return;
        }
        let inclusive = IdRank { seq: place.seq + 1, ..place };
        self.advance(facts, inclusive, place);
    }

    fn on_message(&mut self, facts: &mut Facts, id: JudgedId, place: IdRank, event: &StreamEvent) {
        let recorded = self.open(event).and_then(|(text, event_type)| {
            let number = facts.identify(&text)?;
            let message = &facts.messages[number].message;
            let outside = match self.spec.envelope {
                SpecEnvelope::Sealed => event.event.is_none(),
                SpecEnvelope::None | SpecEnvelope::Json => event.event == message.event_type,
            };
            (event_type == message.event_type && outside).then_some(number)
        });
        let Some(number) = recorded else {
            let text = format!("{self}: nobody published {event:?}");
            return facts.report(FindingKind::Invented, text);
        };
        let Recorded { message, begun, .. } = &facts.messages[number];
        if message.is_private && !self.spec.is_granted(&message.topics) {
            let text = format!("{self} was not granted m{number} on {:?}", message.topics);
            return facts.report(FindingKind::Leaked, text);
        }
        let (begun, wanted) =
            (*begun, self.spec.wants(&message.topics, message.event_type.as_deref()));
        if !wanted {
            let text = format!("{self} did not ask for m{number} on {:?}", message.topics);
            return facts.report(FindingKind::Unwanted, text);
        }
        if facts.held.get(&place) != Some(&number) {
            let text = format!("{self}: m{number} at {id}, where {:?} is", facts.held.get(&place));
            return facts.report(FindingKind::TwoEventsOneId, text);
        }
        if self.is_untold(facts, &format!("m{number} at {id}")) {
            return;
        }
        let Some(connection) = &mut self.connection else { return };
        if connection.cut.is_some_and(|cut| cut < begun) {
            let text = format!("{self} was cut and received m{number}");
            return facts.report(FindingKind::Overstayed, text);
        }
        if !connection.received.insert(place) {
            let text = format!("{self}: m{number} at {id}, twice on one connection");
            return facts.report(FindingKind::Duplicate, text);
        }
        if self.accounted.is_some_and(|accounted| place <= accounted) {
            let text = format!("{self}: m{number} at {id}, having {:?}", self.accounted);
            return facts.report(FindingKind::Reordered, text);
        }
        self.advance(facts, place, place);
    }

    /// Whether a gap had to come first.
    fn is_untold(&self, facts: &mut Facts, what: &str) -> bool {
        let needs_gap = self.connection.as_ref().is_some_and(|connection| connection.needs_gap);
        if needs_gap {
            let beginning = self.connection.as_ref().map(|connection| &connection.beginning);
            let text = format!("{self} came with {beginning:?} and received {what} without a gap");
            facts.report(FindingKind::Untold, text);
        }
        needs_gap
    }

    /// It has everything before `before`, and stands at `at`.
    fn advance(&mut self, facts: &mut Facts, before: IdRank, at: IdRank) {
        // Where it stood then: what was lost may have been published again since.
        if let Some((place, missed)) = self.missed(facts, before, false) {
            let text = &missed.message.text;
            let text = format!("{self} is at {at:?} and never received {text:?} at {place:?}");
            if !(facts.guarantees.tells_late && facts.may_lose) {
                return facts.report(FindingKind::SilentLoss, text);
            }
            // Who has nothing yet and asks for everything is promised all that there is.
            let begins = self.connection.as_ref().is_some_and(|connection| {
                connection.beginning == ConnectCursor::Earliest && self.accounted.is_none()
            });
            match (place.rank < at.rank, begins) {
                (true, true) => {}
                (true, false) | (false, true) => _ = self.crossed.get_or_insert(text),
                (false, false) => return facts.report(FindingKind::SilentLoss, text),
            }
        }
        let (after, since, said) = (self.after(before), self.since, facts.tick);
        self.claims.push(Claim { after, before, since, said });
        (self.accounted, self.since) = (Some(at), 0);
        if self.lost_rest.is_some_and(|rank| at.rank > rank) {
            self.lost_rest = None;
        }
    }

    /// After what it is owed anything before `before`.
    fn after(&self, before: IdRank) -> Option<IdRank> {
        match self.lost_rest {
            Some(rank) if before.rank > rank => Some(IdRank { rank, seq: u64::MAX }),
            _ => self.accounted,
        }
    }

    /// The first that it wants, is owed and was not given, before this.
    fn missed<'a>(
        &self,
        facts: &'a Facts,
        before: IdRank,
        inclusive: bool,
    ) -> Option<(IdRank, &'a Recorded)> {
        let after = self.after(before);
        let end = IdRank { seq: before.seq + u64::from(inclusive), ..before };
        let numbers = facts.held.range(..end).rev();
        let mut first = None;
        for (place, number) in numbers {
            if after.is_some_and(|after| *place <= after) {
                break;
            }
            let recorded = &facts.messages[*number];
            if recorded.begun >= self.since && self.wants(recorded) {
                first = Some((*place, recorded));
            }
        }
        first
    }

    /// Something was lost where it went from one epoch to the next.
    pub(super) fn has_crossed(&mut self, text: String) {
        self.crossed.get_or_insert(text);
    }

    /// What was lost there, if it was never told.
    pub(super) fn unreported_loss(&self) -> Option<&str> {
        self.crossed.as_deref()
    }

    pub(super) fn owed<'a>(&self, facts: &'a Facts) -> Option<&'a Recorded> {
        let end = IdRank { rank: u64::MAX, seq: 0 };
        self.missed(facts, end, false).map(|(_, missed)| missed)
    }

    /// The claim by which this event, of which one hears only now, would not be there.
    pub(super) fn denies(&self, recorded: &Recorded, place: IdRank) -> Option<Claim> {
        if !self.wants(recorded) {
            return None;
        }
        let denied = |claim: &&Claim| {
            claim.after.is_none_or(|after| place > after)
                && place < claim.before
                && (claim.since..=claim.said).contains(&recorded.begun)
        };
        self.claims.iter().find(denied).copied()
    }

    fn wants(&self, recorded: &Recorded) -> bool {
        let SentMessage { topics, event_type, is_private, .. } = &recorded.message;
        let is_hidden = *is_private && !self.spec.is_granted(topics);
        self.spec.wants(topics, event_type.as_deref()) && !is_hidden
    }
}

impl Claim {
    /// Whether it was made by going on to a later epoch than this place's.
    pub(super) fn crosses(&self, place: IdRank) -> bool {
        self.before.rank > place.rank
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after {
            Some(after) => write!(f, "that nothing lies between {after:?} and {:?}", self.before),
            None => write!(f, "that nothing lies before {:?}", self.before),
        }
    }
}

impl fmt::Display for ReaderAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} ({})", self.number, self.spec.topics.join(","))
    }
}
