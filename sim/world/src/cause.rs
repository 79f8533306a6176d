//! Which frame woke a task: the last one of the connection or of the listener that the
//! task waits for, if it came in the same turn. A timer's wake has none.
//!
//! Not here: how the frame came there (`passage`).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use cygnet::event::{Event, Source};
use smoltcp::time::Instant;
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
};

use super::fault::Fault;
use super::log::Happening;

/// A connection as its host sees it: its own port, and the peer.
type Flow = (u16, SocketAddr);

/// A frame that came, and when.
type Came = (u64, Instant);

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Causes(BTreeMap<usize, Host>);

#[derive(Debug, Default)]
struct Host {
    flows: BTreeMap<Flow, Came>,
    ports: BTreeMap<u16, Came>,
    slots: BTreeMap<u32, Flow>,
    waits: BTreeMap<u32, Source>,
}

impl Causes {
    /// Takes note of an event. Gives the frame that woke a task.
    pub(super) fn happened(
        &mut self,
        number: u64,
        at: Instant,
        what: &Happening<'_>,
    ) -> Option<u64> {
        let (id, event) = match what {
            Happening::Host(id, _, event) => (id, *event),
            Happening::Fault(Fault::Crash(id) | Fault::Boot(id)) => {
                self.0.remove(&id.0);
                return None;
            }
            _ => return None,
        };
        let host = self.0.entry(id.0).or_default();
        match *event {
            Event::FrameIn(frame) => {
                if let Some(flow) = flow(frame) {
                    host.flows.insert(flow, (number, at));
                    host.ports.insert(flow.0, (number, at));
                }
            }
            Event::Admitted {
                slot,
                local,
                remote,
            }
            | Event::Connecting {
                slot,
                local,
                remote,
            } => {
                host.slots.insert(slot, (local.port, remote.into()));
            }
            Event::Freed { slot } => {
                if let Some(flow) = host.slots.remove(&slot) {
                    host.flows.remove(&flow);
                }
            }
            Event::Yielded { task, source, .. } => _ = host.waits.insert(task, source),
            Event::Woken { task } => return host.cause(task, at),
            _ => (),
        }
        None
    }
}

impl Host {
    fn cause(&mut self, task: u32, at: Instant) -> Option<u64> {
        let came = match self.waits.remove(&task)? {
            Source::Stream(slot) => self.flows.get(self.slots.get(&slot)?),
            Source::Listener(port) => self.ports.get(&port),
            Source::Socket(_) | Source::None => None,
        };
        came.filter(|(_, came)| *came == at)
            .map(|(number, _)| *number)
    }
}

/// Whose segment a frame has, as its receiver sees it.
fn flow(frame: &[u8]) -> Option<Flow> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let of = |protocol, from: IpAddress, segment: &[u8]| {
        let tcp = TcpPacket::new_checked(segment).ok()?;
        let peer = SocketAddr::new(from.into(), tcp.src_port());
        (protocol == IpProtocol::Tcp).then_some((tcp.dst_port(), peer))
    };
    match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let packet = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
            of(
                packet.next_header(),
                packet.src_addr().into(),
                packet.payload(),
            )
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
            of(
                packet.next_header(),
                packet.src_addr().into(),
                packet.payload(),
            )
        }
        _ => None,
    }
}
