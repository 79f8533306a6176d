//! The small services of 1983 by datagrams: echo (RFC 862), discard (RFC 863) and daytime
//! (RFC 867). Each is one task for all clients, and ends when its host is rebooted.
//!
//! Two servers of this kind that answer each other do so for ever, and one datagram whose
//! sender is forged begins it. So nobody is answered at a port below 1,024, where such servers
//! are, nor what was sent to a group.

use crate::node::Node;
use crate::rules::peers::Peer;
use crate::service::daytime::line;
use crate::socket::BindError;

/// First of the ports that clients have (RFC 6335).
const FIRST_USER_PORT: u16 = 1024;

/// Sends every datagram of at most `BYTES` bytes back to whoever sent it.
///
/// # Errors
/// [`BindError`] when the port cannot be bound.
///
/// # Cancel safety
/// **Safe.** What was received and not yet sent back is lost.
pub async fn echo_datagrams<const BYTES: usize>(
    node: Node<'_>,
    port: u16,
) -> Result<(), BindError> {
    let socket = node.bind(port)?;
    let mut buf = [0; BYTES];
    while let Ok((len, peer)) = socket.recv_from(&mut buf).await {
        if is_client(&peer) && !peer.is_cut {
            let _ = socket.send_to(&buf[..len], peer).await;
        }
    }
    Ok(())
}

/// Throws every datagram away.
///
/// # Errors
/// [`BindError`] when the port cannot be bound.
///
/// # Cancel safety
/// **Safe.**
pub async fn discard_datagrams(node: Node<'_>, port: u16) -> Result<(), BindError> {
    let socket = node.bind(port)?;
    while socket.recv_from(&mut []).await.is_ok() {}
    Ok(())
}

/// Answers every datagram with the time, as
/// [`daytime_client`](crate::service::daytime_client) says it. `epoch` is the Unix time, in
/// seconds, of the platform's time zero.
///
/// # Errors
/// [`BindError`] when the port cannot be bound.
///
/// # Cancel safety
/// **Safe.** Who was not answered yet is not.
pub async fn daytime_datagrams(node: Node<'_>, port: u16, epoch: i64) -> Result<(), BindError> {
    let socket = node.bind(port)?;
    while let Ok((_, peer)) = socket.recv_from(&mut []).await {
        if is_client(&peer) {
            let now = epoch.saturating_add(node.now().total_micros() / 1_000_000);
            let _ = socket.send_to(line(now).as_bytes(), peer).await;
        }
    }
    Ok(())
}

fn is_client(peer: &Peer) -> bool {
    peer.endpoint.port >= FIRST_USER_PORT && peer.local.is_unicast()
}
