//! What was written must be what is read: for each connection and direction, the
//! bytes that one program wrote and the other has not read yet. A byte that is
//! lost, doubled, changed, out of order or from nowhere shows at the read.
//!
//! Not here: bytes that never arrive. That everything finishes is for the end of
//! a run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cygnet::event::Event;
use smoltcp::wire::{IpAddress, IpEndpoint};

use super::ids::HostId;

/// Two endpoints, in numbers that are quick to compare.
type Names = [(u128, u16); 2];

fn names(a: IpEndpoint, b: IpEndpoint) -> Names {
    [a, b].map(|IpEndpoint { addr, port }| match addr {
        IpAddress::Ipv4(addr) => (addr.to_bits().into(), port),
        IpAddress::Ipv6(addr) => (addr.to_bits(), port),
    })
}

/// One connection, from the side that called `connect`.
#[derive(Debug, Default)]
struct Connection {
    /// Written and not yet read, by the side that wrote.
    ways: [VecDeque<u8>; 2],
    /// Bytes read so far, by the side that reads.
    read: [u64; 2],
    /// Slots that refer to it.
    holders: u8,
    /// Its endpoints, the connecting one first.
    names: Option<Names>,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Ledger {
    connections: Vec<Connection>,
    vacant: Vec<usize>,
    /// The newest connection between two endpoints, the connecting one first.
    newest: BTreeMap<Names, usize>,
    /// For each host and slot: the connection, and which side (0 connected).
    slots: Vec<Vec<Option<(usize, usize)>>>,
    /// Machines, which do not tell what they read and write.
    silent: BTreeSet<IpAddress>,
}

impl Ledger {
    /// Whoever has this address does not tell what it reads and writes.
    pub(super) fn silent(&mut self, address: IpAddress) {
        self.silent.insert(address);
    }

    /// Whether an event is one to take note of: most are not.
    pub(super) fn is_of_it(event: &Event<'_>) -> bool {
        use Event::{Admitted, Connecting, Freed, Read, Written};
        matches!(
            event,
            Connecting { .. } | Admitted { .. } | Freed { .. } | Written { .. } | Read { .. }
        )
    }

    /// Takes note of an event.
    ///
    /// # Errors
    /// What was read, and what should have been.
    pub(super) fn event(&mut self, host: HostId, event: &Event<'_>) -> Result<(), String> {
        match *event {
            Event::Connecting { slot, remote, .. } if self.silent.contains(&remote.addr) => {
                self.hold(host, slot, None);
            }
            Event::Connecting {
                slot,
                local,
                remote,
            } => {
                let index = self.vacant.pop().unwrap_or(self.connections.len());
                if index == self.connections.len() {
                    self.connections.push(Connection::default());
                }
                let names = names(local, remote);
                self.newest.insert(names, index);
                self.connections[index].names = Some(names);
                self.hold(host, slot, Some((index, 0)));
            }
            Event::Admitted {
                slot,
                local,
                remote,
            } => {
                let found = self.newest.get(&names(remote, local));
                let side = found.map(|&index| (index, 1));
                self.hold(host, slot, side);
            }
            Event::Freed { slot } => self.hold(host, slot, None),
            Event::Written { slot, bytes } => {
                if let Some((index, side)) = self.held(host, slot) {
                    self.connections[index].ways[side].extend(bytes);
                }
            }
            Event::Read { slot, bytes } => return self.read(host, slot, bytes),
            _ => (),
        }
        Ok(())
    }

    fn read(&mut self, host: HostId, slot: u32, bytes: &[u8]) -> Result<(), String> {
        let Some((index, side)) = self.held(host, slot) else {
            return Ok(()); // the peer is no host of this world
        };
        let connection = &mut self.connections[index];
        let at = connection.read[side];
        connection.read[side] += bytes.len() as u64;
        let expected = &mut connection.ways[1 - side];
        if is_first(expected, bytes) {
            expected.drain(..bytes.len());
            return Ok(());
        }
        for (offset, &byte) in (at..).zip(bytes) {
            match expected.pop_front() {
                Some(wrote) if wrote == byte => (),
                Some(wrote) => {
                    return Err(format!(
                        "byte {offset} of slot {slot} is {byte:#04x}; {wrote:#04x} was written"
                    ));
                }
                None => return Err(format!("byte {offset} of slot {slot} was never written")),
            }
        }
        Ok(())
    }

    fn held(&self, host: HostId, slot: u32) -> Option<(usize, usize)> {
        *self.slots.get(host.0)?.get(slot as usize)?
    }

    /// Lets a slot refer to this connection, and no longer to another.
    fn hold(&mut self, host: HostId, slot: u32, now: Option<(usize, usize)>) {
        let slot = slot as usize;
        if self.slots.len() <= host.0 {
            self.slots.resize(host.0 + 1, Vec::new());
        }
        let slots = &mut self.slots[host.0];
        if slots.len() <= slot {
            slots.resize(slot + 1, None);
        }
        let before = std::mem::replace(&mut slots[slot], now);
        if let Some((index, _)) = now {
            self.connections[index].holders += 1;
        }
        let Some((index, _)) = before else { return };
        let connection = &mut self.connections[index];
        connection.holders -= 1;
        if connection.holders == 0 {
            let connection = std::mem::take(connection);
            if let Some(names) = connection.names
                && self.newest.get(&names) == Some(&index)
            {
                self.newest.remove(&names);
            }
            self.vacant.push(index);
        }
    }
}

/// Whether these bytes come first in the line.
fn is_first(line: &VecDeque<u8>, bytes: &[u8]) -> bool {
    let (front, back) = line.as_slices();
    match bytes.split_at_checked(front.len()) {
        Some((first, rest)) => first == front && back.starts_with(rest),
        None => front.starts_with(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpEndpoint = IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), 50_000);
    const THERE: IpEndpoint = IpEndpoint::new(IpAddress::v4(10, 0, 0, 2), 7);

    fn open() -> Ledger {
        let mut ledger = Ledger::default();
        let connecting = Event::Connecting {
            slot: 3,
            local: HERE,
            remote: THERE,
        };
        let admitted = Event::Admitted {
            slot: 0,
            local: THERE,
            remote: HERE,
        };
        assert_eq!(ledger.event(HostId(0), &connecting), Ok(()));
        assert_eq!(ledger.event(HostId(1), &admitted), Ok(()));
        ledger
    }

    fn says(ledger: &mut Ledger, bytes: &[u8]) {
        let written = Event::Written { slot: 3, bytes };
        assert_eq!(ledger.event(HostId(0), &written), Ok(()));
    }

    #[test]
    fn bytes_pass_in_order_and_once() {
        let mut ledger = open();
        says(&mut ledger, b"swan");
        for bytes in [&b"s"[..], b"wa", b"n"] {
            let read = Event::Read { slot: 0, bytes };
            assert_eq!(ledger.event(HostId(1), &read), Ok(()));
        }
        let again = Event::Read {
            slot: 0,
            bytes: b"n",
        };
        let error = ledger.event(HostId(1), &again).unwrap_err();
        assert_eq!(error, "byte 4 of slot 0 was never written");
    }

    #[test]
    fn a_changed_byte_is_named() {
        let mut ledger = open();
        says(&mut ledger, b"swan");
        let read = Event::Read {
            slot: 0,
            bytes: b"swam",
        };
        let error = ledger.event(HostId(1), &read).unwrap_err();
        assert_eq!(error, "byte 3 of slot 0 is 0x6d; 0x6e was written");
    }

    #[test]
    fn what_a_silent_peer_said_is_not_judged() {
        let mut ledger = Ledger::default();
        ledger.silent(THERE.addr);
        let connecting = Event::Connecting {
            slot: 3,
            local: HERE,
            remote: THERE,
        };
        assert_eq!(ledger.event(HostId(0), &connecting), Ok(()));
        let read = Event::Read {
            slot: 3,
            bytes: b"swan",
        };
        assert_eq!(ledger.event(HostId(0), &read), Ok(()));
    }

    #[test]
    fn a_connection_is_forgotten_when_both_sides_are() {
        let mut ledger = open();
        says(&mut ledger, b"swan");
        for (host, slot) in [(0, 3), (1, 0)] {
            assert_eq!(ledger.event(HostId(host), &Event::Freed { slot }), Ok(()));
        }
        assert!(ledger.newest.is_empty());
        assert_eq!(ledger.vacant, [0]);
        assert!(ledger.connections[0].ways[0].is_empty());
    }
}
