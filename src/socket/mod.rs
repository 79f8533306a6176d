//! What tasks hold: listeners and streams.

#[cfg(feature = "addressing")]
mod address;
mod error;
mod handle;
mod io;
mod listener;
mod owned;
mod read;
mod stream;
mod write;

#[cfg(feature = "addressing")]
pub(crate) use address::{Watch, What};
#[cfg(feature = "addressing")]
pub use error::ClaimError;
pub use error::{
    AcceptError, CloseError, ConnectError, ListenError, ReadError, StreamError, WriteError,
};

pub(crate) use listener::InLine;
pub use listener::{Backlog, TcpListener};
pub use owned::{OwnedReadHalf, OwnedWriteHalf};
pub use read::ReadHalf;
pub use stream::TcpStream;
pub use write::WriteHalf;
