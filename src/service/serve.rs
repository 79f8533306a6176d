//! What every server does: it accepts, and makes a task of each connection.

use core::future::poll_fn;
use core::task::{Context, Poll, ready};

use crate::node::Node;
use crate::socket::{Backlog, InLine, ListenError, TcpListener, TcpStream};

/// Accepts on `port` and makes a task of `client` for each connection, until
/// the listener is closed.
///
/// # Errors
/// [`ListenError`] when the port cannot be listened on.
///
/// # Cancel safety
/// **Safe.** Clients that run go on; connections not accepted are reset.
pub fn serve<'a, C>(
    node: Node<'a>,
    name: &'static str,
    port: u16,
    backlog: Backlog,
    client: impl Fn(TcpStream<'a>) -> C,
) -> impl Future<Output = Result<(), ListenError>>
where
    C: Future<Output = ()> + 'a,
{
    let mut server = Server {
        node,
        port,
        backlog,
        open: None,
    };
    poll_fn(move |cx| {
        server.poll(cx, &mut |stream| {
            // Refused: the future is dropped, and with it the stream closes.
            let _ = node.spawn_named(name, client(stream));
        })
    })
}

/// Declares a server that does the same for every client.
macro_rules! server {
    ($name:ident, $client:ident) => {
        #[doc = concat!("Serves [`", stringify!($client), "`] on `port` until the listener is closed.")]
        ///
        /// # Errors
        /// [`ListenError`](crate::ListenError) when the port cannot be listened on.
        ///
        /// # Cancel safety
        /// **Safe.** As [`serve`](crate::service::serve).
        pub fn $name(
            node: crate::Node<'_>,
            port: u16,
            backlog: crate::Backlog,
        ) -> impl Future<Output = Result<(), crate::ListenError>> {
            crate::service::serve(node, stringify!($name), port, backlog, $client)
        }
    };
}

pub(super) use server;

/// A server without its clients, of which a board has one copy whatever they do.
struct Server<'a> {
    node: Node<'a>,
    port: u16,
    backlog: Backlog,
    open: Option<(InLine<'a>, TcpListener<'a>)>,
}

impl<'a> Server<'a> {
    /// Hands out connections until the listener is closed.
    #[inline(never)]
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        serve: &mut dyn FnMut(TcpStream<'a>),
    ) -> Poll<Result<(), ListenError>> {
        let (line, _) = match &mut self.open {
            Some(open) => open,
            none => {
                let listener = self.node.listen(self.port, self.backlog)?;
                none.insert((listener.line(), listener))
            }
        };
        while let Ok(stream) = ready!(line.poll(cx)) {
            serve(stream);
        }
        Poll::Ready(Ok(()))
    }
}
