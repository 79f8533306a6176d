//! What both network abstraction layers need: a stream whose errors are those of connecting,
//! too.

use cygnet::{Error, TcpStream};
use embedded_io_async::{ErrorType, Read, Write};

/// A stream with [`cygnet::Error`], the one error of a network abstraction layer.
#[derive(Debug)]
pub struct Stream<'a>(pub TcpStream<'a>);

impl ErrorType for Stream<'_> {
    type Error = Error;
}

impl Read for Stream<'_> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        Ok(self.0.read(buf).await?)
    }
}

impl Write for Stream<'_> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        Ok(self.0.write(buf).await?)
    }

    async fn flush(&mut self) -> Result<(), Error> {
        Ok(Write::flush(&mut self.0).await?)
    }
}

/// What cannot be sent to where it should go is lost.
#[cfg(feature = "udp")]
pub(crate) fn unless_lost(sent: Result<(), cygnet::SendError>) -> Result<(), Error> {
    match sent {
        Err(cygnet::SendError::Unaddressable) => Ok(()),
        sent => Ok(sent?),
    }
}

/// Answers for names in the words of one of the two crates, which have the same trait.
#[cfg(feature = "dns")]
macro_rules! names {
    ($theirs:ident, |$nal:ident| $node:expr) => {
        impl $theirs::Dns for Nal<'_> {
            type Error = cygnet::ResolveError;

            async fn get_host_by_name(
                &self,
                host: &str,
                kind: $theirs::AddrType,
            ) -> Result<core::net::IpAddr, Self::Error> {
                let family = match kind {
                    $theirs::AddrType::IPv4 => cygnet::Family::V4,
                    $theirs::AddrType::IPv6 => cygnet::Family::V6,
                    $theirs::AddrType::Either => cygnet::Family::Any,
                };
                let $nal = self;
                crate::nal::first_address($node, host, family).await
            }

            /// Always [`NoName`](cygnet::ResolveError::NoName): nobody asks for names of
            /// addresses here.
            async fn get_host_by_address(
                &self,
                _: core::net::IpAddr,
                _: &mut [u8],
            ) -> Result<usize, Self::Error> {
                Err(cygnet::ResolveError::NoName)
            }
        }
    };
}

#[cfg(feature = "dns")]
pub(crate) use names;

/// The first address of a name.
#[cfg(feature = "dns")]
pub(crate) async fn first_address(
    node: cygnet::Node<'_>,
    name: &str,
    family: cygnet::Family,
) -> Result<core::net::IpAddr, cygnet::ResolveError> {
    let addresses = node.resolve(name, family).await?;
    let first = addresses.first().ok_or(cygnet::ResolveError::NoAddress)?;
    Ok(crate::address::ip_addr(*first))
}
