//! [edge-nal](https://docs.rs/edge-nal) 0.7: what edge-http, edge-ws and their kin run over.
//!
//! ```
//! use cygnet::Node;
//! use cygnet_compat::edge_nal::Nal;
//! use edge_nal::{TcpAccept, TcpBind};
//! use embedded_io_async::Write;
//!
//! async fn greet(node: Node<'_>) -> Result<(), cygnet::Error> {
//!     let nal = Nal::new(node);
//!     let listener = nal.bind("0.0.0.0:5000".parse().expect("an address")).await?;
//!     loop {
//!         let (_peer, mut stream) = listener.accept().await?;
//!         stream.write_all(b"Hello World\n").await?;
//!     }
//! }
//! # let _ = greet;
//! ```
//!
//! Any number of handlers in one task may accept at once. An unspecified address listens on
//! every one of the host's, of both families. With the feature `dns` a [`Nal`] answers for
//! names.
//!
//! With the feature `udp` there are datagrams ([`Datagrams`]): for edge-dhcp, edge-mdns,
//! edge-captive. A socket that is bound to an unspecified address hears also what is sent to
//! everybody, to any group, or to an address that the host does not have yet, as DHCP needs
//! it; one that is bound to an address of the host's hears what is sent there, and to groups
//! that it joins. With the feature `groups` switches and routers are told of those.
//!
//! On a Cortex-M3 an echo over it takes 1.1 KiB more than over cygnet's own sockets by
//! datagrams, and 2.0 KiB more by TCP.

#[cfg(feature = "udp")]
mod udp;

use core::net::SocketAddr;

use cygnet::{
    Backlog, ConnectError, Error, Node, ReadHalf, StreamError, TcpListener, TcpStream, WriteHalf,
};
use edge_nal::{Close, Readable, TcpAccept, TcpBind, TcpConnect, TcpShutdown, TcpSplit};
use embedded_io_async::{ErrorType, Read, Write};

use crate::address::{listen_endpoint, socket_addr};
pub use crate::nal::Stream;
#[cfg(feature = "udp")]
pub use udp::Datagrams;

/// A node as edge-nal's network stack.
#[derive(Clone, Copy, Debug)]
pub struct Nal<'n> {
    node: Node<'n>,
    backlog: Backlog,
}

impl<'n> Nal<'n> {
    /// With a backlog of four connections for each listener.
    pub const fn new(node: Node<'n>) -> Self {
        let backlog = Backlog(4);
        Nal { node, backlog }
    }

    /// With another backlog, because edge-nal does not ask for one.
    pub const fn with_backlog(self, backlog: Backlog) -> Self {
        Nal { backlog, ..self }
    }
}

/// A listener.
#[derive(Debug)]
pub struct Listener<'n>(pub TcpListener<'n>);

impl<'n> TcpBind for Nal<'n> {
    type Error = Error;
    type Accept<'a>
        = Listener<'n>
    where
        Self: 'a;

    async fn bind(&self, local: SocketAddr) -> Result<Listener<'n>, Error> {
        let local = listen_endpoint(local).ok_or(ConnectError::Unaddressable)?;
        Ok(Listener(self.node.listen(local, self.backlog)?))
    }
}

impl<'n> TcpAccept for Listener<'n> {
    type Error = Error;
    type Socket<'a>
        = Stream<'n>
    where
        Self: 'a;

    async fn accept(&self) -> Result<(SocketAddr, Stream<'n>), Error> {
        let (stream, peer) = self.0.accept().await?;
        Ok((socket_addr(peer), Stream(stream)))
    }
}

impl<'n> TcpConnect for Nal<'n> {
    type Error = Error;
    type Socket<'a>
        = Stream<'n>
    where
        Self: 'a;

    async fn connect(&self, remote: SocketAddr) -> Result<Stream<'n>, Error> {
        Ok(Stream(self.node.connect(remote).await?))
    }
}

impl Readable for Stream<'_> {
    async fn readable(&mut self) -> Result<(), Error> {
        Ok(self.0.readable().await?)
    }
}

impl TcpShutdown for Stream<'_> {
    /// Of the write half: a FIN that the peer has acknowledged. Of the read half: whatever
    /// comes up to the peer's FIN, thrown away.
    async fn close(&mut self, what: Close) -> Result<(), Error> {
        if let Close::Write | Close::Both = what {
            self.0.shutdown();
        }
        if let Close::Read | Close::Both = what {
            discard(&mut self.0).await?;
        }
        match what {
            Close::Read => Ok(()),
            Close::Write | Close::Both => Ok(self.0.finish().await?),
        }
    }

    async fn abort(&mut self) -> Result<(), Error> {
        self.0.reset();
        Ok(())
    }
}

async fn discard(stream: &mut TcpStream<'_>) -> Result<(), StreamError> {
    while stream.read_with(|bytes| (bytes.len(), bytes.len())).await? > 0 {}
    Ok(())
}

/// The receiving half of a [`Stream`].
#[derive(Debug)]
pub struct Reader<'h, 'n>(&'h mut ReadHalf<'n>);

/// The sending half of a [`Stream`].
#[derive(Debug)]
pub struct Writer<'h, 'n>(&'h mut WriteHalf<'n>);

impl<'n> TcpSplit for Stream<'n> {
    type Read<'a>
        = Reader<'a, 'n>
    where
        Self: 'a;
    type Write<'a>
        = Writer<'a, 'n>
    where
        Self: 'a;

    fn split(&mut self) -> (Reader<'_, 'n>, Writer<'_, 'n>) {
        let (reader, writer) = self.0.split();
        (Reader(reader), Writer(writer))
    }
}

impl ErrorType for Reader<'_, '_> {
    type Error = Error;
}

impl Read for Reader<'_, '_> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        Ok(self.0.read(buf).await?)
    }
}

impl Readable for Reader<'_, '_> {
    async fn readable(&mut self) -> Result<(), Error> {
        Ok(self.0.readable().await?)
    }
}

impl ErrorType for Writer<'_, '_> {
    type Error = Error;
}

impl Write for Writer<'_, '_> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        Ok(self.0.write(buf).await?)
    }

    async fn flush(&mut self) -> Result<(), Error> {
        Ok(Write::flush(&mut *self.0).await?)
    }
}

#[cfg(feature = "dns")]
crate::nal::names!(edge_nal, |nal| nal.node);
