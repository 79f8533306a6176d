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
#[cfg(feature = "udp")]
mod udp;
#[cfg(feature = "udp")]
mod udp_error;
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
#[cfg(feature = "udp")]
pub use udp::UdpSocket;
#[cfg(feature = "udp")]
pub use udp_error::{BindError, HearError, RecvError, SendError};
pub use write::WriteHalf;
