//! Records: what they look like (RFC 8446, 5), and the few messages that we send or know.

use aws_lc_rs::aead::{NONCE_LEN, Nonce};

use super::traffic_secret::Iv;

/// How long a record's header is, in bytes.
pub(super) const HEADER: usize = 5;
/// How much content a record holds at most.
pub(super) const MAX_CONTENT: usize = 1 << 14;
/// How long a tag is, of all three suites.
pub(super) const TAG: usize = 16;
/// How long a record is at most that we send: its header, content, type and tag.
pub(super) const MAX_RECORD: usize = HEADER + MAX_CONTENT + 1 + TAG;
/// How long what a peer has sealed may be: it may pad.
pub(super) const MAX_SEALED: usize = MAX_CONTENT + 256;

/// What a record's content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum ContentType {
    Alert = 21,
    Handshake = 22,
    ApplicationData = 23,
}

/// Why a connection ends at once (RFC 8446, 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Alert {
    CloseNotify = 0,
    UnexpectedMessage = 10,
    BadRecordMac = 20,
    RecordOverflow = 22,
    DecodeError = 50,
}

impl Alert {
    /// As a message.
    pub(super) fn message(self) -> [u8; 2] {
        const WARNING: u8 = 1;
        const FATAL: u8 = 2;
        [if self == Self::CloseNotify { WARNING } else { FATAL }, self as u8]
    }
}

/// `KeyUpdate` (RFC 8446, 4.6.3), but for its one byte.
pub(super) const KEY_UPDATE: [u8; 4] = [24, 0, 0, 1];
/// That byte.
pub(super) const UPDATE_NOT_REQUESTED: u8 = 0;
pub(super) const UPDATE_REQUESTED: u8 = 1;

/// The header of a record whose sealed content is so long.
pub(super) fn header(sealed: usize) -> [u8; HEADER] {
    let [high, low] = (sealed as u16).to_be_bytes();
    [ContentType::ApplicationData as u8, 3, 3, high, low]
}

/// How long the sealed content behind this header is.
pub(super) fn sealed_length(header: [u8; HEADER]) -> Result<usize, Alert> {
    let [kind, _, _, high, low] = header;
    // The version is to be ignored (RFC 8446, 5.1).
    if kind != ContentType::ApplicationData as u8 {
        return Err(Alert::UnexpectedMessage);
    }
    match usize::from(u16::from_be_bytes([high, low])) {
        length if length > MAX_SEALED => Err(Alert::RecordOverflow),
        length if length <= TAG => Err(Alert::BadRecordMac),
        length => Ok(length),
    }
}

/// The nonce of the record of this number.
pub(super) fn nonce(iv: &Iv, number: u64) -> Nonce {
    let mut nonce: [u8; NONCE_LEN] = **iv;
    for (byte, number) in nonce[NONCE_LEN - 8..].iter_mut().zip(number.to_be_bytes()) {
        *byte ^= number;
    }
    Nonce::assume_unique_for_key(nonce)
}
