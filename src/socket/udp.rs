//! A socket for datagrams (RFC 768): a bound port and a ring of what came for it. What is sent
//! leaves at the end of the turn.
//!
//! It is what RFC 8085 calls a bare transport: nothing is repeated, put in order or slowed
//! down. That is for the protocol on it.

use core::future::poll_fn;
use core::task::{Context, Poll, Waker};

use smoltcp::wire::{IpAddress, IpListenEndpoint};

use crate::counters::DropReason;
use crate::event::{Event, Reason, Yield};
use crate::frame::flow::Flow;
use crate::rules::peers::{Hears, Peer, Target, way};
use crate::socket::{BindError, HearError, RecvError, SendError};
use crate::stack::core::Core;
use crate::stack::datagrams::{self, CannotBind, CannotSend};
use crate::stack::stack::Stack;
use crate::table::binds::{BindId, words};
use crate::task::waker::Parking;

/// A bound port. Made by [`Node::bind`](crate::Node::bind).
///
/// Several tasks may receive and send on it at once; each datagram wakes the one that has
/// waited longest. Dropping it frees the port: what it sent still leaves, what it had
/// not read is gone, and counted as [`Unread`](crate::event::DropReason::Unread).
///
/// ```
/// use cygnet::{Node, RecvError};
///
/// /// The echo service of datagrams (RFC 862).
/// async fn echo(node: Node<'_>) -> Result<(), RecvError> {
///     let Ok(socket) = node.bind(7) else { return Ok(()) };
///     let mut buf = [0; 512];
///     loop {
///         let (len, peer) = socket.recv_from(&mut buf).await?;
///         // A stranger's datagram must not end this: port 0, perhaps.
///         let _ = socket.send_to(&buf[..len], peer).await;
///     }
/// }
/// # let _ = echo;
/// ```
#[derive(Debug)]
pub struct UdpSocket<'a> {
    stack: &'a Stack<'a>,
    id: BindId,
    port: u16,
}

impl<'a> UdpSocket<'a> {
    pub(crate) fn open(stack: &'a Stack<'a>, local: IpListenEndpoint) -> Result<Self, BindError> {
        stack.with(|core| {
            let addr = local.addr.filter(|addr| !addr.is_unspecified());
            if addr.is_some_and(|addr| !core.host.addresses.has(addr)) {
                return Err(BindError::NotOurs);
            }
            let bound = datagrams::bind(&mut core.beside.binds, &mut core.host, addr, local.port);
            match bound {
                Ok((id, port)) => Ok(UdpSocket { stack, id, port }),
                Err(CannotBind::InUse) => Err(BindError::InUse),
                Err(CannotBind::TooMany) => Err(BindError::TooMany),
            }
        })
    }

    /// From now on its datagrams are echo requests, and their answers.
    #[cfg(feature = "ping")]
    pub(crate) fn pings(self) -> Self {
        self.stack.with(|core| {
            if let Some(bind) = core.beside.binds.get(self.id) {
                bind.pings = true;
            }
        });
        self
    }

    /// The time of the turn.
    #[cfg(feature = "ping")]
    pub(crate) fn now(&self) -> smoltcp::time::Instant {
        self.stack.with_quiet(|core| core.host.now)
    }

    /// The port it is bound to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of ours that it speaks from: what it is bound to, or what
    /// [`connect`](Self::connect) chose. `None`: that of each datagram is chosen by where it
    /// goes.
    pub fn local_addr(&self) -> Option<IpAddress> {
        self.stack.with_quiet(|core| {
            let bind = core.beside.binds.get(self.id)?;
            (bind.is_connected || bind.is_narrow).then(|| bind.flow.local_addr())
        })
    }

    /// Says what else the socket hears than what is sent to this host; see [`Hears`].
    ///
    /// # Errors
    /// [`HearError`] says why it does not.
    pub fn hear(&self, what: Hears) -> Result<(), HearError> {
        let group = match what {
            Hears::Group(group) if !group.is_multicast() => return Err(HearError::NotAGroup),
            Hears::Group(group) => Some(words(group)),
            _ => None,
        };
        self.stack.with(|core| {
            let Some(bind) = core.beside.binds.get(self.id) else {
                return Ok(());
            };
            let Some(group) = group else {
                bind.hears_anything = what == Hears::Anything;
                #[cfg(feature = "groups")]
                core.neighbors.joined.leave(&bind.groups, core.host.now);
                bind.groups = Default::default();
                return Ok(());
            };
            let mut groups = bind.groups.iter_mut();
            let place = groups.find(|held| held.0 == 0 || **held == group);
            let place = place.ok_or(HearError::TooMany)?;
            #[cfg(feature = "groups")]
            if let Hears::Group(addr) = what
                && *place != group
                && !core.neighbors.joined.join(addr, core.host.now)
            {
                return Err(HearError::TooMany);
            }
            *place = group;
            Ok(())
        })
    }

    /// Over how many hops what is sent from now on may go; 0 for what it is at first: 64, and
    /// 1 to a group, which no router takes further then (RFC 1112, 6.1).
    pub fn set_hop_limit(&self, hops: u8) {
        self.stack.with(|core| {
            if let Some(bind) = core.beside.binds.get(self.id) {
                bind.hops = hops;
            }
        });
    }

    /// Waits for a datagram, puts it into `buf`, and gives how many bytes that are and who sent
    /// it. What does not fit is gone, and [`Peer::is_cut`] says so. It is no error: a stranger's
    /// datagram must not end a loop over those that can be received.
    ///
    /// # Errors
    /// [`RecvError`] says what to do.
    ///
    /// # Cancel safety
    /// **Safe.** A dropped future has taken no datagram, and if one was meant for it, the task
    /// that has waited next longest is woken.
    pub fn recv_from(
        &self,
        buf: &mut [u8],
    ) -> impl Future<Output = Result<(usize, Peer), RecvError>> {
        let mut line = self.line(Reason::Receive);
        poll_fn(move |cx| {
            let full = Err(RecvError::TooManyWaiting);
            line.poll(cx, full, |core, id| receive(core, id, buf))
        })
    }

    /// Waits until there is a datagram, or an error, for [`recv_from`](Self::recv_from) to
    /// give at once, unless another task takes it first.
    ///
    /// # Errors
    /// As [`recv_from`](Self::recv_from), but for `Refused`, which is that one's to give.
    ///
    /// # Cancel safety
    /// **Safe.** It takes nothing, dropped or not.
    pub fn readable(&self) -> impl Future<Output = Result<(), RecvError>> {
        let mut line = self.line(Reason::Receive);
        poll_fn(move |cx| {
            let full = Err(RecvError::TooManyWaiting);
            line.poll(cx, full, |core, id| {
                let Some(bind) = core.beside.binds.get(id) else {
                    return Poll::Ready(Err(RecvError::Closed));
                };
                if bind.count == 0 && !bind.refused {
                    return Poll::Pending;
                }
                // Nobody says that this task is who takes it.
                core.beside.binds.pass_on(id, false);
                Poll::Ready(Ok(()))
            })
        })
    }

    /// [`recv_from`](Self::recv_from) without the sender, for a connected socket; `None` for a
    /// datagram that was longer than `buf`.
    ///
    /// # Errors
    /// As [`recv_from`](Self::recv_from).
    ///
    /// # Cancel safety
    /// **Safe**, as [`recv_from`](Self::recv_from).
    pub async fn recv(&self, buf: &mut [u8]) -> Result<Option<usize>, RecvError> {
        let (len, peer) = self.recv_from(buf).await?;
        Ok((!peer.is_cut).then_some(len))
    }

    /// Sends a datagram: an [`IpEndpoint`](smoltcp::wire::IpEndpoint), an address and a port, or a [`Peer`] say where; see
    /// [`Target`]. It waits for room and for nothing else: the datagram leaves at the end of
    /// the turn, or when its neighbor was found. One that does not answer is asked three times;
    /// then the datagram is dropped, and counted as
    /// [`NoNeighbor`](crate::event::DropReason::NoNeighbor). It is never fragmented.
    ///
    /// # Errors
    /// [`SendError`] says what to do; nothing was sent.
    ///
    /// # Cancel safety
    /// **Safe.** A dropped future has sent nothing.
    pub fn send_to(
        &self,
        payload: &[u8],
        to: impl Into<Target>,
    ) -> impl Future<Output = Result<(), SendError>> {
        self.give(payload, Some(to.into()))
    }

    /// Sends a datagram to where the socket is connected. See [`send_to`](Self::send_to).
    ///
    /// # Errors
    /// As [`send_to`](Self::send_to).
    ///
    /// # Cancel safety
    /// **Safe.** A dropped future has sent nothing.
    pub fn send(&self, payload: &[u8]) -> impl Future<Output = Result<(), SendError>> {
        self.give(payload, None)
    }

    fn give(
        &self,
        payload: &[u8],
        to: Option<Target>,
    ) -> impl Future<Output = Result<(), SendError>> {
        let mut line = self.line(Reason::Send);
        poll_fn(move |cx| {
            let full = Err(SendError::TooManyWaiting);
            line.poll(cx, full, |core, id| send(core, id, to, payload))
        })
    }

    /// Hears nobody but `remote` from now on, and speaks to it from one address of ours;
    /// what had come before can still be read. If the peer's host says that nobody takes what
    /// was sent, that is an error once.
    ///
    /// # Errors
    /// [`SendError::Unaddressable`], as of [`send_to`](Self::send_to).
    pub fn connect(&self, remote: impl Into<Target>) -> Result<(), SendError> {
        let to = remote.into();
        self.stack.with(|core| {
            let bind = core.beside.binds.get(self.id).ok_or(SendError::Closed)?;
            let way = way(&core.host.addresses, &to, bind.bound());
            let (local, _) = way.ok_or(SendError::Unaddressable)?;
            bind.connect(Flow::new((local, self.port).into(), to.endpoint));
            Ok(())
        })
    }

    fn line(&self, reason: Reason) -> InLine<'_, 'a> {
        InLine {
            socket: self,
            reason,
            held: 0,
        }
    }
}

impl Drop for UdpSocket<'_> {
    fn drop(&mut self) {
        self.stack.with_unless_hurt(|core| {
            #[cfg(feature = "groups")]
            if let Some(bind) = core.beside.binds.get(self.id) {
                core.neighbors.joined.leave(&bind.groups, core.host.now);
            }
            for _ in 0..core.beside.binds.close(self.id).unwrap_or(0) {
                core.host.dropped(DropReason::Unread);
            }
        });
    }
}

fn receive(
    core: &mut Core<'_>,
    id: BindId,
    buf: &mut [u8],
) -> Poll<Result<(usize, Peer), RecvError>> {
    let Some(bind) = core.beside.binds.get(id) else {
        return Poll::Ready(Err(RecvError::Closed));
    };
    if core::mem::take(&mut bind.refused) {
        return Poll::Ready(Err(RecvError::Refused));
    }
    let Some((cell, len)) = core.beside.binds.pop(id, buf) else {
        return Poll::Pending;
    };
    let peer = Peer {
        endpoint: cell.flow.remote(),
        local: cell.flow.local_addr(),
        hardware: cell.hardware,
        is_cut: usize::from(cell.bytes) > len,
    };
    core.host.tell_with(|| Event::Received {
        port: cell.flow.local_port(),
        remote: peer.endpoint,
        bytes: &buf[..len],
    });
    Poll::Ready(Ok((len, peer)))
}

fn send(
    core: &mut Core<'_>,
    id: BindId,
    to: Option<Target>,
    payload: &[u8],
) -> Poll<Result<(), SendError>> {
    let Some(bind) = core.beside.binds.get(id) else {
        return Poll::Ready(Err(SendError::Closed));
    };
    if core::mem::take(&mut bind.refused) {
        return Poll::Ready(Err(SendError::Refused));
    }
    let connected = bind.is_connected.then(|| bind.flow.remote().into());
    let port = bind.port;
    let Some(to) = to.or(connected) else {
        return Poll::Ready(Err(SendError::NotConnected));
    };
    Poll::Ready(
        match datagrams::give(&mut core.beside.binds, &core.host, id, &to, payload) {
            Ok(()) => {
                core.host.tell_with(|| Event::Sent {
                    port,
                    remote: to.endpoint,
                    bytes: payload,
                });
                Ok(())
            }
            Err(CannotSend::NoRoom) => return Poll::Pending,
            Err(CannotSend::TooLong) => Err(SendError::TooLong),
            Err(CannotSend::Unaddressable) => Err(SendError::Unaddressable),
        },
    )
}

/// A place in the line of tasks that wait at a socket, or for room.
struct InLine<'s, 'a> {
    socket: &'s UdpSocket<'a>,
    reason: Reason,
    /// Counted from one; zero: none yet.
    held: u32,
}

impl<'a> InLine<'_, 'a> {
    /// Asks, and waits if the answer is later; `full` is the answer if there is no place.
    fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        full: R,
        ask: impl FnOnce(&mut Core<'a>, BindId) -> Poll<R>,
    ) -> Poll<R> {
        let UdpSocket { stack, id, .. } = *self.socket;
        let (mut parking, mut left) = (Parking::new(cx.waker()), None);
        // Nobody is woken by this.
        stack.with_quiet(|core| {
            let answer = ask(core, id);
            if answer.is_ready() && self.held == 0 {
                return answer;
            }
            match self.stand(core, answer.is_ready(), &mut parking, &mut left) {
                true => answer,
                false => Poll::Ready(full),
            }
        })
    }

    /// Waits, or is done with it, and then gives its waker, to be dropped when the stack is free.
    /// False: there is no place to wait at.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    fn stand(
        &mut self,
        core: &mut Core<'_>,
        is_done: bool,
        parking: &mut Parking<'_>,
        left: &mut Option<Waker>,
    ) -> bool {
        let UdpSocket { stack, id, port } = *self.socket;
        let sends = matches!(self.reason, Reason::Send);
        let Some((waiters, line)) = core.beside.binds.line(id, sends) else {
            return true;
        };
        if is_done {
            (_, *left) = waiters.leave(line, &mut self.held);
        } else if waiters.wait(line, &mut self.held, parking) {
            stack.leave_note(Yield::of(self.reason, port.into()));
        } else {
            return false;
        }
        true
    }

    /// Gives up its place in the line.
    #[cold]
    fn leave(&mut self) {
        let UdpSocket { stack, id, .. } = *self.socket;
        let sends = matches!(self.reason, Reason::Send);
        let mut left = None;
        stack.with_unless_hurt(|core| {
            if let Some((waiters, line)) = core.beside.binds.line(id, sends) {
                let (was_woken, waker) = waiters.leave(line, &mut self.held);
                left = waker;
                if was_woken {
                    core.beside.binds.pass_on(id, sends);
                }
            }
        });
    }
}

impl Drop for InLine<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        if self.held != 0 {
            self.leave();
        }
    }
}
