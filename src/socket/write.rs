//! The sending direction of a stream.

use core::future::poll_fn;
use core::task::{Context, Poll, ready};

use smoltcp::socket::tcp::{self, SendError};
use smoltcp::time::{Duration, Instant};

use crate::event::{Event, Reason};
use crate::rules::lifecycle::Cut;
use crate::rules::limits::WaitLimit;
use crate::socket::WriteError;
use crate::socket::handle::{Handle, until};
use crate::task::waker::Parking;

/// The sending direction of a stream.
#[derive(Debug)]
pub struct WriteHalf<'a> {
    pub(crate) handle: Handle<'a>,
    pub(crate) timeout: WaitLimit,
    /// It was shut down: its FIN may have to wait for bytes to be acknowledged.
    pub(crate) ended: bool,
}

impl<'a> WriteHalf<'a> {
    /// A write or a wait for acknowledgements that makes no progress for this long, from its
    /// call on, fails with
    /// [`WriteError::TimedOut`]. `None`, the default, waits for ever.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout.into();
    }

    pub(crate) fn try_writable(&mut self) -> Result<bool, WriteError> {
        self.handle.has_answer(room(self.ended))
    }

    /// What was written is the stack's already; unless the connection was cut.
    pub(crate) fn try_flush(&mut self) -> Result<(), WriteError> {
        let ask = |socket: &mut tcp::Socket<'_>, cut: Cut| match (socket.state(), cut) {
            (tcp::State::Closed, Cut::ByUs | Cut::ByPeer) => Poll::Ready(Err(cut.into())),
            _ => Poll::Ready(Ok(())),
        };
        self.handle.has_answer(ask).map(|_| ())
    }

    /// Whether a write would not wait: there is room, or it would fail.
    pub fn can_write(&mut self) -> bool {
        self.try_writable().unwrap_or(true)
    }

    /// How many bytes were written and are still the stack's, because the peer has not
    /// acknowledged them: unsent, or to be sent again if they are lost. While the other half
    /// has lent received bytes out, as many as there are places.
    pub fn unsent(&self) -> usize {
        self.handle.with(|core, key| {
            let most = core.connections.buffers.tx_bytes;
            let slot = core.connections.slots.checked(key);
            let socket = slot.map(|slot| slot.socket().map(|socket| socket.send_queue()));
            socket.map_or(0, |queue| queue.unwrap_or(most))
        })
    }

    /// Waits until a write would not: there is room in the transmit buffer.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    /// **Safe.** It gives nothing.
    pub async fn writable(&mut self) -> Result<(), WriteError> {
        let room = room(self.ended);
        self.handle.wait(Reason::Write, self.timeout, room).await
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
    pub fn write(&mut self, buf: &[u8]) -> impl Future<Output = Result<usize, WriteError>> {
        // Not an async block, which would hold all of this twice.
        let until = until(self.handle.stack, self.timeout);
        poll_fn(move |cx| {
            if buf.is_empty() {
                return Poll::Ready(Ok(0));
            }
            self.poll_write(cx, until, buf)
        })
    }

    /// Waits and gives in one look at the socket.
    fn poll_write(
        &mut self,
        cx: &Context<'_>,
        until: Instant,
        buf: &[u8],
    ) -> Poll<Result<usize, WriteError>> {
        let (handle, ended) = (self.handle, self.ended);
        let mut parking = Parking::new(cx.waker());
        handle.stack.with_quiet(|core| {
            let given = ready!(handle.poll(
                core,
                &mut parking,
                Reason::Write,
                until,
                // Gives what fits; only who can give nothing asks why.
                |socket, cut| {
                    if !ended && let Ok(given @ 1..) = give(socket, buf) {
                        return Poll::Ready(Ok(given));
                    }
                    room(ended)(socket, cut).map_ok(|()| 0)
                }
            ))?;
            core.host.tell_with(|| Event::Written {
                slot: handle.number(),
                bytes: &buf[..given],
            });
            core.connections.slots.mark_dirty(handle.key.id);
            Poll::Ready(Ok(given))
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
    pub fn write_all(&mut self, mut buf: &[u8]) -> impl Future<Output = Result<(), WriteError>> {
        let mut time = until(self.handle.stack, self.timeout);
        poll_fn(move |cx| {
            while !buf.is_empty() {
                let given = ready!(self.poll_write(cx, time, buf))?;
                buf = &buf[given..];
                if !buf.is_empty() {
                    // Each piece has its own.
                    time = until(self.handle.stack, self.timeout);
                }
            }
            Poll::Ready(Ok(()))
        })
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
                    slot: handle.number(),
                    bytes: &room[..done],
                };
                handle.stack.with(|core| core.host.tell(&event));
                (done, out)
            })
        });
        match written {
            Some(Ok(out)) => Ok(out),
            Some(Err(_)) => Err(WriteError::Closed),
            None => Err(WriteError::Reset),
        }
    }

    /// Waits until the peer has acknowledged every byte written so far. The `flush` of
    /// `embedded-io-async` does not: nothing is lost without this wait, and a protocol whose
    /// peer answers need not wait twice.
    ///
    /// # Errors
    /// As [`write`](Self::write), except that it may be asked after a shutdown.
    ///
    /// # Cancel safety
    /// **Safe.** It moves nothing.
    pub async fn acknowledged(&mut self) -> Result<(), WriteError> {
        let ask = |socket: &mut tcp::Socket<'_>, cut: Cut| match socket.state() {
            _ if socket.send_queue() == 0 => Poll::Ready(Ok(())),
            tcp::State::Closed => Poll::Ready(Err(cut.into())),
            _ => Poll::Pending,
        };
        self.handle.wait(Reason::Flush, self.timeout, ask).await
    }

    /// Sends a FIN after everything written so far, and waits until the peer has
    /// acknowledged it, and so all bytes. It can still send, and reading goes on:
    /// [`TcpStream::close`](crate::TcpStream::close) is for who wants to read no more.
    ///
    /// # Errors
    /// [`WriteError::Reset`]: the peer may not have read everything.
    /// [`WriteError::TimedOut`] after the write timeout: wait again, or drop the stream.
    ///
    /// # Cancel safety
    /// **Safe.** A dropped future has ended this direction, as
    /// [`shutdown`](Self::shutdown) does.
    pub async fn finish(&mut self) -> Result<(), WriteError> {
        self.shutdown();
        let ask = |socket: &mut tcp::Socket<'_>, cut: Cut| match (socket.state(), cut) {
            (tcp::State::FinWait2 | tcp::State::TimeWait, _) => Poll::Ready(Ok(())),
            (tcp::State::Closed, Cut::No) => Poll::Ready(Ok(())),
            (tcp::State::Closed, cut) => Poll::Ready(Err(cut.into())),
            _ => Poll::Pending,
        };
        self.handle.wait(Reason::Close, self.timeout, ask).await
    }

    /// Sends a FIN after everything written so far; the peer reads the end of
    /// the stream, and can still send. Returns at once.
    pub fn shutdown(&mut self) {
        self.ended = true;
        let Handle { stack, key } = self.handle;
        stack.with_unless_hurt(|core| core.connections.shutdown(key, &mut core.host));
    }
}

/// Copies `buf` into the transmit buffer, as far as it fits: a second time,
/// behind the end of the ring, only if something is left.
fn give(socket: &mut tcp::Socket<'_>, buf: &[u8]) -> Result<usize, SendError> {
    let piece = |socket: &mut tcp::Socket<'_>, buf: &[u8]| {
        socket.send(|room| {
            let count = room.len().min(buf.len());
            room[..count].copy_from_slice(&buf[..count]);
            (count, count)
        })
    };
    let mut given = piece(socket, buf)?;
    if given < buf.len() {
        given += piece(socket, &buf[given..])?;
    }
    Ok(given)
}

/// What a socket has for a writer, who may have ended its direction.
fn room(ended: bool) -> impl Fn(&mut tcp::Socket<'_>, Cut) -> Poll<Result<(), WriteError>> {
    move |socket, cut| match socket.state() {
        tcp::State::Closed if cut != Cut::No => Poll::Ready(Err(cut.into())),
        _ if ended => Poll::Ready(Err(WriteError::Closed)),
        _ if socket.can_send() => Poll::Ready(Ok(())),
        tcp::State::Established | tcp::State::CloseWait => Poll::Pending,
        _ => Poll::Ready(Err(WriteError::Closed)),
    }
}

impl From<Cut> for WriteError {
    fn from(cut: Cut) -> Self {
        match cut {
            Cut::ByUs => WriteError::TimedOut,
            Cut::No | Cut::ByPeer => WriteError::Reset,
        }
    }
}
