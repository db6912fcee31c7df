//! Where a subscriber resumes: the table of cursors and gaps, as a function of what the client
//! sent and what this node knows of the log.

use fanfare_event::Position;
use fanfare_log::{ReadFrom, Standing};

use crate::window::Survey;
use crate::{Gap, GapReason, Window};

/// What a client asks for by `Last-Event-ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requested {
    /// Nothing: what is published from now on.
    Live,
    /// `earliest`: everything retained.
    Earliest,
    /// Everything after this event.
    After(Position),
    /// Something that is not an event id.
    Unreadable(String),
    /// An id, but none of this log's: everything retained, behind a gap.
    Unknown(String),
}

/// Where a subscriber begins to read, after the gap it must be told of, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Comes before anything else.
    pub gap: Option<Gap>,
    /// Where reading begins.
    pub from: ReadFrom,
}

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// The subscriber can begin.
    Ready(Start),
    /// The client is ahead of this node, which may be behind its engine: worth waiting a moment
    /// and asking again. This is what it comes to if the wait is in vain.
    Ahead(Start),
}

impl Requested {
    /// Reads a `Last-Event-ID`. Absent and empty are the same.
    pub fn parse(text: Option<&str>) -> Self {
        match text {
            None | Some("") => Self::Live,
            Some("earliest") => Self::Earliest,
            Some(id) => id.parse().map_or_else(|_| Self::Unreadable(id.to_owned()), Self::After),
        }
    }

    /// Applies the table to what `window` knows at this moment. Whether anything was trimmed is
    /// not decided here but where the log is read, and only for those the window cannot serve.
    pub fn resolve(&self, window: &Window) -> Resolution {
        self.resolve_in(&self.survey(window))
    }

    /// What the table needs to know, all of one moment.
    pub(crate) fn survey(&self, window: &Window) -> Survey {
        window.survey(match self {
            Self::After(position) => position.epoch,
            Self::Live | Self::Earliest | Self::Unreadable(_) | Self::Unknown(_) => 0,
        })
    }

    /// Applies the table to a survey made for this request.
    pub(crate) fn resolve_in(&self, survey: &Survey) -> Resolution {
        let position = match self {
            Self::After(position) => *position,
            Self::Earliest => return ready(None, ReadFrom::Earliest),
            Self::Live => return ready(None, ReadFrom::After(survey.last)),
            Self::Unreadable(text) => {
                let gap = gap(GapReason::BadId, text.clone(), survey.last);
                return ready(Some(gap), ReadFrom::After(survey.last));
            }
            Self::Unknown(text) => {
                let gap = gap(GapReason::BadId, text.clone(), survey.floor);
                return ready(Some(gap), ReadFrom::After(survey.floor));
            }
        };
        let lost = |end| {
            let gap = gap(GapReason::EngineLostWrites, position.to_string(), end);
            Start { gap: Some(gap), from: ReadFrom::After(end) }
        };
        match survey.standing {
            Standing::Current if position > survey.last => Resolution::Ahead(lost(survey.last)),
            Standing::EndedAt(end) if position > end => Resolution::Ready(lost(survey.goes_on)),
            Standing::Current | Standing::EndedAt(_) => ready(None, ReadFrom::After(position)),
            Standing::Unknown => {
                let gap = gap(GapReason::UnknownEpoch, position.to_string(), survey.floor);
                // From the very place that the gap names: what is trimmed until it is read is
                // another gap.
                let start = Start { gap: Some(gap), from: ReadFrom::After(survey.floor) };
                // Epochs only grow: another node may have heard of a later one first.
                if position.epoch > survey.last.epoch {
                    Resolution::Ahead(start)
                } else {
                    Resolution::Ready(start)
                }
            }
        }
    }
}

impl Resolution {
    /// The start, however it came about.
    pub fn into_start(self) -> Start {
        match self {
            Self::Ready(start) | Self::Ahead(start) => start,
        }
    }
}

fn ready(gap: Option<Gap>, from: ReadFrom) -> Resolution {
    Resolution::Ready(Start { gap, from })
}

fn gap(reason: GapReason, requested: String, resumed_from: Position) -> Gap {
    Gap { reason, requested, resumed_from }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fanfare_log::{Ended, Lineage, Retention, Tail};

    use super::*;
    use crate::WindowBounds;

    fn window() -> Window {
        let retention = Retention { count: 1000, bytes: 1 << 20, age: Duration::from_secs(3600) };
        let window = Window::new(WindowBounds { count: 100, bytes: 1 << 20 }, retention);
        let whole = |epoch, seq| Ended::whole(Position::new(epoch, seq));
        let lossy = Ended { lossy: true, ..whole(20, 3) };
        window
            .begin(&Lineage::recorded([whole(10, 950), lossy], 30).unwrap(), Position::new(30, 7));
        window.trim(Position::new(10, 5));
        window
    }

    fn resolve(text: &str) -> (Option<(GapReason, Position)>, ReadFrom) {
        let Resolution::Ready(start) = Requested::parse(Some(text)).resolve(&window()) else {
            panic!("{text} should not have to wait");
        };
        (start.gap.map(|gap| (gap.reason, gap.resumed_from)), start.from)
    }

    #[test]
    fn every_row_of_the_table() {
        let after = |epoch, seq| ReadFrom::After(Position::new(epoch, seq));
        assert_eq!(resolve("30-7"), (None, after(30, 7)));
        assert_eq!(resolve("20-3"), (None, after(20, 3)));
        assert_eq!(resolve("10-950"), (None, after(10, 950)));
        assert_eq!(
            resolve("10-1000"),
            (Some((GapReason::EngineLostWrites, Position::new(10, 950))), after(10, 950))
        );
        assert_eq!(
            resolve("20-4"),
            (Some((GapReason::EngineLostWrites, Position::new(30, 0))), after(30, 0)),
            "told once, and from behind the loss"
        );
        assert_eq!(
            resolve("11-1"),
            (Some((GapReason::UnknownEpoch, Position::new(10, 5))), after(10, 5))
        );
        assert_eq!(
            resolve("nonsense"),
            (Some((GapReason::BadId, Position::new(30, 7))), after(30, 7))
        );
        assert_eq!(resolve("earliest"), (None, ReadFrom::Earliest));
        assert_eq!(resolve(""), (None, after(30, 7)));
    }

    #[test]
    fn a_client_ahead_of_this_node_waits_and_is_told_if_in_vain() {
        let ahead = Requested::parse(Some("30-8")).resolve(&window());
        let Resolution::Ahead(start) = ahead else { panic!("{ahead:?}") };
        assert_eq!(start.gap.unwrap().reason, GapReason::EngineLostWrites);
        assert_eq!(start.from, ReadFrom::After(Position::new(30, 7)));

        let ahead = Requested::parse(Some("31-1")).resolve(&window());
        let Resolution::Ahead(start) = ahead else { panic!("{ahead:?}") };
        assert_eq!(start.gap.unwrap().reason, GapReason::UnknownEpoch);
        assert_eq!(start.from, ReadFrom::After(Position::new(10, 5)));
    }
}
