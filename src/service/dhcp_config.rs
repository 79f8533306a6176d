//! What a DHCP client is told, and why it cannot run.

use smoltcp::time::Duration;
use smoltcp::wire::{Ipv4Address, Ipv4Cidr};

use crate::worded::worded;

/// What a DHCP client says of itself, and what it does until a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DhcpConfig<'n> {
    pub(super) host_name: &'n str,
    pub(super) fallback: Fallback,
    pub(super) fallback_after: Duration,
}

/// Which address is used until a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fallback {
    None,
    Static(Ipv4Cidr, Option<Ipv4Address>),
    LinkLocal,
}

impl<'n> DhcpConfig<'n> {
    /// No name, and no address until a server gives one.
    pub const fn new() -> Self {
        DhcpConfig {
            host_name: "",
            fallback: Fallback::None,
            fallback_after: Duration::from_secs(3),
        }
    }

    /// The name that the server is told, by which others may find the host: a label of at
    /// most 63 letters, digits and hyphens.
    pub const fn host_name(self, name: &'n str) -> Self {
        DhcpConfig {
            host_name: name,
            ..self
        }
    }

    /// Uses this address, and this gateway, when no server has answered for three seconds,
    /// and goes on asking. It is asked for before it is used, as every address is; what is
    /// open from it when a server answers goes on to its end.
    pub const fn fallback(self, address: Ipv4Cidr, gateway: Option<Ipv4Address>) -> Self {
        DhcpConfig {
            fallback: Fallback::Static(address, gateway),
            ..self
        }
    }

    /// The same with an address that is good on this link alone (RFC 3927), another one as
    /// long as somebody has it.
    pub const fn link_local(self) -> Self {
        DhcpConfig {
            fallback: Fallback::LinkLocal,
            ..self
        }
    }

    /// So much later, or earlier, than three seconds.
    pub const fn fallback_after(self, delay: Duration) -> Self {
        DhcpConfig {
            fallback_after: delay,
            ..self
        }
    }
}

impl Default for DhcpConfig<'_> {
    fn default() -> Self {
        DhcpConfig::new()
    }
}

worded! {
    /// Why a DHCP client cannot run.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum DhcpError {
        /// Port 68 is bound already, or there is no place for a socket: raise `SOCKETS` of
        /// the storage for datagrams, or give the stack one.
        Bind: "port 68 cannot be bound",
        /// A datagram of 548 bytes does not fit: raise `BYTES` of the storage for datagrams.
        Storage: "the storage for datagrams must have 548 bytes for each",
        /// The host name is longer than 63 bytes, or has others in it than letters,
        /// digits and hyphens.
        HostName: "a host name has at most 63 letters, digits and hyphens",
        /// The host was rebooted, or more tasks wait for datagrams than the storage has
        /// places for: raise `WAITERS`.
        Socket: "nothing can be received at port 68",
    }
}

impl core::error::Error for DhcpError {}
