//! Discard (RFC 863): everything that is received is thrown away.

use crate::node::Node;
use crate::service::serve;
use crate::socket::{Backlog, ListenError, TcpStream};

/// Serves [`discard_client`] on `port` until the listener is closed.
///
/// # Errors
/// [`ListenError`] when the port cannot be listened on.
///
/// # Cancel safety
/// **Safe.** As [`serve`].
pub fn discard(
    node: Node<'_>,
    port: u16,
    backlog: Backlog,
) -> impl Future<Output = Result<(), ListenError>> {
    serve(node, "discard", port, backlog, discard_client)
}

/// Reads until the client closes, and answers nothing.
///
/// # Cancel safety
/// **Safe.** The stream closes in the background.
pub async fn discard_client(mut stream: TcpStream<'_>) {
    while let Ok(1..) = stream.read_with(|bytes| (bytes.len(), bytes.len())).await {}
}
