extern crate std;
use super::*;
use proptest::prelude::*;
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr};
use std::vec::Vec as List;

const US: Hardware = [2, 0, 0, 0, 0, 1];

fn say(kind: Kind) -> Say<'static> {
    Say {
        kind,
        xid: 0x0102_0304,
        secs: 5,
        hardware: US,
        has: None,
        wants: Some(Ipv4Address::new(10, 0, 0, 7)),
        server: Some(Ipv4Address::new(10, 0, 0, 1)),
        host_name: "kettle",
    }
}

/// Another's codec reads the same.
#[test]
fn what_is_written_reads_so() {
    for (kind, theirs) in [
        (Kind::Discover, DhcpMessageType::Discover),
        (Kind::Request, DhcpMessageType::Request),
        (Kind::Decline, DhcpMessageType::Decline),
    ] {
        let mut room = [0xaa; LONGEST_REPLY];
        let length = say(kind).write(&mut room);
        assert!(length >= SHORTEST);
        let packet = DhcpPacket::new_checked(&room[..length]).unwrap();
        let read = DhcpRepr::parse(&packet).unwrap();
        assert_eq!(
            (read.message_type, read.transaction_id),
            (theirs, 0x0102_0304)
        );
        assert_eq!(read.client_hardware_address.0, US);
        assert_eq!(read.client_identifier.unwrap().0, US);
        assert_eq!(read.requested_ip, Some(Ipv4Address::new(10, 0, 0, 7)));
        assert_eq!(read.server_identifier, Some(Ipv4Address::new(10, 0, 0, 1)));
        assert_eq!((read.secs, read.broadcast), (5, true));
        let name = packet.options().find(|option| option.kind == 12);
        let is_declined = kind == Kind::Decline;
        assert_eq!(
            name.map(|name| name.data),
            (!is_declined).then_some(&b"kettle"[..])
        );
        // RFC 2131, table 5: a decline must not ask for anything.
        let wants = read.parameter_request_list;
        assert_eq!(wants.is_some(), !is_declined);
        let wants = |option: u8| wants.is_none_or(|wants| wants.contains(&option));
        assert!([1, 3, 6, 42, 51].into_iter().all(wants), "NTP servers too");
        assert_eq!(read.max_size, (!is_declined).then_some(576));
    }
}

/// The longest name, and every part: nothing is cut off.
#[test]
fn the_longest_message_fits() {
    let name = "x".repeat(200);
    let mut room = [0; LONGEST_REPLY];
    let longest = Say {
        host_name: &name,
        has: Some(Ipv4Address::new(10, 0, 0, 7)),
        ..say(Kind::Request)
    };
    let length = longest.write(&mut room);
    let packet = DhcpPacket::new_checked(&room[..length]).unwrap();
    let name = packet.options().find(|option| option.kind == 12).unwrap();
    assert_eq!(name.data.len(), LONGEST_NAME);
    assert_eq!(room[length - 1], 255);
    let read = DhcpRepr::parse(&packet).unwrap();
    assert!(!read.broadcast, "its answer comes to its address");
    assert_eq!(read.client_ip, Ipv4Address::new(10, 0, 0, 7));
}

/// A message of a server with these options, and these where names usually are.
fn reply(options: &[u8], file: &[u8], sname: &[u8]) -> List<u8> {
    let mut bytes = std::vec![0; OPTIONS];
    bytes[..3].copy_from_slice(&[2, 1, 6]);
    bytes[4..8].copy_from_slice(&[1, 2, 3, 4]);
    bytes[16..20].copy_from_slice(&[10, 0, 0, 7]);
    bytes[28..34].copy_from_slice(&US);
    bytes[44..44 + sname.len()].copy_from_slice(sname);
    bytes[108..108 + file.len()].copy_from_slice(file);
    bytes[236..].copy_from_slice(&MAGIC);
    bytes.extend_from_slice(options);
    bytes
}

const ACK: [u8; 3] = [53, 1, 5];

#[test]
fn a_reply_reads_as_it_is_written() {
    let options = [
        &ACK[..],
        &[1, 4, 255, 255, 0, 0, 0, 54, 4, 10, 0, 0, 1],
        // Two routers; names, one of which is nobody's; times.
        &[3, 8, 10, 0, 0, 1, 10, 0, 0, 2],
        &[6, 12, 0, 0, 0, 0, 10, 0, 0, 3, 10, 0, 0, 3],
        &[
            42, 4, 10, 0, 0, 5, 51, 4, 0, 0, 14, 16, 58, 4, 0, 0, 0, 9, 59, 4, 0, 0, 0, 10, 255,
        ],
        &[1, 4, 1, 1, 1, 1],
    ]
    .concat();
    let read = read(&reply(&options, &[], &[]), US).unwrap();
    let addr = |last| Ipv4Address::new(10, 0, 0, last);
    assert_eq!(
        (read.kind, read.xid, read.yours),
        (Kind::Ack, 0x0102_0304, addr(7))
    );
    assert_eq!(read.mask, Some(Ipv4Address::new(255, 255, 0, 0)));
    assert_eq!(read.server, Some(addr(1)));
    assert_eq!(read.routers[..], [addr(1), addr(2)]);
    assert_eq!(read.dns[..], [addr(3)]);
    assert_eq!(read.ntp[..], [addr(5)]);
    assert_eq!(
        (read.lease, read.renew, read.rebind),
        (Some(3600), Some(9), Some(10))
    );
}

/// RFC 2132, 9.3: more options where names usually are.
#[test]
fn options_that_do_not_fit_are_read_where_they_are() {
    let file = [51, 4, 0, 0, 0, 60, 255];
    let sname = [54, 4, 10, 0, 0, 1, 255];
    for (places, lease, server) in [
        (1, true, false),
        (2, false, true),
        (3, true, true),
        (0, false, false),
    ] {
        let options = [&ACK[..], &[52, 1, places, 255]].concat();
        let read = read(&reply(&options, &file, &sname), US).unwrap();
        assert_eq!(
            (read.lease.is_some(), read.server.is_some()),
            (lease, server),
            "{places}"
        );
    }
}

#[test]
fn what_is_not_for_us_or_cut_off_is_not_read() {
    let good = reply(&ACK, &[], &[]);
    assert!(read(&good, US).is_some());
    assert_eq!(read(&good, [2, 0, 0, 0, 0, 2]), None, "for another");
    for (at, byte) in [(0, 1), (1, 2), (2, 16), (236, 0), (28, 4)] {
        let mut bad = good.clone();
        bad[at] = byte;
        assert_eq!(read(&bad, US), None, "{at}");
    }
    for length in 0..good.len() {
        assert_eq!(read(&good[..length], US), None, "{length}");
    }
    for options in [
        &[][..],
        &[53, 1, 1],
        &[53, 1, 9],
        &[53, 2, 5, 5],
        &[53, 1, 5, 51, 9, 0],
    ] {
        assert_eq!(read(&reply(options, &[], &[]), US), None, "{options:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_options_never_panic_and_lists_stay_short(
        options in prop::collection::vec(any::<u8>(), 0..300),
        file in prop::collection::vec(any::<u8>(), 0..128),
        sname in prop::collection::vec(any::<u8>(), 0..64),
        places in 0u8..4,
    ) {
        let options = [&ACK[..], &[52, 1, places], &options].concat();
        if let Some(read) = read(&reply(&options, &file, &sname), US) {
            prop_assert!(read.dns.iter().all(|addr| !addr.is_unspecified()));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&bytes, US);
    }
}
