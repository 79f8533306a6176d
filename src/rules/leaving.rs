//! The number of a segment that leaves without text. After a timeout or a probe smoltcp
//! counts from an earlier number again, and says so in its acknowledgements and resets: a
//! peer takes those for old, throws them away, and what they acknowledge with them. Two
//! such hosts ignore each other until one gives up.
//!
//! The rule (RFC 9293, 3.10.7.4): an acknowledgement is "<SEQ=SND.NXT>", and that is the
//! highest number ever sent; but a byte past the edge that the peer offered is a probe, and
//! counts only if it is acknowledged: a peer with a shut window takes nothing but the
//! number at its edge.
//!
//! Not here: frames that belong to no flow, and how the number is written (`patch.rs`).

use smoltcp::wire::TcpSeqNumber;

use crate::frame::sent::Outgoing;

/// What a flow has sent and the peer has not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InFlight {
    snd_una: TcpSeqNumber,
    /// One past the highest number sent that is not past the edge.
    top: TcpSeqNumber,
}

impl InFlight {
    /// Numbers from `snd_una` up to `snd_max`, and not past `edge`.
    #[inline]
    pub(crate) fn new(snd_una: TcpSeqNumber, snd_max: TcpSeqNumber, edge: TcpSeqNumber) -> Self {
        let top = if after(snd_max, edge) > 0 {
            edge
        } else {
            snd_max
        };
        InFlight { snd_una, top }
    }

    /// The number that a leaving frame must carry instead of its own, if so.
    #[inline]
    pub(crate) fn raises(&self, sent: &Outgoing) -> Option<TcpSeqNumber> {
        // A reset without an acknowledgement answers a segment, with a number from there
        // (RFC 9293, 3.5.2).
        let answers = sent.rst && sent.ack.is_none();
        // Nor has one a number of ours before our SYN is acknowledged.
        if sent.payload > 0 || sent.syn || sent.fin || answers || self.snd_una.0 == 0 {
            return None;
        }
        (after(sent.seq, self.top) < 0).then_some(self.top)
    }
}

/// How far `this` lies after `that`; negative when it lies before.
fn after(this: TcpSeqNumber, that: TcpSeqNumber) -> i32 {
    this.0.wrapping_sub(that.0)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    const BARE: Outgoing = Outgoing {
        syn: false,
        fin: false,
        rst: false,
        psh: false,
        payload: 0,
        ack: Some(TcpSeqNumber(9)),
        seq: TcpSeqNumber(1000),
        window: 100,
        start: 34,
        pseudo: 0,
    };

    fn seq(number: i32) -> TcpSeqNumber {
        TcpSeqNumber(number)
    }

    fn raised(sent: Outgoing) -> Option<i32> {
        let flight = InFlight::new(seq(1000), seq(1500), seq(2000));
        flight.raises(&sent).map(|seq| seq.0)
    }

    #[test]
    fn what_has_no_text_carries_the_highest_number() {
        assert_eq!(raised(BARE), Some(1500));
        assert_eq!(raised(Outgoing { rst: true, ..BARE }), Some(1500));
        for (number, expected) in [
            (999, Some(1500)), // acknowledged by what this answers
            (1499, Some(1500)),
            (1500, None),
            (1501, None),
            (i32::MIN, None),
        ] {
            let sent = Outgoing {
                seq: seq(number),
                ..BARE
            };
            assert_eq!(raised(sent), expected, "{number}");
        }
    }

    #[test]
    fn what_occupies_numbers_or_answers_a_segment_keeps_its_own() {
        let kept: [fn(&mut Outgoing); 4] = [
            |sent| sent.payload = 1,
            |sent| sent.syn = true,
            |sent| sent.fin = true,
            |sent| (sent.rst, sent.ack) = (true, None),
        ];
        for change in kept {
            let mut sent = BARE;
            change(&mut sent);
            assert_eq!(raised(sent), None, "{sent:?}");
        }
    }

    #[test]
    fn a_probe_past_the_edge_does_not_count() {
        for (snd_max, edge, expected) in [
            (1001, 1000, None), // a shut window, and a probe
            (1500, 1000, None), // shut on what is in flight
            (1500, 1100, Some(1100)),
            (1100, 1100, Some(1100)),
            (1000, 1000, None),
        ] {
            let flight = InFlight::new(seq(1000), seq(snd_max), seq(edge));
            let raised = flight.raises(&BARE).map(|seq| seq.0);
            assert_eq!(raised, expected, "{snd_max} {edge}");
        }
        assert_eq!(InFlight::new(seq(0), seq(0), seq(0)).raises(&BARE), None);
    }

    proptest! {
        /// Wherever the numbers are on the circle: nothing is lowered, or raised past what
        /// was sent.
        #[test]
        fn a_number_is_only_raised_and_only_to_one_that_was_sent(
            una in 1i32.., sent in 0i32..1 << 30, wnd in 0i32..1 << 30, own in -(1i32 << 30)..1 << 30,
        ) {
            let at = |distance: i32| seq(una.wrapping_add(distance));
            let flight = InFlight::new(at(0), at(sent), at(wnd));
            let bare = Outgoing { seq: at(own), ..BARE };
            match flight.raises(&bare) {
                Some(raised) => {
                    prop_assert!(own < sent.min(wnd));
                    prop_assert_eq!(raised, at(sent.min(wnd)));
                }
                None => prop_assert!(own >= sent.min(wnd)),
            }
        }
    }
}
