//! [sntpc](https://docs.rs/sntpc) 0.11 asks a server for the time over our datagrams.
//!
//! ```
//! use core::net::SocketAddr;
//! use cygnet::{Error, Node};
//! use cygnet_compat::sntpc::{Socket, Timestamps};
//! use smoltcp::time::Duration;
//! use sntpc::{NtpContext, get_time};
//!
//! /// Unix time, in seconds.
//! async fn ask(node: Node<'_>, server: SocketAddr) -> Result<Option<u64>, Error> {
//!     let socket = Socket::new(node)?;
//!     let context = NtpContext::new(Timestamps::new(node));
//!     let asked = get_time(server, &socket, context);
//!     let answer = node.timeout(Duration::from_secs(3), asked).await?;
//!     Ok(answer.ok().map(|answer| answer.seconds))
//! }
//! # let _ = ask;
//! ```
//!
//! sntpc waits for an answer for ever, and ends at the first one that is none: `timeout` gives
//! up in time, and what others than the server send is not heard. On a Cortex-M3 a request
//! takes 3.4 KiB, sntpc's own code included.

use core::net::SocketAddr;

use cygnet::{BindError, Node, UdpSocket};
use smoltcp::time::Instant;
use sntpc::{Error, NtpTimestampGenerator, NtpUdpSocket, Result};

use crate::address::{endpoint, socket_addr};

/// A socket for requests, which hears nobody but the server that it has asked last.
#[derive(Debug)]
pub struct Socket<'n>(UdpSocket<'n>);

impl<'n> Socket<'n> {
    /// On a port that nobody can foresee: whoever forges an answer has to guess it.
    ///
    /// # Errors
    /// [`BindError`] says what to change.
    pub fn new(node: Node<'n>) -> core::result::Result<Self, BindError> {
        node.bind(0).map(Socket)
    }
}

impl NtpUdpSocket for Socket<'_> {
    async fn send_to(&self, buf: &[u8], addr: SocketAddr) -> Result<usize> {
        let server = endpoint(addr).ok_or(Error::Network)?;
        self.0.connect(server).map_err(|_| Error::Network)?;
        let sent = self.0.send(buf).await;
        sent.map(|()| buf.len()).map_err(|_| Error::Network)
    }

    async fn recv_from(&self, buf: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let received = self.0.recv_from(buf).await;
        let (count, peer) = received.map_err(|_| Error::Network)?;
        Ok((count, socket_addr(peer.endpoint)))
    }
}

/// The node's time as sntpc counts it, since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Timestamps<'n> {
    node: Node<'n>,
    began: u64,
    micros: u64,
}

impl<'n> Timestamps<'n> {
    /// Of a node whose time began in 1970, as that of a machine without a clock does. An
    /// answer's `offset` is what is missing from it.
    pub const fn new(node: Node<'n>) -> Self {
        Timestamps::since(node, 0)
    }

    /// Of a node whose time began so many microseconds after 1970 began: an earlier
    /// answer's offset.
    pub const fn since(node: Node<'n>, began: u64) -> Self {
        let micros = began;
        Timestamps {
            node,
            began,
            micros,
        }
    }
}

impl NtpTimestampGenerator for Timestamps<'_> {
    fn init(&mut self) {
        let now = self.node.now() - Instant::ZERO;
        self.micros = self.began.saturating_add(now.total_micros());
    }

    fn timestamp_sec(&self) -> u64 {
        self.micros / 1_000_000
    }

    fn timestamp_subsec_micros(&self) -> u32 {
        (self.micros % 1_000_000) as u32
    }
}
