//! Discard (RFC 863): everything that is received is thrown away.

use crate::service::serve::server;
use crate::socket::TcpStream;

server!(discard, discard_client);

/// Reads until the client closes, and answers nothing.
///
/// # Cancel safety
/// **Safe.** The stream closes in the background.
pub async fn discard_client(mut stream: TcpStream<'_>) {
    while let Ok(1..) = stream.read_with(|bytes| (bytes.len(), bytes.len())).await {}
}
