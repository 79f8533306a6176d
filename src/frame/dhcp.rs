//! Messages of DHCP (RFC 2131, and its options, RFC 2132): those of a client are written, a
//! server's are read.
//!
//! Not here: what of a message is believed (`rules/lease.rs`), and when one is sent
//! (`service/dhcp.rs`).

use heapless::Vec;
use smoltcp::wire::Ipv4Address;

use crate::frame::link::Hardware;

/// The ports of the two sides.
pub(crate) const SERVER_PORT: u16 = 67;
pub(crate) const CLIENT_PORT: u16 = 68;

/// What a message is, option 53.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Discover = 1,
    Offer = 2,
    Request = 3,
    Decline = 4,
    Ack = 5,
    Nak = 6,
}

/// The longest host name: a label of DNS (RFC 1035, 2.3.4).
pub(crate) const LONGEST_NAME: usize = 63;

/// A message as short as this is too short for old relays (RFC 1542, 2.1).
const SHORTEST: usize = 300;

/// What a server must not send more than: a packet of 576 bytes (RFC 2131, 2).
pub(crate) const LONGEST_REPLY: usize = 548;

/// What stands before options.
const MAGIC: [u8; 4] = [99, 130, 83, 99];
const OPTIONS: usize = 240;

/// What a client says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Say<'m> {
    pub(crate) kind: Kind,
    /// By which the answer is known.
    pub(crate) xid: u32,
    /// Seconds since it began to ask.
    pub(crate) secs: u16,
    pub(crate) hardware: Hardware,
    /// The address that it has, if it is renewed.
    pub(crate) has: Option<Ipv4Address>,
    /// The address that it asks for.
    pub(crate) wants: Option<Ipv4Address>,
    /// The server that it means.
    pub(crate) server: Option<Ipv4Address>,
    pub(crate) host_name: &'m str,
}

impl Say<'_> {
    /// Writes the message, and gives how long it is.
    pub(crate) fn write(&self, room: &mut [u8; LONGEST_REPLY]) -> usize {
        let mut end = 0;
        // No message is longer than there is room for.
        let mut put = |bytes: &[u8]| {
            if let Some(place) = room.get_mut(end..end + bytes.len()) {
                place.copy_from_slice(bytes);
                end += bytes.len();
            }
        };
        // BOOTREQUEST, Ethernet.
        put(&[1, 1, 6, 0]);
        put(&self.xid.to_be_bytes());
        put(&self.secs.to_be_bytes());
        // Who has no address yet may not hear what is sent to the one it will have: the
        // broadcast flag. With an address, the answer comes there.
        put(&[if self.has.is_some() { 0 } else { 0x80 }, 0]);
        put(&self.has.unwrap_or(Ipv4Address::UNSPECIFIED).octets());
        put(&[0; 12]);
        put(&self.hardware);
        put(&[0; 10 + 64 + 128]);
        put(&MAGIC);
        put(&[53, 1, self.kind as u8]);
        let [a, b, c, d, e, f] = self.hardware;
        put(&[61, 7, 1, a, b, c, d, e, f]);
        for (option, addr) in [(50, self.wants), (54, self.server)] {
            if let Some(addr) = addr {
                put(&[option, 4]);
                put(&addr.octets());
            }
        }
        if self.kind != Kind::Decline {
            let [high, low] = (LONGEST_REPLY as u16 + 28).to_be_bytes();
            put(&[57, 2, high, low]);
            // Mask, router, DNS, NTP; lease, T1, T2.
            put(&[55, 7, 1, 3, 6, 42, 51, 58, 59]);
            let name = self.host_name.as_bytes();
            if let name @ [_, ..] = &name[..name.len().min(LONGEST_NAME)] {
                put(&[12, name.len() as u8]);
                put(name);
            }
        }
        put(&[255]);
        if let Some(rest) = room.get_mut(end..SHORTEST) {
            rest.fill(0);
        }
        end.max(SHORTEST)
    }
}

/// Addresses of servers, as many of a kind as are kept.
pub(crate) type Servers = Vec<Ipv4Address, 3>;

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) kind: Kind,
    pub(crate) xid: u32,
    /// The address that the client is to have.
    pub(crate) yours: Ipv4Address,
    pub(crate) server: Option<Ipv4Address>,
    pub(crate) mask: Option<Ipv4Address>,
    pub(crate) routers: Servers,
    pub(crate) dns: Servers,
    pub(crate) ntp: Servers,
    /// Seconds; `u32::MAX` is for ever.
    pub(crate) lease: Option<u32>,
    pub(crate) renew: Option<u32>,
    pub(crate) rebind: Option<u32>,
}

/// Reads what a server says to the host with this hardware address. `None`: it is malformed,
/// or not for it.
pub(crate) fn read(bytes: &[u8], hardware: Hardware) -> Option<Reply> {
    let (header, options) = bytes.split_first_chunk::<OPTIONS>()?;
    let is_ours = header.get(28..34)? == hardware;
    if header[..3] != [2, 1, 6] || !is_ours || header.get(236..)? != MAGIC {
        return None;
    }
    let mut reply = Reply {
        kind: Kind::Discover,
        xid: u32::from_be_bytes(*header.get(4..)?.first_chunk()?),
        yours: Ipv4Address::from(*header.get(16..)?.first_chunk::<4>()?),
        server: None,
        mask: None,
        routers: Servers::new(),
        dns: Servers::new(),
        ntp: Servers::new(),
        lease: None,
        renew: None,
        rebind: None,
    };
    // Option 52: there are more where names of boot files usually are (RFC 2131, 4.1).
    let more = reply.read_options(options)?;
    if more & 1 != 0 {
        reply.read_options(header.get(108..236)?)?;
    }
    if more & 2 != 0 {
        reply.read_options(header.get(44..108)?)?;
    }
    matches!(reply.kind, Kind::Offer | Kind::Ack | Kind::Nak).then_some(reply)
}

impl Reply {
    /// Takes what these options say, and gives where there are more. `None`: one is cut off.
    fn read_options(&mut self, mut options: &[u8]) -> Option<u8> {
        let mut more = 0;
        while let &[option, ref rest @ ..] = options {
            let (value, behind) = match option {
                0 => (&[][..], rest),
                255 => break,
                _ => {
                    let (&length, rest) = rest.split_first()?;
                    rest.split_at_checked(length.into())?
                }
            };
            options = behind;
            match (option, value) {
                (52, &[places]) => more = places,
                (53, &[kind]) => {
                    self.kind = match kind {
                        2 => Kind::Offer,
                        5 => Kind::Ack,
                        6 => Kind::Nak,
                        _ => return None,
                    }
                }
                (1, _) => self.mask = self.mask.or(addr(value)),
                (54, _) => self.server = self.server.or(addr(value)),
                (3, _) => add(&mut self.routers, value),
                (6, _) => add(&mut self.dns, value),
                (42, _) => add(&mut self.ntp, value),
                (51, _) => self.lease = self.lease.or(number(value)),
                (58, _) => self.renew = self.renew.or(number(value)),
                (59, _) => self.rebind = self.rebind.or(number(value)),
                _ => (),
            }
        }
        Some(more)
    }
}

fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

fn addr(value: &[u8]) -> Option<Ipv4Address> {
    Some(Ipv4Address::from(<[u8; 4]>::try_from(value).ok()?))
}

/// Adds those that can be a server's, as long as there is room.
fn add(servers: &mut Servers, value: &[u8]) {
    let (addrs, _) = value.as_chunks::<4>();
    for addr in addrs.iter().map(|addr| Ipv4Address::from(*addr)) {
        let is_one = !addr.is_unspecified() && !addr.is_multicast() && !addr.is_broadcast();
        if is_one && !addr.is_loopback() && !servers.contains(&addr) {
            let _ = servers.push(addr);
        }
    }
}

#[cfg(test)]
#[path = "dhcp_tests.rs"]
mod tests;
