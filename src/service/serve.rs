//! What every server does: it accepts, and makes a task of each connection.

use crate::node::Node;
use crate::socket::{Backlog, ListenError, TcpStream};

/// Accepts on `port` and makes a task of `client` for each connection, until
/// the listener is closed.
///
/// # Errors
/// [`ListenError`] when the port cannot be listened on.
///
/// # Cancel safety
/// **Safe.** Clients that run go on; connections not accepted are reset.
pub async fn serve<'a, C>(
    node: Node<'a>,
    name: &'static str,
    port: u16,
    backlog: Backlog,
    client: impl Fn(TcpStream<'a>) -> C,
) -> Result<(), ListenError>
where
    C: Future<Output = ()> + 'a,
{
    let listener = node.listen(port, backlog)?;
    while let Ok((stream, _peer)) = listener.accept().await {
        // Refused: the future is dropped, and with it the stream closes.
        let _ = node.spawn_named(name, client(stream));
    }
    Ok(())
}
