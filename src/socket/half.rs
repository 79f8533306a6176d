//! The two directions of a stream. Each has its own waker, so one task may
//! read while another writes. [`ReadHalf`] and [`WriteHalf`] do the work;
//! [`TcpStream`](crate::TcpStream) has one of each, and the owned halves are
//! the two of them gone separate ways.
//!
//! Every future here is cancel safe for one reason: it waits first, without
//! touching a byte, and then moves bytes in the same poll that returns.

use core::future::poll_fn;
use core::ops::{Deref, DerefMut};
use core::task::{Context, Poll, Waker};

use smoltcp::iface::SocketSet;
use smoltcp::socket::tcp::{self, RecvError};
use smoltcp::time::{Duration, Instant};

use crate::event::{Event, Reason, Yield};
use crate::net::Stack;
use crate::net::demux::Flow;
use crate::net::slots::{Cut, FAR, Slot, tcp_of};
use crate::net::stack::Inner;
use crate::socket::{CloseError, ReadError, WriteError};
use crate::task::timer::after;

/// Names one connection of one stack. Stale once the slot was given back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handle<'a> {
    pub(crate) stack: &'a Stack<'a>,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// What a socket can do for a task that asks.
enum Ask<T> {
    Now(T),
    /// Ask again when this direction's waker fires.
    Later,
}

impl<'a> Handle<'a> {
    pub(crate) fn new(stack: &'a Stack<'a>, slot: u32, generation: u32) -> Self {
        Handle {
            stack,
            slot,
            generation,
        }
    }

    /// Both ends of the connection, unless it is gone.
    pub(crate) fn flow(&self) -> Option<Flow> {
        self.stack
            .with(|inner| inner.flow(self.slot, self.generation))
    }

    /// Runs `f` on the socket, unless the slot is gone or lent; afterwards it
    /// may have something to send.
    pub(crate) fn touch<R>(&self, f: impl FnOnce(&mut tcp::Socket<'a>) -> R) -> Option<R> {
        self.stack.with(|inner| {
            let slot = inner.slots.checked(self.slot, self.generation)?;
            let out = slot.socket().map(f);
            inner.mark_dirty(self.slot);
            out
        })
    }

    /// Asks the socket; if the answer is later, parks the caller's waker in
    /// the direction that `reason` belongs to.
    fn poll<T>(
        &self,
        cx: &Context<'_>,
        reason: Reason,
        until: Instant,
        ask: impl FnOnce(Option<&mut tcp::Socket<'a>>, Cut) -> Ask<T>,
    ) -> Poll<Option<T>> {
        self.stack.with(|inner| {
            let now = inner.now();
            let Some(slot) = inner.slots.checked(self.slot, self.generation) else {
                return match ask(None, Cut::No) {
                    Ask::Now(answer) => Poll::Ready(Some(answer)),
                    Ask::Later => Poll::Ready(None),
                };
            };
            let cut = slot.cut;
            match slot.socket() {
                Some(socket) => {
                    if let Ask::Now(answer) = ask(Some(socket), cut) {
                        return Poll::Ready(Some(answer));
                    }
                }
                // Lent to the other half for the length of a closure.
                None => slot.missed = true,
            }
            if now >= until {
                return Poll::Ready(None);
            }
            park(slot, reason, until, cx.waker());
            if until != FAR {
                inner.arm(self.slot, until);
            }
            self.stack.leave_note(Yield::stream(reason, self.slot));
            Poll::Pending
        })
    }

    /// Waits until the peer has acknowledged our FIN.
    pub(crate) async fn closed(&self) -> Result<(), CloseError> {
        self.stack.with(|inner| {
            inner.shutdown(self.slot, self.generation);
            if inner.slots.checked(self.slot, self.generation).is_some() {
                inner.arm_close(self.slot);
            }
        });
        let done = poll_fn(|cx| {
            self.poll(cx, Reason::Close, FAR, |socket, cut| {
                let Some(socket) = socket else {
                    return Ask::Now(Ok(()));
                };
                // What still arrives is not wanted, and must not stop the FIN.
                while matches!(socket.recv(|bytes| (bytes.len(), bytes.len())), Ok(1..)) {}
                match socket.state() {
                    tcp::State::FinWait2 | tcp::State::TimeWait => Ask::Now(Ok(())),
                    tcp::State::Closed => Ask::Now(match cut {
                        Cut::No => Ok(()),
                        Cut::ByUs => Err(CloseError::TimedOut),
                        Cut::ByPeer => Err(CloseError::Reset),
                    }),
                    _ => Ask::Later,
                }
            })
        });
        done.await.unwrap_or(Err(CloseError::TimedOut))
    }

    pub(crate) fn release(&self) {
        self.stack.with(|inner| {
            let Some(slot) = inner.slots.checked(self.slot, self.generation) else {
                return;
            };
            slot.owners = slot.owners.saturating_sub(1);
            if slot.owners == 0 {
                inner.orphan(self.slot, self.generation);
            }
        });
    }

    /// Runs `f` on the borrowed socket: the stack is free meanwhile, so `f`
    /// may use any other socket of the node.
    fn lent<R>(&self, f: impl FnOnce(&mut tcp::Socket<'a>) -> R) -> Option<R> {
        let set = self
            .stack
            .with(|inner| inner.lend(self.slot, self.generation))?;
        let mut loan = Loan {
            handle: *self,
            set: Some(set),
        };
        loan.socket().map(f)
    }

    fn tell(&self, inner: &mut Inner<'a>, event: &Event<'_>) {
        inner.tell(event);
        inner.mark_dirty(self.slot);
    }
}

fn park(slot: &mut Slot<'_>, reason: Reason, until: Instant, waker: &Waker) {
    let (place, at) = match reason {
        Reason::Read => (&mut slot.rx_waker, &mut slot.read_at),
        _ => (&mut slot.tx_waker, &mut slot.write_at),
    };
    if !place.as_ref().is_some_and(|parked| parked.will_wake(waker)) {
        *place = Some(waker.clone());
    }
    *at = until;
}

/// A socket out on loan; goes back when dropped, also when a closure panics.
#[derive(Debug)]
struct Loan<'a> {
    handle: Handle<'a>,
    set: Option<SocketSet<'a>>,
}

impl<'a> Loan<'a> {
    fn socket(&mut self) -> Option<&mut tcp::Socket<'a>> {
        tcp_of(self.set.as_mut()?)
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if let Some(set) = self.set.take() {
            let Handle { stack, slot, .. } = self.handle;
            stack.with(|inner| inner.give_back(slot, set));
        }
    }
}

/// The receiving direction of a stream.
#[derive(Debug)]
pub struct ReadHalf<'a> {
    pub(crate) handle: Handle<'a>,
    pub(crate) timeout: Option<Duration>,
    loan: Option<Loan<'a>>,
    /// How many bytes `fill_buf` has shown, until they are consumed.
    shown: usize,
}

/// What a reader waits for has come: bytes, or the end of the stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readable {
    Bytes,
    End,
}

impl<'a> ReadHalf<'a> {
    pub(crate) fn new(handle: Handle<'a>, timeout: Option<Duration>) -> Self {
        ReadHalf {
            handle,
            timeout,
            loan: None,
            shown: 0,
        }
    }

    /// Gives a lent socket back; what was shown can still be consumed.
    pub(crate) fn give_back(&mut self) {
        self.loan = None;
    }

    /// A read that waits longer than this fails with
    /// [`ReadError::TimedOut`] and can be tried again. `None`, the default,
    /// waits for ever.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    pub(crate) fn try_readable(&mut self) -> Result<Option<Readable>, ReadError> {
        self.loan = None;
        let state = self.handle.stack.with(|inner| {
            let slot = inner
                .slots
                .checked(self.handle.slot, self.handle.generation)?;
            let cut = slot.cut;
            Some(match slot.socket() {
                Some(socket) => look(socket, cut),
                None => Ask::Later,
            })
        });
        match state {
            Some(Ask::Now(answer)) => answer.map(Some),
            Some(Ask::Later) => Ok(None),
            None => Err(ReadError::Reset),
        }
    }

    pub(crate) async fn ready(&mut self) -> Result<Readable, ReadError> {
        self.loan = None;
        self.shown = 0;
        let until = until(self.handle.stack, self.timeout);
        let waited = poll_fn(|cx| {
            self.handle
                .poll(cx, Reason::Read, until, |socket, cut| match socket {
                    Some(socket) => look(socket, cut),
                    None => Ask::Now(Err(ReadError::Reset)),
                })
        });
        waited.await.unwrap_or(Err(ReadError::TimedOut))
    }

    /// Waits until a read would not: bytes have arrived, or the end has.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    /// **Safe.** It takes nothing.
    pub async fn readable(&mut self) -> Result<(), ReadError> {
        self.ready().await.map(|_| ())
    }

    /// Reads at least one byte into `buf` and returns how many, 0 at the end
    /// of the stream or when `buf` is empty.
    ///
    /// # Errors
    /// [`ReadError::Reset`] when the peer reset the connection (RFC 9293,
    /// 3.10.7): drop the stream. [`ReadError::TimedOut`] after the read
    /// timeout: try again or drop the stream.
    ///
    /// # Cancel safety
    /// **Safe.** A dropped future has taken no byte.
    pub async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ReadError> {
        if buf.is_empty() {
            return Ok(0);
        }
        match self.ready().await? {
            Readable::End => Ok(0),
            Readable::Bytes => Ok(self.take(buf)),
        }
    }

    fn take(&mut self, buf: &mut [u8]) -> usize {
        let handle = self.handle;
        handle.stack.with(|inner| {
            let slot = inner.slots.checked(handle.slot, handle.generation);
            let socket = slot.and_then(Slot::socket);
            let taken = socket.map_or(0, |socket| socket.recv_slice(buf).unwrap_or(0));
            let bytes = &buf[..taken];
            handle.tell(
                inner,
                &Event::Read {
                    slot: handle.slot,
                    bytes,
                },
            );
            taken
        })
    }

    /// Waits for bytes and shows them to `f` where they lie. `f` returns how
    /// many it is done with, and anything. At the end of the stream the slice
    /// is empty. `f` may use every other socket of the node.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    /// **Safe.** `f` runs to its end once it was called.
    pub async fn read_with<R>(
        &mut self,
        f: impl FnOnce(&[u8]) -> (usize, R),
    ) -> Result<R, ReadError> {
        if self.ready().await? == Readable::End {
            return Ok(f(&[]).1);
        }
        let handle = self.handle;
        let read = handle.lent(|socket| {
            socket.recv(|bytes| {
                let (done, out) = f(bytes);
                let done = done.min(bytes.len());
                let event = Event::Read {
                    slot: handle.slot,
                    bytes: &bytes[..done],
                };
                handle.stack.with(|inner| inner.tell(&event));
                (done, out)
            })
        });
        match read {
            Some(Ok(out)) => Ok(out),
            _ => Err(ReadError::Reset),
        }
    }

    /// Waits for bytes and lends them out where they lie; empty at the end of
    /// the stream. Call [`consume`](Self::consume) before awaiting anything
    /// else: until then, or until the next operation of this half, the
    /// connection stands still, frames for it are dropped and counted, and the
    /// peer sends them again.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    ///
    /// # Cancel safety
    /// **Safe.** It takes nothing; `consume` does.
    pub async fn fill_buf(&mut self) -> Result<&[u8], ReadError> {
        if self.ready().await? == Readable::End {
            return Ok(&[]);
        }
        let Handle {
            stack,
            slot,
            generation,
        } = self.handle;
        let set = stack.with(|inner| inner.lend(slot, generation));
        let loan = self.loan.insert(Loan {
            handle: self.handle,
            set,
        });
        match loan.socket().map(|socket| socket.peek(usize::MAX)) {
            Some(Ok(bytes)) => {
                self.shown = bytes.len();
                Ok(bytes)
            }
            _ => Err(ReadError::Reset),
        }
    }

    /// Is done with the first `amount` bytes that [`fill_buf`](Self::fill_buf)
    /// lent, at most all of them.
    pub fn consume(&mut self, amount: usize) {
        self.loan = None;
        let amount = amount.min(core::mem::take(&mut self.shown));
        if amount == 0 {
            return;
        }
        let handle = self.handle;
        handle.lent(|socket| {
            let _ = socket.recv(|bytes| {
                let done = amount.min(bytes.len());
                let event = Event::Read {
                    slot: handle.slot,
                    bytes: &bytes[..done],
                };
                handle.stack.with(|inner| inner.tell(&event));
                (done, ())
            });
        });
    }
}

/// What a socket has for a reader.
fn look(socket: &mut tcp::Socket<'_>, cut: Cut) -> Ask<Result<Readable, ReadError>> {
    if socket.can_recv() {
        return Ask::Now(Ok(Readable::Bytes));
    }
    match socket.recv(|_| (0, ())) {
        Ok(()) => Ask::Later,
        Err(RecvError::Finished) => Ask::Now(Ok(Readable::End)),
        Err(RecvError::InvalidState) if cut == Cut::ByUs => Ask::Now(Err(ReadError::TimedOut)),
        Err(RecvError::InvalidState) => Ask::Now(Err(ReadError::Reset)),
    }
}

/// When a wait that begins now is over.
fn until(stack: &Stack<'_>, timeout: Option<Duration>) -> Instant {
    match timeout {
        Some(timeout) => after(stack.with(|inner| inner.now()), timeout),
        None => FAR,
    }
}

/// The sending direction of a stream.
#[derive(Debug)]
pub struct WriteHalf<'a> {
    pub(crate) handle: Handle<'a>,
    pub(crate) timeout: Option<Duration>,
}

impl<'a> WriteHalf<'a> {
    pub(crate) fn new(handle: Handle<'a>, timeout: Option<Duration>) -> Self {
        WriteHalf { handle, timeout }
    }

    /// A write or flush that makes no progress for this long fails with
    /// [`WriteError::TimedOut`]. `None`, the default, waits for ever.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    pub(crate) fn try_writable(&mut self) -> Result<bool, WriteError> {
        let state = self.handle.stack.with(|inner| {
            let slot = inner
                .slots
                .checked(self.handle.slot, self.handle.generation)?;
            let cut = slot.cut;
            Some(match slot.socket() {
                Some(socket) => room(socket, cut),
                None => Ask::Later,
            })
        });
        match state {
            Some(Ask::Now(answer)) => answer.map(|()| true),
            Some(Ask::Later) => Ok(false),
            None => Err(WriteError::Reset),
        }
    }

    /// Waits until a write would not: there is room in the transmit buffer.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    /// **Safe.** It gives nothing.
    pub async fn writable(&mut self) -> Result<(), WriteError> {
        let until = until(self.handle.stack, self.timeout);
        let waited = poll_fn(|cx| {
            self.handle
                .poll(cx, Reason::Write, until, |socket, cut| match socket {
                    Some(socket) => room(socket, cut),
                    None => Ask::Now(Err(WriteError::Reset)),
                })
        });
        waited.await.unwrap_or(Err(WriteError::TimedOut))
    }

    /// Copies at least one byte of `buf` into the transmit buffer and returns
    /// how many; 0 only when `buf` is empty.
    ///
    /// # Errors
    /// [`WriteError::Reset`]: drop the stream. [`WriteError::Closed`] after
    /// [`shutdown`](Self::shutdown). [`WriteError::TimedOut`] after the write
    /// timeout.
    ///
    /// # Cancel safety
    /// **Safe.** A dropped future has given no byte.
    pub async fn write(&mut self, buf: &[u8]) -> Result<usize, WriteError> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.writable().await?;
        let handle = self.handle;
        handle.stack.with(|inner| {
            let slot = inner.slots.checked(handle.slot, handle.generation);
            let socket = slot.and_then(Slot::socket).ok_or(WriteError::Reset)?;
            let given = socket.send_slice(buf).map_err(|_| WriteError::Closed)?;
            handle.tell(
                inner,
                &Event::Written {
                    slot: handle.slot,
                    bytes: &buf[..given],
                },
            );
            Ok(given)
        })
    }

    /// Writes all of `buf`.
    ///
    /// # Errors
    /// As [`write`](Self::write); some bytes may have been given before.
    ///
    /// # Cancel safety
    /// **No byte is lost or sent twice**, but a dropped future does not tell
    /// how many were given. Where that matters, loop over
    /// [`write`](Self::write).
    pub async fn write_all(&mut self, mut buf: &[u8]) -> Result<(), WriteError> {
        while !buf.is_empty() {
            let given = self.write(buf).await?;
            buf = &buf[given..];
        }
        Ok(())
    }

    /// Waits for room and lets `f` fill the transmit buffer where it lies. `f`
    /// returns how many bytes it wrote, and anything. `f` may use every other
    /// socket of the node.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    /// **Safe.** `f` runs to its end once it was called.
    pub async fn write_with<R>(
        &mut self,
        f: impl FnOnce(&mut [u8]) -> (usize, R),
    ) -> Result<R, WriteError> {
        self.writable().await?;
        let handle = self.handle;
        let written = handle.lent(|socket| {
            socket.send(|room| {
                let (done, out) = f(room);
                let done = done.min(room.len());
                let event = Event::Written {
                    slot: handle.slot,
                    bytes: &room[..done],
                };
                handle.stack.with(|inner| inner.tell(&event));
                (done, out)
            })
        });
        match written {
            Some(Ok(out)) => Ok(out),
            Some(Err(_)) => Err(WriteError::Closed),
            None => Err(WriteError::Reset),
        }
    }

    /// Waits until the peer has acknowledged every byte written so far.
    ///
    /// # Errors
    /// As [`write`](Self::write), except that a stream that was shut down can
    /// be flushed.
    ///
    /// # Cancel safety
    /// **Safe.** It moves nothing.
    pub async fn flush(&mut self) -> Result<(), WriteError> {
        let until = until(self.handle.stack, self.timeout);
        let waited = poll_fn(|cx| {
            self.handle.poll(cx, Reason::Flush, until, |socket, cut| {
                let Some(socket) = socket else {
                    return Ask::Now(Err(WriteError::Reset));
                };
                match socket.state() {
                    _ if socket.send_queue() == 0 => Ask::Now(Ok(())),
                    tcp::State::Closed if cut == Cut::ByUs => Ask::Now(Err(WriteError::TimedOut)),
                    tcp::State::Closed => Ask::Now(Err(WriteError::Reset)),
                    _ => Ask::Later,
                }
            })
        });
        waited.await.unwrap_or(Err(WriteError::TimedOut))
    }

    /// Sends a FIN after everything written so far; the peer reads the end of
    /// the stream, and can still send. Returns at once.
    pub fn shutdown(&mut self) {
        let Handle {
            stack,
            slot,
            generation,
        } = self.handle;
        stack.with(|inner| inner.shutdown(slot, generation));
    }
}

/// What a socket has for a writer.
fn room(socket: &mut tcp::Socket<'_>, cut: Cut) -> Ask<Result<(), WriteError>> {
    if socket.can_send() {
        return Ask::Now(Ok(()));
    }
    match socket.state() {
        tcp::State::Established | tcp::State::CloseWait => Ask::Later,
        tcp::State::Closed if cut == Cut::ByUs => Ask::Now(Err(WriteError::TimedOut)),
        tcp::State::Closed if cut == Cut::ByPeer => Ask::Now(Err(WriteError::Reset)),
        _ => Ask::Now(Err(WriteError::Closed)),
    }
}

macro_rules! owned {
    ($(#[$doc:meta])* $name:ident, $half:ident, |$this:ident| $before:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<'a>(pub(crate) $half<'a>);

        impl<'a> Deref for $name<'a> {
            type Target = $half<'a>;
            fn deref(&self) -> &$half<'a> {
                &self.0
            }
        }

        impl<'a> DerefMut for $name<'a> {
            fn deref_mut(&mut self) -> &mut $half<'a> {
                &mut self.0
            }
        }

        impl Drop for $name<'_> {
            fn drop(&mut self) {
                let $this = &mut self.0;
                $before;
                self.0.handle.release();
            }
        }
    };
}

owned! {
    /// A [`ReadHalf`] that can move to another task. When both halves are
    /// dropped the stream closes in the background.
    OwnedReadHalf, ReadHalf, |half| half.loan = None
}
owned! {
    /// A [`WriteHalf`] that can move to another task. Dropping it sends a FIN;
    /// when both halves are dropped the stream closes in the background.
    OwnedWriteHalf, WriteHalf, |half| half.shutdown()
}
