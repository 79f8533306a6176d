//! [picoserve](https://docs.rs/picoserve) 0.20 serves HTTP over cygnet's streams: routes,
//! JSON, forms, server-sent events and WebSockets, as its own documentation says.
//!
//! ```
//! use cygnet::{Backlog, Node};
//! use cygnet_compat::picoserve::serve;
//! use picoserve::routing::{PathRouter, get};
//! use picoserve::{Config, Router};
//!
//! fn app() -> Router<impl PathRouter> {
//!     Router::new().route("/", get(|| async { "Hello World\n" }))
//! }
//!
//! static CONFIG: Config = Config::const_default().keep_connection_alive();
//!
//! // `app` is in a static; a request's head has at most 2,048 bytes.
//! fn http<P: PathRouter>(node: Node<'static>, app: &'static Router<P>) {
//!     let http = serve::<2048, _>(node, 80, Backlog(4), app, &CONFIG);
//!     node.spawn_named("http", http).unwrap();
//! }
//! # let _ = app;
//! ```
//!
//! [`connection`] serves a stream that you have accepted yourself.
//!
//! Its `flush` between head and body does not wait for the peer: see
//! [`TcpStream::acknowledged`].
//!
//! What picoserve 0.20 does over any network: an `EventStream` ends with its connection only
//! if it has waited once, for time or for what it tells; else the client waits for
//! `persistent_start_read_request`. It does not answer `Expect: 100-continue`; clients
//! send their body a second later. It takes a body in chunks for none, and the chunks for the
//! next request, which is a bad one. In a build with overflow checks, as debug builds are, a
//! `Content-Length` near `usize::MAX` is a panic: switch them off for picoserve. A WebSocket
//! has no limits of time but those of its handler; see `examples/net`.

use cygnet::{Backlog, ListenError, Node, ReadHalf, StreamError, TcpStream, WriteHalf};
use embedded_io_async::{ErrorType, Write};
use picoserve::io::Socket;
use picoserve::mem::{BorrowedBuffer, BorrowedCursor};
use picoserve::routing::PathRouter;
use picoserve::{Config, Router, Server, Timeouts};

/// Names cygnet where picoserve asks what runs it.
#[derive(Debug)]
pub struct Cygnet;

/// picoserve's timer: the node's.
#[derive(Clone, Copy, Debug)]
pub struct Timer<'a>(pub Node<'a>);

impl picoserve::Timer<Cygnet> for Timer<'_> {
    fn delay(&self, duration: picoserve::time::Duration) -> impl Future<Output = ()> {
        let delay = smoltcp::time::Duration::from_millis(duration.as_millis());
        self.0.sleep(delay)
    }
}

/// The sending direction of a stream, into whose buffer picoserve writes where it lies.
#[derive(Debug)]
pub struct Writer<'h, 'a>(&'h mut WriteHalf<'a>);

impl ErrorType for Writer<'_, '_> {
    type Error = StreamError;
}

impl Write for Writer<'_, '_> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, StreamError> {
        Ok(self.0.write(buf).await?)
    }

    async fn flush(&mut self) -> Result<(), StreamError> {
        Write::flush(self.0).await
    }
}

impl picoserve::io::Write for Writer<'_, '_> {
    async fn write_with<F: FnOnce(BorrowedCursor<'_>) -> R, R>(
        &mut self,
        f: F,
    ) -> Result<R, StreamError> {
        let written = self.0.write_with(|room| {
            let mut room = BorrowedBuffer::new(room);
            let out = f(room.unfilled());
            (room.len(), out)
        });
        Ok(written.await?)
    }
}

impl<'a> Socket<Cygnet> for TcpStream<'a> {
    type Error = StreamError;
    type ReadHalf<'h>
        = &'h mut ReadHalf<'a>
    where
        'a: 'h;
    type WriteHalf<'h>
        = Writer<'h, 'a>
    where
        'a: 'h;

    fn split(&mut self) -> (Self::ReadHalf<'_>, Self::WriteHalf<'_>) {
        let (reader, writer) = TcpStream::split(self);
        (reader, Writer(writer))
    }

    /// Resets the connection once the client has what was written: the answer to a bad
    /// request is among it, which a reset would overtake.
    async fn abort<T: picoserve::Timer<Cygnet>>(
        mut self,
        timeouts: &Timeouts,
        timer: &T,
    ) -> Result<(), picoserve::Error<StreamError>> {
        let arrived = timer.run_with_timeout(timeouts.write, self.acknowledged());
        // A client that does not take it has had its time.
        let _ = arrived.await;
        TcpStream::abort(self);
        Ok(())
    }

    /// Sends what was written and a FIN, and throws away what the client still sends, so that
    /// its last read is not cut short by a reset.
    async fn shutdown<T: picoserve::Timer<Cygnet>>(
        mut self,
        timeouts: &Timeouts,
        timer: &T,
    ) -> Result<(), picoserve::Error<StreamError>> {
        use picoserve::Error;
        TcpStream::shutdown(&mut self);
        let rest = async {
            while self.read_with(|bytes| (bytes.len(), bytes.len())).await? > 0 {}
            Ok::<_, StreamError>(())
        };
        let rest = timer.run_with_timeout(timeouts.read_request, rest).await;
        rest.map_err(Error::ReadTimeout)?.map_err(Error::Read)?;
        let end = timer.run_with_timeout(timeouts.write, self.finish()).await;
        let end = end.map_err(Error::WriteTimeout)?;
        end.map_err(|error| Error::Write(error.into()))
    }
}

/// Serves `app` on `port` with a task of `node` per connection, until the listener is closed.
/// A task has a `BUFFER` of so many bytes for the head of a request.
///
/// # Errors
/// [`ListenError`] when the port cannot be listened on.
///
/// # Cancel safety
/// **Safe.** Clients that are served go on; connections that were not accepted are reset.
pub async fn serve<'a, const BUFFER: usize, P: PathRouter>(
    node: Node<'a>,
    port: u16,
    backlog: Backlog,
    app: &'a Router<P>,
    config: &'a Config,
) -> Result<(), ListenError> {
    let client = |stream| connection::<BUFFER, P>(node, stream, app, config);
    cygnet::service::serve(node, "http", port, backlog, client).await
}

/// Serves one connection to its end.
///
/// # Cancel safety
/// **Safe.** The stream closes in the background.
pub async fn connection<const BUFFER: usize, P: PathRouter>(
    node: Node<'_>,
    stream: TcpStream<'_>,
    app: &Router<P>,
    config: &Config,
) {
    let mut buffer = [0; BUFFER];
    let server = Server::custom(app, Timer(node), config, &mut buffer);
    // Whatever ends it is the client's doing, and counted by the stack.
    let _ = server.serve(stream).await;
}
