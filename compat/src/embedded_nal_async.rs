//! [embedded-nal-async](https://docs.rs/embedded-nal-async) 0.9: what reqwless, rust-mqtt and
//! others connect through.
//!
//! ```
//! use cygnet::Node;
//! use cygnet_compat::embedded_nal_async::Nal;
//! use embedded_io_async::{Read, Write};
//! use embedded_nal_async::TcpConnect;
//!
//! async fn ask(node: Node<'_>, answer: &mut [u8]) -> Result<usize, cygnet::Error> {
//!     let nal = Nal(node);
//!     let peer = "192.168.69.1:5000".parse().expect("an address");
//!     let mut stream = nal.connect(peer).await?;
//!     stream.write_all(b"a question").await?;
//!     stream.read(answer).await
//! }
//! # let _ = ask;
//! ```
//!
//! With the feature `dns` a [`Nal`] answers for names, and with the feature `udp` it is a
//! `UdpStack`: on a Cortex-M3 an echo over it takes 0.7 KiB more than over a `UdpSocket`.

#[cfg(feature = "udp")]
mod udp;

use core::net::SocketAddr;

use cygnet::{Error, Node};
use embedded_nal_async::TcpConnect;

pub use crate::nal::Stream;
#[cfg(feature = "udp")]
pub use udp::{Bound, Connected};

/// A node as a network stack of `embedded-nal-async`.
#[derive(Clone, Copy, Debug)]
pub struct Nal<'n>(pub Node<'n>);

impl<'n> TcpConnect for Nal<'n> {
    type Error = Error;
    type Connection<'a>
        = Stream<'n>
    where
        Self: 'a;

    async fn connect<'a>(&'a self, remote: SocketAddr) -> Result<Stream<'n>, Error> {
        Ok(Stream(self.0.connect(remote).await?))
    }
}

#[cfg(feature = "dns")]
crate::nal::names!(embedded_nal_async, |nal| nal.0);
