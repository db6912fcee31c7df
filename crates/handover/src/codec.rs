//! Records in bytes: how whatever is handed over is written down, and read by another process.
//!
//! What must hold: reading never panics and never allocates more than the bytes that are there; what was
//! written is read back as it was, and nothing is left over.

use std::net::{IpAddr, Ipv6Addr};

/// Writes values one after the other: integers little endian, texts and bytes with their length before them.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

/// Reads what a [`Writer`] has written.
#[derive(Debug, Clone)]
pub struct Reader<'a>(&'a [u8]);

/// Bytes that are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what was handed over cannot be read: {0}")]
pub struct Malformed(pub &'static str);

impl Writer {
    /// Which has written nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which has room for so many bytes: as long as there are no more, they are nowhere else.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Whether, as one byte.
    pub fn flag(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    /// A byte.
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Sixteen bytes: two [`Writer::u64`], the upper half first.
    pub fn u128(&mut self, value: u128) {
        self.u64((value >> 64) as u64);
        self.u64(value as u64);
    }

    /// How many of something follow.
    pub fn count(&mut self, value: usize) {
        self.u64(value as u64);
    }

    /// Bytes of any length.
    pub fn bytes(&mut self, value: &[u8]) {
        self.count(value.len());
        self.0.extend_from_slice(value);
    }

    /// A text of any length.
    pub fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// An address, and whether it is of version 4.
    pub fn address(&mut self, value: &IpAddr) {
        self.flag(value.is_ipv4());
        let value = match value {
            IpAddr::V4(value) => value.to_ipv6_mapped(),
            IpAddr::V6(value) => *value,
        };
        self.bytes(&value.octets());
    }

    /// A value that may be absent.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// How many bytes have been written.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What has been written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

impl<'a> Reader<'a> {
    /// Of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// So many bytes as they are.
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed("it ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed("it ends early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    /// See [`Writer::flag`].
    pub fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("a flag is neither 0 nor 1")),
        }
    }

    /// See [`Writer::u8`].
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_le_bytes)
    }

    /// See [`Writer::u16`].
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    /// See [`Writer::u32`].
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// See [`Writer::u64`].
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// See [`Writer::u128`].
    pub fn u128(&mut self) -> Result<u128, Malformed> {
        let (upper, lower) = (self.u64()?, self.u64()?);
        Ok(u128::from(upper) << 64 | u128::from(lower))
    }

    /// How many of something follow, each of which takes at least a byte.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.u64()?;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.0.len())
            .ok_or(Malformed("there is less than it says"))
    }

    /// See [`Writer::bytes`].
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let count = self.count()?;
        self.take(count)
    }

    /// See [`Writer::text`].
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("a text is not UTF-8"))
    }

    /// See [`Writer::address`].
    pub fn address(&mut self) -> Result<IpAddr, Malformed> {
        const NONE: Malformed = Malformed("an address is none");
        let is_v4 = self.flag()?;
        let octets: [u8; 16] = self.bytes()?.try_into().map_err(|_| NONE)?;
        let address = Ipv6Addr::from(octets);
        match (is_v4, address.to_ipv4_mapped()) {
            (true, Some(address)) => Ok(IpAddr::V4(address)),
            (false, _) => Ok(IpAddr::V6(address)),
            (true, None) => Err(NONE),
        }
    }

    /// See [`Writer::option`].
    pub fn option<T, E: From<Malformed>>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    /// So many values, each read alike.
    pub fn list<T, E: From<Malformed>>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        let count = self.count()?;
        (0..count).map(|_| read(self)).collect()
    }

    /// Nothing may be left over.
    pub fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("there is more than it says")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_that_is_not_there_is_not_believed() {
        let mut writer = Writer::new();
        writer.count(usize::MAX);
        let bytes = writer.finish();
        assert!(Reader::new(&bytes).bytes().is_err());
        assert!(Reader::new(&bytes).list::<_, Malformed>(|reader| reader.u8()).is_err());
    }

    #[test]
    fn an_address_stays_the_same() {
        for text in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "::", "127.0.0.1"] {
            let address: IpAddr = text.parse().unwrap();
            let mut writer = Writer::new();
            writer.address(&address);
            assert_eq!(Reader::new(&writer.finish()).address(), Ok(address));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            a in any::<u64>(), b in any::<Option<u16>>(), c in ".*", d in any::<Vec<u8>>(), e in any::<bool>(),
        ) {
            let mut writer = Writer::new();
            writer.u64(a);
            writer.option(b, Writer::u16);
            writer.text(&c);
            writer.bytes(&d);
            writer.flag(e);
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.u64(), Ok(a));
            prop_assert_eq!(reader.option::<_, Malformed>(|reader| reader.u16()), Ok(b));
            prop_assert_eq!(reader.text(), Ok(&*c));
            prop_assert_eq!(reader.bytes(), Ok(&*d));
            prop_assert_eq!(reader.flag(), Ok(e));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn cut_short_it_is_an_error(d in prop::collection::vec(any::<u8>(), 1..100), cut in 1..8_usize) {
            let mut writer = Writer::new();
            writer.bytes(&d);
            let bytes = writer.finish();
            prop_assert!(Reader::new(&bytes[..bytes.len() - cut.min(bytes.len())]).bytes().is_err());
        }
    }
}
