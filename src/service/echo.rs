//! Echo (RFC 862): everything that is received is sent back.

use crate::node::Node;
use crate::service::serve;
use crate::socket::{Backlog, ListenError, TcpStream};

/// How many bytes move at a time; they live in the task.
const CHUNK: usize = 512;

/// Serves [`echo_client`] on `port` until the listener is closed.
///
/// # Errors
/// [`ListenError`] when the port cannot be listened on.
///
/// # Cancel safety
/// **Safe.** As [`serve`].
pub fn echo(
    node: Node<'_>,
    port: u16,
    backlog: Backlog,
) -> impl Future<Output = Result<(), ListenError>> {
    serve(node, "echo", port, backlog, echo_client)
}

/// Sends everything back until the client closes its side.
///
/// # Cancel safety
/// **Safe.** The stream closes in the background.
pub async fn echo_client(mut stream: TcpStream<'_>) {
    let mut chunk = [0; CHUNK];
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        if stream.write_all(&chunk[..count]).await.is_err() {
            break;
        }
    }
}
