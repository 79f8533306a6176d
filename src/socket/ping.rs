//! Echo requests of ours, and their answers (RFC 792, RFC 4443): a socket whose port is the
//! identifier, and whose peers' ports are sequence numbers. Requests of others are answered by
//! smoltcp, as often as the bucket allows.

use core::cell::Cell;

use smoltcp::time::Duration;
use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::socket::{RecvError, SendError, UdpSocket};

/// Asks hosts for an echo. Made by [`Node::pings`](crate::Node::pings).
///
/// Others' requests are answered without it, with or without this feature: those to one of
/// the host's own addresses, as many in a second as answers may leave that no socket sends.
/// Not those to everybody or to a group, such as `ff02::1`, although RFC 4443, 4.2, would
/// have them answered and RFC 1122, 3.2.2.6, allows it: one frame would make every host of
/// a network talk at once, to whoever it names. Nor those in pieces: nothing is put together
/// here, because one stray piece would keep the place for it for a minute. Both are dropped
/// and counted ([`DropReason`](crate::event::DropReason)).
///
/// ```
/// use cygnet::{Node, SendError};
/// use smoltcp::time::Duration;
/// use smoltcp::wire::IpAddress;
///
/// /// Whether a host answers within a second.
/// async fn is_there(node: Node<'_>, host: IpAddress) -> bool {
///     let Ok(pings) = node.pings() else { return false };
///     let second = Duration::from_secs(1);
///     matches!(node.timeout(second, pings.ping(host, b"swan")).await, Ok(Ok(_)))
/// }
/// # let _ = is_there;
/// ```
#[derive(Debug)]
pub struct PingSocket<'a> {
    socket: UdpSocket<'a>,
    /// Of the last request.
    sequence: Cell<u16>,
}

impl<'a> PingSocket<'a> {
    pub(crate) fn new(socket: UdpSocket<'a>) -> Self {
        PingSocket {
            socket: socket.pings(),
            sequence: Cell::new(0),
        }
    }

    /// Sends an echo request with this payload; gives its sequence number, which is never 0.
    /// It waits for room and for nothing else.
    ///
    /// # Errors
    /// [`SendError`] says what to do; nothing was sent.
    ///
    /// # Cancel safety
    /// **Safe.** A dropped future has sent nothing.
    pub async fn send(&self, to: IpAddress, payload: &[u8]) -> Result<u16, SendError> {
        let sequence = self.sequence.get().checked_add(1).unwrap_or(1);
        self.sequence.set(sequence);
        self.socket.send_to(payload, (to, sequence)).await?;
        Ok(sequence)
    }

    /// Waits for an answer and gives how many bytes of its payload are in `buf`, who sent it
    /// and its sequence number.
    ///
    /// # Errors
    /// [`RecvError`] says what to do.
    ///
    /// # Cancel safety
    /// **Safe.** A dropped future has taken no answer.
    pub async fn recv(&self, buf: &mut [u8]) -> Result<(usize, IpAddress, u16), RecvError> {
        let (len, peer) = self.socket.recv_from(buf).await?;
        Ok((len, peer.endpoint.addr, peer.endpoint.port))
    }

    /// Sends an echo request and waits for its answer; gives how long that took, with the time
    /// in which the host's neighbor was found. Without an answer it waits for ever: see
    /// [`Node::timeout`](crate::Node::timeout). Answers to other requests of this socket are
    /// thrown away meanwhile.
    ///
    /// # Errors
    /// [`SendError`] says what to do.
    ///
    /// # Cancel safety
    /// **Safe.** The answer to a dropped one is thrown away by the next.
    pub async fn ping(&self, to: IpAddress, payload: &[u8]) -> Result<Duration, SendError> {
        let begin = self.socket.now();
        let sequence = self.send(to, payload).await?;
        loop {
            let answer = self.socket.recv_from(&mut []).await;
            let (_, peer) = answer.map_err(|error| match error {
                RecvError::TooManyWaiting => SendError::TooManyWaiting,
                RecvError::Refused => SendError::Refused,
                RecvError::Closed => SendError::Closed,
            })?;
            if peer.endpoint == IpEndpoint::new(to, sequence) {
                return Ok(self.socket.now() - begin);
            }
        }
    }
}
