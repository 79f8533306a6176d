//! Who hears what is sent to several, and what is sent before there is an address.

use cygnet::event::DropReason;
use cygnet::{HearError, Hears};
use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::hands::{EVERYBODY, Packet, by_hand, hardware};
use crate::harness::v4;

fn addr(text: &str) -> IpAddress {
    text.parse().unwrap()
}

/// Datagrams to several, with the hardware address that each goes to.
fn to_several() -> Vec<(IpAddress, [u8; 6])> {
    vec![
        (addr("255.255.255.255"), EVERYBODY),
        (addr("10.0.0.255"), EVERYBODY),
        (addr("224.0.0.251"), [1, 0, 0x5e, 0, 0, 251]),
        #[cfg(feature = "ipv6")]
        (addr("ff02::fb"), [0x33, 0x33, 0, 0, 0, 0xfb]),
    ]
}

/// From host 9, in a frame to that hardware address.
fn to(destination: IpAddress, port: u16, to: [u8; 6]) -> Packet {
    let source = match destination {
        IpAddress::Ipv4(_) => v4(9, 4000),
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(_) => crate::harness::v6(9, 4000),
    };
    Packet {
        to,
        ..Packet::between(source, (destination, port).into(), b"swan")
    }
}

/// RFC 1122, 4.1.3.1 and 3.2.2: nothing that was sent to several is answered.
#[test]
fn what_is_sent_to_several_is_for_who_asked_and_never_answered() {
    udp_host!(node, 1);
    let [quiet, mdns, all] = [7, 5353, 68].map(|port| node.bind(port).unwrap());
    mdns.hear(Hears::Group(addr("224.0.0.251"))).unwrap();
    #[cfg(feature = "ipv6")]
    mdns.hear(Hears::Group(addr("ff02::fb"))).unwrap();
    all.hear(Hears::Anything).unwrap();
    by_hand(node, |hands| {
        let mut dropped = 0;
        for (destination, at) in to_several() {
            for (port, hears) in [
                (7, false),
                (9, false),
                (5353, destination.is_multicast()),
                (68, true),
            ] {
                let before = hands.node.counters().datagrams_in;
                hands.say(&to(destination, port, at));
                assert_eq!(hands.settle(), [], "{destination} {port}");
                let taken = hands.node.counters().datagrams_in - before;
                assert_eq!(taken, u64::from(hears), "{destination} {port}");
                dropped += u64::from(!hears);
                // Rings stay empty for the next.
                for socket in [&quiet, &mdns, &all] {
                    let mut buf = [0; 9];
                    let got = futures_util::FutureExt::now_or_never(socket.recv_from(&mut buf));
                    if let Some(Ok((_, peer))) = got {
                        assert_eq!(peer.local, destination);
                    }
                }
            }
        }
        assert_eq!(hands.dropped(DropReason::NotUnicast), dropped);
    });
}

#[test]
fn groups_are_left_again_and_two_at_most() {
    udp_host!(node, 1);
    let socket = node.bind(5353).unwrap();
    let groups = ["224.0.0.251", "224.0.0.252", "224.0.0.253"].map(addr);
    for group in &groups[..2] {
        assert_eq!(socket.hear(Hears::Group(*group)), Ok(()));
        assert_eq!(socket.hear(Hears::Group(*group)), Ok(()), "again");
    }
    assert_eq!(
        socket.hear(Hears::Group(groups[2])),
        Err(HearError::TooMany)
    );
    let one = Hears::Group(addr("10.0.0.9"));
    assert_eq!(socket.hear(one), Err(HearError::NotAGroup));
    by_hand(node, |hands| {
        let group = |last: u8| {
            to(
                addr(&format!("224.0.0.{last}")),
                5353,
                [1, 0, 0x5e, 0, 0, last],
            )
        };
        for last in [251, 252, 253] {
            hands.say(&group(last));
        }
        hands.settle();
        assert_eq!(hands.node.counters().datagrams_in, 2);
        socket.hear(Hears::Ours).unwrap();
        hands.say(&group(251));
        hands.settle();
        assert_eq!(hands.dropped(DropReason::NotUnicast), 2);
    });
}

/// An address of ours in a frame to several is somebody's trick (RFC 1122, 3.3.6), and a
/// sender is one host.
#[test]
fn a_frame_to_several_is_no_way_to_one_and_several_send_nothing() {
    udp_host!(node, 1);
    let all = node.bind(7).unwrap();
    by_hand(node, |hands| {
        let mut packet = Packet::to_port(7, b"swan");
        packet.to = EVERYBODY;
        hands.say(&packet);
        assert_eq!(hands.settle(), []);
        assert_eq!(hands.dropped(DropReason::NotUnicast), 1);
        all.hear(Hears::Anything).unwrap();
        let impossible = [
            "224.0.0.1",
            "255.255.255.255",
            "10.0.0.255",
            "127.0.0.1",
            "10.0.0.1",
        ];
        for (number, source) in impossible.into_iter().enumerate() {
            for (destination, at) in [(v4(1, 7), hardware(1)), (v4(255, 7), EVERYBODY)] {
                let mut packet = Packet::between((addr(source), 4000).into(), destination, b"swan");
                packet.to = at;
                hands.say(&packet);
            }
            assert_eq!(hands.settle(), []);
            let dropped = hands.dropped(DropReason::BadSource);
            assert_eq!(dropped, 2 * (number as u64 + 1), "{source}");
        }
    });
}

/// RFC 2131, 4.1: a client without an address sends from 0.0.0.0 to everybody, and is answered
/// so, or at the address that it is about to have.
#[test]
fn a_host_without_an_address_asks_everybody_and_hears_the_answer() {
    udp_host!(node, 1, sockets: 1, datagrams: 2, bytes: 300, waiters: 2, addresses: []);
    let socket = node.bind(68).unwrap();
    socket.hear(Hears::Anything).unwrap();
    node.spawn(Box::pin(async move {
        let mut buf = [0; 300];
        let everybody = IpEndpoint::new(addr("255.255.255.255"), 67);
        let elsewhere = socket.send_to(b"ask", v4(9, 67)).await;
        assert_eq!(elsewhere, Err(cygnet::SendError::Unaddressable));
        socket.send_to(b"ask", everybody).await.unwrap();
        for local in ["255.255.255.255", "10.0.0.77"] {
            let (len, peer) = socket.recv_from(&mut buf).await.unwrap();
            assert_eq!((&buf[..len], peer.local), (&b"offer"[..], addr(local)));
        }
        // It has one now, and asks as nobody all the same.
        node.yield_now().await;
        let nobody = cygnet::Target::from(everybody).from_local(addr("0.0.0.0"));
        socket.send_to(b"renew", nobody).await.unwrap();
    }))
    .unwrap();
    by_hand(node, |hands| {
        let sent = hands.datagrams();
        let [packet] = &sent[..] else {
            panic!("{sent:?}")
        };
        assert_eq!(packet.source, (addr("0.0.0.0"), 68).into());
        assert_eq!(packet.to, EVERYBODY);
        for (local, at) in [("255.255.255.255", EVERYBODY), ("10.0.0.77", hardware(1))] {
            let packet = Packet::between(v4(9, 67), (addr(local), 68).into(), b"offer");
            hands.say(&Packet { to: at, ..packet });
        }
        let sent = hands.datagrams();
        let [packet] = &sent[..] else {
            panic!("{sent:?}")
        };
        assert_eq!(packet.source, (addr("0.0.0.0"), 68).into());
        assert_eq!(packet.to, EVERYBODY);
    });
    assert_eq!(node.waiting().count(), 0);
}

/// RFC 1112, 6.1: "the default is 1".
#[test]
fn a_datagram_to_a_group_goes_no_further_than_the_link() {
    udp_host!(node, 1);
    let socket = node.bind(5353).unwrap();
    by_hand(node, |hands| {
        for (destination, at) in to_several() {
            let sent =
                futures_util::FutureExt::now_or_never(socket.send_to(b"swan", (destination, 5353)));
            assert_eq!(sent, Some(Ok(())));
            let sent = hands.datagrams();
            let [packet] = &sent[..] else {
                panic!("{sent:?}")
            };
            assert_eq!((packet.to, packet.destination.addr), (at, destination));
            // What is sent to everybody goes no further anyway.
            let hops = if destination.is_multicast() { 1 } else { 64 };
            assert_eq!(packet.hops, hops);
        }
        assert_eq!(hands.asked, []);
    });
}

/// A socket that says how far: to one, to everybody, and to a group.
#[test]
fn a_datagram_goes_as_far_as_its_socket_says() {
    udp_host!(node, 1);
    let socket = node.bind(5353).unwrap();
    by_hand(node, |hands| {
        for (limit, to_one, to_group) in [(0, 64, 1), (7, 7, 7), (255, 255, 255), (0, 64, 1)] {
            socket.set_hop_limit(limit);
            let one = (v4(9, 7).addr, hardware(9));
            for (destination, at) in to_several().into_iter().chain([one]) {
                let sent = socket.send_to(b"swan", (destination, 5353));
                let sent = futures_util::FutureExt::now_or_never(sent);
                assert_eq!(sent, Some(Ok(())));
                let sent = hands.datagrams();
                let [packet] = &sent[..] else {
                    panic!("{sent:?}")
                };
                let is_group = destination.is_multicast();
                let hops = if is_group { to_group } else { to_one };
                assert_eq!((packet.to, packet.hops), (at, hops), "{destination}");
            }
        }
    });
}
