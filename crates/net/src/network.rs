//! A range of addresses.

use std::net::IpAddr;

/// Addresses that begin alike, such as `10.0.0.0/8`; without a length, one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

/// A text that is not a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write an address and how many of its bits count, such as 10.0.0.0/8 or fd00::/8")]
pub struct InvalidNetwork;

impl Network {
    /// Parses `ADDRESS/LENGTH`, or an address.
    pub fn parse(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let length = match length {
            Some(length) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse().map_err(|_| InvalidNetwork)?
            }
            Some(_) => return Err(InvalidNetwork),
            None => width(address),
        };
        if length > width(address) {
            return Err(InvalidNetwork);
        }
        Ok(Self { address, length })
    }

    /// Whether `address` is one of them. An IPv4 address written as IPv6 is that IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let width = width(self.address);
        width == self::width(address) && {
            let unused = u32::from(width - self.length);
            let differ = bits(self.address) ^ bits(address);
            differ.checked_shr(unused).unwrap_or(0) == 0
        }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_range_ends_one_address_too_late() {
        let within = |range: &str, address: &str| {
            Network::parse(range).unwrap().contains(address.parse().unwrap())
        };
        assert!(within("10.0.0.0/8", "10.255.255.255"));
        assert!(within("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(!within("10.0.0.0/8", "11.0.0.0"));
        assert!(!within("10.0.0.0/8", "9.255.255.255"));
        assert!(within("0.0.0.0/0", "1.2.3.4") && !within("0.0.0.0/0", "::1"));
        assert!(within("::/0", "fd00::1") && within("::1", "::1") && !within("::1", "::2"));
        assert!(within("fd00::/8", "fdff::") && !within("fd00::/8", "fe00::"));
        assert!(within("127.0.0.1", "127.0.0.1") && !within("127.0.0.1", "127.0.0.2"));
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10/8", "a/8"] {
            assert_eq!(Network::parse(text), Err(InvalidNetwork), "{text}");
        }
    }
}
