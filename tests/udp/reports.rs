//! Groups that sockets hear are said to routers and switches: IGMP (RFC 3376, RFC 2236 and RFC
//! 1112) and MLD (RFC 3810 and RFC 2710).

use cygnet::event::DropReason;
use cygnet::{HearError, Hears, UdpSocket};
use smoltcp::time::Duration;
use smoltcp::wire::{EthernetProtocol, IpAddress, Ipv4Address, Ipv4Packet};
#[cfg(feature = "ipv6")]
use smoltcp::wire::{Icmpv6Packet, Ipv6Address};

use crate::hands::{Hands, Said, by_hand, ethernet, hardware};

fn addr(text: &str) -> IpAddress {
    text.parse().unwrap()
}

/// A word about a group: what kind of message it is in, to whom, of which group, and the mode
/// of its record (of RFC 3376, 4.2.12, and RFC 3810, 5.2.12: the same numbers).
type Word = (u8, IpAddress, IpAddress, Option<u8>);

const STILL: u8 = 2;
const ENDS: u8 = 3;
const BEGINS: u8 = 4;

fn sum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|it| u32::from(it[0]) << 8 | it.get(1).map_or(0, |it| u32::from(*it)));
    let sum = words.sum::<u32>();
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// Reads a frame that is such a word, and sees to it that it is whole.
fn word(frame: &[u8]) -> Option<Word> {
    let v4 = |at: usize| Ipv4Address::from(*frame[at..].first_chunk::<4>().unwrap());
    match frame[12..14] {
        [8, 0] if frame[23] == 2 => {
            let to = v4(30);
            let [_, b, c, d] = to.octets();
            assert_eq!(frame[..6], [1, 0, 0x5e, b & 127, c, d]);
            assert!(
                Ipv4Packet::new_checked(&frame[14..])
                    .unwrap()
                    .verify_checksum()
            );
            // Five words and the option "router alert", one hop, whole.
            assert_eq!(
                (frame[14], frame[22], &frame[34..38]),
                (0x46, 1, &[0x94, 4, 0, 0][..])
            );
            assert_eq!(usize::from(frame[17]), frame.len() - 14);
            assert_eq!(v4(26), Ipv4Address::new(10, 0, 0, 1));
            let message = &frame[38..];
            assert_eq!(sum(message), 0);
            Some(match message[0] {
                0x22 => {
                    assert_eq!((message.len(), &message[4..8]), (16, &[0, 0, 0, 1][..]));
                    (0x22, to.into(), v4(50).into(), Some(message[8]))
                }
                kind => (kind, to.into(), v4(42).into(), None),
            })
        }
        #[cfg(feature = "ipv6")]
        [0x86, 0xdd] if frame[20] == 0 => {
            let v6 = |at: usize| Ipv6Address::from(*frame[at..].first_chunk::<16>().unwrap());
            let (from, to) = (v6(22), v6(38));
            let [.., a, b, c, d] = to.octets();
            assert_eq!(frame[..6], [0x33, 0x33, a, b, c, d]);
            assert_eq!(
                (frame[21], &frame[54..62]),
                (1, &[58, 0, 5, 2, 0, 0, 1, 0][..])
            );
            let message = &frame[62..];
            assert!(Icmpv6Packet::new_unchecked(message).verify_checksum(&from, &to));
            Some(match message[0] {
                143 => (143, to.into(), v6(74).into(), Some(message[8])),
                kind => (kind, to.into(), v6(70).into(), None),
            })
        }
        _ => None,
    }
}

/// All that is said in this time about groups that sockets hear, and after how many
/// milliseconds.
fn words(hands: &mut Hands<'_, '_, '_>, time: Duration) -> Vec<(u64, Word)> {
    let mut said = Vec::new();
    for millis in 0..time.total_millis() {
        for _ in 0..2 {
            let frames = hands.turn();
            said.extend(frames.iter().filter_map(|one| match one {
                Said::Other(frame) => word(frame).map(|word| (millis, word)),
                _ => None,
            }));
        }
        hands.now += Duration::from_millis(1);
    }
    // The groups in which neighbors ask for us are another test's.
    said.retain(|(_, word)| !word.2.to_string().starts_with("ff02::1:ff"));
    said
}

/// In both versions of IP: a group, where a report of the newest version goes, and its kind.
fn groups() -> Vec<(IpAddress, IpAddress, u8)> {
    vec![
        (addr("239.1.2.3"), addr("224.0.0.22"), 0x22),
        #[cfg(feature = "ipv6")]
        (addr("ff15::123"), addr("ff02::16"), 143),
    ]
}

const SEC: Duration = Duration::from_secs(1);

/// RFC 3376, 5.1, and RFC 3810, 6.1: a change is said twice; and of a group that several
/// sockets hear it is one when the first begins and the last has ended.
#[test]
fn a_group_is_said_when_the_first_begins_to_hear_it_and_the_last_has_ended() {
    udp_host!(node, 1);
    by_hand(node, |hands| {
        for (group, to, kind) in groups() {
            let twice = |mode| [0, 1000].map(|at| (at, (kind, to, group, Some(mode))));
            let [one, other] = [1, 2].map(|port| node.bind(port).unwrap());
            one.hear(Hears::Group(group)).unwrap();
            assert_eq!(words(hands, SEC * 4), twice(BEGINS));
            one.hear(Hears::Group(group)).unwrap();
            other.hear(Hears::Group(group)).unwrap();
            drop(one);
            assert_eq!(words(hands, SEC * 4), [], "one still hears it");
            other.hear(Hears::Ours).unwrap();
            assert_eq!(words(hands, SEC * 4), twice(ENDS));
            // By a socket that goes, and comes again before that was said twice.
            other.hear(Hears::Group(group)).unwrap();
            words(hands, SEC * 4);
            drop(other);
            assert_eq!(words(hands, SEC / 2), twice(ENDS)[..1]);
            let other = node.bind(2).unwrap();
            other.hear(Hears::Group(group)).unwrap();
            assert_eq!(words(hands, SEC * 4), twice(BEGINS));
            drop(other);
            words(hands, SEC * 4);
        }
    });
}

/// Two groups of one socket, each version of IP where there is room.
fn fill(sockets: &[UdpSocket<'_>]) {
    for (number, socket) in sockets.iter().enumerate() {
        for group in [2 * number, 2 * number + 1] {
            let group = addr(&format!("239.0.0.{group}"));
            assert_eq!(socket.hear(Hears::Group(group)), Ok(()));
        }
    }
}

#[test]
fn a_host_hears_eight_groups_and_those_of_everybody() {
    udp_host!(node, 1, sockets: 6, datagrams: 2, bytes: 64, waiters: 2);
    let sockets = [1, 2, 3, 4, 5, 6].map(|port| node.bind(port).unwrap());
    fill(&sockets[..4]);
    let more = Hears::Group(addr("239.1.2.3"));
    assert_eq!(sockets[4].hear(more), Err(HearError::TooMany));
    // One that is heard already, and those that everybody hears, need no place.
    assert_eq!(sockets[4].hear(Hears::Group(addr("239.0.0.7"))), Ok(()));
    assert_eq!(sockets[4].hear(Hears::Group(addr("224.0.0.1"))), Ok(()));
    #[cfg(feature = "ipv6")]
    for group in ["ff02::1", "ff01::7"] {
        assert_eq!(sockets[5].hear(Hears::Group(addr(group))), Ok(()));
    }
    by_hand(node, |hands| {
        assert_eq!(words(hands, SEC * 3).len(), 16);
        // Who has ended makes room, before that was said twice.
        sockets[0].hear(Hears::Ours).unwrap();
        sockets[4].hear(Hears::Ours).unwrap();
        sockets[4].hear(more).unwrap();
        assert_eq!(words(hands, SEC * 3).len(), 4);
    });
}

/// What a router asks: of which version, about which group, with which code for a time.
fn question(version: u8, group: Ipv4Address, code: u8) -> Vec<u8> {
    let to = match group.is_unspecified() {
        true => Ipv4Address::new(224, 0, 0, 1),
        false => group,
    };
    let mut message = vec![0x11, code, 0, 0];
    message.extend(group.octets());
    if version == 3 {
        message.extend([2, 125, 0, 0]);
    }
    let check = sum(&message).to_be_bytes();
    message[2..4].copy_from_slice(&check);
    igmp(to, &[0x94, 4, 0, 0], &message)
}

fn igmp(to: Ipv4Address, options: &[u8], message: &[u8]) -> Vec<u8> {
    let (words, bytes) = (5 + options.len() / 4, 20 + options.len() + message.len());
    let mut packet = vec![
        0x40 | words as u8,
        0xc0,
        0,
        bytes as u8,
        0,
        0,
        0,
        0,
        1,
        2,
        0,
        0,
    ];
    packet.extend([10, 0, 0, 9]);
    packet.extend(to.octets());
    packet.extend(options);
    Ipv4Packet::new_unchecked(&mut packet).fill_checksum();
    packet.extend(message);
    let [_, b, c, d] = to.octets();
    ethernet(
        hardware(9),
        [1, 0, 0x5e, b & 127, c, d],
        EthernetProtocol::Ipv4,
        &packet,
    )
}

/// RFC 3376, 5.2 and 7.2: it is answered within the time that the router gives, in its version;
/// and who has ended says so in a version that has a word for it.
#[test]
fn a_router_of_ipv4_is_answered_in_its_version() {
    let (all, group) = (Ipv4Address::UNSPECIFIED, Ipv4Address::new(239, 1, 2, 3));
    let to = |addr: Ipv4Address| IpAddress::from(addr);
    let reports = [
        (1, (0x12, to(group), to(group), None), None),
        (
            2,
            (0x16, to(group), to(group), None),
            Some((0x17, addr("224.0.0.2"), to(group), None)),
        ),
        (
            3,
            (0x22, addr("224.0.0.22"), to(group), Some(STILL)),
            Some((0x22, addr("224.0.0.22"), to(group), Some(ENDS))),
        ),
    ];
    let mut waits = Vec::new();
    for (version, still, ends) in reports {
        udp_host!(node, 1);
        let socket = node.bind(1).unwrap();
        socket.hear(Hears::Group(group.into())).unwrap();
        by_hand(node, |hands| {
            words(hands, SEC * 3);
            for asked in [all, group, all, group] {
                // Two seconds, but of the first version it is ten.
                let code = if version == 1 { 0 } else { 20 };
                let most = if version == 1 { 10_000 } else { 2_000 };
                hands.send(&question(version, asked, code));
                let said = words(hands, SEC * 11);
                let [(at, word)] = said[..] else {
                    panic!("{said:?}")
                };
                assert_eq!(word, still);
                assert!(at <= most, "{at} of {most}");
                waits.push(at * 10 / most);
            }
            drop(socket);
            let said: Vec<_> = words(hands, SEC * 3).into_iter().map(|it| it.1).collect();
            assert_eq!(said, ends.map_or(vec![], |word| vec![word; 2]));
        });
    }
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() >= 3, "{waits:?}");
}

/// RFC 3376, 4.1.1: a long time is a number with an exponent, here 3,174 s; and 5.2: an answer
/// that is about to be given is not put off by another question.
#[test]
fn a_router_that_can_wait_is_not_answered_at_once() {
    udp_host!(node, 1);
    let socket = node.bind(1).unwrap();
    socket.hear(Hears::Group(addr("239.1.2.3"))).unwrap();
    by_hand(node, |hands| {
        words(hands, SEC * 3);
        let patient = question(3, Ipv4Address::UNSPECIFIED, 255);
        hands.send(&patient);
        assert_eq!(words(hands, SEC * 26), []);
        hands.send(&question(3, Ipv4Address::UNSPECIFIED, 10));
        hands.send(&patient);
        assert_eq!(words(hands, SEC).len(), 1);
        assert_eq!(words(hands, SEC * 30), []);
    });
}

/// Whoever asks without an end, for answers at once, is answered ten times a second.
#[test]
fn a_flood_of_questions_is_answered_ten_times_a_second() {
    udp_host!(node, 1);
    let socket = node.bind(1).unwrap();
    socket.hear(Hears::Group(addr("239.1.2.3"))).unwrap();
    by_hand(node, |hands| {
        words(hands, SEC * 3);
        let mut said = 0;
        for _ in 0..3000 {
            hands.send(&question(3, Ipv4Address::UNSPECIFIED, 0));
            said += words(hands, SEC / 1000).len();
        }
        assert!((25..=30).contains(&said), "{said}");
    });
}

#[test]
fn what_is_no_question_is_not_answered() {
    udp_host!(node, 1);
    let socket = node.bind(1).unwrap();
    socket.hear(Hears::Group(addr("239.1.2.3"))).unwrap();
    let all = Ipv4Address::UNSPECIFIED;
    let good = question(3, all, 1);
    let message = good[38..].to_vec();
    let everybody = Ipv4Address::new(224, 0, 0, 1);
    // A byte of the IP header is another, and its checksum right.
    let changed = |at: usize, byte: u8| {
        let mut frame = good.clone();
        frame[at] = byte;
        Ipv4Packet::new_unchecked(&mut frame[14..]).fill_checksum();
        frame
    };
    let damaged = |at: usize| {
        let mut frame = good.clone();
        frame[at] ^= 1;
        frame
    };
    by_hand(node, |hands| {
        words(hands, SEC * 3);
        for (what, frame) in [
            ("many hops", changed(22, 2)),
            ("in pieces", changed(20, 0x20)),
            ("no alert", igmp(everybody, &[], &message)),
            ("another option", igmp(everybody, &[1, 1, 1, 0], &message)),
            (
                "to a group",
                igmp(Ipv4Address::new(239, 1, 2, 3), &[0x94, 4, 0, 0], &message),
            ),
            ("damaged", damaged(47)),
            ("a damaged header", damaged(19)),
            ("cut off", igmp(everybody, &[0x94, 4, 0, 0], &message[..10])),
            (
                "a report",
                igmp(
                    everybody,
                    &[0x94, 4, 0, 0],
                    &[0x16, 0, 0xe9, 0xff, 0, 0, 0, 0],
                ),
            ),
            (
                "of somebody else's group",
                question(3, Ipv4Address::new(239, 1, 2, 4), 1),
            ),
            ("nothing", igmp(everybody, &[0x94, 4, 0, 0], &[])),
        ] {
            let dropped = node.counters().dropped.iter().sum::<u64>();
            hands.send(&frame);
            assert_eq!(words(hands, SEC * 3), [], "{what}");
            let after = node.counters().dropped.iter().sum::<u64>();
            assert_eq!(after - dropped, 1, "{what}");
        }
        assert!(hands.dropped(DropReason::NotUnicast) > 0);
        hands.send(&good);
        assert_eq!(words(hands, SEC).len(), 1);
    });
}

/// RFC 3810, 6.2 and 8.2.1, as of IPv4.
#[cfg(feature = "ipv6")]
#[test]
fn a_router_of_ipv6_is_answered_in_its_version() {
    let (nobody, group) = (Ipv6Address::UNSPECIFIED, addr("ff15::123"));
    let IpAddress::Ipv6(of_ours) = group else {
        unreachable!()
    };
    for version in [1, 2] {
        let (still, ends) = match version {
            1 => (
                (131, group, group, None),
                (132, addr("ff02::2"), group, None),
            ),
            _ => (
                (143, addr("ff02::16"), group, Some(STILL)),
                (143, addr("ff02::16"), group, Some(ENDS)),
            ),
        };
        udp_host!(node, 1);
        let socket = node.bind(1).unwrap();
        socket.hear(Hears::Group(group)).unwrap();
        by_hand(node, |hands| {
            words(hands, SEC * 3);
            for asked in [nobody, of_ours, nobody, of_ours] {
                hands.send(&question_v6(version, asked));
                let said = words(hands, SEC * 3);
                let [(at, word)] = said[..] else {
                    panic!("{said:?}")
                };
                assert_eq!(word, still);
                assert!(at <= 2000, "{at}");
            }
            drop(socket);
            let said: Vec<_> = words(hands, SEC * 3).into_iter().map(|it| it.1).collect();
            assert_eq!(said, [ends; 2]);
        });
    }
}

/// Of a router that gives two seconds.
#[cfg(feature = "ipv6")]
fn question_v6(version: u8, group: Ipv6Address) -> Vec<u8> {
    let router = Ipv6Address::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfe);
    let to = match group.is_unspecified() {
        true => Ipv6Address::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        false => group,
    };
    let mut message = vec![130, 0, 0, 0, 7, 208, 0, 0];
    message.extend(group.octets());
    if version == 2 {
        message.extend([2, 125, 0, 0]);
    }
    Icmpv6Packet::new_unchecked(&mut message[..]).fill_checksum(&router, &to);
    let mut packet = vec![0x60, 0, 0, 0, 0, 8 + message.len() as u8, 0, 1];
    packet.extend(router.octets());
    packet.extend(to.octets());
    packet.extend([58, 0, 5, 2, 0, 0, 1, 0]);
    packet.extend(message);
    let [.., a, b, c, d] = to.octets();
    ethernet(
        hardware(9),
        [0x33, 0x33, a, b, c, d],
        EthernetProtocol::Ipv6,
        &packet,
    )
}

/// On another link nobody knows yet which groups the host hears.
#[cfg(feature = "addressing")]
#[test]
fn when_the_link_comes_up_everything_is_said_again() {
    udp_host!(node, 1);
    let socket = node.bind(1).unwrap();
    let said: Vec<_> = groups()
        .into_iter()
        .map(|(group, to, kind)| {
            socket.hear(Hears::Group(group)).unwrap();
            (kind, to, group, Some(BEGINS))
        })
        .collect();
    by_hand(node, |hands| {
        words(hands, SEC * 3);
        node.set_link(false);
        words(hands, SEC * 3);
        node.set_link(true);
        let again = words(hands, SEC * 3);
        for word in said {
            let at: Vec<u64> = again
                .iter()
                .filter(|it| it.1 == word)
                .map(|it| it.0)
                .collect();
            // Perhaps once more, when the host's addresses were announced.
            assert!(at[0] == 0 && at.len() >= 2, "{again:?}");
        }
    });
}
