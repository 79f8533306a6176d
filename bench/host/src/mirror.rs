//! The least that a server on a TAP can do: it turns the headers of each frame
//! around and sends it back. No connection, no timer, no task, nothing kept from
//! one frame to the next; a client that loses nothing cannot tell. What it reaches
//! is what the kernel leaves over for one read and one write a request, so a server
//! that really is one is to be seen beside it.
//!
//! It repeats nothing that is lost and believes everything it is told, so it is a
//! measure and not a service: `tap` starts it, and no help names it.

use std::net::Ipv4Addr;

use ::cygnet::Platform;
use cygnet_sim::host::HostPlatform;
use cygnet_sim::offload::Offload;
use cygnet_sim::tap::Tap;
use smoltcp::phy::{ChecksumCapabilities, Device, RxToken, TxToken};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress,
    IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

use crate::words::MirrorConfig;

const MAC: EthernetAddress = EthernetAddress([0x02, 0x63, 0x79, 0x67, 0, 9]);
/// Frames answered in a row, as `sim tap` does.
const ROW: usize = 256;
/// As `sim tap` waits.
const SPIN: Duration = Duration::from_micros(50);
const ETHERNET: usize = 14;

/// Runs it until a signal comes.
///
/// # Errors
/// One line: what the kernel refused.
pub fn run(config: &MirrorConfig) -> Result<u8, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let tap = Tap::create(&config.name, &[config.host], Offload::On);
    let mut host = HostPlatform::new(tap.map_err(|error| text(&error))?).map_err(|e| text(&e))?;
    host.handle_signals().map_err(|error| text(&error))?;
    host.set_spin(SPIN);
    println!("a mirror on {}", config.name);
    let mut answers = vec![Vec::new(); ROW];
    let stop = host.stop_flag();
    while !stop.is_set() {
        let (mut frames, mut filled) = (0, 0);
        while frames < ROW {
            let Some((rx, _)) = host.device().receive(Instant::ZERO) else {
                break;
            };
            frames += 1;
            let answer = &mut answers[filled];
            filled += usize::from(rx.consume(|frame| turn_around(frame, answer)).is_some());
        }
        for answer in &answers[..filled] {
            if let Some(tx) = host.device().transmit(Instant::ZERO) {
                tx.consume(answer.len(), |room| room.copy_from_slice(answer));
            }
        }
        if frames == 0 {
            host.wait(None);
        }
    }
    Ok(0)
}

/// Writes the answer to `frame`, if it asks for one.
fn turn_around(frame: &[u8], answer: &mut Vec<u8>) -> Option<()> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    answer.clear();
    answer.extend_from_slice(&frame[6..12]);
    answer.extend_from_slice(MAC.as_bytes());
    answer.extend_from_slice(&frame[12..ETHERNET]);
    match ethernet.ethertype() {
        EthernetProtocol::Arp => {
            let asked = ArpRepr::parse(&ArpPacket::new_checked(ethernet.payload()).ok()?).ok()?;
            arp(asked, answer)
        }
        EthernetProtocol::Ipv4 => {
            let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
            if ip.next_header() != IpProtocol::Tcp {
                return None;
            }
            let tcp = TcpPacket::new_checked(ip.payload()).ok()?;
            segment(ip.src_addr(), ip.dst_addr(), &tcp, answer)
        }
        _ => None,
    }
}

fn arp(asked: ArpRepr, answer: &mut Vec<u8>) -> Option<()> {
    let ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr,
        ..
    } = asked
    else {
        return None;
    };
    let reply = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: MAC,
        source_protocol_addr: target_protocol_addr,
        target_hardware_addr: source_hardware_addr,
        target_protocol_addr: source_protocol_addr,
    };
    answer.resize(ETHERNET + reply.buffer_len(), 0);
    reply.emit(&mut ArpPacket::new_unchecked(&mut answer[ETHERNET..]));
    Some(())
}

/// What the peer expects next is where we are, and where it is is what we expect.
fn segment(
    from: Ipv4Addr,
    to: Ipv4Addr,
    tcp: &TcpPacket<&[u8]>,
    answer: &mut Vec<u8>,
) -> Option<()> {
    let payload = tcp.payload();
    let control = match (tcp.syn(), tcp.fin()) {
        (true, _) => TcpControl::Syn,
        (_, true) => TcpControl::Fin,
        _ if payload.is_empty() || tcp.rst() => return None,
        _ => TcpControl::Psh,
    };
    let at = match tcp.syn() {
        true => TcpSeqNumber(0),
        false => tcp.ack_number(),
    };
    let reply = TcpRepr {
        src_port: tcp.dst_port(),
        dst_port: tcp.src_port(),
        control,
        seq_number: at,
        ack_number: Some(tcp.seq_number() + tcp.segment_len()),
        window_len: u16::MAX,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload,
    };
    let ip = Ipv4Repr {
        src_addr: to,
        dst_addr: from,
        next_header: IpProtocol::Tcp,
        payload_len: reply.buffer_len(),
        hop_limit: 64,
    };
    answer.resize(ETHERNET + ip.buffer_len() + reply.buffer_len(), 0);
    let (head, body) = answer[ETHERNET..].split_at_mut(ip.buffer_len());
    // The kernel finishes the segment's checksum.
    let mut sums = ChecksumCapabilities::default();
    ip.emit(&mut Ipv4Packet::new_unchecked(head), &sums);
    sums.tcp = smoltcp::phy::Checksum::None;
    let (to, from) = (IpAddress::Ipv4(to), IpAddress::Ipv4(from));
    reply.emit(&mut TcpPacket::new_unchecked(body), &to, &from, &sums);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 168, 74, 1);
    const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 74, 2);

    fn frame(control: TcpControl, payload: &[u8]) -> Vec<u8> {
        let tcp = TcpRepr {
            src_port: 49152,
            dst_port: 7,
            control,
            seq_number: TcpSeqNumber(100),
            ack_number: (control != TcpControl::Syn).then_some(TcpSeqNumber(7)),
            window_len: 1000,
            window_scale: None,
            max_seg_size: (control == TcpControl::Syn).then_some(1460),
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let ip = Ipv4Repr {
            src_addr: CLIENT,
            dst_addr: SERVER,
            next_header: IpProtocol::Tcp,
            payload_len: tcp.buffer_len(),
            hop_limit: 64,
        };
        let sums = ChecksumCapabilities::default();
        let mut frame = vec![2; 12];
        frame.extend([0x08, 0x00]);
        frame.resize(ETHERNET + 20 + tcp.buffer_len(), 0);
        ip.emit(
            &mut Ipv4Packet::new_unchecked(&mut frame[ETHERNET..]),
            &sums,
        );
        let mut segment = TcpPacket::new_unchecked(&mut frame[ETHERNET + 20..]);
        tcp.emit(&mut segment, &CLIENT.into(), &SERVER.into(), &sums);
        frame
    }

    #[test]
    fn an_answer_is_where_the_peer_expects_it() {
        let mut answer = Vec::new();
        for (control, payload, at, next) in [
            (TcpControl::Syn, &b""[..], 0, 101),
            (TcpControl::Psh, b"swan", 7, 104),
            (TcpControl::Fin, b"", 7, 101),
        ] {
            turn_around(&frame(control, payload), &mut answer).unwrap();
            let ip = Ipv4Packet::new_checked(&answer[ETHERNET..]).unwrap();
            assert_eq!((ip.src_addr(), ip.dst_addr()), (SERVER, CLIENT));
            assert!(ip.verify_checksum());
            let tcp = TcpPacket::new_checked(ip.payload()).unwrap();
            assert_eq!((tcp.src_port(), tcp.dst_port()), (7, 49152));
            assert_eq!(tcp.seq_number(), TcpSeqNumber(at));
            assert_eq!(tcp.ack_number(), TcpSeqNumber(next));
            assert_eq!(tcp.syn(), control == TcpControl::Syn);
            assert_eq!(tcp.fin(), control == TcpControl::Fin);
            assert_eq!(tcp.payload(), payload);
        }
    }

    #[test]
    fn an_acknowledgement_asks_for_nothing() {
        let mut answer = Vec::new();
        let mut deaf = |frame: &[u8]| turn_around(frame, &mut answer).is_none();
        assert!(deaf(&frame(TcpControl::None, b"")));
        assert!(deaf(&frame(TcpControl::Rst, b"swan")));
        assert!(deaf(&[]) && deaf(&[0; 60]));
    }
}
