//! What neighbors say of their hardware addresses: ARP (RFC 826) and neighbor
//! discovery (RFC 4861), read.
//!
//! Not here: what is believed (`neighbors.rs`).

#[cfg(feature = "ipv6")]
use smoltcp::wire::{IPV6_LINK_LOCAL_ALL_NODES, Ipv6Address};
use smoltcp::wire::{IpAddress, Ipv4Address};

#[cfg(feature = "ipv6")]
use crate::frame::icmp::message_v6;
use crate::frame::link::{Hardware, is_unicast};
#[cfg(feature = "ipv6")]
use crate::frame::link::{group, solicited_node};

/// What an ARP packet or a neighbor discovery message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Who has this address …
    pub(crate) addr: IpAddress,
    pub(crate) hardware: Hardware,
    /// … and whose it asks for; nobody's in an answer.
    pub(crate) asks_for: Option<IpAddress>,
}

/// Reads a frame that is one of the two; `None` if it is not as it should be.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) fn read(frame: &[u8]) -> Option<Claim> {
    match *frame.get(12..14)? {
        [0x08, 0x06] => read_arp(frame.get(14..)?.first_chunk()?),
        #[cfg(feature = "ipv6")]
        [0x86, 0xdd] => read_ndisc(frame),
        _ => None,
    }
}

/// RFC 826: Ethernet, IPv4.
fn read_arp(packet: &[u8; 28]) -> Option<Claim> {
    let (head, ends) = packet.split_first_chunk::<8>()?;
    let &[a, b, c, d, e, f, s0, s1, s2, s3, .., t0, t1, t2, t3] = ends else {
        return None;
    };
    let target = IpAddress::from(Ipv4Address::new(t0, t1, t2, t3));
    let asks_for = match *head {
        [0, 1, 8, 0, 6, 4, 0, 1] => Some(target),
        [0, 1, 8, 0, 6, 4, 0, 2] => None,
        _ => return None,
    };
    let hardware = [a, b, c, d, e, f];
    is_unicast(hardware).then_some(Claim {
        addr: Ipv4Address::new(s0, s1, s2, s3).into(),
        hardware,
        asks_for,
    })
}

/// RFC 4861: neighbor solicitations, answered where they came from, and
/// advertisements. What came through a router is neither, nor is what a node "MUST
/// silently discard" (7.1).
#[cfg(feature = "ipv6")]
fn read_ndisc(frame: &[u8]) -> Option<Claim> {
    let from: Hardware = *frame.get(6..)?.first_chunk()?;
    let (header, message) = message_v6(frame.get(14..)?, 0)?;
    let address = |bytes: &[u8], at| Some(Ipv6Address::from(*bytes.get(at..)?.first_chunk()?));
    let (source, destination) = (address(header, 8)?, address(header, 24)?);
    let (&[kind, code, ..], options) = message.split_first_chunk::<24>()?;
    let target = address(message, 8)?;
    let is_one = !target.is_multicast() && !source.is_multicast();
    if header[7] != 255 || code != 0 || !is_one {
        return None;
    }
    let link_layer = link_layer(options, kind)?;
    let (addr, hardware, asks_for) = match kind {
        // Who asks without an address is about to take it: everybody is told (7.2.4).
        135 if source.is_unspecified() => {
            // 7.1.1: to the group, and without an option that says where it is.
            let is_right = destination == solicited_node(target) && link_layer.is_none();
            let everybody = is_right.then_some(IPV6_LINK_LOCAL_ALL_NODES)?;
            (everybody, group(everybody), Some(target))
        }
        135 if is_unicast(from) => (source, from, Some(target)),
        136 => (target, link_layer.filter(|at| is_unicast(*at))?, None),
        _ => return None,
    };
    Some(Claim {
        addr: addr.into(),
        hardware,
        asks_for: asks_for.map(IpAddress::from),
    })
}

/// The link-layer address among the options of a message of this kind, if there is one:
/// the source's of a solicitation, the target's of an advertisement (RFC 4861, 4.6.1).
/// `None` if an option is cut off or has no length (7.1).
#[cfg(feature = "ipv6")]
fn link_layer(mut options: &[u8], kind: u8) -> Option<Option<Hardware>> {
    let mut found = None;
    while let [option, words @ (1..), ..] = *options {
        if let [_, 1, a, b, c, d, e, f, ..] = *options
            && option == kind.wrapping_sub(134)
        {
            found = Some([a, b, c, d, e, f]);
        }
        options = options.get(usize::from(words) * 8..)?;
    }
    options.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::frame::build::who_has;
    use crate::frame::link::NOBODY;
    use proptest::prelude::*;

    const AT: Hardware = [2, 0, 0, 0, 0, 9];

    fn addr(last: u8) -> IpAddress {
        IpAddress::v4(10, 0, 0, last)
    }

    #[test]
    fn whoever_is_asked_itself_reads_the_question() {
        let pairs = [
            (addr(1), addr(9)),
            #[cfg(feature = "ipv6")]
            (
                IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 1),
                IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 9),
            ),
        ];
        for (ours, whose) in pairs {
            let us = [2, 0, 0, 0, 0, 1];
            let frame = who_has((us, ours), whose, AT).unwrap();
            assert_eq!(frame[..6], AT);
            let claim = Claim {
                addr: ours,
                hardware: us,
                asks_for: Some(whose),
            };
            assert_eq!(read(&frame), Some(claim));
            #[cfg(feature = "ipv6")]
            if let IpAddress::Ipv6(whose) = whose {
                assert_eq!(frame[38..54], whose.octets());
            }
        }
    }

    #[test]
    fn arp_is_about_one_station_on_ethernet_with_ipv4() {
        let frame = |head: [u8; 8], sender: Hardware| {
            let mut frame = std::vec![0; 14 + 28];
            frame[12..14].copy_from_slice(&[8, 6]);
            frame[14..22].copy_from_slice(&head);
            frame[22..28].copy_from_slice(&sender);
            frame[28..32].copy_from_slice(&[10, 0, 0, 9]);
            frame[38..42].copy_from_slice(&[10, 0, 0, 1]);
            frame
        };
        let (asks, tells) = ([0, 1, 8, 0, 6, 4, 0, 1], [0, 1, 8, 0, 6, 4, 0, 2]);
        let claim = Claim {
            addr: addr(9),
            hardware: AT,
            asks_for: None,
        };
        assert_eq!(read(&frame(tells, AT)), Some(claim));
        let asks_for = Some(addr(1));
        assert_eq!(read(&frame(asks, AT)), Some(Claim { asks_for, ..claim }));
        for (index, byte) in [(1, 6), (2, 0x86), (4, 8), (5, 16), (7, 3)] {
            let mut head = tells;
            head[index] = byte;
            assert_eq!(read(&frame(head, AT)), None, "{head:?}");
        }
        for nobody in [NOBODY, [0xff; 6], [1, 0, 0x5e, 0, 0, 1]] {
            assert_eq!(read(&frame(tells, nobody)), None);
        }
        assert_eq!(read(&frame(tells, AT)[..41]), None);
    }

    proptest! {
        #[test]
        fn arbitrary_frames_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..120), kind in 0..3,
        ) {
            let mut bytes = bytes;
            if bytes.len() > 54 {
                match kind {
                    0 => (bytes[12], bytes[13]) = (8, 6),
                    1 => (bytes[12], bytes[13], bytes[14], bytes[21]) = (0x86, 0xdd, 0x60, 255),
                    _ => (),
                }
            }
            let _ = read(&bytes);
        }
    }
}
