//! A flow: the 4-tuple of a connection, seen from this host. Kept in words,
//! as the headers have them and as the table compares and hashes them, because
//! every frame asks for one and few ask for an address.

#[cfg(feature = "ipv6")]
use smoltcp::wire::Ipv6Address;
use smoltcp::wire::{IpAddress, IpEndpoint, IpListenEndpoint, Ipv4Address};

/// Words of the longest address.
pub(crate) const WORDS: usize = if cfg!(feature = "ipv6") { 4 } else { 1 };

/// The 4-tuple. An IPv4 address is one word, and the others are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    /// The local port, then the remote one.
    pub(crate) ports: u32,
    /// How many words of the addresses count.
    pub(crate) words: u32,
    pub(crate) local: [u32; WORDS],
    pub(crate) remote: [u32; WORDS],
}

impl Flow {
    pub(crate) const ZERO: Flow = Flow {
        ports: 0,
        words: 0,
        local: [0; WORDS],
        remote: [0; WORDS],
    };

    /// Our address and port, and the peer's, which is of the same family.
    pub(crate) fn new(local: IpEndpoint, remote: IpEndpoint) -> Flow {
        let flow = match (local.addr, remote.addr) {
            (IpAddress::Ipv4(local), IpAddress::Ipv4(remote)) => {
                Flow::between_v4(local.to_bits(), remote.to_bits())
            }
            #[cfg(feature = "ipv6")]
            (local, remote) => Flow {
                words: 4,
                local: four(local),
                remote: four(remote),
                ..Flow::ZERO
            },
        };
        flow.with_ports(local.port, remote.port)
    }

    /// What comes to one of our ports, of one address or of any, which has no words.
    pub(crate) fn to(local: IpListenEndpoint) -> Flow {
        let addr = local.addr.filter(|addr| !addr.is_unspecified());
        let to = |addr| IpEndpoint::new(addr, 0);
        let flow = addr.map_or(Flow::ZERO, |addr| Flow::new(to(addr), to(addr)));
        flow.with_ports(local.port, 0)
    }

    /// As its peer has it.
    pub(crate) fn reversed(&self) -> Flow {
        Flow {
            ports: self.ports.rotate_left(16),
            words: self.words,
            local: self.remote,
            remote: self.local,
        }
    }

    /// The same without ports.
    pub(crate) fn between_v4(local: u32, remote: u32) -> Flow {
        let mut flow = Flow::ZERO;
        (flow.words, flow.local[0], flow.remote[0]) = (1, local, remote);
        flow
    }

    pub(crate) fn with_ports(self, local: u16, remote: u16) -> Flow {
        Flow {
            ports: u32::from(local) << 16 | u32::from(remote),
            ..self
        }
    }

    /// How many bytes of text a packet of `mtu` bytes carries.
    pub(crate) fn mss(&self, mtu: u16) -> u16 {
        mtu.saturating_sub(if self.words == 1 { 40 } else { 60 })
    }

    pub(crate) fn local_port(&self) -> u16 {
        (self.ports >> 16) as u16
    }

    fn address(&self, words: &[u32; WORDS]) -> IpAddress {
        #[cfg(feature = "ipv6")]
        if self.words == 4 {
            let [a, b, c, d] = words.map(u128::from);
            return Ipv6Address::from_bits(a << 96 | b << 64 | c << 32 | d).into();
        }
        Ipv4Address::from_bits(words[0]).into()
    }

    pub(crate) fn local_addr(&self) -> IpAddress {
        self.address(&self.local)
    }

    pub(crate) fn remote_addr(&self) -> IpAddress {
        self.address(&self.remote)
    }

    /// Where smoltcp has to listen for it.
    pub(crate) fn listens(&self) -> IpListenEndpoint {
        self.local().into()
    }

    /// Our address and port.
    #[cfg_attr(feature = "ipv6", inline(never))]
    pub(crate) fn local(&self) -> IpEndpoint {
        IpEndpoint::new(self.local_addr(), self.local_port())
    }

    /// The peer's address and port.
    #[cfg_attr(feature = "ipv6", inline(never))]
    pub(crate) fn remote(&self) -> IpEndpoint {
        IpEndpoint::new(self.remote_addr(), self.ports as u16)
    }
}

#[cfg(feature = "ipv6")]
fn four(address: IpAddress) -> [u32; WORDS] {
    let octets = match address {
        IpAddress::Ipv4(address) => address.to_ipv6_mapped().octets(),
        IpAddress::Ipv6(address) => address.octets(),
    };
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(octets.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}
