//! Datagrams in the words of embedded-nal-async.

use core::net::{IpAddr, SocketAddr};

use cygnet::{Error, SendError, Target, UdpSocket};
use embedded_nal_async::{ConnectedUdp, UdpStack, UnconnectedUdp};

use super::Nal;
use crate::address::{address, endpoint, ip_addr, listen_endpoint, socket_addr};
use crate::nal::unless_lost;

/// A socket that is connected to a peer.
#[derive(Debug)]
pub struct Connected<'n>(pub UdpSocket<'n>);

/// A socket that is bound, to one address or to all.
#[derive(Debug)]
pub struct Bound<'n>(pub UdpSocket<'n>);

impl<'n> Nal<'n> {
    fn open(&self, local: SocketAddr) -> Result<UdpSocket<'n>, Error> {
        let at = listen_endpoint(local).ok_or(SendError::Unaddressable)?;
        Ok(self.0.bind(at)?)
    }
}

/// The address that a socket has, as far as it has one.
fn whole(local: SocketAddr, socket: &UdpSocket<'_>) -> SocketAddr {
    let addr = socket.local_addr().map_or(local.ip(), ip_addr);
    SocketAddr::new(addr, socket.port())
}

impl<'n> UdpStack for Nal<'n> {
    type Error = Error;
    type Connected = Connected<'n>;
    type UniquelyBound = Bound<'n>;
    type MultiplyBound = Bound<'n>;

    async fn connect_from(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(SocketAddr, Connected<'n>), Error> {
        let socket = self.open(local)?;
        let remote = endpoint(remote).ok_or(SendError::Unaddressable)?;
        socket.connect(remote)?;
        Ok((whole(local, &socket), Connected(socket)))
    }

    /// An unspecified address is every one of the host's, and is given back as it was.
    async fn bind_single(&self, local: SocketAddr) -> Result<(SocketAddr, Bound<'n>), Error> {
        let socket = self.open(local)?;
        Ok((whole(local, &socket), Bound(socket)))
    }

    async fn bind_multiple(&self, local: SocketAddr) -> Result<Bound<'n>, Error> {
        Ok(Bound(self.open(local)?))
    }
}

impl ConnectedUdp for Connected<'_> {
    type Error = Error;

    async fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        Ok(self.0.send(data).await?)
    }

    /// What does not fit into `buffer` is gone, and not counted.
    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        Ok(self.0.recv_from(buffer).await?.0)
    }
}

impl UnconnectedUdp for Bound<'_> {
    type Error = Error;

    /// From `local` if that is an address of the host, else from one that the peer can be
    /// reached from. What is sent to port 0, or to an address that no address of the host's
    /// reaches, is lost, as any datagram may be: it must not end a server that a stranger says
    /// where its answer goes.
    async fn send(
        &mut self,
        local: SocketAddr,
        remote: SocketAddr,
        data: &[u8],
    ) -> Result<(), Error> {
        let remote = endpoint(remote).ok_or(SendError::Unaddressable)?;
        let to = Target::from(remote);
        let from = specified(local.ip()).and_then(address);
        let to = from.map_or(to, |from| to.from_local(from));
        unless_lost(self.0.send_to(data, to).await)
    }

    /// What does not fit into `buffer` is gone, and not counted.
    async fn receive_into(
        &mut self,
        buffer: &mut [u8],
    ) -> Result<(usize, SocketAddr, SocketAddr), Error> {
        let (count, peer) = self.0.recv_from(buffer).await?;
        let local = SocketAddr::new(ip_addr(peer.local), self.0.port());
        Ok((count, local, socket_addr(peer.endpoint)))
    }
}

fn specified(addr: IpAddr) -> Option<IpAddr> {
    (!addr.is_unspecified()).then_some(addr)
}
