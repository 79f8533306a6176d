//! What can go wrong with a socket: one small enum per operation. Each variant
//! says what the caller can do; all of them are caused by peers, by the
//! network, or by a capacity, and none by a bug.

use embedded_io_async::ErrorKind;

use crate::worded::worded;

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident: $text:literal, $kind:ident;)* })*) => {$(
        worded! {
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[non_exhaustive]
            pub enum $name { $($(#[$vdoc])* $variant: $text,)* }
        }

        impl core::error::Error for $name {}

        impl embedded_io_async::Error for $name {
            fn kind(&self) -> ErrorKind {
                match self { $($name::$variant => ErrorKind::$kind,)* }
            }
        }
    )*};
}
#[cfg(feature = "udp")]
pub(super) use errors;

errors! {
    /// Why a port cannot be listened on.
    ListenError {
        /// Port 0 is not a port to listen on: choose one.
        PortZero: "port 0 cannot be listened on", InvalidInput;
        /// Another listener has this port: close it first.
        InUse: "another listener has this port", AddrInUse;
        /// Every place for a listener is taken: raise `LISTENERS` of the storage.
        TooMany: "every place for a listener is taken", OutOfMemory;
    }
    /// Why `accept` gives no connection.
    AcceptError {
        /// The listener was closed and its queue is empty: stop accepting.
        Closed: "the listener is closed", NotConnected;
        /// More tasks wait in `accept` than the storage has places for: raise
        /// `ACCEPTORS`, or let fewer tasks accept.
        TooManyWaiting: "too many tasks wait in accept", OutOfMemory;
    }
    /// Why a connection was not made.
    ConnectError {
        /// The peer refused: nobody listens there.
        Refused: "the peer refused the connection", ConnectionRefused;
        /// Nobody answered in time: try again later.
        TimedOut: "nobody answered", TimedOut;
        /// The address is no unicast address, is our own, or no address of
        /// ours can reach it: give the host an address of that family, or a
        /// gateway.
        Unaddressable: "the address cannot be reached from here", AddrNotAvailable;
        /// Every slot is taken: close a connection, or raise `SLOTS`.
        NoSlot: "every slot is taken", OutOfMemory;
        /// Every dynamic port is in use with this peer.
        NoPort: "every dynamic port is in use", AddrInUse;
    }
    /// Why nothing can be read.
    ReadError {
        /// The peer reset the connection (RFC 9293, 3.10.7): drop the stream.
        Reset: "the connection was reset", ConnectionReset;
        /// The read timeout passed, or the peer stopped answering: drop the
        /// stream, or try again after a read timeout.
        TimedOut: "the peer did not send in time", TimedOut;
    }
    /// Why nothing can be written.
    WriteError {
        /// The peer reset the connection: drop the stream.
        Reset: "the connection was reset", ConnectionReset;
        /// The write timeout passed, or the peer stopped answering: drop the
        /// stream, or try again after a write timeout.
        TimedOut: "the peer did not take it in time", TimedOut;
        /// This side was shut down before: nothing can be written any more.
        Closed: "the stream was shut down", BrokenPipe;
    }
    /// Why a close was not acknowledged. The connection is gone either way.
    CloseError {
        /// The peer reset the connection; it may not have read everything.
        Reset: "the connection was reset", ConnectionReset;
        /// The peer did not acknowledge in time and was reset.
        TimedOut: "the peer did not acknowledge the close", TimedOut;
    }
    /// Why a stream, or a half of one, does not go on: what the `embedded-io-async` traits give
    /// for all of them, and what the error of each operation becomes with `?`.
    StreamError {
        /// The connection was reset (RFC 9293, 3.10.7): drop the stream.
        Reset: "the connection was reset", ConnectionReset;
        /// A timeout passed, or the peer stopped answering: drop the stream, or try again
        /// after a timeout of one's own.
        TimedOut: "the peer did not answer in time", TimedOut;
        /// This side was shut down before: nothing can be written any more.
        Closed: "the stream was shut down", BrokenPipe;
    }
}

#[cfg(feature = "dns")]
errors! {
    /// Why a name has no address here.
    ResolveError {
        /// It is no name: labels of 1 to 63 letters, digits, hyphens and underlines, with
        /// dots between them, 253 in all.
        BadName: "it is not a name", InvalidInput;
        /// Nobody answers questions: spawn [`service::dns`](crate::service::dns).
        NoResolver: "no task resolves names", NotConnected;
        /// The host knows no server: wait for DHCP, or set one with
        /// [`Node::set_dns_servers`](crate::Node::set_dns_servers).
        NoServer: "no server for names is known", NotConnected;
        /// Every place is taken by a question that somebody waits for: raise `NAMES` of the
        /// storage, or give the stack one:
        /// [`Stack::add_names`](crate::Stack::add_names).
        TooMany: "too many names are asked for", OutOfMemory;
        /// There is no such name.
        NoName: "there is no such name", NotFound;
        /// The name has no address of this family.
        NoAddress: "the name has no address of this kind", NotFound;
        /// No server has answered: try again later.
        TimedOut: "no server answered", TimedOut;
        /// Every server says that it does not know, or answers nonsense: try again later.
        Failed: "no server knows", Other;
    }
}

#[cfg(feature = "addressing")]
errors! {
    /// Why an address was not taken.
    ClaimError {
        /// It is no unicast address.
        Address: "an IP address must be a unicast address", InvalidInput;
        /// The device's MTU is too small for IPv6: 1,294 bytes with the Ethernet header.
        Mtu: "the device's MTU is too small for IPv6", InvalidInput;
        /// A host has at most four addresses: remove one.
        TooMany: "a host has at most four addresses", OutOfMemory;
        /// Another host has it, or is about to take it: take another one.
        InUse: "another host has this address", AddrInUse;
        /// The host was rebooted meanwhile.
        Forgotten: "the host was rebooted meanwhile", NotConnected;
    }
}

/// Whatever ends a stream is one of these, too.
macro_rules! of_streams {
    ($($error:ident { $($variant:ident)* })*) => {$(
        impl From<$error> for StreamError {
            fn from(error: $error) -> Self {
                match error { $($error::$variant => StreamError::$variant,)* }
            }
        }
    )*};
}

of_streams! {
    ReadError { Reset TimedOut }
    WriteError { Reset TimedOut Closed }
    CloseError { Reset TimedOut }
}
