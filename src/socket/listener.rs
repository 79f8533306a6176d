//! A listener: a port, a limit and a queue. It holds no slot of its own.

use core::future::poll_fn;
use core::task::{Context, Poll, ready};

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpEndpoint, IpListenEndpoint, Ipv4Address};

use crate::event::{Reason, Yield};
use crate::frame::flow::Flow;
use crate::rules::config::LONGEST;
use crate::rules::limits::{Pace, TimeLimits};
use crate::socket::handle::Handle;
use crate::socket::{AcceptError, ListenError, TcpStream};
use crate::stack::stack::Stack;
use crate::table::listeners::{Listener, ListenerId};
use crate::task::waker::Parking;

/// How many connections may be shaking hands or waiting for `accept`, at
/// least one. A SYN beyond it is dropped, not refused: the peer tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog(pub u16);

/// Accepts connections on one port, of every address of the host or of one. Made by
/// [`Node::listen`](crate::Node::listen).
///
/// A clone is another handle of the same listener. Dropping the last one resets the
/// connections that were not accepted and frees the port. There may be 65,536 handles; one
/// more is closed from the beginning.
///
/// ```
/// use cygnet::{AcceptError, Backlog, ListenError, Node, TcpListener, TimeLimits};
/// use smoltcp::time::Duration;
///
/// /// The port is taken, and connections come, before any task runs.
/// fn open(node: Node<'_>) -> Result<TcpListener<'_>, ListenError> {
///     let listener = node.listen(5000, Backlog(8))?;
///     listener.set_limits(TimeLimits {
///         idle: Some(Duration::from_secs(60)),
///         ..TimeLimits::default()
///     });
///     Ok(listener)
/// }
///
/// /// Several of these may wait at one listener: who waits longest is next.
/// async fn serve(listener: &TcpListener<'_>) -> Result<(), AcceptError> {
///     loop {
///         let (mut stream, peer) = listener.accept().await?;
///         let _ = stream.write_all(b"Hello World\n").await;
///         let _ = peer;
///     }
/// }
/// ```
#[derive(Debug)]
pub struct TcpListener<'a>(Place<'a>);

/// Names one listener of one stack. Stale once the listener was dropped.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    stack: &'a Stack<'a>,
    id: ListenerId,
    port: u16,
}

impl Place<'_> {
    fn set(&self, to: impl FnOnce(&mut Listener)) {
        self.stack.with(|core| {
            core.connections.listeners.get(self.id).map(to);
        });
    }
}

impl<'a> TcpListener<'a> {
    pub(crate) fn open(
        stack: &'a Stack<'a>,
        local: &Flow,
        backlog: Backlog,
    ) -> Result<Self, ListenError> {
        let port = local.local_port();
        if port == 0 {
            return Err(ListenError::PortZero);
        }
        stack.with(|core| {
            let listeners = &mut core.connections.listeners;
            if listeners.find(local).is_some() {
                return Err(ListenError::InUse);
            }
            let id = listeners.open(local, backlog.0);
            let id = id.ok_or(ListenError::TooMany)?;
            Ok(TcpListener(Place { stack, id, port }))
        })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Where it listens: the port, and the address unless it is every one of the host's.
    pub fn local_addr(&self) -> IpListenEndpoint {
        let Place { stack, id, port } = self.0;
        let local = stack.with(|core| Some(core.connections.listeners.get(id)?.local()));
        local.unwrap_or(port.into())
    }

    /// Waits for a connection and gives its stream and the peer's address.
    ///
    /// Several tasks may await it at once; each connection goes to one of
    /// them, the one that has waited longest. One task may await it in any number of futures.
    ///
    /// # Errors
    /// [`AcceptError::Closed`] after [`close`](Self::close), once the queue is
    /// empty; [`AcceptError::TooManyWaiting`] when the storage has no place
    /// for one more waiting task: raise `ACCEPTORS`.
    ///
    /// # Cancel safety
    /// **Safe.** A dropped future has taken no connection, and if one was
    /// meant for it, the next task in line is woken.
    pub fn accept(&self) -> impl Future<Output = Result<(TcpStream<'a>, IpEndpoint), AcceptError>> {
        let mut line = self.line();
        poll_fn(move |cx| {
            let stream = ready!(line.poll(cx))?;
            let (stack, key) = (line.place.stack, stream.key());
            // It was accepted in this moment, so it has a peer.
            let flow = stack.with_quiet(|core| core.connections.flow(key));
            let remote = flow.map_or(NOBODY, |flow| flow.remote());
            Poll::Ready(Ok((stream, remote)))
        })
    }

    /// For who accepts without a future, and drops this before the listener.
    pub(crate) fn line(&self) -> InLine<'a> {
        InLine {
            place: self.0,
            held: 0,
        }
    }

    /// Limits every connection that is accepted from now on.
    pub fn set_limits(&self, limits: TimeLimits) {
        let limits = (Pace::of(&limits), limits.between_reads);
        self.0.set(|listener| listener.limits = limits);
    }

    /// When every slot is taken, the longest idle of this listener's
    /// connections gives way to a new one, if no byte has moved on it for
    /// `after`; its stream fails with `Reset`. `None`, the default: nobody has
    /// to. With cookies (see [`Config`](crate::Config)) only a peer that has
    /// proved that it is there takes the place.
    pub fn reclaim_idle(&self, after: Option<Duration>) {
        self.0.set(|listener| {
            listener.reclaim = after.map(|after| after.min(LONGEST));
            listener.none_idle_before = Instant::ZERO;
        });
    }

    /// Calls it something, for who watches: [`Node::connections`](crate::Node::connections)
    /// says the name of each connection that came to it.
    pub fn set_name(&self, name: &'static str) {
        self.0.set(|listener| listener.name = Some(name));
    }

    /// Refuses new connections from now on, with a reset, as a closed port
    /// does. Connections already in the queue, and handshakes under way, can
    /// still be accepted.
    pub fn close(&self) {
        let Place { stack, id, .. } = self.0;
        stack.with(|core| core.connections.listeners.close(id));
    }
}

impl Clone for TcpListener<'_> {
    fn clone(&self) -> Self {
        let Place { stack, id, port } = self.0;
        let id = stack.with_quiet(|core| core.connections.listeners.share(id));
        let id = id.unwrap_or(ListenerId::NONE);
        TcpListener(Place { stack, id, port })
    }
}

impl Drop for TcpListener<'_> {
    fn drop(&mut self) {
        let Place { stack, id, .. } = self.0;
        stack.with_unless_hurt(|core| core.connections.remove_listener(id, core.host.now));
    }
}

pub(crate) const NOBODY: IpEndpoint = IpEndpoint::new(IpAddress::Ipv4(Ipv4Address::UNSPECIFIED), 0);

/// A place in the line of tasks that wait in `accept`.
pub(crate) struct InLine<'a> {
    place: Place<'a>,
    /// Its place, counted from one; zero: none yet.
    held: u32,
}

impl<'a> InLine<'a> {
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<TcpStream<'a>, AcceptError>> {
        let Place { stack, id, port } = self.place;
        let mut parking = Parking::new(cx.waker());
        let mut left = None;
        stack.with(|core| {
            if let Some((key, timeout)) = core.connections.accept(id, &mut core.host) {
                left = core.connections.listeners.leave(id, &mut self.held);
                let stream = TcpStream::new(Handle { stack, key }, timeout);
                return Poll::Ready(Ok(stream));
            }
            let listeners = &mut core.connections.listeners;
            if listeners.is_over(id) {
                return Poll::Ready(Err(AcceptError::Closed));
            }
            if !listeners.wait(id, &mut self.held, &mut parking) {
                return Poll::Ready(Err(AcceptError::TooManyWaiting));
            }
            stack.leave_note(Yield::of(Reason::Accept, port.into()));
            Poll::Pending
        })
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let Place { stack, id, .. } = self.place;
        if self.held != 0 {
            let (held, mut left) = (&mut self.held, None);
            stack.with_unless_hurt(|core| left = core.connections.listeners.leave(id, held));
        }
    }
}
