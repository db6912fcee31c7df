//! What a process that takes over may be handed, put to the test.

use fanfare_delivery::{StreamFormat, Subscription, TlsState, Vocabulary, native};
use fanfare_event::Pattern;
use fanfare_handover::control::{ControlReport, ControlRequest};
use fanfare_handover::{Reader, UpgradeMessage, Writer};
use fanfare_hub::Envelope;

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

/// A byte that says what, then the bytes of a message, a request, a report, a subscription or the state of a stream
/// over TLS. Whatever is read is written and read alike again.
pub(crate) fn handover(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else { return };
    match kind % 5 {
        0 => {
            if let Ok(message) = UpgradeMessage::decode(bytes) {
                let again = UpgradeMessage::decode(&message.encode());
                assert_eq!(again.map(|again| again.encode()), Ok(message.encode()));
            }
        }
        1 => {
            if let Ok(request) = ControlRequest::decode(bytes) {
                assert_eq!(ControlRequest::decode(&request.encode()), Ok(request));
            }
        }
        2 => {
            if let Ok(report) = ControlReport::decode(bytes) {
                assert_eq!(ControlReport::decode(&report.encode()), Ok(report));
            }
        }
        3 => {
            let Ok(read) = Subscription::read(&mut Reader::new(bytes), &Native) else { return };
            let written = written(&read);
            let again = Subscription::read(&mut Reader::new(&written), &Native)
                .unwrap_or_else(|error| panic!("what was read cannot be read again: {error}"));
            assert_eq!(self::written(&again), written);
        }
        _ => {
            let Ok(read) = TlsState::read(&mut Reader::new(bytes)) else { return };
            let mut writer = Writer::with_capacity(read.record_length());
            read.write(&mut writer);
            let written = writer.finish();
            assert_eq!(written.len(), read.record_length());
            assert!(bytes.starts_with(&written));
        }
    }
}

fn written(subscription: &Subscription) -> Vec<u8> {
    let mut writer = Writer::new();
    subscription.write(&mut writer);
    writer.finish()
}
