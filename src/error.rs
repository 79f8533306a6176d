//! One error for whoever does several things in one function and hands on what goes wrong:
//! every error of this crate becomes it with `?`, and is in it unchanged.
//!
//! Not here: what goes wrong, and what to do then. Each operation says its own.

use core::fmt;
use embedded_io_async::ErrorKind;

use crate::rules::config::ConfigError;
#[cfg(feature = "addressing")]
use crate::socket::ClaimError;
use crate::socket::{
    AcceptError, CloseError, ConnectError, ListenError, ReadError, StreamError, WriteError,
};
#[cfg(feature = "udp")]
use crate::socket::{BindError, HearError, RecvError, SendError};
#[cfg(feature = "dns")]
use crate::socket::{ConnectToError, ResolveError};
use crate::task::{Elapsed, SpawnError, SpawnRefused};

macro_rules! umbrella {
    ($($(#[$meta:meta])* $variant:ident($error:ident), $doc:literal)*) => {
        /// Any error of this crate.
        ///
        /// ```
        /// use cygnet::{Backlog, Error, Node};
        ///
        /// async fn greet_one(node: Node<'_>) -> Result<(), Error> {
        ///     let listener = node.listen(5000, Backlog(1))?; // ListenError
        ///     let (mut stream, _) = listener.accept().await?; // AcceptError
        ///     stream.write_all(b"Hello World\n").await?; // WriteError
        ///     stream.close().await?; // CloseError
        ///     Ok(())
        /// }
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Error {
            $($(#[$meta])* #[doc = $doc] $variant($error),)*
        }

        impl fmt::Display for Error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $($(#[$meta])* Error::$variant(error) => error.fmt(f),)* }
            }
        }

        impl core::error::Error for Error {
            fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
                match self { $($(#[$meta])* Error::$variant(error) => Some(error),)* }
            }
        }

        $($(#[$meta])* impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Error::$variant(error)
            }
        })*
    };
}

umbrella! {
    Config(ConfigError), "A stack cannot be built this way."
    Spawn(SpawnRefused), "A future did not become a task."
    Listen(ListenError), "A port cannot be listened on."
    Accept(AcceptError), "There is no connection to accept."
    Connect(ConnectError), "A connection was not made."
    Stream(StreamError), "A connection does not go on."
    Elapsed(Elapsed), "The time was up."
    #[cfg(feature = "addressing")]
    Claim(ClaimError), "An address was not taken."
    #[cfg(feature = "dns")]
    Resolve(ResolveError), "A name has no address here."
    #[cfg(feature = "udp")]
    Bind(BindError), "A port for datagrams cannot be bound."
    #[cfg(feature = "udp")]
    Hear(HearError), "A socket does not hear more."
    #[cfg(feature = "udp")]
    Recv(RecvError), "No datagram can be received."
    #[cfg(feature = "udp")]
    Send(SendError), "A datagram was not sent."
}

macro_rules! of_streams {
    ($($error:ident)*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Error::Stream(error.into())
            }
        }
    )*};
}

of_streams! { ReadError WriteError CloseError }

impl<F> From<SpawnError<F>> for Error {
    fn from(error: SpawnError<F>) -> Self {
        Error::Spawn(error.into())
    }
}

#[cfg(feature = "dns")]
impl From<ConnectToError> for Error {
    fn from(error: ConnectToError) -> Self {
        match error {
            ConnectToError::Resolve(error) => Error::Resolve(error),
            ConnectToError::Connect(error) => Error::Connect(error),
        }
    }
}

impl embedded_io_async::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Error::Config(_) => ErrorKind::InvalidInput,
            Error::Spawn(_) => ErrorKind::OutOfMemory,
            Error::Listen(error) => error.kind(),
            Error::Accept(error) => error.kind(),
            Error::Connect(error) => error.kind(),
            Error::Stream(error) => error.kind(),
            Error::Elapsed(_) => ErrorKind::TimedOut,
            #[cfg(feature = "addressing")]
            Error::Claim(error) => error.kind(),
            #[cfg(feature = "dns")]
            Error::Resolve(error) => error.kind(),
            #[cfg(feature = "udp")]
            Error::Bind(error) => error.kind(),
            #[cfg(feature = "udp")]
            Error::Hear(error) => error.kind(),
            #[cfg(feature = "udp")]
            Error::Recv(error) => error.kind(),
            #[cfg(feature = "udp")]
            Error::Send(error) => error.kind(),
        }
    }
}
