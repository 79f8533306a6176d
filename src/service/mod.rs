//! Ready-made servers: the seed's `hello`, and the small services of 1983.
//!
//! Each is one `async fn` for the server, which ends when its listener is
//! closed, and one for the client, which a program may use on its own. A
//! client that finds no free task is closed, and counted in
//! [`Counters::spawns_refused`](crate::event::Counters).

mod chargen;
mod daytime;
mod discard;
mod echo;
mod hello;

pub use chargen::{chargen, chargen_client};
pub use daytime::{daytime, daytime_client};
pub use discard::{discard, discard_client};
pub use echo::{echo, echo_client};
pub use hello::{hello, hello_client};

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
