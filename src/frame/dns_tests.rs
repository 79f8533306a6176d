extern crate std;
use super::*;
use proptest::prelude::*;
use smoltcp::wire::Ipv4Address;
use std::vec::Vec as List;

const A: DnsQueryType = DnsQueryType::A;

/// An answer to a question of number 7 for `asked`, with these records.
fn answer(asked: &str, flags: u16, records: &[(&str, u16, u32, &[u8])]) -> List<u8> {
    let mut bytes = List::new();
    bytes.extend_from_slice(&[0, 7]);
    bytes.extend_from_slice(&(0x8180 | flags).to_be_bytes());
    bytes.extend_from_slice(&[0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    bytes.extend_from_slice(&name(asked).unwrap());
    bytes.extend_from_slice(&[0, 1, 0, 1]);
    for (owner, kind, ttl, data) in records {
        bytes.extend_from_slice(&name(owner).unwrap());
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&[0, 1]);
        bytes.extend_from_slice(&ttl.to_be_bytes());
        bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
        bytes.extend_from_slice(data);
    }
    bytes
}

fn says(bytes: &[u8], asked: &str) -> Option<Answer> {
    read(bytes, 7, &name(asked).unwrap(), A)
}

fn addresses(lasts: &[u8], ttl: u32) -> Option<Answer> {
    let addrs = lasts.iter().map(|last| IpAddress::v4(10, 0, 0, *last));
    Some(Answer::Addresses(addrs.collect(), ttl))
}

#[test]
fn names_are_labels_of_letters_digits_hyphens_and_underlines() {
    assert_eq!(name("a.bc").unwrap()[..], *b"\x01a\x02bc\0");
    assert_eq!(name("a.bc."), name("a.bc"));
    let long = "x".repeat(63);
    assert!(name(&long).is_some());
    assert!(name(&std::format!("{long}.{long}.{long}.{}", "x".repeat(61))).is_some());
    assert_eq!(
        name(&std::format!("{long}.{long}.{long}.{}", "x".repeat(62))),
        None
    );
    for bad in [
        "",
        ".",
        "a..b",
        ".a",
        "a b",
        "a\u{e9}",
        &"x".repeat(64),
        "a..",
        "a/b",
        "a\0",
    ] {
        assert_eq!(name(bad), None, "{bad:?}");
    }
}

#[test]
fn a_question_is_as_the_rfc_wants_it() {
    let mut room = [0xaa; LONGEST];
    let length = write(&mut room, 0x1234, &name("a.bc").unwrap(), A);
    let wanted = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x01a\x02bc\0\0\x01\0\x01";
    assert_eq!(room[..length], wanted[..]);
}

#[test]
fn an_answer_counts_for_its_question_alone() {
    let record = ("a.b", 1, 60, &[10, 0, 0, 7][..]);
    let good = answer("a.b", 0, &[record]);
    assert_eq!(says(&good, "a.b"), addresses(&[7], 60));
    // RFC 4343: case says nothing.
    assert_eq!(
        says(&answer("A.b", 0, &[("a.B", 1, 60, &[10, 0, 0, 7])]), "a.B"),
        addresses(&[7], 60)
    );
    assert_eq!(says(&good, "a.c"), None, "another name");
    assert_eq!(says(&good, "a"), None, "the beginning of it");
    assert_eq!(says(&good, "a.b.c"), None, "more");
    assert_eq!(
        read(&good, 8, &name("a.b").unwrap(), A),
        None,
        "another number"
    );
    assert_eq!(
        read(&good, 7, &name("a.b").unwrap(), DnsQueryType::Aaaa),
        None,
        "another kind"
    );
    for (at, byte) in [(2, 0x01), (2, 0x89), (5, 0), (5, 2)] {
        let mut bad = good.clone();
        bad[at] = byte;
        assert_eq!(says(&bad, "a.b"), None, "{at} {byte}");
    }
    for length in 0..12 + 5 + 4 {
        assert_eq!(says(&good[..length], "a.b"), None, "{length}");
    }
}

#[test]
fn what_a_server_says_besides_addresses() {
    assert_eq!(says(&answer("a", 3, &[]), "a"), Some(Answer::NoName));
    for code in [1, 2, 4, 5] {
        assert_eq!(
            says(&answer("a", code, &[]), "a"),
            Some(Answer::Failed),
            "{code}"
        );
    }
    assert_eq!(says(&answer("a", 0x200, &[]), "a"), Some(Answer::Truncated));
    assert_eq!(says(&answer("a", 0, &[]), "a"), Some(Answer::NoAddress));
    let others = [
        ("a", 16, 60, &[3, 1, 2, 3][..]),
        ("b", 1, 60, &[10, 0, 0, 7]),
    ];
    assert_eq!(says(&answer("a", 0, &others), "a"), Some(Answer::NoAddress));
}

#[test]
fn addresses_that_nobody_can_have_are_left_out() {
    let with = |addr: [u8; 4]| answer("a", 0, &[("a", 1, 60, &addr)]);
    for addr in [[0, 0, 0, 0], [224, 0, 0, 1], [255, 255, 255, 255]] {
        assert_eq!(says(&with(addr), "a"), Some(Answer::NoAddress), "{addr:?}");
    }
    let records: List<_> = (1..9).map(|last| [10, 0, 0, last]).collect();
    let records: List<_> = records.iter().map(|addr| ("a", 1, 60, &addr[..])).collect();
    assert_eq!(
        says(&answer("a", 0, &records), "a"),
        addresses(&[1, 2, 3, 4], 60),
        "four"
    );
}

#[test]
fn aliases_are_followed_in_any_order_and_not_for_ever() {
    let b = name("b").unwrap();
    let c = name("c").unwrap();
    let address = ("c", 1, 60, &[10, 0, 0, 7][..]);
    let (to_b, to_c) = (("a", 5, 50, &b[..]), ("b", 5, 40, &c[..]));
    for records in [
        [to_b, to_c, address],
        [address, to_c, to_b],
        [to_c, address, to_b],
    ] {
        assert_eq!(says(&answer("a", 0, &records), "a"), addresses(&[7], 40));
    }
    // The address is elsewhere.
    assert_eq!(
        says(&answer("a", 0, &[to_b, to_c]), "a"),
        Some(Answer::Alias(c.clone(), 40))
    );
    // A circle, of one and of two.
    let a = name("a").unwrap();
    let (to_a, self_b) = (("b", 5, 40, &a[..]), ("b", 5, 40, &b[..]));
    assert_eq!(
        says(&answer("a", 0, &[to_b, to_a]), "a"),
        Some(Answer::Failed)
    );
    assert_eq!(says(&answer("b", 0, &[self_b]), "b"), Some(Answer::Failed));
}

/// RFC 1035, 4.1.4: a name that points to another; never forwards, and never in a circle.
#[test]
fn names_that_point_are_followed_backwards_alone() {
    let mut good = answer("a.b", 0, &[]);
    good[7] = 1;
    good.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 7]);
    assert_eq!(says(&good, "a.b"), addresses(&[7], 60));
    let at = good.len() - 16;
    for target in [at as u8, at as u8 + 2, 0xff] {
        let mut bad = good.clone();
        bad[at + 1] = target;
        assert_eq!(says(&bad, "a.b"), Some(Answer::NoAddress), "{target}");
    }
}

/// An answer that is cut off counts as far as it goes.
#[test]
fn a_record_that_is_cut_off_ends_an_answer() {
    let records = [
        ("a", 1, 60, &[10, 0, 0, 7][..]),
        ("a", 1, 60, &[10, 0, 0, 8]),
    ];
    let good = answer("a", 0, &records);
    assert_eq!(says(&good[..good.len() - 1], "a"), addresses(&[7], 60));
}

proptest! {
    #[test]
    fn arbitrary_answers_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = says(&bytes, "a.b");
        let mut ours = answer("a.b", 0, &[]);
        ours[7] = 255;
        ours.extend_from_slice(&bytes);
        if let Some(Answer::Addresses(found, _)) = says(&ours, "a.b") {
            prop_assert!(found.iter().all(|addr| *addr != IpAddress::from(Ipv4Address::UNSPECIFIED)));
        }
    }

    #[test]
    fn a_name_is_as_long_as_its_labels(text in "[a-z0-9._-]{0,300}") {
        if let Some(name) = name(&text) {
            prop_assert!(name.len() <= 255 && name.len() == text.trim_end_matches('.').len() + 2);
        }
    }
}
