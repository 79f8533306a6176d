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
