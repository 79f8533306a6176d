//! The receiving direction of a stream.

use core::future::poll_fn;
use core::task::{Context, Poll, ready};

use smoltcp::iface::SocketSet;
use smoltcp::socket::tcp::{self, RecvError};
use smoltcp::time::{Duration, Instant};

use crate::event::{Event, Reason};
use crate::rules::lifecycle::Cut;
use crate::rules::limits::WaitLimit;
use crate::socket::ReadError;
use crate::socket::handle::{Handle, until};
use crate::table::slot::tcp_of;
use crate::task::waker::Parking;

/// The receiving direction of a stream.
#[derive(Debug)]
pub struct ReadHalf<'a> {
    pub(crate) handle: Handle<'a>,
    pub(crate) timeout: WaitLimit,
    /// The socket, while what it has received is lent out; else how many bytes
    /// `fill_buf` has shown of it, until they are consumed.
    pub(super) lent: Result<SocketSet<'a>, u32>,
}

/// What a reader waits for has come: bytes, or the end of the stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readable {
    Bytes,
    End,
}

impl<'a> ReadHalf<'a> {
    /// Gives a lent socket back; what was shown can still be consumed. Nearly
    /// always there is none. Whoever drops a half calls this first.
    #[inline]
    pub(crate) fn give_back(&mut self) {
        if self.lent.is_ok() {
            self.give_back_lent();
        }
    }

    #[cold]
    fn give_back_lent(&mut self) {
        if let Ok(mut set) = core::mem::replace(&mut self.lent, Err(0)) {
            let shown = tcp_of(&mut set).peek(usize::MAX).map_or(0, <[u8]>::len);
            self.lent = Err(shown as u32); // a buffer ends at 1 GiB
            self.handle.give_back(set);
        }
    }

    /// A read that has not come to its end so long after it was called fails with
    /// [`ReadError::TimedOut`] and can be tried again. `None`, the default,
    /// waits for ever.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout.into();
    }

    pub(crate) fn try_readable(&mut self) -> Result<bool, ReadError> {
        self.give_back();
        self.handle.has_answer(look)
    }

    /// Whether a read would not wait: there are bytes, or the end, or it would fail.
    pub fn can_read(&mut self) -> bool {
        self.try_readable().unwrap_or(true)
    }

    /// How many bytes have come and were not read. While the other half's closure has
    /// the socket, none.
    pub fn unread(&mut self) -> usize {
        self.give_back();
        self.handle.with(|core, key| {
            let slot = core.connections.slots.checked(key);
            let socket = slot.and_then(|slot| slot.socket());
            socket.map_or(0, |socket| socket.recv_queue())
        })
    }

    fn ready(&mut self) -> impl Future<Output = Result<Readable, ReadError>> {
        let until = until(self.handle.stack, self.timeout);
        poll_fn(move |cx| self.poll_ready(cx, until))
    }

    /// Waits until there is something to read, or the end.
    fn poll_ready(
        &mut self,
        cx: &Context<'_>,
        until: Instant,
    ) -> Poll<Result<Readable, ReadError>> {
        self.give_back();
        self.lent = Err(0);
        let handle = self.handle;
        let mut parking = Parking::new(cx.waker());
        let stack = handle.stack;
        stack.with_quiet(|core| handle.poll(core, &mut parking, Reason::Read, until, look))
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
    pub fn read(&mut self, buf: &mut [u8]) -> impl Future<Output = Result<usize, ReadError>> {
        // Not an async block, which would hold all of this twice.
        let until = until(self.handle.stack, self.timeout);
        poll_fn(move |cx| {
            if buf.is_empty() {
                return Poll::Ready(Ok(0));
            }
            self.poll_read(cx, until, buf)
        })
    }

    /// Waits and takes in one look at the socket.
    #[inline]
    fn poll_read(
        &mut self,
        cx: &Context<'_>,
        until: Instant,
        buf: &mut [u8],
    ) -> Poll<Result<usize, ReadError>> {
        self.give_back();
        self.lent = Err(0);
        let handle = self.handle;
        let mut parking = Parking::new(cx.waker());
        handle.stack.with_quiet(|core| {
            let taken = ready!(handle.poll(
                core,
                &mut parking,
                Reason::Read,
                until,
                |socket, cut| match ready!(look(socket, cut))? {
                    Readable::Bytes => Poll::Ready(take(socket, buf)),
                    Readable::End => Poll::Ready(Ok(0)),
                }
            ))?;
            if taken > 0 {
                core.host.tell_with(|| Event::Read {
                    slot: handle.number(),
                    bytes: &buf[..taken],
                });
                // Its window has changed.
                core.connections.slots.mark_dirty(handle.key.id);
            }
            Poll::Ready(Ok(taken))
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
    pub fn read_with<R>(
        &mut self,
        f: impl FnOnce(&[u8]) -> (usize, R),
    ) -> impl Future<Output = Result<R, ReadError>> {
        let (until, mut f) = (until(self.handle.stack, self.timeout), Some(f));
        poll_fn(move |cx| {
            let is_over = ready!(self.poll_ready(cx, until))? == Readable::End;
            Poll::Ready(match f.take() {
                Some(f) if is_over => Ok(f(&[]).1),
                Some(f) => recv(self.handle, f),
                None => Err(ReadError::Reset),
            })
        })
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
        let lent = self.handle.with(|core, key| core.connections.lend(key));
        self.lent = lent.ok_or(0);
        let socket = self.lent.as_mut().map(tcp_of);
        match socket.map(|socket| socket.peek(usize::MAX)) {
            Ok(Ok(bytes)) => Ok(bytes),
            _ => Err(ReadError::Reset),
        }
    }

    /// Is done with the first `amount` bytes that [`fill_buf`](Self::fill_buf)
    /// lent, at most all of them.
    pub fn consume(&mut self, amount: usize) {
        self.give_back();
        let shown = core::mem::replace(&mut self.lent, Err(0)).err();
        let amount = amount.min(shown.unwrap_or(0) as usize);
        if amount > 0 {
            let _ = recv(self.handle, |_| (amount, ()));
        }
    }
}

/// Shows received bytes to `f`, which is done with as many as it returns.
fn recv<R>(handle: Handle<'_>, f: impl FnOnce(&[u8]) -> (usize, R)) -> Result<R, ReadError> {
    let read = handle.lent(|socket| {
        socket.recv(|bytes| {
            let (done, out) = f(bytes);
            let done = done.min(bytes.len());
            if cfg!(feature = "observer") {
                let event = Event::Read {
                    slot: handle.number(),
                    bytes: &bytes[..done],
                };
                handle.stack.with_quiet(|core| core.host.tell(&event));
            }
            (done, out)
        })
    });
    read.and_then(Result::ok).ok_or(ReadError::Reset)
}

/// Copies received bytes into `buf`. smoltcp's `recv_slice` looks for a second
/// piece behind the end of the ring always; here only if there can be one.
fn take(socket: &mut tcp::Socket<'_>, buf: &mut [u8]) -> Result<usize, ReadError> {
    let piece = |socket: &mut tcp::Socket<'_>, buf: &mut [u8]| {
        let taken = socket.recv(|bytes| {
            let count = bytes.len().min(buf.len());
            buf[..count].copy_from_slice(&bytes[..count]);
            (count, count)
        });
        taken.map_err(|_| ReadError::Reset)
    };
    let mut taken = piece(socket, buf)?;
    if taken < buf.len() && socket.recv_queue() > 0 {
        taken += piece(socket, &mut buf[taken..])?;
    }
    Ok(taken)
}

/// What a socket has for a reader.
fn look(socket: &mut tcp::Socket<'_>, cut: Cut) -> Poll<Result<Readable, ReadError>> {
    if socket.can_recv() {
        return Poll::Ready(Ok(Readable::Bytes));
    }
    if socket.may_recv() {
        return Poll::Pending;
    }
    match socket.recv(|_| (0, ())) {
        Ok(()) => Poll::Pending,
        Err(RecvError::Finished) => Poll::Ready(Ok(Readable::End)),
        Err(RecvError::InvalidState) => Poll::Ready(Err(cut.into())),
    }
}

impl From<Cut> for ReadError {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::ByUs => ReadError::TimedOut,
            Cut::No | Cut::ByPeer => ReadError::Reset,
        }
    }
}
