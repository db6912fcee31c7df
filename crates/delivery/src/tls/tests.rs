//! What is sealed here, rustls opens, and what rustls seals is opened here: the client of these tests
//! shares nothing with the code but the AEAD.

mod stream;

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::time::Instant;

use bytes::Bytes;
use fanfare_handover::Reader;
use fastrand::Rng;
use rustls::AlertDescription;

use self::stream::{FEW, Stream, stream, written};
use super::record::{Alert, ContentType, HEADER, KEY_UPDATE, MAX_CONTENT, MAX_RECORD};
use super::sealer::Sealer;
use super::{CipherSuite, Direction, PEER_UPDATES, TlsSocket, TlsState, TrafficSecret};
use crate::sink_io::{Buffer, Inbound, WriteResult};

const SUITES: [CipherSuite; 3] =
    [CipherSuite::Aes128Gcm, CipherSuite::Aes256Gcm, CipherSuite::Chacha20Poly1305];
fn bytes(length: usize) -> Bytes {
    (0..length).map(|number| number as u8).collect::<Vec<_>>().into()
}

#[test]
fn secrets_give_the_keys_of_the_standards_example() {
    let hex = |text: &str| -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        digits
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect()
    };
    // RFC 8448, 3: what the server derives for application data.
    let secret = hex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643");
    let secret = TrafficSecret::new(CipherSuite::Aes128Gcm, &secret).unwrap();
    let (key, iv) = (hex("9f02283b6c9c07efc26bb9f2ac92e356"), hex("cf782b88dd83549aadf1e984"));
    assert!(secret.gives(&key, &iv));
    assert!(!secret.next().gives(&key, &iv));
    assert!(TrafficSecret::new(CipherSuite::Aes256Gcm, secret.as_bytes()).is_none());
}

#[test]
fn a_client_reads_what_was_sealed_with_each_suite() {
    for suite in SUITES {
        let mut stream = stream(suite);
        let pieces = [bytes(1), bytes(0), bytes(3000), bytes(7)];
        assert_eq!(stream.write(&pieces), WriteResult { bytes: 3008, blocked: false });
        assert_eq!(stream.receive(3008), pieces.concat(), "{suite:?}");
        assert!(stream.finish());
        assert_eq!(stream.receive(1), b"", "{suite:?}: the end is said");
    }
}

#[test]
fn what_is_written_at_once_is_one_record() {
    let mut stream = stream(CipherSuite::Aes128Gcm);
    stream.write(&[bytes(1)]);
    assert_eq!(stream.receive(1), bytes(1), "and what belongs to the handshake");
    let pieces: Vec<_> = (0..100).map(|_| bytes(20)).collect();
    assert_eq!(stream.write(&pieces), WriteResult { bytes: 2000, blocked: false });
    assert_eq!(stream.write(&[]), WriteResult { bytes: 0, blocked: false });
    stream.socket.set_nonblocking(false).unwrap();
    let mut header = [0; HEADER];
    stream.socket.read_exact(&mut header).unwrap();
    assert_eq!(header, [23, 3, 3, 7, 0xd0 + 17]);
    let mut rest = [0; 2017];
    stream.socket.read_exact(&mut rest).unwrap();
    stream.socket.set_nonblocking(true).unwrap();
    assert!(stream.socket.read(&mut rest).is_err(), "there is nothing more");
}

#[test]
fn a_client_that_does_not_read_holds_at_most_one_record() {
    let mut stream = stream(CipherSuite::Aes256Gcm);
    let piece = bytes(3 * MAX_CONTENT);
    let mut sent = Vec::new();
    loop {
        let accepted = stream.write(std::slice::from_ref(&piece));
        sent.extend_from_slice(&piece[..accepted.bytes]);
        if accepted.blocked {
            break;
        }
    }
    for _ in 0..3 {
        let again = stream.write(std::slice::from_ref(&piece));
        assert_eq!(again, WriteResult { bytes: 0, blocked: true }, "nothing is sealed meanwhile");
    }
    assert!(!stream.finish(), "what was begun goes out first");
    let (socket, state) = stream.tls.into_parts();
    assert!((1..=MAX_RECORD).contains(&state.unsent.len()), "{}", state.unsent.len());
    assert!(!state.said_end);
    stream.tls = TlsSocket::new(socket, state, FEW);

    assert!(stream.receive(sent.len()) == sent, "what was received is not what was sent");
    while !stream.finish() {}
    assert_eq!(stream.receive(1), b"");
}

#[test]
fn a_key_is_changed_before_it_has_sealed_too_much() {
    let mut stream = stream(CipherSuite::Chacha20Poly1305);
    for number in 0..3 * FEW {
        stream.write(&[bytes(10)]);
        assert_eq!(stream.receive(10), bytes(10), "{number}");
    }
    let (_, state) = stream.tls.into_parts();
    assert!(state.sending.next <= FEW, "{}", state.sending.next);
}

#[test]
fn a_client_that_asks_for_another_key_gets_it_before_anything_else() {
    for suite in SUITES {
        let mut stream = stream(suite);
        for round in 0..4 {
            stream.client.refresh_traffic_keys().unwrap();
            stream.client.writer().write_all(b"no meaning").unwrap();
            stream.send_client();
            assert_eq!(stream.hear(), Inbound::Nothing, "{suite:?}, {round}");
            stream = stream.move_on();
            stream.write(&[bytes(500)]);
            assert_eq!(stream.receive(500), bytes(500), "{suite:?}, {round}");
            let (socket, state) = stream.tls.into_parts();
            assert_eq!(state.sending.next, 1, "{suite:?}, {round}: the key is another");
            stream.tls = TlsSocket::new(socket, state, FEW);
        }
        stream.client.send_close_notify();
        stream.send_client();
        assert_eq!(stream.drain_inbound(), Inbound::CloseNotify, "{suite:?}");
    }
}

#[test]
fn a_client_may_not_change_its_key_for_ever() {
    let mut stream = stream(CipherSuite::Aes128Gcm);
    for number in 0..=PEER_UPDATES {
        let [a, b, c, d] = KEY_UPDATE;
        stream.forge(ContentType::Handshake, &[a, b, c, d, 0]);
        let (secret, next) = (stream.forger.into_direction().secret.next(), 0);
        stream.forger = Sealer::new(Direction { secret, next }, FEW);
        if number < PEER_UPDATES {
            assert_eq!(stream.hear(), Inbound::Nothing, "{number}");
        }
    }
    assert_eq!(stream.drain_inbound(), Inbound::Error);
    assert_eq!(stream.alert(), AlertDescription::UnexpectedMessage);
}

#[test]
fn what_a_client_says_has_no_meaning_but_for_its_end() {
    let mut stream = stream(CipherSuite::Aes128Gcm);
    stream.forge(ContentType::ApplicationData, b"GET / HTTP/1.1\r\n\r\n");
    stream.forge(ContentType::ApplicationData, b"");
    stream.forge(ContentType::Alert, &[1, 90]);
    assert_eq!(stream.hear(), Inbound::Nothing, "canceled, and not ended");
    // Padded, as a client may.
    let mut record = Vec::new();
    stream.forger.seal_inner(&mut record, |out| out.extend_from_slice(&[1, 0, 21, 0, 0, 0]));
    stream.socket.write_all(&record).unwrap();
    assert_eq!(stream.drain_inbound(), Inbound::CloseNotify);
    stream.socket.write_all(b"ignored").unwrap();
    assert_eq!(stream.hear(), Inbound::Nothing);
    assert_eq!(stream.write(&[bytes(9)]), WriteResult { bytes: 9, blocked: false });
    assert_eq!(stream.receive(9), bytes(9), "it may still read");
    stream.socket.shutdown(Shutdown::Both).unwrap();
    assert_eq!(stream.drain_inbound(), Inbound::End);
}

#[test]
fn a_record_that_comes_byte_by_byte_is_a_record() {
    let mut stream = stream(CipherSuite::Aes128Gcm);
    let mut record = Vec::new();
    stream.forger.seal(ContentType::ApplicationData, &mut record, |out| {
        out.extend_from_slice(b"some text");
    });
    stream.forger.seal(ContentType::Alert, &mut record, |out| out.extend_from_slice(&[1, 0]));
    let (last, all) = record.split_last().unwrap();
    for byte in all {
        stream.socket.write_all(&[*byte]).unwrap();
        assert_eq!(stream.hear(), Inbound::Nothing);
        stream = stream.move_on();
    }
    stream.socket.write_all(&[*last]).unwrap();
    assert_eq!(stream.drain_inbound(), Inbound::CloseNotify);
}

#[test]
fn whoever_breaks_the_protocol_is_told_how_and_nothing_more() {
    type Breach<'a> = &'a dyn Fn(&mut Stream);
    let violations: [(AlertDescription, Breach<'_>); 8] = [
        (AlertDescription::BadRecordMac, &|stream| {
            stream.socket.write_all(&[&[23, 3, 3, 0, 20][..], &[7; 20]].concat()).unwrap();
        }),
        (AlertDescription::BadRecordMac, &|stream| {
            stream.socket.write_all(&[23, 3, 3, 0, 16]).unwrap();
        }),
        (AlertDescription::RecordOverflow, &|stream| {
            stream.socket.write_all(&[23, 3, 3, 0x41, 1]).unwrap();
        }),
        (AlertDescription::UnexpectedMessage, &|stream| {
            stream.socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        }),
        (AlertDescription::UnexpectedMessage, &|stream| {
            stream.socket.write_all(&[20, 3, 3, 0, 1, 1]).unwrap();
        }),
        (AlertDescription::UnexpectedMessage, &|stream| {
            stream.forge(ContentType::Handshake, &[1, 0, 0, 1, 0]);
        }),
        (AlertDescription::UnexpectedMessage, &|stream| {
            stream.forge(ContentType::Handshake, &[24, 0, 0, 1, 2]);
        }),
        (AlertDescription::DecodeError, &|stream| stream.forge(ContentType::Alert, &[2])),
    ];
    for (number, (alert, violate)) in violations.iter().enumerate() {
        let mut stream = stream(CipherSuite::Aes128Gcm);
        violate(&mut stream);
        assert_eq!(stream.drain_inbound(), Inbound::Error, "{number}");
        assert_eq!(stream.alert(), *alert, "{number}");
        let more = [bytes(1)];
        let buffers: Vec<_> = more.iter().map(Buffer::Pending).collect();
        let more = stream.tls.write(&buffers, &mut stream.scratch, Instant::now());
        assert!(more.is_err(), "{number}: nothing follows an alert");
    }

    let mut stream = stream(CipherSuite::Aes128Gcm);
    stream.forge(ContentType::Alert, &[2, 40]);
    assert_eq!(stream.drain_inbound(), Inbound::Error);
    assert!(!stream.tls.into_parts().1.said_end, "who says so need not be told");
    assert_eq!(Alert::CloseNotify.message(), [1, 0]);
}

/// Whatever happens to a stream, and in whatever order, its client reads what was accepted: no record
/// is sealed twice, none under a number or key that the client does not expect.
#[test]
fn a_stream_survives_every_order_of_events() {
    for seed in 0..12 {
        let mut rng = Rng::with_seed(seed);
        let mut stream = stream(SUITES[seed as usize % 3]);
        let (mut sent, mut received, mut updates) = (Vec::new(), Vec::new(), 0);
        for _ in 0..150 {
            match rng.u8(0..8) {
                0..3 => {
                    let pieces: Vec<_> =
                        (0..rng.usize(0..6)).map(|_| bytes(rng.usize(0..9000))).collect();
                    let accepted = stream.write(&pieces);
                    sent.extend_from_slice(&pieces.concat()[..accepted.bytes]);
                }
                3..5 => {
                    let wanted = rng.usize(0..6000).min(sent.len() - received.len());
                    received.extend(stream.receive(wanted));
                }
                5 if updates < 20 => {
                    updates += 1;
                    stream.client.refresh_traffic_keys().unwrap();
                    stream.send_client();
                    assert_eq!(stream.hear(), Inbound::Nothing);
                }
                6 => {
                    stream.client.writer().write_all(&bytes(rng.usize(1..2000))).unwrap();
                    stream.send_client();
                    assert_eq!(stream.hear(), Inbound::Nothing);
                }
                _ => stream = stream.move_on(),
            }
        }
        received.extend(stream.receive(sent.len() - received.len()));
        assert!(received == sent, "seed {seed}");
        while !stream.finish() {}
        assert_eq!(stream.receive(1), b"", "seed {seed}");
    }
}

fn state() -> TlsState {
    let direction = |byte, next| Direction {
        secret: TrafficSecret::new(CipherSuite::Aes256Gcm, &[byte; 48]).unwrap(),
        next,
    };
    TlsState {
        sending: direction(1, 70_000),
        receiving: direction(2, 3),
        unsent: Bytes::from_static(b"what is left"),
        begun: b"what has come".to_vec(),
        updates: 4,
        update_due: true,
        heard_end: false,
        said_end: true,
    }
}

/// Whoever changes these bytes makes a new format of the hand-over.
#[test]
fn the_bytes_of_format_2_stay() {
    let written = written(&state());
    let hex: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, include_str!("../../tests/golden/tls-2.hex").trim());
}

#[test]
fn an_impossible_state_is_refused() {
    type Spoil = fn(&mut TlsState);
    let spoils: [(&str, Spoil); 4] = [
        ("two cipher suites", |state| {
            let other = TrafficSecret::new(CipherSuite::Chacha20Poly1305, &[2; 32]);
            state.receiving.secret = other.unwrap();
        }),
        ("more records than there can be", |state| state.sending.next = u64::MAX),
        ("more than a record", |state| state.unsent = bytes(3 * MAX_RECORD)),
        ("more than a record", |state| state.begun = vec![0; 2 * MAX_RECORD]),
    ];
    for (why, spoil) in spoils {
        let mut state = state();
        spoil(&mut state);
        let read = TlsState::read(&mut Reader::new(&written(&state)));
        assert!(read.is_err_and(|error| error.to_string().contains(why)), "{why}");
    }
    let whole = written(&state());
    for end in 0..whole.len() {
        assert!(TlsState::read(&mut Reader::new(&whole[..end])).is_err(), "{end}");
    }
    let mut unknown = whole;
    unknown[0] = 9;
    assert!(TlsState::read(&mut Reader::new(&unknown)).is_err(), "a suite of another number");
}
