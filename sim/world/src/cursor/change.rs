//! What an event changes of what is known of a run: small, and nobody else's memory, so
//! that it can wait until somebody goes there.

use cygnet::event::{DropReason, Event, Reason, Source};
use smoltcp::time::Instant;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpAddress, IpEndpoint, IpProtocol, Ipv4Packet, Ipv6Packet,
    TcpPacket,
};

use super::snapshot::Flight;
use crate::fault::Fault;
use crate::frame::is_damaged;
use crate::log::Happening;

/// See the [module](self).
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Of a host.
    Host(usize, OfHost),
    /// A frame went into a link.
    Sent(Flight),
    /// Nothing that is kept.
    Nothing,
}

/// A change of a host.
#[derive(Clone, Debug)]
pub(super) enum OfHost {
    Received(Option<Segment>),
    Sent(Option<Segment>),
    Dropped,
    Opened {
        slot: u32,
        local: IpEndpoint,
        remote: IpEndpoint,
        /// A task asked for it; otherwise the peer did.
        ours: bool,
    },
    Established(u32),
    Accepted(u32),
    Read(u32, u64),
    Written(u32, u64),
    Freed(u32),
    Spawned {
        task: u32,
        name: String,
        line: u32,
        at: Instant,
    },
    Woken(u32),
    Resumed(u32, Instant),
    Yielded(u32, Reason, Source),
    Done(u32),
    Off,
    On,
    Paused(bool),
    Turned(Option<Instant>),
    Printed(String),
}

/// What a TCP segment says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) from: IpEndpoint,
    pub(super) to: IpEndpoint,
    pub(super) seq: u32,
    pub(super) ack: Option<u32>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) bytes: u32,
}

impl Change {
    pub(super) fn of(what: &Happening<'_>) -> Change {
        let (host, change) = match what {
            Happening::Host(host, at, event) => match of_host(*at, event) {
                Some(change) => (host, change),
                None => return Change::Nothing,
            },
            Happening::Sent {
                frame,
                copies,
                bytes,
                ..
            } => {
                return Change::Sent(Flight {
                    frame: *frame,
                    copies: *copies,
                    bytes: bytes.len(),
                });
            }
            Happening::Fault(fault) => match fault {
                Fault::Crash(host) => (host, OfHost::Off),
                Fault::Boot(host) => (host, OfHost::On),
                Fault::Pause(host) => (host, OfHost::Paused(true)),
                Fault::Resume(host) => (host, OfHost::Paused(false)),
                _ => return Change::Nothing,
            },
            Happening::Turned { host, next, .. } => (host, OfHost::Turned(*next)),
            Happening::Printed { host, line } => (host, OfHost::Printed((*line).to_owned())),
        };
        Change::Host(host.0, change)
    }
}

fn of_host(at: Instant, event: &Event<'_>) -> Option<OfHost> {
    Some(match *event {
        Event::FrameIn(frame) => OfHost::Received(segment(frame).filter(|_| !is_damaged(frame))),
        Event::FrameOut(frame) => OfHost::Sent(segment(frame)),
        Event::Dropped(DropReason::NotOurs) => return None,
        Event::Dropped(_) => OfHost::Dropped,
        Event::Admitted {
            slot,
            local,
            remote,
        }
        | Event::Connecting {
            slot,
            local,
            remote,
        } => OfHost::Opened {
            slot,
            local,
            remote,
            ours: matches!(event, Event::Connecting { .. }),
        },
        Event::Established { slot } => OfHost::Established(slot),
        Event::Accepted { slot, .. } => OfHost::Accepted(slot),
        Event::Read { slot, bytes } => OfHost::Read(slot, bytes.len() as u64),
        Event::Written { slot, bytes } => OfHost::Written(slot, bytes.len() as u64),
        Event::Freed { slot } => OfHost::Freed(slot),
        Event::Spawned { task, name, line } => OfHost::Spawned {
            task,
            name: name.to_owned(),
            line,
            at,
        },
        Event::Woken { task } => OfHost::Woken(task),
        Event::Resumed { task } => OfHost::Resumed(task, at),
        Event::Yielded {
            task,
            reason,
            source,
        } => OfHost::Yielded(task, reason, source),
        Event::Done { task, .. } => OfHost::Done(task),
        _ => return None,
    })
}

fn segment(frame: &[u8]) -> Option<Segment> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
            let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
            tcp(packet.next_header(), from, to, packet.payload())
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
            let (from, to) = (packet.src_addr().into(), packet.dst_addr().into());
            tcp(packet.next_header(), from, to, packet.payload())
        }
        _ => None,
    }
}

fn tcp(protocol: IpProtocol, from: IpAddress, to: IpAddress, payload: &[u8]) -> Option<Segment> {
    if protocol != IpProtocol::Tcp {
        return None;
    }
    let tcp = TcpPacket::new_checked(payload).ok()?;
    Some(Segment {
        from: IpEndpoint::new(from, tcp.src_port()),
        to: IpEndpoint::new(to, tcp.dst_port()),
        seq: tcp.seq_number().0 as u32,
        ack: tcp.ack().then(|| tcp.ack_number().0 as u32),
        syn: tcp.syn(),
        fin: tcp.fin(),
        bytes: tcp.payload().len() as u32,
    })
}
