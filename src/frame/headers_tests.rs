//! Chains of headers, and what is behind them.
extern crate std;

use std::vec::Vec;

use proptest::prelude::*;
use smoltcp::wire::IpProtocol;

use super::*;
use crate::frame::patch::tests::{frame, read, repr, tcp};
use crate::frame::patch::{COPY, without_headers};

/// A header of this kind that may be skipped, with `next` behind it.
fn header(kind: u8, next: u8, words: u8) -> Vec<u8> {
    let mut header = std::vec![0; 8 + usize::from(words) * 8];
    (header[0], header[1]) = (next, words);
    if kind == ROUTING {
        header[2] = 253;
    }
    header
}

/// These headers in front of what is behind them, and the first one's number.
fn chain(kinds: &[u8], behind: &[u8]) -> (u8, Vec<u8>) {
    let mut bytes = Vec::new();
    for (number, &kind) in kinds.iter().enumerate() {
        let next = kinds.get(number + 1).copied().unwrap_or(TCP);
        let words = if kind == FRAGMENT {
            0
        } else {
            number as u8 % 3
        };
        bytes.extend(header(kind, next, words));
    }
    bytes.extend(behind);
    (kinds.first().copied().unwrap_or(TCP), bytes)
}

fn found(kinds: &[u8]) -> bool {
    let (first, bytes) = chain(kinds, b"segment");
    match segment_behind(first, &bytes) {
        Some(at) => {
            assert_eq!(bytes[at..], *b"segment");
            true
        }
        None => false,
    }
}

#[test]
fn a_segment_is_found_behind_headers_in_their_order() {
    for kinds in [
        &[HOP_BY_HOP][..],
        &[DESTINATION],
        &[ROUTING],
        &[FRAGMENT],
        &[HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT, DESTINATION],
        &[DESTINATION, DESTINATION],
    ] {
        assert!(found(kinds), "{kinds:?}");
    }
    assert!(!found(&[]), "nothing in front of it");
    assert!(!found(&[DESTINATION, HOP_BY_HOP]), "not the first");
    assert!(!found(&[DESTINATION; 8]), "more than anybody sends");
    for other in [4, 17, 50, 51, 58, 59, 135, 139, 253] {
        assert!(!found(&[other]), "{other}");
        assert!(!found(&[HOP_BY_HOP, other]), "{other}");
    }
}

#[test]
fn what_may_not_be_skipped_is_not() {
    let behind = |kind, header: [u8; 8]| {
        let bytes = [&header[..], b"segment"].concat();
        segment_behind(kind, &bytes).is_some()
    };
    // Options: padding, one to be skipped; those that say to discard.
    for kind in [HOP_BY_HOP, DESTINATION] {
        assert!(behind(kind, [6, 0, 0, 0, 0, 0, 0, 0]));
        assert!(behind(kind, [6, 0, 1, 4, 0, 0, 0, 0]));
        assert!(behind(kind, [6, 0, 5, 2, 0, 0, 1, 0]));
        for action in [0x40, 0x80, 0xc0] {
            assert!(!behind(kind, [6, 0, action | 5, 4, 0, 0, 0, 0]));
            assert!(!behind(kind, [6, 0, 1, 0, 0, 0, action, 0]));
        }
        assert!(!behind(kind, [6, 0, 1, 5, 0, 0, 0, 0]), "past its end");
        assert!(!behind(kind, [6, 0, 0, 0, 0, 0, 0, 1]), "no length");
        assert!(!behind(kind, [6, 1, 1, 4, 0, 0, 0, 0]), "cut off");
    }
    assert!(behind(ROUTING, [6, 0, 0, 0, 9, 9, 9, 9]));
    assert!(!behind(ROUTING, [6, 0, 0, 1, 9, 9, 9, 9]));
    // A fragment: whole, whatever its reserved bits and number.
    assert!(behind(FRAGMENT, [6, 9, 0, 0, 1, 2, 3, 4]));
    assert!(behind(FRAGMENT, [6, 0, 0, 6, 1, 2, 3, 4]));
    for part in [[0, 1], [0, 8], [1, 0], [0x80, 0]] {
        assert!(!behind(FRAGMENT, [6, 0, part[0], part[1], 1, 2, 3, 4]));
    }
}

#[test]
fn a_frame_without_its_headers_is_the_plain_one() {
    let segment = tcp(false, &repr(b"text"));
    let plain = frame(false, IpProtocol::Tcp, &segment);
    let mut copy = [0; COPY];
    assert_eq!(without_headers(&plain, &mut copy), None);
    for kinds in [
        &[HOP_BY_HOP][..],
        &[FRAGMENT],
        &[HOP_BY_HOP, ROUTING, DESTINATION],
    ] {
        let (first, bytes) = chain(kinds, &segment);
        let mut behind = frame(false, first.into(), &bytes);
        behind.extend([0xee; 5]); // the link's padding
        assert_eq!(
            without_headers(&behind, &mut copy),
            Some(&plain[..]),
            "{kinds:?}"
        );
    }
    // As long as a frame may be, and longer.
    for (text, fits) in [(1440, true), (1441, false)] {
        let segment = tcp(false, &repr(&std::vec![7; text]));
        let (first, bytes) = chain(&[DESTINATION], &segment);
        let behind = frame(false, first.into(), &bytes);
        let plain = without_headers(&behind, &mut copy).map(read);
        assert_eq!(
            plain.map(|seen| usize::from(seen.payload)),
            fits.then_some(text)
        );
    }
}

proptest! {
    #[test]
    fn arbitrary_headers_never_panic(
        next: u8, mut bytes in prop::collection::vec(any::<u8>(), 0..200), near: bool,
    ) {
        if near {
            let kinds = [HOP_BY_HOP, TCP, ROUTING, FRAGMENT, DESTINATION];
            for chunk in bytes.chunks_mut(8) {
                chunk[0] = kinds[usize::from(chunk[0]) % kinds.len()];
                if let [_, words, ..] = chunk {
                    *words %= 3;
                }
            }
        }
        let next = if near { DESTINATION } else { next };
        if let Some(at) = segment_behind(next, &bytes) {
            prop_assert!(at % 8 == 0 && at <= bytes.len());
        }
    }
}
