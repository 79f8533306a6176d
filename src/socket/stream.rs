//! A connection. Dropping it closes in order in the background, with a
//! deadline; `close` waits for that; `finish` ends one direction and waits; `abort` resets.
//! Four different things.

use core::future::poll_fn;
use core::mem::ManuallyDrop;
use core::task::Poll;

use scopeguard::guard;
use smoltcp::socket::tcp;
use smoltcp::time::Duration;
use smoltcp::wire::IpEndpoint;

use crate::event::{Reason, Yield};
use crate::frame::flow::Flow;
use crate::rules::lifecycle::{Cut, State};
use crate::rules::limits::{TimeLimits, WaitLimit};
use crate::socket::handle::Handle;
use crate::socket::{
    CloseError, ConnectError, OwnedReadHalf, OwnedWriteHalf, ReadError, ReadHalf, WriteError,
    WriteHalf,
};
use crate::stack::opening::{self, CannotConnect};
use crate::stack::stack::Stack;
use crate::table::slot::Slot;
use crate::table::slots::SlotKey;
use crate::task::waker::Parking;

/// A TCP connection. From [`TcpListener::accept`](crate::TcpListener::accept)
/// or [`Node::connect`](crate::Node::connect).
///
/// Dropping it sends what was written and then a FIN, in the background; the
/// peer has [`Config::close_timeout`](crate::Config) to agree, from the last bytes that it
/// acknowledged. Text that comes after that is answered by a reset (RFC 1122, 4.2.2.13):
/// whoever wants the peer to read a last answer reads to the end first, or
/// [shuts down](TcpStream::shutdown) and reads.
///
/// What of RFC 9293 is kept, and the known limits of the TCP underneath:
/// [`tcp`](crate::tcp).
///
/// ```
/// use cygnet::{StreamError, TcpStream};
///
/// /// Answers one line, and waits until the peer has the answer.
/// async fn answer(mut stream: TcpStream<'_>) -> Result<(), StreamError> {
///     let (mut line, mut length) = ([0; 80], 0);
///     while length < line.len() && !line[..length].contains(&b'\n') {
///         match stream.read(&mut line[length..]).await? {
///             0 => break, // its FIN
///             count => length += count,
///         }
///     }
///     stream.write_all(b"you said ").await?;
///     stream.write_all(&line[..length]).await?;
///     stream.close().await?; // a FIN, and that the peer agrees
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct TcpStream<'a> {
    read: ReadHalf<'a>,
    write: WriteHalf<'a>,
}

impl<'a> TcpStream<'a> {
    /// A stream whose reads wait at most that long.
    pub(crate) fn new(handle: Handle<'a>, read_timeout: Option<Duration>) -> Self {
        let (read, write) = halves(handle, read_timeout.into(), WaitLimit::NEVER);
        TcpStream { read, write }
    }

    pub(crate) async fn connect(
        stack: &'a Stack<'a>,
        remote: IpEndpoint,
    ) -> Result<Self, ConnectError> {
        let opened =
            stack.with(|core| opening::connect(&mut core.connections, &mut core.host, remote));
        let key = opened.map_err(|error| match error {
            CannotConnect::Unaddressable => ConnectError::Unaddressable,
            CannotConnect::NoSlot => ConnectError::NoSlot,
            CannotConnect::NoPort => ConnectError::NoPort,
        })?;
        let handle = Handle { stack, key };
        // Dropped before it is a connection, it frees its slot.
        let connecting = guard((), |()| handle.release());
        poll_fn(|cx| {
            let mut parking = Parking::new(cx.waker());
            stack.with(|core| {
                let Some(slot) = core.connections.slots.checked(key) else {
                    return Poll::Ready(Err(ConnectError::Refused));
                };
                if slot.state == State::Open {
                    return Poll::Ready(Ok(()));
                }
                if slot.cut == Cut::ByUs {
                    return Poll::Ready(Err(ConnectError::TimedOut));
                }
                let closed = |socket: &mut tcp::Socket<'_>| socket.state() == tcp::State::Closed;
                if slot.socket().is_some_and(closed) {
                    return Poll::Ready(Err(ConnectError::Refused));
                }
                parking.park(&mut slot.tx_waker);
                stack.leave_note(Yield::of(Reason::Connect, key.id.number()));
                Poll::Pending
            })
        })
        .await?;
        core::mem::forget(connecting);
        Ok(TcpStream::new(handle, None))
    }

    pub(super) fn key(&self) -> SlotKey {
        self.read.handle.key
    }

    fn flow(&self) -> Option<Flow> {
        let handle = &self.read.handle;
        handle.with(|core, key| core.connections.flow(key))
    }

    /// The peer's address; `None` once the connection is gone.
    pub fn remote_addr(&self) -> Option<IpEndpoint> {
        self.flow().map(|flow| flow.remote())
    }

    /// Our address; `None` once the connection is gone.
    pub fn local_addr(&self) -> Option<IpEndpoint> {
        self.flow().map(|flow| flow.local())
    }

    /// Reads at least one byte; 0 at the end of the stream. See
    /// [`ReadHalf::read`].
    ///
    /// # Errors
    /// As [`ReadHalf::read`].
    ///
    /// # Cancel safety
    /// **Safe.** A dropped future has taken no byte.
    pub fn read(&mut self, buf: &mut [u8]) -> impl Future<Output = Result<usize, ReadError>> {
        self.read.read(buf)
    }

    /// Shows received bytes where they lie. See [`ReadHalf::read_with`].
    ///
    /// # Errors
    /// As [`ReadHalf::read_with`].
    ///
    /// # Cancel safety
    /// **Safe.**
    pub fn read_with<R>(
        &mut self,
        f: impl FnOnce(&[u8]) -> (usize, R),
    ) -> impl Future<Output = Result<R, ReadError>> {
        self.read.read_with(f)
    }

    /// Waits until a read would not. See [`ReadHalf::readable`].
    ///
    /// # Errors
    /// As [`ReadHalf::readable`].
    ///
    /// # Cancel safety
    /// **Safe.**
    pub fn readable(&mut self) -> impl Future<Output = Result<(), ReadError>> {
        self.read.readable()
    }

    /// Lends received bytes out. See [`ReadHalf::fill_buf`].
    ///
    /// # Errors
    /// As [`ReadHalf::fill_buf`].
    ///
    /// # Cancel safety
    /// **Safe.**
    pub async fn fill_buf(&mut self) -> Result<&[u8], ReadError> {
        self.read.fill_buf().await
    }

    /// Is done with lent bytes. See [`ReadHalf::consume`].
    pub fn consume(&mut self, amount: usize) {
        self.read.consume(amount);
    }

    /// Writes at least one byte. See [`WriteHalf::write`].
    ///
    /// # Errors
    /// As [`WriteHalf::write`].
    ///
    /// # Cancel safety
    /// **Safe.** A dropped future has given no byte.
    pub fn write(&mut self, buf: &[u8]) -> impl Future<Output = Result<usize, WriteError>> {
        self.writer().write(buf)
    }

    /// Writes everything. See [`WriteHalf::write_all`].
    ///
    /// # Errors
    /// As [`WriteHalf::write_all`].
    ///
    /// # Cancel safety
    /// As [`WriteHalf::write_all`].
    pub fn write_all(&mut self, buf: &[u8]) -> impl Future<Output = Result<(), WriteError>> {
        self.writer().write_all(buf)
    }

    /// Fills the transmit buffer where it lies. See [`WriteHalf::write_with`].
    ///
    /// # Errors
    /// As [`WriteHalf::write_with`].
    ///
    /// # Cancel safety
    /// **Safe.**
    pub fn write_with<R>(
        &mut self,
        f: impl FnOnce(&mut [u8]) -> (usize, R),
    ) -> impl Future<Output = Result<R, WriteError>> {
        self.writer().write_with(f)
    }

    /// Waits until a write would not. See [`WriteHalf::writable`].
    ///
    /// # Errors
    /// As [`WriteHalf::writable`].
    ///
    /// # Cancel safety
    /// **Safe.**
    pub fn writable(&mut self) -> impl Future<Output = Result<(), WriteError>> {
        self.writer().writable()
    }

    /// Waits for the acknowledgement of all that was written, as the `flush` of
    /// `embedded-io-async` does not. See [`WriteHalf::acknowledged`].
    ///
    /// # Errors
    /// As [`WriteHalf::acknowledged`].
    ///
    /// # Cancel safety
    /// **Safe.**
    pub fn acknowledged(&mut self) -> impl Future<Output = Result<(), WriteError>> {
        self.writer().acknowledged()
    }

    /// Whether a read would not wait. See [`ReadHalf::can_read`].
    pub fn can_read(&mut self) -> bool {
        self.read.can_read()
    }

    /// Whether a write would not wait. See [`WriteHalf::can_write`].
    pub fn can_write(&mut self) -> bool {
        self.writer().can_write()
    }

    /// How many bytes have come and were not read.
    pub fn unread(&mut self) -> usize {
        self.read.unread()
    }

    /// How many bytes were written and not acknowledged. See [`WriteHalf::unsent`].
    pub fn unsent(&mut self) -> usize {
        self.writer().unsent()
    }

    /// Where the connection is in its life (RFC 9293, 3.3.2): `Closed` also once it is gone.
    pub fn state(&mut self) -> tcp::State {
        self.read.give_back();
        self.read.handle.with(|core, key| {
            let slot = core.connections.slots.checked(key);
            let socket = slot.and_then(|slot| slot.socket());
            socket.map_or(tcp::State::Closed, |socket| socket.state())
        })
    }

    /// Sends a FIN and waits until the peer has acknowledged it; reading goes on. See
    /// [`WriteHalf::finish`].
    ///
    /// ```
    /// # use cygnet::{StreamError, TcpStream};
    /// /// Asks, says that there is nothing more to ask, and reads the answer to its end.
    /// async fn ask(stream: &mut TcpStream<'_>, answer: &mut [u8]) -> Result<usize, StreamError> {
    ///     stream.write_all(b"all of it").await?;
    ///     stream.finish().await?;
    ///     let mut length = 0;
    ///     while length < answer.len() {
    ///         match stream.read(&mut answer[length..]).await? {
    ///             0 => break,
    ///             more => length += more,
    ///         }
    ///     }
    ///     stream.close().await?;
    ///     Ok(length)
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`WriteHalf::finish`].
    ///
    /// # Cancel safety
    /// **Safe.** As [`WriteHalf::finish`].
    pub fn finish(&mut self) -> impl Future<Output = Result<(), WriteError>> {
        self.writer().finish()
    }

    /// Sends a FIN after what was written; reading goes on. See
    /// [`WriteHalf::shutdown`].
    pub fn shutdown(&mut self) {
        self.writer().shutdown();
    }

    /// Closes and waits until the peer has acknowledged everything written and
    /// our FIN, at most [`Config::close_timeout`](crate::Config). What it still sends is
    /// thrown away. Afterwards there is nothing to read or write, and nothing to do but to
    /// drop the stream.
    ///
    /// # Errors
    /// [`CloseError`]: the connection is gone, and the peer may not have read
    /// everything.
    ///
    /// # Cancel safety
    /// **Safe.** A dropped future has begun to close, and the deadline runs; dropping the
    /// stream too goes on in the background.
    pub async fn close(&mut self) -> Result<(), CloseError> {
        self.read.consume(0);
        self.write.ended = true;
        self.read.handle.closed().await
    }

    /// Resets the connection: the peer's reads and writes fail, and what it
    /// has not read is lost. So do reads and writes here from now on.
    pub fn reset(&mut self) {
        self.read.consume(0);
        let handle = self.read.handle;
        handle.with(|core, key| core.connections.abort(key));
    }

    /// [Resets](Self::reset) the connection and gives its slot back.
    pub fn abort(mut self) {
        self.reset();
    }

    /// The two directions, to use at the same time in one task.
    pub fn split(&mut self) -> (&mut ReadHalf<'a>, &mut WriteHalf<'a>) {
        self.read.give_back();
        (&mut self.read, &mut self.write)
    }

    /// Nobody can hold lent bytes while the whole stream is borrowed, so a
    /// write need not wait for their `consume`.
    fn writer(&mut self) -> &mut WriteHalf<'a> {
        self.split().1
    }

    /// The two directions, to use in two tasks.
    pub fn into_split(mut self) -> (OwnedReadHalf<'a>, OwnedWriteHalf<'a>) {
        self.read.consume(0);
        let whole = ManuallyDrop::new(self);
        let handle = whole.read.handle;
        handle.with(|core, key| {
            if let Some(slot) = core.connections.slots.checked(key) {
                slot.owners = 2;
            }
        });
        let (read, mut write) = halves(handle, whole.read.timeout, whole.write.timeout);
        write.ended = whole.write.ended;
        (OwnedReadHalf(read), OwnedWriteHalf(write))
    }

    /// How long a read may wait. See [`ReadHalf::set_timeout`].
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read.set_timeout(timeout);
    }

    /// How long a write, or a wait for acknowledgements, may stand still. See
    /// [`WriteHalf::set_timeout`].
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write.set_timeout(timeout);
    }

    /// Asks a silent peer every `interval` whether it is still there, and
    /// resets the connection when four times that passed without an answer
    /// (RFC 9293, 3.8.4). `None`, the default, never asks; less than a millisecond
    /// is one. The first question leaves at once, and one that is due when there are to
    /// be no more still leaves: known limits of the TCP underneath.
    pub fn set_keep_alive(&mut self, interval: Option<Duration>) {
        self.read.give_back();
        let handle = &self.read.handle;
        handle.with(|core, key| {
            core.connections
                .set_keep_alive(key, interval, core.host.now)
        });
    }

    /// Limits this connection; the exchange and the wait for its first byte
    /// begin now. For a protocol with many exchanges on one connection, call it
    /// at the beginning of each. `between_reads` is
    /// [`set_read_timeout`](Self::set_read_timeout)'s and is set too.
    pub fn set_limits(&mut self, limits: TimeLimits) {
        self.set_read_timeout(limits.between_reads);
        let handle = &self.read.handle;
        handle.with(|core, key| core.connections.set_limits(key, &limits, core.host.tick));
    }

    /// Holds small segments back while others are on their way (RFC 896).
    /// On by default; switch it off for chatty protocols.
    pub fn set_nagle(&mut self, on: bool) {
        self.read.give_back();
        self.read.handle.with(|core, key| {
            let slots = &mut core.connections.slots;
            if let Some(socket) = slots.checked(key).and_then(Slot::socket) {
                socket.set_nagle_enabled(on);
                slots.mark_dirty(key.id);
            }
        });
    }
}

/// Both directions of a connection, with how long each waits.
fn halves(
    handle: Handle<'_>,
    timeout: WaitLimit,
    write_timeout: WaitLimit,
) -> (ReadHalf<'_>, WriteHalf<'_>) {
    let read = ReadHalf {
        handle,
        timeout,
        lent: Err(0),
    };
    let write = WriteHalf {
        handle,
        timeout: write_timeout,
        ended: false,
    };
    (read, write)
}

impl Drop for TcpStream<'_> {
    fn drop(&mut self) {
        self.read.consume(0);
        self.read.handle.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a task that holds a stream, and waits for it, pays: an `async fn` holds
    /// each of its arguments twice, so every byte here counts double.
    #[cfg(target_pointer_width = "64")]
    #[test]
    fn memory_per_stream_is_pinned() {
        fn size<B, F>(_: fn(&'static mut TcpStream<'static>, B) -> F) -> usize {
            size_of::<F>()
        }
        // With smoltcp's `alloc` a lent socket takes 8 bytes more.
        let has_alloc = size_of::<smoltcp::iface::SocketSet<'_>>() > 16;
        assert!(size_of::<TcpStream<'_>>() <= if has_alloc { 88 } else { 80 });
        assert!(size::<&'static mut [u8], _>(|stream, buf| stream.read(buf)) <= 32);
        assert!(size::<&'static [u8], _>(|stream, buf| stream.write_all(buf)) <= 32);
    }
}
