extern crate std;

use super::*;
use crate::frame::flow::Flow;
use smoltcp::wire::{IpAddress, IpEndpoint};

pub(super) const AT: Instant = Instant::from_micros_const(5_000_000);

pub(super) fn segment(control: Control, seq: i32, ack: Option<i32>, payload: u16) -> Segment {
    let end = IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), 7);
    Segment {
        flow: Flow::new(end, end),
        control,
        seq: TcpSeqNumber(seq),
        ack: TcpSeqNumber(ack.unwrap_or(0)),
        has_ack: ack.is_some(),
        fin: false,
        payload,
        window: 0,
        remote_hardware: [2; 6],
    }
}

/// What a flow knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Knows {
    pub(super) view: TcpView,
    pub(super) edge: Edge,
}

impl Knows {
    pub(super) fn with(self, window: u16, scale: u8, of: EdgeOf) -> Self {
        let view = TcpView {
            rcv_wnd: window,
            ..self.view
        };
        let edge = Edge {
            scale,
            of,
            ..self.edge
        };
        Knows { view, edge }
    }

    pub(super) fn learn(&mut self, sent: &Outgoing) {
        let (view, edge) = (Cell::new(self.view), Cell::new(self.edge));
        learn(&view, &edge, sent, || self.edge.scale);
        (self.view, self.edge) = (view.get(), edge.get());
    }

    /// smoltcp has taken so many bytes.
    pub(super) fn took(&mut self, bytes: usize) {
        self.view.rcv_nxt += bytes;
    }

    pub(super) fn ended(&mut self) {
        ended(&mut self.view, &mut self.edge);
    }

    fn room(&self) -> u32 {
        self.edge.room(&self.view)
    }
}

pub(super) fn judged(segment: &Segment, knows: &Knows, half_open: bool, now: Instant) -> Verdict {
    judge(segment, &knows.view, &knows.edge, half_open, now)
}

/// Expects 1000, has sent up to 500, offers 100 bytes.
pub(super) const OPEN: Knows = Knows {
    view: TcpView {
        rcv_nxt: TcpSeqNumber(1000),
        last_ack: TcpSeqNumber(1000),
        snd_max: TcpSeqNumber(500),
        rcv_wnd: 100,
        quiet: 0,
    },
    edge: Edge::NOTHING,
};

/// The same with no room.
pub(super) const SHUT: Knows = Knows {
    view: TcpView {
        rcv_wnd: 0,
        ..OPEN.view
    },
    ..OPEN
};

pub(super) const NOTHING_MUCH: Outgoing = Outgoing {
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

pub(super) fn open(control: Control, seq: i32, ack: Option<i32>, payload: u16) -> Verdict {
    judged(&segment(control, seq, ack, payload), &OPEN, false, AT)
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
    let reset = |seq| judged(&segment(Control::Rst, seq, None, 0), &SHUT, false, AT);
    assert_eq!(reset(1000), Verdict::Pass);
    assert_eq!(reset(1001), Verdict::Drop(DropReason::InexactReset));
}

#[test]
fn a_syn_for_an_open_flow_is_challenged_wherever_it_is() {
    for seq in [0, 999, 1000, 1050, 5000] {
        for (control, ack) in [(Control::Syn, None), (Control::SynAck, Some(500))] {
            let verdict = open(control, seq, ack, 0);
            assert_eq!(verdict, Verdict::Challenge(DropReason::OpenFlow));
        }
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
    let bytes = |view: &Knows, seq, payload, at| {
        judged(
            &segment(Control::Other, seq, Some(500), payload),
            view,
            false,
            at,
        )
    };
    // Inside, at its ends, and across its beginning.
    for (seq, payload) in [(1000, 1), (1099, 1000), (990, 11), (900, 500)] {
        assert_eq!(bytes(&OPEN, seq, payload, AT), Verdict::Pass);
    }
    for (seq, payload) in [(999, 1), (1100, 1), (900, 100), (-1000, 1)] {
        let mut view = OPEN;
        assert_eq!(bytes(&view, seq, payload, AT), Verdict::PassOnce);
        view.view.answered(AT);
        let again = bytes(&view, seq, payload, AT);
        assert_eq!(again, Verdict::Drop(DropReason::Throttled));
        let later = AT + smoltcp::time::Duration::from_millis(66);
        assert_eq!(bytes(&view, seq, payload, later), Verdict::PassOnce);
        // Without bytes smoltcp limits the answers itself.
        assert_eq!(bytes(&view, seq, 0, AT), Verdict::PassEmpty);
    }
    // A flow that has answered none yet answers the first, whatever the time.
    for at in [0_i64, 1 << 31, 1 << 32] {
        let at = Instant::from_micros(at);
        assert_eq!(bytes(&OPEN, 1100, 1, at), Verdict::PassOnce);
    }
    assert_eq!(bytes(&SHUT, 1000, 0, AT), Verdict::Pass);
    assert_eq!(bytes(&SHUT, 1000, 1, AT), Verdict::PassOnce);
    assert_eq!(bytes(&SHUT, 990, 20, AT), Verdict::PassOnce);
}

#[test]
fn a_scaled_window_is_as_wide_as_it_says() {
    let mut view = OPEN.with(100, 3, EdgeOf::Syn);
    view.learn(&Outgoing {
        ack: Some(TcpSeqNumber(1000)),
        window: 100,
        ..NOTHING_MUCH
    });
    let at = |seq| judged(&segment(Control::Rst, seq, None, 0), &view, false, AT);
    assert_eq!(at(1799), Verdict::Challenge(DropReason::InexactReset));
    assert_eq!(at(1800), Verdict::Drop(DropReason::InexactReset));
}

#[test]
fn before_our_first_scaled_window_nothing_past_the_edge_passes() {
    let first = OPEN.with(100, 1, EdgeOf::Syn);
    let bytes = |view: &Knows, seq, payload| {
        let segment = segment(Control::Other, seq, Some(500), payload);
        judged(&segment, view, false, AT)
    };
    for (seq, payload) in [(1000, 100), (1099, 1), (990, 110), (1000, 1)] {
        assert_eq!(bytes(&first, seq, payload), Verdict::Pass);
    }
    let past = Verdict::Challenge(DropReason::PastEdge);
    for (seq, payload) in [(1000, 101), (1099, 2), (1100, 1), (5000, 9), (990, 111)] {
        assert_eq!(bytes(&first, seq, payload), past, "{seq}");
    }
    // What came before is no more than old.
    assert_eq!(bytes(&first, 900, 100), Verdict::PassOnce);
    let mut later = first;
    later.learn(&Outgoing {
        ack: Some(TcpSeqNumber(1000)),
        window: 50,
        ..NOTHING_MUCH
    });
    assert_eq!(later.room(), 100);
    assert_eq!(
        bytes(&later, 1000, 101),
        Verdict::Pass,
        "smoltcp cuts it off"
    );
}

#[test]
fn a_fin_passes_with_all_its_bytes_or_not_at_all() {
    let fin = |view: &Knows, seq, payload| {
        let mut segment = segment(Control::Other, seq, Some(500), payload);
        segment.fin = true;
        judged(&segment, view, false, AT)
    };
    let past = Verdict::Challenge(DropReason::PastEdge);
    for (seq, payload) in [(1000, 100), (1099, 1), (990, 110), (1000, 0), (1099, 0)] {
        assert_eq!(fin(&OPEN, seq, payload), Verdict::Pass);
    }
    for (seq, payload) in [(1000, 101), (1099, 2), (1100, 1), (990, 111)] {
        assert_eq!(fin(&OPEN, seq, payload), past, "{seq}");
    }
    assert_eq!(fin(&OPEN, 1100, 0), Verdict::PassEmpty);
    assert_eq!(fin(&OPEN, 900, 100), Verdict::PassOnce);
    assert_eq!(fin(&SHUT, 1000, 0), Verdict::Pass);
    assert_eq!(fin(&SHUT, 1000, 1), past);
    // A byte that may be a probe: what it offered smoltcp may have forgotten.
    let frame = Outgoing {
        payload: 1,
        ack: Some(TcpSeqNumber(1000)),
        window: 200,
        ..NOTHING_MUCH
    };
    let mut asked = OPEN;
    asked.learn(&frame);
    assert_eq!(fin(&asked, 1000, 100), Verdict::Pass);
    assert_eq!(fin(&asked, 1000, 101), past);
    asked.learn(&Outgoing {
        window: 99,
        ..frame
    });
    assert_eq!(fin(&asked, 1000, 99), Verdict::Pass);
    assert_eq!(fin(&asked, 1000, 100), past);
    // It may remember any of them.
    asked.learn(&frame);
    assert_eq!(fin(&asked, 1000, 99), Verdict::Pass);
    assert_eq!(fin(&asked, 1000, 100), past);
    asked.learn(&Outgoing {
        payload: 2,
        ..frame
    });
    assert_eq!(fin(&asked, 1000, 200), Verdict::Pass);
}

/// Of a flow whose every frame since our SYN had one byte, smoltcp remembers the edge of any
/// of them.
#[test]
fn a_fin_behind_a_doubted_edge_does_not_pass_right_after_our_syn() {
    let mut first = OPEN.with(100, 1, EdgeOf::Syn);
    let one_byte = |window| Outgoing {
        payload: 1,
        ack: Some(TcpSeqNumber(1000)),
        window,
        ..NOTHING_MUCH
    };
    let fin = |known: &Knows, payload| {
        let mut segment = segment(Control::Other, 1000, Some(500), payload);
        segment.fin = true;
        judged(&segment, known, false, AT)
    };
    let past = Verdict::Challenge(DropReason::PastEdge);
    first.learn(&one_byte(60));
    assert_eq!(fin(&first, 120), Verdict::Pass);
    assert_eq!(fin(&first, 121), past);
    // Perhaps a question.
    first.learn(&one_byte(61));
    assert_eq!(first.edge.of, EdgeOf::Syn);
    assert_eq!(fin(&first, 120), Verdict::Pass);
    for payload in [121, 122] {
        assert_eq!(fin(&first, payload), past);
    }
    first.learn(&Outgoing {
        payload: 0,
        ..one_byte(61)
    });
    assert_eq!(fin(&first, 122), Verdict::Pass);
    // Or the edge of our SYN, as if that had been scaled: 200 bytes.
    let mut read = OPEN.with(100, 1, EdgeOf::Syn);
    read.learn(&one_byte(300));
    assert_eq!(fin(&read, 200), Verdict::Pass);
    assert_eq!(fin(&read, 201), past);
}

#[test]
fn after_a_fin_nothing_but_acknowledgements_and_old_bytes_pass() {
    let mut ended = OPEN;
    ended.took(10);
    ended.ended();
    let at = |view: &Knows, control, seq, payload, fin| {
        let mut segment = segment(control, seq, Some(500), payload);
        segment.fin = fin;
        judged(&segment, view, false, AT)
    };
    let mut acknowledged = ended;
    acknowledged.learn(&Outgoing {
        ack: Some(TcpSeqNumber(1011)),
        window: 90,
        ..NOTHING_MUCH
    });
    for view in [ended, acknowledged] {
        for fin in [false, true] {
            for (seq, payload) in [(1011, 1), (1000, 12), (1010, 2), (1050, 500)] {
                let verdict = at(&view, Control::Other, seq, payload, fin);
                assert_eq!(verdict, Verdict::Drop(DropReason::AfterEnd), "{seq}");
            }
            for (seq, payload) in [(1000, 10), (1000, 11), (900, 50)] {
                let verdict = at(&view, Control::Other, seq, payload, fin);
                assert_eq!(verdict, Verdict::PassOnce, "{seq}");
            }
            assert_eq!(at(&view, Control::Other, 1011, 0, fin), Verdict::Pass);
            assert_eq!(at(&view, Control::Other, 1010, 0, fin), Verdict::PassEmpty);
        }
        assert_eq!(at(&view, Control::Rst, 1011, 0, false), Verdict::Pass);
    }
}

#[test]
fn the_peers_syn_says_whether_windows_are_scaled() {
    let syn = Outgoing {
        syn: true,
        seq: TcpSeqNumber(499),
        window: 65_535,
        ..NOTHING_MUCH
    };
    for scales in [false, true] {
        let view = TcpView::NOTHING;
        let mut view = Knows { view, ..OPEN }.with(0, 2, EdgeOf::Window);
        view.learn(&syn);
        answered_with(&mut view.view, &mut view.edge, TcpSeqNumber(-7), scales);
        assert_eq!((view.view.rcv_nxt.0, view.view.snd_max.0), (-6, 500));
        assert_eq!(view.room(), 65_534);
        let expected = match scales {
            true => (2, EdgeOf::Syn),
            false => (0, EdgeOf::Window),
        };
        assert_eq!((view.edge.scale, view.edge.of), expected);
        view.learn(&Outgoing {
            ack: Some(TcpSeqNumber(-6)),
            window: 1000,
            ..NOTHING_MUCH
        });
        assert_eq!(view.room(), 1000 << view.edge.scale);
        assert_eq!(view.edge.of, EdgeOf::Window);
    }
}

#[test]
fn a_half_open_flow_waits_for_its_acknowledgement() {
    let silent = Knows {
        view: TcpView::of_syn(TcpSeqNumber(999)),
        ..OPEN
    };
    let judge = |view: &Knows, segment: &Segment| judged(segment, view, true, AT);
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
    // The answer to a SYN of ours, when both connect.
    for seq in [999, 5000] {
        let answer = segment(Control::SynAck, seq, Some(500), 0);
        assert_eq!(judge(&spoke, &answer), Verdict::Pass);
    }
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
fn what_was_taken_and_not_acknowledged_yet_is_no_room() {
    let mut taken = OPEN;
    taken.took(90);
    let at = |control, seq, payload| {
        let segment = segment(control, seq, Some(500), payload);
        judged(&segment, &taken, false, AT)
    };
    assert_eq!(taken.room(), 10);
    assert_eq!(at(Control::Other, 1090, 10), Verdict::Pass);
    assert_eq!(at(Control::Other, 1100, 1), Verdict::PassOnce);
    assert_eq!(
        at(Control::Rst, 1090, 0),
        Verdict::Pass,
        "right behind text"
    );
    let inexact = DropReason::InexactReset;
    for seq in [1091, 1099] {
        assert_eq!(at(Control::Rst, seq, 0), Verdict::Challenge(inexact));
    }
    for seq in [1000, 1089, 1100] {
        assert_eq!(at(Control::Rst, seq, 0), Verdict::Drop(inexact));
    }
}

#[test]
fn a_syn_is_expected_to_be_followed_by_what_is_behind_it() {
    let view = TcpView::of_syn(TcpSeqNumber(999));
    assert_eq!((view.rcv_nxt.0, view.last_ack.0), (1000, 1000));
    assert!(!view.spoke());
}

/// RFC 5961, 3.2: "the receiver sends an acknowledgment"; smoltcp does for a segment that
/// lies before its window and acknowledges all there is.
#[test]
fn a_challenge_lies_before_the_window_and_acknowledges_all() {
    let challenge = OPEN.view.challenge();
    assert_eq!(challenge.flags, ACK);
    assert_eq!((challenge.seq.0, challenge.ack.0), (999, 500));
    assert_eq!((challenge.window, challenge.mss), (0, None));
    let wraps = TcpView {
        rcv_nxt: TcpSeqNumber(i32::MIN),
        ..OPEN.view
    };
    assert_eq!(wraps.challenge().seq.0, i32::MAX);
}

#[test]
fn what_left_is_learned_and_resets_teach_nothing() {
    let mut view = OPEN;
    let frame = Outgoing {
        payload: 20,
        ack: Some(TcpSeqNumber(1010)),
        seq: TcpSeqNumber(500),
        window: 90,
        ..NOTHING_MUCH
    };
    view.learn(&frame);
    assert_eq!((view.view.last_ack.0, view.view.snd_max.0), (1010, 520));
    assert_eq!(view.view.rcv_nxt.0, 1000, "what smoltcp took");
    // A retransmission takes nothing back; a FIN counts.
    view.learn(&Outgoing {
        payload: 1,
        ..frame
    });
    assert_eq!(view.view.snd_max.0, 520);
    view.learn(&Outgoing { fin: true, ..frame });
    assert_eq!(view.view.snd_max.0, 521);
    let rst = Outgoing {
        rst: true,
        seq: TcpSeqNumber(9000),
        ..frame
    };
    view.learn(&rst);
    assert_eq!(view.view.snd_max.0, 521);
}
