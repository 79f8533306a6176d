//! The windows that a peer offers, and what holds for every segment.
extern crate std;

use proptest::prelude::*;

use super::tests::*;
use super::*;
use crate::frame::demux::PSH;

#[test]
fn a_window_shut_on_what_is_in_flight_is_shown_as_one() {
    for (number, payload, expected) in [
        (1000, 0, Shown::Instead(ACK, 5000, 1000, 1)),
        (1500, 0, Shown::Instead(ACK, 5000, 1500, 1)),
        (1500, 9, Shown::Numbers(1500, 1)),
        (2000, 0, Shown::AsItIs),
    ] {
        let mut peer = peer();
        let shut = Segment {
            ack: at(number),
            window: 0,
            ..text(5000, payload)
        };
        assert_eq!(passes(&mut peer, &shut, &OURS), expected, "{number}");
        // Answers to probes are no repeated acknowledgements.
        if number < 2000 {
            let again = Segment { payload: 0, ..shut };
            let (verdict, _) = peer.hears(&again, Verdict::Pass, &OURS);
            assert_eq!(verdict, Verdict::Drop(DropReason::RepeatedAck));
            // What takes a byte counts, what opens the window too.
            let one = Segment {
                ack: again.ack + 1,
                ..again
            };
            let next = Shown::Instead(ACK, 5000, number + 1, 1);
            assert_eq!(passes(&mut peer, &one, &OURS), next);
            let open = Segment { window: 700, ..one };
            assert_eq!(passes(&mut peer, &open, &OURS), Shown::AsItIs);
            assert!(is_plain(&peer, &open, OURS.snd_max));
        }
    }
}

#[test]
fn a_shut_window_and_a_probe_are_smoltcps() {
    let mut peer = peer();
    let shut = Segment { window: 0, ..ack() };
    assert_eq!(passes(&mut peer, &shut, &IDLE), Shown::AsItIs);
    // smoltcp has probed, and does not count the byte.
    let probed = Ours {
        snd_max: at(1001),
        ..IDLE
    };
    for _ in 0..3 {
        assert_eq!(passes(&mut peer, &shut, &probed), Shown::AsItIs);
    }
    let taken = Segment {
        ack: at(1001),
        ..shut
    };
    assert_eq!(passes(&mut peer, &taken, &probed), Shown::AsItIs);
}

#[test]
fn a_window_too_small_to_use_is_hidden_until_a_probe_is_taken() {
    let mut peer = peer();
    let silly = |number, window| Segment {
        ack: at(number),
        window,
        ..ack()
    };
    let hidden = |number| Shown::Instead(ACK, 5000, number, 0);
    assert_eq!(passes(&mut peer, &silly(1000, 535), &IDLE), hidden(1000));
    assert_eq!(passes(&mut peer, &silly(1000, 1), &IDLE), hidden(1000));
    assert_eq!(peer.edge(), at(1001), "and is known");
    // A probe that is not taken changes nothing; one that is shows it.
    let probed = Ours {
        snd_max: at(1001),
        ..IDLE
    };
    let taken = silly(1001, 400);
    assert_eq!(passes(&mut peer, &taken, &probed), Shown::AsItIs);
    // It was used, and is too small again.
    let used = Ours {
        snd_max: at(1401),
        ..IDLE
    };
    assert_eq!(passes(&mut peer, &silly(1401, 400), &used), hidden(1401));
    // Worth being used.
    assert_eq!(passes(&mut peer, &silly(1401, 536), &used), Shown::AsItIs);
    assert!(is_plain(&peer, &silly(1401, 536), used.snd_max));
}

#[test]
fn a_scaled_window_is_measured_in_bytes() {
    // 64,000 in a SYN, where nothing is scaled; 16 times as much as it says later.
    let mut peer = PeerView::of_syn(536, Some(4), 64_000, Some(at(1000)));
    let window = |window| Segment { window, ..ack() };
    assert!(is_plain(&peer, &window(34), OURS.snd_max), "544 bytes");
    assert!(!is_plain(&peer, &window(33), OURS.snd_max), "528");
    assert!(is_plain(&peer, &window(4000), OURS.snd_max));
    assert!(!is_plain(&peer, &window(4001), OURS.snd_max));
    assert_eq!(passes(&mut peer, &window(34), &IDLE), Shown::AsItIs);
    let hidden = Shown::Instead(ACK, 5000, 1000, 0);
    assert_eq!(passes(&mut peer, &window(33), &IDLE), hidden);
    assert_eq!(peer.edge(), at(1000 + 528));
    // Ten segments of 48, in windows of 16 bytes.
    let mut young = PeerView::of_syn(48, Some(4), 64_000, Some(at(1000)));
    let ten = Shown::Instead(ACK, 5000, 1000, 30);
    assert_eq!(passes(&mut young, &window(4000), &IDLE), ten);
}

#[test]
fn a_small_window_that_is_all_there_is_or_takes_all_is_shown() {
    // Half of the most there ever was.
    let mut small = PeerView::of_syn(1460, None, 100, Some(at(1000)));
    for (window, expected) in [
        (50, Shown::AsItIs),
        (49, Shown::Instead(ACK, 5000, 1000, 0)),
    ] {
        let segment = Segment { window, ..ack() };
        assert_eq!(passes(&mut small, &segment, &IDLE), expected, "{window}");
    }
    // All that is queued fits, or more is in flight than fits: Nagle waits by himself.
    let little = Ours { queued: 30, ..IDLE };
    let segment = Segment {
        window: 30,
        ..ack()
    };
    assert_eq!(passes(&mut peer(), &segment, &little), Shown::AsItIs);
    assert_eq!(passes(&mut peer(), &segment, &OURS), Shown::AsItIs);
}

#[test]
fn a_first_flight_is_ten_segments_until_something_is_acknowledged() {
    let mut young = PeerView::of_syn(100, None, 8000, None);
    let ours = Ours {
        snd_max: at(1001),
        queued: 0,
        ..OURS
    };
    let third = Segment {
        ack: at(1001),
        window: 8000,
        ..ack()
    };
    let ten = Shown::Instead(ACK, 5000, 1001, 1000);
    assert_eq!(passes(&mut young, &third, &ours), ten);
    let sent = Ours {
        snd_max: at(2001),
        queued: 8000,
        ..OURS
    };
    let update = Segment {
        window: 9000,
        ..third
    };
    assert_eq!(passes(&mut young, &update, &sent), ten);
    let acknowledged = Segment {
        ack: at(1002),
        ..third
    };
    assert_eq!(passes(&mut young, &acknowledged, &sent), Shown::AsItIs);
    assert!(is_plain(&young, &acknowledged, sent.snd_max));
    // smoltcp's own first flight is not longer with such segments.
    let usual = PeerView::of_syn(205, None, 8000, Some(at(1000)));
    assert!(is_plain(&usual, &ack(), OURS.snd_max));
    for (mss, window, expected) in [
        (48, 8000, 480),
        (204, 8000, 2040),
        (205, 8000, 8000),
        (48, 9, 9),
    ] {
        assert_eq!(first_window(mss, window), expected);
    }
}

/// Segments near what matters, to a peer that may be anywhere.
fn segments() -> impl Strategy<Value = (Segment, Verdict)> {
    let verdict = prop::sample::select(std::vec![
        Verdict::Pass,
        Verdict::Pass,
        Verdict::PassOnce,
        Verdict::PassEmpty,
        Verdict::Challenge(DropReason::PastEdge),
        DROPPED,
    ]);
    let numbers = (-1200i32..1200, -2000i32..2200, 0u16..400, 0u16..3000);
    (numbers, any::<(bool, bool, bool)>(), verdict).prop_map(
        |((offset, acked, payload, window), (fin, empty, shut), verdict)| {
            let payload = if empty { 0 } else { payload };
            let segment = Segment {
                fin: fin && window % 4 == 0,
                ack: at(1000 + acked),
                window: if shut { window % 3 } else { window },
                ..text(5000 + offset, payload)
            };
            (segment, verdict)
        },
    )
}

proptest! {
    /// Of whatever is shown every number is the peer's: an acknowledgement of what was
    /// sent and none that goes back, and a window that reaches no farther than the peer
    /// said, but for one byte when it is shut.
    #[test]
    fn nothing_is_made_up(
        scale in 0u8..5, mss in 48u16..1500, queued in 0usize..3000, turn: i32,
        steps in prop::collection::vec(segments(), 1..40),
    ) {
        let mut peer = PeerView::of_syn(mss, Some(scale), 3000, Some(at(1000)));
        let mut turned = PeerView { snd_una: at(1000i32.wrapping_add(turn)), ..peer };
        let ours = Ours { queued, ..OURS };
        for (segment, verdict) in steps {
            let before = peer;
            let plain = verdict == Verdict::Pass && !segment.fin && is_plain(&peer, &segment, ours.snd_max);
            let (after, rewrite) = peer.hears(&segment, verdict, &ours);
            let (una, sent) = (peer.snd_una.0, ours.snd_max.0);
            prop_assert!((before.snd_una.0..=sent).contains(&una));
            if plain {
                prop_assert_eq!((after, shown(rewrite)), (verdict, Shown::AsItIs));
                let mut heard = before;
                heard.takes_plain(&segment, ours.snd_max);
                prop_assert_eq!(heard, peer, "the short way is the same");
            }
            let (ack, window) = match shown(rewrite) {
                Shown::AsItIs => {
                    if after == Verdict::Pass && segment.ack.0 >= before.snd_una.0 && segment.ack.0 <= sent {
                        prop_assert_eq!(peer.snd_wnd, segment.window);
                    }
                    (una, 0)
                }
                Shown::Numbers(ack, window) => (ack, window),
                // What comes before the window is answered, and says nothing.
                Shown::Instead(flags, seq, ack, window) if seq == ours.rcv_nxt.0 - 1 && after == Verdict::PassOnce => {
                    prop_assert!(flags == ACK && segment.ack < before.snd_una);
                    (ack, window)
                }
                Shown::Instead(flags, _, ack, window) => {
                    prop_assert!(flags & (RST | PSH) == 0 && (flags & FIN != 0) == segment.fin);
                    prop_assert!(segment.payload == 0 || segment.fin);
                    (ack, window)
                }
                Shown::Besides(seq, ack, window) => {
                    prop_assert!(after != Verdict::Pass && seq == ours.rcv_nxt.0);
                    (ack, window)
                }
            };
            prop_assert_eq!(ack, una);
            let said = peer.snd_wnd;
            let shut = said == 0 && una < sent;
            prop_assert!(window <= said || (window == 1 && shut), "{window} of {said}");
            // Wherever the numbers are on the circle, it is the same.
            let moved = Segment {
                seq: at(segment.seq.0.wrapping_add(turn)),
                ack: at(segment.ack.0.wrapping_add(turn)),
                ..segment
            };
            let there = Ours {
                rcv_nxt: at(ours.rcv_nxt.0.wrapping_add(turn)),
                snd_max: at(ours.snd_max.0.wrapping_add(turn)),
                ..ours
            };
            let (same, other) = turned.hears(&moved, verdict, &there);
            prop_assert_eq!(same, after);
            let turns = |number: i32| number.wrapping_sub(turn);
            let back = match shown(other) {
                Shown::AsItIs => Shown::AsItIs,
                Shown::Numbers(ack, window) => Shown::Numbers(turns(ack), window),
                Shown::Instead(flags, seq, ack, window) => Shown::Instead(flags, turns(seq), turns(ack), window),
                Shown::Besides(seq, ack, window) => Shown::Besides(turns(seq), turns(ack), window),
            };
            prop_assert_eq!(back, shown(rewrite));
        }
    }
}
