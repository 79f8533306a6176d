//! What a router's "too big" may change (RFC 1191, RFC 8201). Anybody can send such a
//! message, so it is believed only when it quotes what is on its way (RFC 5927, 4.1: "the
//! TCP sequence number contained in the payload of the ICMP error message is within the
//! range SND.UNA =< SEG.SEQ < SND.NXT"), it makes a path only narrower, and nothing smaller
//! than a floor: who forges one that is believed has seen the flow, and costs it half of
//! its speed.
//!
//! Not here: reading the message (`icmp.rs`), whose path it is and for how long that is
//! known.

use smoltcp::wire::TcpSeqNumber;

use crate::frame::icmp::TooBig;

/// The narrowest path that is believed: below it the headers of an IPv4 packet cost more
/// than they should, and RFC 5927, 7, knows of nobody's. IPv6 has none below 1,280 (RFC
/// 8201, 4).
const LEAST: [u16; 2] = [552, 1280];

/// Widths of links there are or were (RFC 1191, 7): what a router that says none means is
/// the next below what did not fit.
const PLATEAUS: [u16; 8] = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 552];

/// How wide a path is for packets of `flow` that was `mtu` wide, after this message about
/// numbers from `snd_una` up to `snd_max`; `None`: as before.
#[cold]
pub(crate) fn narrowed(
    message: &TooBig,
    mtu: u16,
    (snd_una, snd_max): (TcpSeqNumber, TcpSeqNumber),
) -> Option<u16> {
    let distance = |to: TcpSeqNumber| to.0.wrapping_sub(snd_una.0) as u32;
    if distance(message.seq) >= distance(snd_max) {
        return None;
    }
    let next = match message.mtu {
        // RFC 1191, 5: "If the Next-Hop MTU field is zero".
        0 => {
            let narrower = |plateau: &&u16| **plateau < message.length.min(mtu);
            *PLATEAUS.iter().find(narrower)?
        }
        next => next,
    };
    let is_ipv4 = message.flow.words == 1;
    let next = next.max(LEAST[usize::from(!is_ipv4)]);
    (next < mtu).then_some(next)
}

/// How wide a path is for packets of a flow, over IPv4 or IPv6, of which one with so many
/// bytes of text has now been repeated so often; `None`: as before. A router that drops what is
/// too big and says nothing is the exception, so a peer gets three timeouts first (RFC 4821,
/// 3: "the absence of ICMP messages"), and what is tried then is what nearly every path
/// carries: 1,220 bytes, and two timeouts later 536, half a minute after the first.
#[cold]
pub(crate) fn in_vain(repeats: u8, bytes: u16, is_ipv4: bool) -> Option<u16> {
    match (repeats, is_ipv4) {
        (2..=3, true) if bytes > 1220 => Some(1220 + 40),
        (2.., false) if bytes > 1220 => Some(1220 + 60),
        (4.., true) if bytes > 536 => Some(536 + 40),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::frame::flow::Flow;
    use proptest::prelude::*;

    const IN_FLIGHT: (TcpSeqNumber, TcpSeqNumber) = (TcpSeqNumber(1000), TcpSeqNumber(3000));

    fn message(mtu: u16, seq: i32) -> TooBig {
        TooBig {
            flow: Flow::between_v4(1, 2),
            seq: TcpSeqNumber(seq),
            mtu,
            length: 1500,
        }
    }

    #[test]
    fn what_quotes_something_in_flight_is_believed() {
        for (seq, believed) in [(999, false), (1000, true), (2999, true), (3000, false)] {
            let narrower = narrowed(&message(1280, seq), 1500, IN_FLIGHT);
            assert_eq!(narrower, believed.then_some(1280), "{seq}");
        }
        let nothing = (TcpSeqNumber(1000), TcpSeqNumber(1000));
        assert_eq!(narrowed(&message(1280, 1000), 1500, nothing), None);
    }

    #[test]
    fn three_timeouts_of_a_long_segment_make_the_next_ones_shorter() {
        for (repeats, bytes, v4, v6) in [
            (1, 1460, None, None),
            (2, 1460, Some(1260), Some(1280)),
            (3, 1221, Some(1260), Some(1280)),
            (3, 1220, None, None),
            (4, 1220, Some(576), None),
            (4, 1221, Some(576), Some(1280)),
            (200, 537, Some(576), None),
            (200, 536, None, None),
        ] {
            assert_eq!(in_vain(repeats, bytes, true), v4, "{repeats} {bytes}");
            assert_eq!(in_vain(repeats, bytes, false), v6, "{repeats} {bytes}");
        }
    }

    #[test]
    fn a_path_only_gets_narrower_and_not_too_narrow() {
        for (said, mtu, expected) in [
            (1400, 1500, Some(1400)),
            (1500, 1500, None),
            (9000, 1500, None),
            (552, 1500, Some(552)),
            (551, 1500, Some(552)),
            (68, 1500, Some(552)),
            (1, 552, None),
            (68, 300, None), // our own link is narrower
        ] {
            assert_eq!(
                narrowed(&message(said, 1000), mtu, IN_FLIGHT),
                expected,
                "{said}"
            );
        }
    }

    #[test]
    fn a_router_that_says_nothing_means_the_next_narrower_link() {
        for (length, mtu, expected) in [
            (1500, 1500, Some(1492)),
            (1492, 1500, Some(1006)),
            (1500, 1492, Some(1006)), // an old packet
            (600, 1500, Some(552)),
            (552, 1500, None),
            (65_535, 65_535, Some(32_000)),
        ] {
            let message = TooBig {
                length,
                ..message(0, 1000)
            };
            assert_eq!(narrowed(&message, mtu, IN_FLIGHT), expected, "{length}");
        }
    }

    #[cfg(feature = "ipv6")]
    #[test]
    fn an_ipv6_path_is_never_narrower_than_1280() {
        let flow = Flow {
            words: 4,
            ..Flow::ZERO
        };
        for (said, expected) in [(1400, Some(1400)), (1280, Some(1280)), (1279, Some(1280))] {
            let message = TooBig {
                flow,
                ..message(said, 1000)
            };
            assert_eq!(narrowed(&message, 1500, IN_FLIGHT), expected, "{said}");
            assert_eq!(narrowed(&message, 1280, IN_FLIGHT), None);
        }
    }

    proptest! {
        #[test]
        fn nothing_widens_a_path_or_makes_it_tiny(
            said: u16, length: u16, seq: i32, mtu in 68u16.., una: i32, sent in 0i32..1 << 30,
        ) {
            let message = TooBig { length, ..message(said, seq) };
            let flight = (TcpSeqNumber(una), TcpSeqNumber(una.wrapping_add(sent)));
            if let Some(next) = narrowed(&message, mtu, flight) {
                prop_assert!(next < mtu && next >= 552);
                prop_assert!((0..sent).contains(&seq.wrapping_sub(una)));
            }
        }
    }
}
