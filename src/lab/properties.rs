//! What the demux and the guard promise about any bytes at all, checked: a
//! fuzzer brings the bytes (`fuzz/`), and a test brings those that a fuzzer has
//! found worth keeping.
//!
//! The demux is held against smoltcp's own parsers, which read the same frame in
//! another way; the guard against the sentences of RFC 5961 and RFC 9293, which
//! say less than the code does and must be true all the same.
//!
//! Not here: what happens to a frame behind the guard. Whole turns are fuzzed
//! from outside, by `tests/harness/storm.rs`.

use core::cell::Cell;

use smoltcp::phy::{Checksum, ChecksumCapabilities};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    IpAddress, IpCidr, IpEndpoint, IpProtocol, Ipv4Packet, Ipv4Repr, TcpPacket, TcpSeqNumber,
};
#[cfg(feature = "ipv6")]
use smoltcp::wire::{Ipv6Packet, Ipv6Repr};

use crate::counters::DropReason;
use crate::frame::checksum::Checks;
use crate::frame::demux::{Control, Route, Segment, demux};
use crate::frame::flow::Flow;
use crate::frame::sent::{Outgoing, outgoing};
use crate::rules::guard::{Edge, EdgeOf, TcpView, Verdict, judge, learn};

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn addrs() -> [IpCidr; 2] {
    [
        IpCidr::new(IpAddress::v4(10, 0, 0, 1), 24),
        #[cfg(feature = "ipv6")]
        IpCidr::new(IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 1), 64),
        #[cfg(not(feature = "ipv6"))]
        IpCidr::new(IpAddress::v4(172, 16, 0, 9), 31),
    ]
}

/// The first byte chooses, the rest is a frame, or what a flow knows and a
/// segment for it.
///
/// # Panics
/// When a promise is broken.
pub fn kept(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0..=2, frame)) => demux_reads_what_smoltcp_reads(frame, bytes[0]),
        Some((_, numbers)) => guard_keeps_the_peace(&mut Numbers(numbers)),
        None => (),
    }
}

/// A frame is TCP for the demux exactly when it is for smoltcp, and both read the
/// same. `checks`: nothing, the IPv4 header's sum, or both sums.
fn demux_reads_what_smoltcp_reads(frame: &[u8], checks: u8) {
    let sums = |checked: bool| match checked {
        true => Checksum::Both,
        false => Checksum::None,
    };
    let (ipv4, tcp) = (sums(checks > 0), sums(checks > 1));
    let mut capabilities = ChecksumCapabilities::ignored();
    (capabilities.ipv4, capabilities.tcp) = (ipv4, tcp);
    let addrs = addrs();
    let checks = Checks { ipv4, tcp };
    let read = tcp_in(frame, &capabilities);
    match demux(frame, OURS, &addrs, &checks) {
        Route::Tcp(segment) => {
            assert_eq!(Some(segment), read);
            let one = segment.refusal(&addrs).is_none();
            let local = addrs.map(|cidr| cidr.address() == segment.flow.local_addr());
            assert!(!one || local.contains(&true), "taken for us: {segment:?}");
        }
        Route::Host(_) | Route::Neighbor => assert_eq!(read, None),
        #[cfg(feature = "ipv6")]
        Route::Query => assert_eq!(read, None),
        Route::Refuse(reason) => assert_eq!(read, None, "{reason:?}"),
    }
    if let Some(Outgoing { payload, start, .. }) = outgoing(frame) {
        assert!(start + payload <= frame.len());
    }
}

/// The TCP segment for our hardware address that smoltcp finds in a frame.
fn tcp_in(bytes: &[u8], sums: &ChecksumCapabilities) -> Option<Segment> {
    let (link, packet) = bytes.split_first_chunk::<14>()?;
    let [destination @ .., _, _, _, _, _, _, _, _] = *link;
    let [_, _, _, _, _, _, from @ .., kind0, kind1] = *link;
    if destination != OURS || from[0] & 1 == 1 || from == [0; 6] {
        return None;
    }
    let (addresses, protocol, payload): ((IpAddress, IpAddress), _, _) = match [kind0, kind1] {
        [0x08, 0x00] => {
            let packet = Ipv4Packet::new_checked(packet).ok()?;
            let repr = Ipv4Repr::parse(&packet, sums).ok()?;
            let ends = (repr.src_addr.into(), repr.dst_addr.into());
            (ends, repr.next_header, packet.payload())
        }
        #[cfg(feature = "ipv6")]
        [0x86, 0xdd] => {
            let packet = Ipv6Packet::new_checked(packet).ok()?;
            let repr = Ipv6Repr::parse(&packet).ok()?;
            let ends = (repr.src_addr.into(), repr.dst_addr.into());
            (ends, repr.next_header, packet.payload())
        }
        _ => return None,
    };
    let packet = TcpPacket::new_checked(payload).ok()?;
    let ports = (packet.src_port(), packet.dst_port());
    let broken = sums.tcp.rx() && !packet.verify_checksum(&addresses.0, &addresses.1);
    if protocol != IpProtocol::Tcp || ports.0 == 0 || ports.1 == 0 || broken {
        return None;
    }
    Some(Segment {
        flow: Flow::new(
            IpEndpoint::new(addresses.1, ports.1),
            IpEndpoint::new(addresses.0, ports.0),
        ),
        control: match (packet.rst(), packet.syn(), packet.ack()) {
            (true, ..) => Control::Rst,
            (_, true, false) => Control::Syn,
            (_, true, true) => Control::SynAck,
            _ => Control::Other,
        },
        seq: packet.seq_number(),
        ack: packet.ack_number(),
        has_ack: packet.ack(),
        fin: packet.fin(),
        payload: packet.payload().len() as u16,
        window: packet.window_len(),
        remote_hardware: from,
    })
}

/// Bytes as numbers; zeros when they have run out.
struct Numbers<'b>(&'b [u8]);

impl Numbers<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let taken = N.min(self.0.len());
        let (now, later) = self.0.split_at(taken);
        bytes[..taken].copy_from_slice(now);
        self.0 = later;
        bytes
    }

    fn byte(&mut self) -> u8 {
        self.bytes::<1>()[0]
    }

    fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.bytes())
    }

    /// A sequence number: near another one, most often.
    fn near(&mut self, other: TcpSeqNumber) -> TcpSeqNumber {
        let off = match self.byte() {
            0..=127 => i32::from(self.byte() as i8),
            128..=191 => i32::from(self.short() as i16),
            _ => i32::from_be_bytes(self.bytes()),
        };
        TcpSeqNumber(other.0.wrapping_add(off))
    }
}

fn guard_keeps_the_peace(numbers: &mut Numbers<'_>) {
    let zero = TcpSeqNumber(i32::from_be_bytes(numbers.bytes()));
    let mut view = TcpView {
        rcv_nxt: zero,
        last_ack: zero,
        snd_max: numbers.near(zero),
        rcv_wnd: numbers.short(),
        quiet: numbers.short(),
    };
    let flags = numbers.byte();
    let segment = Segment {
        flow: Flow::new(
            IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), 7),
            IpEndpoint::new(IpAddress::v4(10, 0, 0, 2), 9),
        ),
        control: match flags % 4 {
            0 => Control::Other,
            1 => Control::Syn,
            2 => Control::SynAck,
            _ => Control::Rst,
        },
        seq: numbers.near(view.rcv_nxt),
        ack: numbers.near(view.snd_max),
        has_ack: flags & 8 != 0,
        fin: flags & 16 != 0,
        payload: numbers.short(),
        window: 0,
        remote_hardware: [2, 0, 0, 0, 0, 2],
    };
    let half_open = flags & 32 != 0;
    let kind = numbers.byte();
    let mut edge = Edge::NOTHING;
    edge.scale = kind % 15;
    edge.of = match kind / 15 {
        16 => EdgeOf::Stream,
        15 => EdgeOf::Syn,
        _ => EdgeOf::Window,
    };
    match edge.of {
        EdgeOf::Stream => view.rcv_wnd = 0,
        EdgeOf::Syn => (),
        _ => edge.shift = edge.scale,
    }
    let window = i64::from(view.rcv_wnd) << edge.shift;
    let now = Instant::from_micros(i64::from_be_bytes(numbers.bytes()) >> 1);
    let verdict = judge(&segment, &view, &edge, half_open, now);

    let passes = matches!(
        verdict,
        Verdict::Pass | Verdict::PassOnce | Verdict::PassEmpty
    );
    // In the window, as numbers that do not wrap.
    let offset = i64::from(segment.seq.0.wrapping_sub(view.rcv_nxt.0));
    let inside = (0..window).contains(&offset);
    let end = offset + i64::from(segment.payload);
    let past = segment.payload > 0 && end > window.max(0) && end <= i64::from(i32::MAX);
    let acks_the_future = segment.has_ack && segment.ack > view.snd_max;
    match segment.control {
        // RFC 5961, 3.2.
        Control::Rst => {
            assert_eq!(passes, offset == 0, "only the exact reset: {verdict:?}");
            let answered = matches!(verdict, Verdict::Challenge(DropReason::InexactReset));
            let nobody_spoke = half_open && !view.spoke();
            assert!(answered == (inside && offset != 0 && !nobody_spoke));
        }
        // RFC 5961, 4.2.
        Control::Syn if half_open => assert!(!passes || offset != 0),
        Control::SynAck if half_open => assert_eq!(verdict, Verdict::Pass),
        Control::Syn | Control::SynAck => {
            assert_eq!(verdict, Verdict::Challenge(DropReason::OpenFlow));
        }
        // RFC 5961, 5.2.
        Control::Other if acks_the_future && !half_open => {
            assert_eq!(verdict, Verdict::Challenge(DropReason::NeverSent));
        }
        // RFC 9293, 3.10.7.4, seventh: after a FIN the text is ignored.
        Control::Other if past && edge.of == EdgeOf::Stream => {
            assert_eq!(verdict, Verdict::Drop(DropReason::AfterEnd));
        }
        // RFC 7323, 2.2: a SYN's window is not scaled. And no FIN is taken alone.
        Control::Other if past && (edge.of == EdgeOf::Syn || segment.fin) => {
            assert_eq!(verdict, Verdict::Challenge(DropReason::PastEdge));
        }
        // RFC 9293, 3.10.7.4: what begins in the window is for TCP to read.
        Control::Other if inside => assert_eq!(verdict, Verdict::Pass),
        Control::Other if segment.payload > 0 => {
            let reaches = offset < 0 && offset + i64::from(segment.payload) > 0;
            assert_eq!(verdict == Verdict::Pass, reaches && window > 0);
            if verdict != Verdict::Pass {
                view.answered(now);
                let again = judge(&segment, &view, &edge, half_open, now);
                assert_eq!(again, Verdict::Drop(DropReason::Throttled));
                let later = now + Duration::from_millis(70);
                let again = judge(&segment, &view, &edge, half_open, later);
                assert_eq!(again, Verdict::PassOnce);
            }
        }
        Control::Other => assert!(passes, "nothing in it to refuse: {verdict:?}"),
    }
    learns(view, edge, &segment);
}

/// What was sent once stays sent, and a reset teaches nothing.
fn learns(before: TcpView, edge: Edge, segment: &Segment) {
    let sent = Outgoing {
        syn: segment.control == Control::Syn,
        fin: segment.fin,
        rst: segment.control == Control::Rst,
        psh: false,
        payload: segment.payload.into(),
        ack: segment.has_ack.then_some(segment.ack),
        seq: segment.seq,
        window: segment.payload,
        start: 34,
        pseudo: 0,
    };
    let (after, edge) = (Cell::new(before), Cell::new(edge));
    learn(&after, &edge, &sent, || 0);
    let after = after.get();
    if sent.rst {
        return assert_eq!(after, before);
    }
    if before.spoke() {
        assert!(
            after.snd_max >= before.snd_max,
            "{before:?} {sent:?} {after:?}"
        );
    }
    assert_eq!(after.last_ack, sent.ack.unwrap_or(before.last_ack));
}

#[cfg(test)]
mod tests {
    extern crate std;

    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_find_the_promises_kept(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            super::kept(&bytes);
        }
    }

    #[test]
    fn what_a_fuzzer_kept_finds_the_promises_kept() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/promises");
        // A package of the registry has no corpus.
        let Ok(found) = std::fs::read_dir(folder) else {
            let all = std::env::var_os("CYGNET_REQUIRE_ALL").is_some();
            assert!(!all, "CYGNET_REQUIRE_ALL, and there is no {folder}");
            std::eprintln!("skipped: there is no {folder}");
            return;
        };
        let mut files = 0;
        for file in found {
            super::kept(&std::fs::read(file.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files > 20, "{folder} is nearly empty");
    }
}
