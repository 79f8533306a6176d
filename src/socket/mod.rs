//! What tasks hold: listeners and streams.

#[cfg(feature = "addressing")]
mod address;
pub(crate) mod connection;
mod endpoint;
mod error;
mod handle;
mod io;
mod listener;
mod owned;
#[cfg(feature = "ping")]
mod ping;
#[cfg(feature = "dns")]
mod race;
mod read;
#[cfg(feature = "dns")]
mod resolve;
mod stream;
#[cfg(feature = "udp")]
mod udp;
#[cfg(feature = "udp")]
mod udp_error;
mod write;

#[cfg(feature = "addressing")]
pub(crate) use address::{Watch, What, watch};
#[cfg(feature = "addressing")]
pub use error::ClaimError;
#[cfg(feature = "dns")]
pub use error::ResolveError;
pub use error::{
    AcceptError, CloseError, ConnectError, ListenError, ReadError, StreamError, WriteError,
};
#[cfg(feature = "dns")]
pub use resolve::ConnectToError;
#[cfg(feature = "dns")]
pub(crate) use {
    race::race,
    resolve::{Resolving, in_turn},
};

pub use connection::{Connection, ConnectionState, Limit};
pub use endpoint::ToEndpoint;
pub(crate) use listener::InLine;
pub use listener::{Backlog, TcpListener};
pub use owned::{OwnedReadHalf, OwnedWriteHalf};
#[cfg(feature = "ping")]
pub use ping::PingSocket;
pub use read::ReadHalf;
pub use stream::TcpStream;
#[cfg(feature = "udp")]
pub use udp::UdpSocket;
#[cfg(feature = "udp")]
pub use udp_error::{BindError, HearError, RecvError, SendError};
pub use write::WriteHalf;
