//! What tasks hold: listeners and streams.

mod error;
mod half;
mod io;
mod listener;
mod stream;

pub use error::{
    AcceptError, CloseError, ConnectError, ListenError, ReadError, StreamError, WriteError,
};
pub use half::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
pub use listener::{Backlog, TcpListener};
pub use stream::TcpStream;
