//! A subscription's record: how it is written down for another process, and read there.
//!
//! What must hold: what is read is what was written, or an error that names what is not known here; no
//! right is read that was not written.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use bytes::Bytes;
use fanfare_event::{
    InvalidPattern, InvalidSelector, InvalidTopic, Pattern, Position, PrivateRights, Selector,
    Timestamp, Topic,
};
use fanfare_handover::{Malformed, Reader, Writer};
use fanfare_hub::Interest;
use fanfare_log::ReadFrom;

use crate::address_group::AddressGroup;
use crate::cadence::Cadence;
use crate::counters::CloseReason;
use crate::lease::Grant;
use crate::retry::Retry;
use crate::subscription::Subscription;
use crate::vocabulary::Vocabulary;
use crate::wire::{Framing, Wire};

/// Why a subscription's record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableSubscription {
    /// It is not what it should be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It is in a format that this program does not have.
    #[error("a stream is in the format {0:?}, which is not known here")]
    Format(String),
    /// It names an expression that cannot be read here.
    #[error("a stream asks for {0:?}, which cannot be read here")]
    Expression(String),
    /// It names what is no topic here.
    #[error("a stream asks for a topic that is not valid here: {0}")]
    Topic(#[from] InvalidTopic),
    /// It names what is no pattern here.
    #[error("a stream asks for a pattern that is not valid here: {0}")]
    Pattern(#[from] InvalidPattern),
    /// It asks for more than one may here.
    #[error("a stream asks for something that is not allowed here: {0}")]
    Selector(#[from] InvalidSelector),
}

impl Subscription {
    /// Writes it down.
    pub fn write(&self, writer: &mut Writer) {
        let selector = self.interest.selector();
        writer.count(selector.topics.topics().len());
        selector.topics.topics().iter().for_each(|topic| writer.text(topic.as_str()));
        write_patterns(writer, selector.topics.patterns());
        writer.count(selector.types().len());
        selector.types().iter().for_each(|name| writer.text(name));
        match self.interest.private() {
            PrivateRights::None => writer.u8(0),
            PrivateRights::Those(patterns) => {
                writer.u8(1);
                write_patterns(writer, patterns);
            }
            PrivateRights::Every => writer.u8(2),
        }
        writer.text(self.wire.format().name());
        writer.flag(self.wire.framing() == Framing::Chunked);
        writer.bytes(&self.rest.concat());
        writer.option(
            match self.cursor {
                ReadFrom::Earliest => None,
                ReadFrom::After(position) => Some(position),
            },
            write_position,
        );
        writer.option(self.held_id, write_position);
        writer.option(self.cadence, |writer, cadence| writer.u16(cadence.millis()));
        writer.u64(self.joined.as_millis());
        writer.u32(self.address_group.0);
        writer.option(self.grant.as_ref(), |writer, grant| {
            writer.option(grant.subject.as_deref(), Writer::text);
            writer.option(grant.credential.as_deref(), Writer::text);
            let is_v4 = grant.address.is_ipv4();
            writer.flag(is_v4);
            let address = match grant.address {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            };
            // Not `Writer::address`, which puts a length before them.
            address.octets().iter().for_each(|byte| writer.u8(*byte));
            writer.option(grant.expires, |writer, at| writer.u64(at.as_millis()));
            writer.u64(grant.verified.as_millis());
        });
        writer.option(self.closing, |writer, reason| {
            // Programs from before do not know that a stream may end at a gap.
            let known = if reason == CloseReason::Gap { CloseReason::Cut } else { reason };
            writer.text(known.as_str());
        });
    }

    /// Reads one that was written down.
    ///
    /// # Errors
    ///
    /// See [`UnreadableSubscription`].
    pub fn read(
        reader: &mut Reader<'_>,
        vocabulary: &dyn Vocabulary,
    ) -> Result<Self, UnreadableSubscription> {
        match Self::read_known_parts(reader, vocabulary)? {
            (subscription, None) => Ok(subscription),
            (_, Some(text)) => Err(UnreadableSubscription::Expression(text)),
        }
    }

    /// The same, but one that names an expression that cannot be read here ends, and is told to come back after so many
    /// milliseconds: nobody else's stream goes with it.
    ///
    /// # Errors
    ///
    /// See [`UnreadableSubscription`].
    pub fn read_or_end(
        reader: &mut Reader<'_>,
        vocabulary: &dyn Vocabulary,
        retry: Retry,
    ) -> Result<Self, UnreadableSubscription> {
        let (mut subscription, unknown) = Self::read_known_parts(reader, vocabulary)?;
        if let Some(expression) = unknown {
            tracing::warn!(
                expression,
                "a stream asks for what is not known here any more, and ends"
            );
            subscription.end(CloseReason::Shutdown, retry.pick());
        }
        Ok(subscription)
    }

    /// What can be read here, and the first expression that cannot. It is to be used only where there is none, or to
    /// end.
    fn read_known_parts(
        reader: &mut Reader<'_>,
        vocabulary: &dyn Vocabulary,
    ) -> Result<(Self, Option<String>), UnreadableSubscription> {
        type Unreadable = UnreadableSubscription;
        let mut unknown = None;
        let topics = reader.list(|reader| Ok::<_, Unreadable>(Topic::parse(reader.text()?)?))?;
        let patterns = read_patterns(reader, vocabulary, &mut unknown)?;
        let types = reader.list(|reader| reader.text().map(Box::from))?;
        let selector = match unknown {
            None => Selector::restored(topics, patterns, types)?,
            // It hears nothing any more.
            Some(_) => Selector::default(),
        };
        let private = match reader.u8()? {
            0 => PrivateRights::None,
            1 => PrivateRights::of(read_patterns(reader, vocabulary, &mut unknown)?),
            2 => PrivateRights::Every,
            _ => return Err(Malformed("unknown rights").into()),
        };
        let format = reader.text()?;
        let format = vocabulary
            .format(format)
            .ok_or_else(|| UnreadableSubscription::Format(format.to_owned()))?;
        let framing = if reader.flag()? { Framing::Chunked } else { Framing::Bare };
        let rest = Bytes::copy_from_slice(reader.bytes()?);
        let cursor = reader.option(read_position)?.map_or(ReadFrom::Earliest, ReadFrom::After);
        let held_id = reader.option(read_position)?;
        let cadence = reader.option(|reader| {
            let cadence = Cadence::from_millis(reader.u16()?);
            cadence.map_err(|_| Malformed("a stream's interval is not valid here"))
        })?;
        let joined = Timestamp(reader.u64()?);
        let address_group = AddressGroup(reader.u32()?);
        let grant = reader.option(read_grant)?;
        let closing = reader.option(|reader| {
            let name = reader.text()?;
            let known = CloseReason::ALL.into_iter().find(|reason| reason.as_str() == name);
            known.ok_or(Malformed("a stream ends for an unknown reason"))
        })?;
        let subscription = Self {
            interest: Interest::shared(selector, private),
            wire: Wire::new(format, framing),
            rest: if rest.is_empty() { Vec::new() } else { vec![rest] },
            cursor,
            held_id,
            cadence,
            joined,
            address_group,
            grant,
            closing,
        };
        Ok((subscription, unknown))
    }
}

fn write_position(writer: &mut Writer, position: Position) {
    writer.u64(position.epoch);
    writer.u64(position.seq);
}

fn read_position(reader: &mut Reader<'_>) -> Result<Position, Malformed> {
    Ok(Position::new(reader.u64()?, reader.u64()?))
}

fn write_patterns(writer: &mut Writer, patterns: &[Pattern]) {
    writer.count(patterns.len());
    for pattern in patterns {
        writer.flag(pattern.has_segments());
        writer.text(pattern.as_str());
    }
}

fn read_patterns(
    reader: &mut Reader<'_>,
    vocabulary: &dyn Vocabulary,
    unknown: &mut Option<String>,
) -> Result<Vec<Pattern>, UnreadableSubscription> {
    let patterns = reader.list(|reader| {
        if reader.flag()? {
            return Ok::<_, UnreadableSubscription>(Some(Pattern::parse(reader.text()?)?));
        }
        let text = reader.text()?;
        let pattern = vocabulary.expression(text);
        if pattern.is_none() {
            unknown.get_or_insert_with(|| text.to_owned());
        }
        Ok(pattern)
    })?;
    Ok(patterns.into_iter().flatten().collect())
}

fn read_grant(reader: &mut Reader<'_>) -> Result<Grant, Malformed> {
    let text = |reader: &mut Reader<'_>| reader.text().map(Arc::<str>::from);
    let (subject, credential) = (reader.option(text)?, reader.option(text)?);
    let is_v4 = reader.flag()?;
    let mut octets = [0; 16];
    for octet in &mut octets {
        *octet = reader.u8()?;
    }
    let address = Ipv6Addr::from(octets);
    let address = match address.to_ipv4_mapped().filter(|_| is_v4) {
        Some(address) => IpAddr::V4(address),
        None => IpAddr::V6(address),
    };
    let expires = reader.option(|reader| reader.u64().map(Timestamp))?;
    Ok(Grant { subject, credential, address, expires, verified: Timestamp(reader.u64()?) })
}

#[cfg(test)]
mod tests {
    use fanfare_hub::Envelope;
    use proptest::prelude::*;

    use super::*;
    use crate::stream_format::{StreamFormat, native};

    struct Native;

    impl Vocabulary for Native {
        fn format(&self, name: &str) -> Option<&'static dyn StreamFormat> {
            let all = [Envelope::None, Envelope::Json, Envelope::Sealed].map(native);
            all.into_iter().find(|format| format.name() == name)
        }

        fn expression(&self, _: &str) -> Option<Pattern> {
            None
        }
    }

    fn subscription() -> Subscription {
        let topics = vec![Topic::parse("a/b").unwrap(), Topic::default()];
        let patterns = vec![Pattern::parse("c/**").unwrap()];
        let selector = Selector::restored(topics, patterns.clone(), vec!["x".into()]).unwrap();
        Subscription {
            interest: Interest::shared(selector, PrivateRights::of(patterns)),
            wire: Wire::native(Envelope::Json, Framing::Chunked),
            rest: vec![Bytes::from_static(b"5\r\nda"), Bytes::from_static(b"ta\n\r\n")],
            cursor: ReadFrom::After(Position::new(7, 8)),
            held_id: Some(Position::new(7, 6)),
            cadence: Cadence::from_millis(100).ok(),
            joined: Timestamp(1_000),
            address_group: AddressGroup(9),
            grant: Some(Grant {
                subject: Some("alice".into()),
                credential: None,
                address: "192.0.2.1".parse().unwrap(),
                expires: Some(Timestamp(5_000)),
                verified: Timestamp(900),
            }),
            closing: Some(CloseReason::Revoked),
        }
    }

    fn written(subscription: &Subscription) -> Vec<u8> {
        let mut writer = Writer::new();
        subscription.write(&mut writer);
        writer.finish()
    }

    #[test]
    fn a_subscription_is_the_same_after_a_round_trip() {
        let mut anonymous = subscription();
        anonymous.interest = Interest::shared(Selector::default(), PrivateRights::None);
        anonymous.wire = Wire::native(Envelope::None, Framing::Bare);
        (anonymous.rest, anonymous.cursor) = (Vec::new(), ReadFrom::Earliest);
        (anonymous.held_id, anonymous.grant, anonymous.closing) = (None, None, None);
        anonymous.cadence = None;
        for subscription in [subscription(), anonymous] {
            let bytes = written(&subscription);
            let mut reader = Reader::new(&bytes);
            let read = Subscription::read(&mut reader, &Native).unwrap();
            reader.end().unwrap();
            assert_eq!(written(&read), bytes);
            assert_eq!(read.interest.selector(), subscription.interest.selector());
            assert_eq!(read.interest.private(), subscription.interest.private());
            assert_eq!(read.rest.concat(), subscription.rest.concat());
            assert_eq!((read.cursor, read.held_id), (subscription.cursor, subscription.held_id));
            assert_eq!((read.grant, read.closing), (subscription.grant, subscription.closing));
            assert_eq!(read.cadence, subscription.cadence);
            assert_eq!(read.wire.framing(), subscription.wire.framing());
            assert_eq!(read.wire.format().name(), subscription.wire.format().name());
        }
    }

    /// Whoever changes these bytes makes a new format of the hand-over.
    #[test]
    fn the_bytes_of_format_1_stay() {
        let hex: String = written(&subscription()).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, include_str!("../tests/golden/subscription-1.hex").trim());
    }

    #[test]
    fn an_unknown_format_is_refused() {
        struct Nothing;
        impl Vocabulary for Nothing {
            fn format(&self, _: &str) -> Option<&'static dyn StreamFormat> {
                None
            }
            fn expression(&self, _: &str) -> Option<Pattern> {
                None
            }
        }
        let bytes = written(&subscription());
        let read = Subscription::read(&mut Reader::new(&bytes), &Nothing);
        let refused =
            matches!(&read, Err(UnreadableSubscription::Format(name)) if name == "native-json");
        assert!(refused, "{read:?}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = written(&subscription());
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = Subscription::read(&mut Reader::new(&bytes), &Native);
            let _ = Subscription::read(&mut Reader::new(&bytes[..at]), &Native);
        }
    }
}
