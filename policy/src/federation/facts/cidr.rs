//! Address ranges as `10.0.0.0/8` or `fd00::/8`.

// Addresses alone, so the core library's: nothing here opens a connection.
use core::net::IpAddr;

use crate::read::{Node, Problems, clip};

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::federation) struct Cidr {
    address: IpAddr,
    bits: u32,
}

impl Cidr {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let text = node.text(problems)?;
        let range = Self::parse(text);
        if range.is_none() {
            problems.add(&node.pointer, format!("expected a range such as `10.0.0.0/8`, found `{}`", clip(text)));
        }
        range
    }

    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let (address, bits) = (address.parse::<IpAddr>().ok()?, bits.parse::<u32>().ok()?);
        (bits <= width(address)).then_some(Self { address, bits })
    }

    /// Whether an address is in the range; never one of the other family.
    pub(in crate::federation) fn contains(self, address: IpAddr) -> bool {
        let (low, size) = (number(self.address), width(self.address));
        width(address) == size && (low ^ number(address)).checked_shr(size - self.bits).unwrap_or(0) == 0
    }

    /// Whether every address of its family is in the range.
    pub(in crate::federation) const fn is_everything(self) -> bool {
        self.bits == 0
    }
}

const fn width(address: IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_addresses() {
        for (range, address, inside) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("10.1.2.3/32", "10.1.2.2", false),
            ("0.0.0.0/0", "203.0.113.7", true),
            ("0.0.0.0/0", "fd00::1", false),
            ("::/0", "fd00::1", true),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
        ] {
            let found = Cidr::parse(range).unwrap().contains(address.parse().unwrap());
            assert_eq!(found, inside, "{address} in {range}");
        }
        for wrong in ["10.0.0.0", "10.0.0/8", "10.0.0.0/33", "fd00::/129", "/0", "a/8"] {
            assert_eq!(Cidr::parse(wrong), None, "{wrong}");
        }
    }
}
