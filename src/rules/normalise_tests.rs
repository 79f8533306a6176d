//! Each rule on a flow that expects 5,000, has sent 1,000 up to 2,000 and has all of that in
//! its queue.
use smoltcp::wire::{IpAddress, IpEndpoint};

use super::*;
use crate::frame::flow::Flow;

pub(super) const OURS: Ours = Ours {
    rcv_nxt: TcpSeqNumber(5000),
    snd_max: TcpSeqNumber(2000),
    max_rcv_wnd: 65_535,
    queued: 1000,
};

/// Nothing is in flight, and the queue is full.
pub(super) const IDLE: Ours = Ours {
    snd_max: TcpSeqNumber(1000),
    queued: 4000,
    ..OURS
};

pub(super) fn at(number: i32) -> TcpSeqNumber {
    TcpSeqNumber(number)
}

/// A peer with segments of 536 and a window of 4,000 that has acknowledged up to 1,000.
pub(super) fn peer() -> PeerView {
    PeerView::of_syn(536, None, 4000, Some(at(1000)))
}

/// An acknowledgement of nothing new.
pub(super) fn ack() -> Segment {
    let end = IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), 7);
    Segment {
        flow: Flow::new(end, end),
        control: Control::Other,
        seq: at(5000),
        ack: at(1000),
        has_ack: true,
        fin: false,
        payload: 0,
        window: 4000,
        remote_hardware: [2; 6],
    }
}

pub(super) fn text(seq: i32, payload: u16) -> Segment {
    Segment {
        seq: at(seq),
        payload,
        ..ack()
    }
}

/// What was shown, in words that can be compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shown {
    AsItIs,
    Numbers(i32, u16),
    Instead(u8, i32, i32, u16),
    Besides(i32, i32, u16),
}

pub(super) fn shown(rewrite: Rewrite) -> Shown {
    match rewrite {
        Rewrite::AsItIs => Shown::AsItIs,
        Rewrite::Numbers(bare) => Shown::Numbers(bare.ack.0, bare.window),
        Rewrite::Instead(bare) => Shown::Instead(bare.flags, bare.seq.0, bare.ack.0, bare.window),
        Rewrite::Besides(bare) => {
            assert_eq!((bare.flags, bare.mss), (ACK, None));
            Shown::Besides(bare.seq.0, bare.ack.0, bare.window)
        }
    }
}

/// What smoltcp is shown of a segment that is in the window.
pub(super) fn passes(peer: &mut PeerView, segment: &Segment, ours: &Ours) -> Shown {
    let (verdict, rewrite) = peer.hears(segment, Verdict::Pass, ours);
    assert_eq!(verdict, Verdict::Pass);
    shown(rewrite)
}

pub(super) const DROPPED: Verdict = Verdict::Drop(DropReason::Throttled);

pub(super) fn is_plain(peer: &PeerView, segment: &Segment, snd_max: TcpSeqNumber) -> bool {
    let mut peer = *peer;
    peer.takes_plain(segment, snd_max)
}

#[test]
fn nearly_all_segments_are_plain() {
    let plain = |change: fn(&mut Segment)| {
        let mut segment = ack();
        change(&mut segment);
        is_plain(&peer(), &segment, OURS.snd_max)
    };
    assert!(plain(|_| ()));
    assert!(plain(|segment| segment.ack = at(1998)));
    assert!(plain(|segment| segment.ack = at(2000)));
    assert!(plain(|segment| segment.window = 536), "worth being used");
    assert!(plain(|segment| segment.payload = 100));
    let looked_at: [fn(&mut Segment); 8] = [
        |segment| segment.has_ack = false,
        |segment| segment.ack = at(999),
        |segment| segment.ack = at(1999), // all but our FIN, perhaps
        |segment| segment.ack = at(2001),
        |segment| segment.ack = at(i32::MIN),
        |segment| segment.window = 535,
        |segment| segment.window = 0,
        |segment| segment.window = 4001, // the widest so far
    ];
    for (number, change) in looked_at.into_iter().enumerate() {
        assert!(!plain(change), "{number}");
    }
}

#[test]
fn a_peer_is_looked_at_until_our_syn_is_acknowledged() {
    let mut new = PeerView::of_syn(1460, Some(7), 64_000, None);
    let ours = Ours {
        snd_max: at(1001),
        queued: 0,
        ..OURS
    };
    let third = |number| Segment {
        ack: at(number),
        ..ack()
    };
    assert!(!is_plain(&new, &third(1001), ours.snd_max));
    // Another acknowledgement is smoltcp's to reset, and is not believed.
    let before = new;
    for wrong in [1000, 1002, -7] {
        assert_eq!(passes(&mut new, &third(wrong), &ours), Shown::AsItIs);
        assert_eq!(new, before);
    }
    assert_eq!(passes(&mut new, &third(1001), &ours), Shown::AsItIs);
    assert_eq!((new.snd_una, new.edge()), (at(1001), at(1001 + 4000 * 128)));
    assert!(is_plain(&new, &third(1001), ours.snd_max));
}

#[test]
fn a_reset_is_shown_with_nothing_beside_it() {
    let mut reset = Segment {
        control: Control::Rst,
        fin: true,
        ..text(5000, 9)
    };
    let bare = passes(&mut peer(), &reset, &OURS);
    assert_eq!(bare, Shown::Instead(RST | ACK, 5000, 1000, 0));
    reset.has_ack = false;
    let bare = passes(&mut peer(), &reset, &OURS);
    assert_eq!(bare, Shown::Instead(RST, 5000, 1000, 0));
    // One that the guard refuses stays what it is.
    for verdict in [DROPPED, Verdict::Challenge(DropReason::InexactReset)] {
        let (same, rewrite) = peer().hears(&reset, verdict, &OURS);
        assert_eq!((same, shown(rewrite)), (verdict, Shown::AsItIs));
    }
}

#[test]
fn an_acknowledgement_counts_whatever_becomes_of_its_segment() {
    let verdicts = [
        DROPPED,
        Verdict::PassOnce,
        Verdict::PassEmpty,
        Verdict::Challenge(DropReason::PastEdge),
        Verdict::Drop(DropReason::AfterEnd),
    ];
    for verdict in verdicts {
        for (seq, payload) in [(5000, 1), (5001, 0), (4999, 0), (4000, 900), (9000, 500)] {
            let mut peer = peer();
            let segment = Segment {
                ack: at(1600),
                window: 3000,
                ..text(seq, payload)
            };
            let (same, rewrite) = peer.hears(&segment, verdict, &OURS);
            let expected = Shown::Besides(5000, 1600, 3000);
            assert_eq!((same, shown(rewrite)), (verdict, expected), "{seq}");
            assert_eq!(peer.snd_una, at(1600));
            // Once is enough.
            let (_, again) = peer.hears(&segment, verdict, &OURS);
            assert_eq!(shown(again), Shown::AsItIs);
        }
    }
}

#[test]
fn a_window_counts_unless_it_is_older_than_what_is_known() {
    for (seq, believed) in [(4999, true), (5000, true), (5001, true), (4998, false)] {
        let mut peer = peer();
        let segment = Segment {
            window: 3000,
            ..text(seq, 0)
        };
        let (_, rewrite) = peer.hears(&segment, Verdict::PassEmpty, &OURS);
        let expected = match believed {
            true => Shown::Besides(5000, 1000, 3000),
            false => Shown::AsItIs,
        };
        assert_eq!(shown(rewrite), expected, "{seq}");
    }
    // From too far away nothing counts.
    for seq in [5000 + 65_536, 5000 - 65_536, i32::MIN] {
        let far = Segment {
            ack: at(1600),
            ..text(seq, 5)
        };
        let (_, rewrite) = peer().hears(&far, DROPPED, &OURS);
        assert_eq!(shown(rewrite), Shown::AsItIs, "{seq}");
    }
}

#[test]
fn what_was_never_sent_is_not_believed() {
    let mut view = peer();
    let segment = Segment {
        ack: at(2001),
        ..text(5000, 5)
    };
    let never = Verdict::Challenge(DropReason::NeverSent);
    let (verdict, rewrite) = view.hears(&segment, never, &OURS);
    assert_eq!((verdict, shown(rewrite)), (never, Shown::AsItIs));
    assert_eq!(view, peer());
}

#[test]
fn text_with_an_older_acknowledgement_is_shown_with_the_last_one() {
    let old = |before: i32, payload, fin| Segment {
        ack: at(1000 - before),
        window: 100,
        fin,
        ..text(5000, payload)
    };
    let shown_as = |segment: &Segment| passes(&mut peer(), segment, &OURS);
    assert_eq!(shown_as(&old(300, 5, false)), Shown::Numbers(1000, 4000));
    assert_eq!(shown_as(&old(4000, 5, true)), Shown::Numbers(1000, 4000));
    let fin = Shown::Instead(ACK | FIN, 5000, 1000, 4000);
    assert_eq!(shown_as(&old(300, 0, true)), fin);
    // Nothing else is in it.
    assert_eq!(shown_as(&old(300, 0, false)), Shown::AsItIs);
    // Text that is old too is answered.
    let (_, rewrite) = peer().hears(&old(300, 5, false), Verdict::PassOnce, &OURS);
    assert_eq!(shown(rewrite), Shown::Instead(ACK, 4999, 1000, 4000));
    // RFC 5961, 5.2.
    for (payload, fin) in [(5, false), (0, true)] {
        let (verdict, rewrite) = peer().hears(&old(4001, payload, fin), Verdict::Pass, &OURS);
        assert_eq!(verdict, Verdict::Challenge(DropReason::NeverSent));
        assert_eq!(shown(rewrite), Shown::AsItIs);
    }
}

#[test]
fn an_end_behind_old_text_is_shown_alone() {
    for verdict in [Verdict::PassOnce, DROPPED] {
        for (seq, payload, alone) in [(4997, 3, true), (4999, 1, true), (4996, 3, false)] {
            let segment = Segment {
                fin: true,
                ack: at(1500),
                ..text(seq, payload)
            };
            let (passed, rewrite) = peer().hears(&segment, verdict, &OURS);
            let (expected, end) = match alone {
                true => (Verdict::Pass, Shown::Instead(ACK | FIN, 5000, 1500, 4000)),
                false => (verdict, Shown::Besides(5000, 1500, 4000)),
            };
            assert_eq!((passed, shown(rewrite)), (expected, end), "{seq}");
        }
    }
    // With some new text smoltcp finds it.
    let segment = Segment {
        fin: true,
        ..text(4998, 3)
    };
    assert_eq!(passes(&mut peer(), &segment, &OURS), Shown::AsItIs);
}

#[test]
fn an_early_end_is_due_when_all_bytes_have_come() {
    let mut peer = peer();
    let early = Segment {
        fin: true,
        ..text(5010, 5)
    };
    assert_eq!(passes(&mut peer, &early, &OURS), Shown::AsItIs);
    assert!(
        !is_plain(&peer, &ack(), OURS.snd_max),
        "looked at meanwhile"
    );
    // Text past it is none, also in another place, and another FIN changes nothing.
    for (seq, payload) in [(5015, 1), (5000, 16)] {
        let (verdict, rewrite) = peer.hears(&text(seq, payload), Verdict::Pass, &OURS);
        assert_eq!(verdict, Verdict::Drop(DropReason::AfterEnd));
        assert_eq!(shown(rewrite), Shown::AsItIs);
    }
    let other = Segment {
        fin: true,
        ..text(5012, 0)
    };
    assert_eq!(passes(&mut peer, &other, &OURS), Shown::AsItIs);
    for rcv_nxt in [5000, 5014] {
        assert!(peer.end_due(at(rcv_nxt)).is_none());
    }
    let due = peer.end_due(at(5015)).map(Rewrite::Instead).map(shown);
    assert_eq!(due, Some(Shown::Instead(ACK | FIN, 5015, 1000, 4000)));
    assert!(peer.end_due(at(5015)).is_none(), "once");
    assert!(is_plain(&peer, &ack(), OURS.snd_max));
}

#[test]
fn an_early_end_that_text_went_past_is_none() {
    let mut peer = peer();
    let early = Segment {
        fin: true,
        ..text(5010, 5)
    };
    passes(&mut peer, &early, &OURS);
    assert!(peer.end_due(at(5016)).is_none());
    assert!(peer.end_due(at(5015)).is_none());
}

#[test]
fn a_repeated_acknowledgement_with_only_our_fin_in_flight_is_dropped() {
    let fin = Ours {
        snd_max: at(1001),
        queued: 0,
        ..OURS
    };
    assert!(!is_plain(&peer(), &ack(), fin.snd_max));
    for seq in [5000, 5010] {
        let (verdict, _) = peer().hears(&text(seq, 0), Verdict::Pass, &fin);
        assert_eq!(verdict, Verdict::Drop(DropReason::RepeatedAck));
    }
    let counts: [fn(&mut Segment); 3] = [
        |segment| segment.ack = at(1001),
        |segment| segment.payload = 1,
        |segment| segment.fin = true,
    ];
    for change in counts {
        let mut segment = ack();
        change(&mut segment);
        assert_eq!(passes(&mut peer(), &segment, &fin), Shown::AsItIs);
    }
    // A byte in flight is no FIN, and a keep-alive asks for an answer.
    let byte = Ours { queued: 1, ..fin };
    assert_eq!(passes(&mut peer(), &ack(), &byte), Shown::AsItIs);
    let (verdict, _) = peer().hears(&text(4999, 0), Verdict::PassEmpty, &fin);
    assert_eq!(verdict, Verdict::PassEmpty);
}

#[test]
fn before_our_syn_is_answered_a_wrong_acknowledgement_is_shown_alone() {
    let snd_max = at(1001);
    let segment = |control, number: Option<i32>| Segment {
        control,
        ack: at(number.unwrap_or(0)),
        has_ack: number.is_some(),
        fin: true,
        ..text(77, 5)
    };
    for (control, number, expected) in [
        (Control::Other, Some(1000), Shown::Instead(ACK, 77, 1000, 0)),
        (Control::Other, Some(1002), Shown::Instead(ACK, 77, 1002, 0)),
        (Control::SynAck, Some(9), Shown::Instead(ACK, 77, 9, 0)),
        (Control::Other, Some(1001), Shown::AsItIs),
        (Control::SynAck, Some(1001), Shown::AsItIs),
        (Control::Syn, None, Shown::AsItIs),
        (Control::Other, None, Shown::AsItIs),
        (Control::Rst, None, Shown::AsItIs),
        (Control::Rst, Some(1000), Shown::AsItIs),
        (
            Control::Rst,
            Some(1001),
            Shown::Instead(RST | ACK, 77, 1001, 0),
        ),
    ] {
        let seen = connecting(&segment(control, number), snd_max);
        assert_eq!(shown(seen), expected, "{control:?} {number:?}");
    }
}

#[test]
fn an_mss_is_what_it_means_and_not_more_than_our_link() {
    for (offer, is_ipv4, floor, link, expected) in [
        (None, true, 0, 1460, 536),
        (None, false, 0, 1440, 1220),
        (Some(0), true, 0, 1460, 536),
        (Some(1400), true, 0, 1460, 1400),
        (Some(65_535), true, 0, 1460, 1460),
        (Some(48), true, 0, 1460, 48),
        (Some(48), true, 500, 1460, 500),
        (None, true, 600, 1460, 600),
        (Some(1400), true, 2000, 1460, 1460),
        (None, true, 0, 28, 28),
    ] {
        assert_eq!(mss(offer, is_ipv4, floor, link), expected, "{offer:?}");
    }
}
