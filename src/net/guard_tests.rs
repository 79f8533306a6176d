extern crate std;

use super::*;
use crate::net::flow::Flow;
use proptest::prelude::*;
use smoltcp::wire::{IpAddress, IpEndpoint};

const AT: Instant = Instant::from_micros_const(5_000_000);

fn segment(control: Control, seq: i32, ack: Option<i32>, payload: u16) -> Segment {
    let end = IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), 7);
    Segment {
        flow: Flow::new(end, end),
        control,
        seq: TcpSeqNumber(seq),
        ack: TcpSeqNumber(ack.unwrap_or(0)),
        has_ack: ack.is_some(),
        fin: false,
        payload,
        remote_hardware: [2; 6],
    }
}

/// Expects 1000, has sent up to 500, offers 100 bytes.
const OPEN: Known = Known {
    acked: TcpSeqNumber(1000),
    sent: TcpSeqNumber(500),
    window: 100,
    quiet: 0,
};

const NOTHING_MUCH: Outgoing = Outgoing {
    syn: false,
    fin: false,
    rst: false,
    psh: false,
    payload: 0,
    ack: None,
    seq: TcpSeqNumber(0),
    window: 0,
    start: 0,
    pseudo: 0,
};

fn open(control: Control, seq: i32, ack: Option<i32>, payload: u16) -> Verdict {
    judge(&segment(control, seq, ack, payload), &OPEN, false, 0, AT)
}

#[test]
fn only_an_exact_reset_counts() {
    for ack in [None, Some(0), Some(9999)] {
        let reset = |seq| open(Control::Rst, seq, ack, 0);
        assert_eq!(reset(1000), Verdict::Pass);
        for seq in [1001, 1099] {
            assert_eq!(reset(seq), Verdict::Challenge(DropReason::InexactReset));
        }
        for seq in [999, 1100, 0, -1, i32::MAX, i32::MIN] {
            assert_eq!(reset(seq), Verdict::Drop(DropReason::InexactReset));
        }
    }
}

#[test]
fn with_no_window_only_the_exact_reset_counts() {
    let shut = Known { window: 0, ..OPEN };
    let reset = |seq| judge(&segment(Control::Rst, seq, None, 0), &shut, false, 0, AT);
    assert_eq!(reset(1000), Verdict::Pass);
    assert_eq!(reset(1001), Verdict::Drop(DropReason::InexactReset));
}

#[test]
fn a_syn_for_an_open_flow_is_challenged_wherever_it_is() {
    for seq in [0, 999, 1000, 1050, 5000] {
        let verdict = open(Control::Syn, seq, None, 0);
        assert_eq!(verdict, Verdict::Challenge(DropReason::OpenFlow));
    }
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_challenged() {
    for payload in [0, 10] {
        assert_eq!(
            open(Control::Other, 1000, Some(500), payload),
            Verdict::Pass
        );
        for ack in [501, 502, 100_000, i32::MIN + 400] {
            let verdict = open(Control::Other, 1000, Some(ack), payload);
            assert_eq!(verdict, Verdict::Challenge(DropReason::NeverSent), "{ack}");
        }
    }
    assert_eq!(open(Control::Other, 1000, Some(-5), 0), Verdict::Pass);
    assert_eq!(open(Control::Other, 1000, None, 0), Verdict::Pass);
}

#[test]
fn bytes_outside_the_window_pass_once_in_a_while() {
    let bytes = |known: &Known, seq, payload, at| {
        judge(
            &segment(Control::Other, seq, Some(500), payload),
            known,
            false,
            0,
            at,
        )
    };
    // Inside, at its ends, and across its beginning.
    for (seq, payload) in [(1000, 1), (1099, 1000), (990, 11), (900, 500)] {
        assert_eq!(bytes(&OPEN, seq, payload, AT), Verdict::Pass);
    }
    for (seq, payload) in [(999, 1), (1100, 1), (900, 100), (-1000, 1)] {
        let mut known = OPEN;
        assert_eq!(bytes(&known, seq, payload, AT), Verdict::PassOnce);
        known.answered(AT);
        let again = bytes(&known, seq, payload, AT);
        assert_eq!(again, Verdict::Drop(DropReason::Throttled));
        let later = AT + smoltcp::time::Duration::from_millis(66);
        assert_eq!(bytes(&known, seq, payload, later), Verdict::PassOnce);
        // Without bytes smoltcp limits the answers itself.
        assert_eq!(bytes(&known, seq, 0, AT), Verdict::PassEmpty);
    }
    // A flow that has answered none yet answers the first, whatever the time.
    for at in [0_i64, 1 << 31, 1 << 32] {
        let at = Instant::from_micros(at);
        assert_eq!(bytes(&OPEN, 1100, 1, at), Verdict::PassOnce);
    }
    let shut = Known { window: 0, ..OPEN };
    assert_eq!(bytes(&shut, 1000, 0, AT), Verdict::Pass);
    assert_eq!(bytes(&shut, 1000, 1, AT), Verdict::PassOnce);
    assert_eq!(bytes(&shut, 990, 20, AT), Verdict::PassOnce);
}

#[test]
fn a_scaled_window_is_as_wide_as_it_says() {
    let at = |seq| judge(&segment(Control::Rst, seq, None, 0), &OPEN, false, 3, AT);
    assert_eq!(at(1799), Verdict::Challenge(DropReason::InexactReset));
    assert_eq!(at(1800), Verdict::Drop(DropReason::InexactReset));
}

#[test]
fn a_half_open_flow_waits_for_its_acknowledgement() {
    let silent = Known::of_syn(TcpSeqNumber(999));
    let judge = |known: &Known, segment: &Segment| judge(segment, known, true, 0, AT);
    let syn = |seq| segment(Control::Syn, seq, None, 0);
    let rst = |seq| segment(Control::Rst, seq, None, 0);
    // Before our answer left, nothing can be challenged.
    assert_eq!(judge(&silent, &syn(999)), Verdict::Pass);
    assert_eq!(judge(&silent, &syn(5000)), Verdict::Pass);
    assert_eq!(judge(&silent, &rst(1000)), Verdict::Pass);
    assert_eq!(
        judge(&silent, &rst(1001)),
        Verdict::Drop(DropReason::InexactReset)
    );
    let mut spoke = silent;
    spoke.learn(&Outgoing {
        syn: true,
        ack: Some(TcpSeqNumber(1000)),
        seq: TcpSeqNumber(499),
        window: 100,
        ..NOTHING_MUCH
    });
    assert_eq!(spoke, OPEN);
    assert_eq!(judge(&spoke, &syn(999)), Verdict::Pass, "the same again");
    assert_eq!(
        judge(&spoke, &syn(5000)),
        Verdict::Challenge(DropReason::OpenFlow)
    );
    assert_eq!(
        judge(&spoke, &rst(1001)),
        Verdict::Challenge(DropReason::InexactReset)
    );
    // A wrong acknowledgement is smoltcp's to reset.
    let ack = segment(Control::Other, 1000, Some(501), 0);
    assert_eq!(judge(&spoke, &ack), Verdict::Pass);
}

#[test]
fn only_a_bare_repetition_before_our_fin_is_one() {
    let known = Known {
        acked: TcpSeqNumber(1000),
        sent: TcpSeqNumber(501),
        window: 100,
        quiet: 0,
    };
    let repeats = |change: fn(&mut Segment)| {
        let mut segment = segment(Control::Other, 1000, Some(500), 0);
        change(&mut segment);
        known.repeats_all_but_fin(&segment)
    };
    assert!(repeats(|_| ()));
    assert!(!repeats(|segment| segment.ack += 1), "all, with the FIN");
    assert!(!repeats(|segment| segment.ack = TcpSeqNumber(499)));
    assert!(!repeats(|segment| segment.control = Control::Rst));
    assert!(!repeats(|segment| segment.payload = 1));
    assert!(
        !repeats(|segment| segment.seq = TcpSeqNumber(999)),
        "a keep-alive"
    );
    assert!(!repeats(|segment| segment.fin = true));
}

#[test]
fn what_left_is_learned_and_resets_teach_nothing() {
    let mut known = OPEN;
    let frame = Outgoing {
        payload: 20,
        ack: Some(TcpSeqNumber(1010)),
        seq: TcpSeqNumber(500),
        window: 90,
        ..NOTHING_MUCH
    };
    known.learn(&frame);
    assert_eq!((known.acked.0, known.sent.0, known.window), (1010, 520, 90));
    // A retransmission takes nothing back; a FIN counts.
    known.learn(&Outgoing {
        payload: 1,
        ..frame
    });
    assert_eq!(known.sent.0, 520);
    known.learn(&Outgoing { fin: true, ..frame });
    assert_eq!(known.sent.0, 521);
    let rst = Outgoing {
        rst: true,
        seq: TcpSeqNumber(9000),
        ..frame
    };
    known.learn(&rst);
    assert_eq!(known.sent.0, 521);
}

proptest! {
    /// Wherever the numbers are on the circle, the answer is the same.
    #[test]
    fn the_verdict_does_not_depend_on_where_the_numbers_are(
        control in prop::sample::select(std::vec![Control::Syn, Control::Rst, Control::Other]),
        seq in -300i32..300, ack in prop::option::of(-300i32..300), payload in 0u16..300,
        half_open: bool, turn: i32, spin: i32,
    ) {
        let base = Known { sent: TcpSeqNumber(500), ..OPEN };
        let turned = Known {
            acked: TcpSeqNumber(base.acked.0.wrapping_add(turn)),
            sent: TcpSeqNumber(base.sent.0.wrapping_add(spin)),
            ..base
        };
        prop_assume!(turned.spoke());
        let one = segment(control, 1000 + seq, ack.map(|ack| 500 + ack), payload);
        let two = segment(
            control,
            (1000 + seq).wrapping_add(turn),
            ack.map(|ack| (500 + ack).wrapping_add(spin)),
            payload,
        );
        prop_assert_eq!(judge(&one, &base, half_open, 0, AT), judge(&two, &turned, half_open, 0, AT));
    }
}
