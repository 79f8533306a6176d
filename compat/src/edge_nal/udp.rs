//! Datagrams in edge-nal's words.

use core::cell::Cell;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use cygnet::{Error, HearError, Hears, SendError, UdpSocket};
use edge_nal::{
    MulticastV4, MulticastV6, Readable, UdpBind, UdpConnect, UdpReceive, UdpSend, UdpSplit,
    UdpSplitMulticast,
};
use embedded_io_async::ErrorType;
use smoltcp::wire::IpAddress;

use super::Nal;
use crate::address::{address, endpoint, listen_endpoint, socket_addr};
use crate::nal::unless_lost;

/// A bound port. A reference to it is each of the parts that edge-nal splits it into.
#[derive(Debug)]
pub struct Datagrams<'n> {
    socket: UdpSocket<'n>,
    /// What it hears without a group.
    hears: Hears,
    is_connected: bool,
    /// What it has joined, because leaving one is forgetting all and joining the rest again.
    groups: Cell<[Option<IpAddress>; 2]>,
}

impl<'n> Datagrams<'n> {
    fn new(nal: &Nal<'n>, local: SocketAddr) -> Result<Self, Error> {
        let local = listen_endpoint(local).ok_or(SendError::Unaddressable)?;
        Ok(Datagrams {
            socket: nal.node.bind(local)?,
            hears: Hears::Ours,
            is_connected: false,
            groups: Cell::default(),
        })
    }

    /// The socket beneath.
    pub fn socket(&self) -> &UdpSocket<'n> {
        &self.socket
    }

    fn join(&self, group: Option<IpAddress>) -> Result<(), Error> {
        let group = group.ok_or(HearError::NotAGroup)?;
        self.socket.hear(Hears::Group(group))?;
        let mut groups = self.groups.get();
        if !groups.contains(&Some(group))
            && let Some(place) = groups.iter_mut().find(|place| place.is_none())
        {
            *place = Some(group);
        }
        self.groups.set(groups);
        Ok(())
    }

    fn leave(&self, group: Option<IpAddress>) -> Result<(), Error> {
        let mut groups = self.groups.get();
        let held = groups
            .iter_mut()
            .find(|held| group.is_some() && **held == group);
        *held.ok_or(HearError::NotAGroup)? = None;
        self.groups.set(groups);
        self.socket.hear(self.hears)?;
        for group in groups.into_iter().flatten() {
            self.socket.hear(Hears::Group(group))?;
        }
        Ok(())
    }
}

impl<'n> UdpBind for Nal<'n> {
    type Error = Error;
    type Socket<'a>
        = Datagrams<'n>
    where
        Self: 'a;

    async fn bind(&self, local: SocketAddr) -> Result<Datagrams<'n>, Error> {
        let mut bound = Datagrams::new(self, local)?;
        if local.ip().is_unspecified() {
            bound.hears = Hears::Anything;
            bound.socket.hear(bound.hears)?;
        }
        Ok(bound)
    }
}

impl<'n> UdpConnect for Nal<'n> {
    type Error = Error;
    type Socket<'a>
        = Datagrams<'n>
    where
        Self: 'a;

    async fn connect(&self, local: SocketAddr, remote: SocketAddr) -> Result<Datagrams<'n>, Error> {
        let mut bound = Datagrams::new(self, local)?;
        let remote = endpoint(remote).ok_or(SendError::Unaddressable)?;
        bound.socket.connect(remote)?;
        bound.is_connected = true;
        Ok(bound)
    }
}

impl ErrorType for &Datagrams<'_> {
    type Error = Error;
}

impl UdpReceive for &Datagrams<'_> {
    /// What does not fit into `buffer` is gone, and not counted: whoever looks at so many of
    /// its bytes must find them.
    async fn receive(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        let (count, peer) = self.socket.recv_from(buffer).await?;
        Ok((count, socket_addr(peer.endpoint)))
    }
}

impl UdpSend for &Datagrams<'_> {
    /// What is sent to port 0, or to an address that no address of the host's reaches, is lost,
    /// as any datagram may be: a server of edge-net's ends at the first error, and a stranger
    /// says where its answer goes. [`UdpConnect`] says that error.
    async fn send(&mut self, remote: SocketAddr, data: &[u8]) -> Result<(), Error> {
        if self.is_connected {
            return Ok(self.socket.send(data).await?);
        }
        let remote = endpoint(remote).ok_or(SendError::Unaddressable)?;
        unless_lost(self.socket.send_to(data, remote).await)
    }
}

impl Readable for &Datagrams<'_> {
    async fn readable(&mut self) -> Result<(), Error> {
        Ok(self.socket.readable().await?)
    }
}

impl MulticastV4 for &Datagrams<'_> {
    /// There is one interface.
    async fn join_v4(&mut self, group: Ipv4Addr, _: Ipv4Addr) -> Result<(), Error> {
        self.join(address(group.into()))
    }

    async fn leave_v4(&mut self, group: Ipv4Addr, _: Ipv4Addr) -> Result<(), Error> {
        self.leave(address(group.into()))
    }
}

impl MulticastV6 for &Datagrams<'_> {
    async fn join_v6(&mut self, group: Ipv6Addr, _: u32) -> Result<(), Error> {
        self.join(address(group.into()))
    }

    async fn leave_v6(&mut self, group: Ipv6Addr, _: u32) -> Result<(), Error> {
        self.leave(address(group.into()))
    }
}

impl ErrorType for Datagrams<'_> {
    type Error = Error;
}

impl UdpReceive for Datagrams<'_> {
    async fn receive(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        (&mut &*self).receive(buffer).await
    }
}

impl UdpSend for Datagrams<'_> {
    async fn send(&mut self, remote: SocketAddr, data: &[u8]) -> Result<(), Error> {
        (&mut &*self).send(remote, data).await
    }
}

impl Readable for Datagrams<'_> {
    async fn readable(&mut self) -> Result<(), Error> {
        (&mut &*self).readable().await
    }
}

impl MulticastV4 for Datagrams<'_> {
    async fn join_v4(&mut self, group: Ipv4Addr, interface: Ipv4Addr) -> Result<(), Error> {
        (&mut &*self).join_v4(group, interface).await
    }

    async fn leave_v4(&mut self, group: Ipv4Addr, interface: Ipv4Addr) -> Result<(), Error> {
        (&mut &*self).leave_v4(group, interface).await
    }
}

impl MulticastV6 for Datagrams<'_> {
    async fn join_v6(&mut self, group: Ipv6Addr, interface: u32) -> Result<(), Error> {
        (&mut &*self).join_v6(group, interface).await
    }

    async fn leave_v6(&mut self, group: Ipv6Addr, interface: u32) -> Result<(), Error> {
        (&mut &*self).leave_v6(group, interface).await
    }
}

impl<'n> UdpSplit for Datagrams<'n> {
    type Receive<'a>
        = &'a Datagrams<'n>
    where
        Self: 'a;
    type Send<'a>
        = &'a Datagrams<'n>
    where
        Self: 'a;

    fn split(&mut self) -> (Self::Receive<'_>, Self::Send<'_>) {
        (self, self)
    }
}

impl<'n> UdpSplitMulticast for Datagrams<'n> {
    type MulticastV4<'a>
        = &'a Datagrams<'n>
    where
        Self: 'a;
    type MulticastV6<'a>
        = &'a Datagrams<'n>
    where
        Self: 'a;

    fn split_multicast(
        &mut self,
    ) -> (
        Self::Receive<'_>,
        Self::Send<'_>,
        Self::MulticastV4<'_>,
        Self::MulticastV6<'_>,
    ) {
        (self, self, self, self)
    }
}
