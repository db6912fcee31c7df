//! From when until when a certificate is good: the two dates that rustls checks and does not tell.
//!
//! What must hold: whatever the bytes are, nothing is read beyond them, and what is no certificate is
//! an error. Only what stands before the dates is looked at (RFC 5280, 4.1).

use std::time::SystemTime;

use fanfare_event::Timestamp;

/// From when until when a certificate is good, to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub from: SystemTime,
    /// The last second.
    pub until: SystemTime,
}

/// Bytes in which no dates of the years 1970 to 9999 can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no certificate whose dates can be read")]
pub struct NoValidity;

// The tags of DER that are met on the way (X.690).
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

impl Validity {
    /// Of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Result<Self, NoValidity> {
        let mut signed = Der(Der(Der(certificate).content(SEQUENCE)?).content(SEQUENCE)?);
        if signed.0.first() == Some(&VERSION) {
            signed.content(VERSION)?;
        }
        // The serial number, the algorithm of the signature, and the issuer.
        for before in [INTEGER, SEQUENCE, SEQUENCE] {
            signed.content(before)?;
        }
        let mut dates = Der(signed.content(SEQUENCE)?);
        Ok(Self { from: dates.time()?, until: dates.time()? })
    }
}

/// Bytes from which one element after the other is taken.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next element, which must have this tag.
    fn content(&mut self, tag: u8) -> Result<&'a [u8], NoValidity> {
        match self.element()? {
            (found, content) if found == tag => Ok(content),
            _ => Err(NoValidity),
        }
    }

    /// The tag and the content of the next element.
    fn element(&mut self) -> Result<(u8, &'a [u8]), NoValidity> {
        let (&[tag, length], rest) = self.0.split_first_chunk().ok_or(NoValidity)?;
        let (length, rest) = match length {
            short @ ..=0x7f => (usize::from(short), rest),
            // That many bytes hold the length.
            0x81..=0x84 => {
                let (bytes, rest) =
                    rest.split_at_checked(usize::from(length & 0x7f)).ok_or(NoValidity)?;
                let length =
                    bytes.iter().fold(0, |length: u32, &byte| length << 8 | u32::from(byte));
                (usize::try_from(length).map_err(|_| NoValidity)?, rest)
            }
            _ => return Err(NoValidity),
        };
        let (content, rest) = rest.split_at_checked(length).ok_or(NoValidity)?;
        self.0 = rest;
        Ok((tag, content))
    }

    /// The next element, which must be a time as certificates have it (RFC 5280, 4.1.2.5).
    fn time(&mut self) -> Result<SystemTime, NoValidity> {
        let (tag, text) = self.element()?;
        let digits = text.strip_suffix(b"Z").ok_or(NoValidity)?;
        if !digits.iter().all(u8::is_ascii_digit) || digits.len() % 2 != 0 {
            return Err(NoValidity);
        }
        let pairs = digits
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |n, &d| n * 10 + u64::from(d - b'0')));
        let pairs: Vec<u64> = pairs.collect();
        let (year, rest) = match (tag, &*pairs) {
            (UTC_TIME, [year @ ..50, rest @ ..]) => (2000 + year, rest),
            (UTC_TIME, [year, rest @ ..]) => (1900 + year, rest),
            (GENERALIZED_TIME, [century, year, rest @ ..]) => (100 * century + year, rest),
            _ => return Err(NoValidity),
        };
        let &[month, day, hour, minute, second] = rest else { return Err(NoValidity) };
        let time = Timestamp::from_utc([year, month, day], [hour, minute, second]);
        time.map(SystemTime::from).ok_or(NoValidity)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use x509_parser::parse_x509_certificate;

    use super::*;

    static CERTIFICATE: LazyLock<Vec<u8>> =
        LazyLock::new(|| certificate((2026, 1, 1), (2027, 1, 1)));

    fn certificate(from: (i32, u8, u8), until: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::new(["hub.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn seconds(time: SystemTime) -> i64 {
        time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
    }

    #[test]
    fn the_dates_are_those_that_another_parser_finds() {
        for (from, until) in [
            ((1970, 1, 1), (1999, 12, 31)),
            ((2026, 2, 28), (2028, 2, 29)),
            ((2049, 12, 31), (2050, 1, 1)),
            ((2000, 3, 1), (9999, 12, 31)),
        ] {
            let der = certificate(from, until);
            let ours = Validity::of(&der).unwrap();
            let (_, theirs) = parse_x509_certificate(&der).unwrap();
            assert_eq!(seconds(ours.from), theirs.validity().not_before.timestamp());
            assert_eq!(seconds(ours.until), theirs.validity().not_after.timestamp());
        }
    }

    #[test]
    fn half_a_certificate_is_none() {
        assert!(Validity::of(&CERTIFICATE).is_ok());
        for end in 0..CERTIFICATE.len() {
            assert_eq!(Validity::of(&CERTIFICATE[..end]), Err(NoValidity), "{end}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(at in 0usize..200, byte: u8, bytes: Vec<u8>) {
            let _ = Validity::of(&bytes);
            let mut der = CERTIFICATE.clone();
            der[at] = byte;
            let _ = Validity::of(&der);
        }
    }
}
