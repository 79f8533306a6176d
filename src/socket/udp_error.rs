//! What can go wrong with datagrams. As in `error.rs`, each variant says what the caller can
//! do.

use embedded_io_async::ErrorKind;

use crate::socket::error::errors;
use crate::worded::worded;

errors! {
    /// Why a port cannot be bound.
    BindError {
        /// Another socket has this port of this address: drop it first.
        InUse: "another socket has this port", AddrInUse;
        /// Every place for a socket is taken: raise `SOCKETS` of the storage, or give the
        /// stack one: [`Stack::add_datagrams`](crate::Stack::add_datagrams).
        TooMany: "every place for a socket is taken", OutOfMemory;
        /// The address is none of this host's: add it first.
        NotOurs: "the address is not this host's", AddrNotAvailable;
    }
    /// Why a socket does not hear more.
    HearError {
        /// The address is no group's.
        NotAGroup: "the address is not a group's", InvalidInput;
        /// It hears two groups already: bind another socket.
        TooMany: "a socket hears at most two groups", OutOfMemory;
    }
    /// Why no datagram can be received.
    RecvError {
        /// The peer's host says that nobody takes datagrams there (only of a connected
        /// socket, once for each time it says so): send again later, or give up.
        Refused: "nobody takes datagrams there", ConnectionRefused;
        /// More tasks wait than the storage has places for: raise `WAITERS`, or let fewer
        /// tasks wait.
        TooManyWaiting: "too many tasks wait for datagrams", OutOfMemory;
        /// The host was rebooted: bind again.
        Closed: "the socket is closed", NotConnected;
    }
    /// Why a datagram was not sent.
    SendError {
        /// It is longer than the device sends in one packet, or than `BYTES` of the
        /// storage: send less.
        TooLong: "the datagram is too long", InvalidInput;
        /// The address or port is none that datagrams can be sent to, or no address of
        /// ours can reach it: give the host an address of that family, or a gateway.
        Unaddressable: "the address cannot be reached from here", AddrNotAvailable;
        /// The socket is not connected: say where, as
        /// [`send_to`](crate::UdpSocket::send_to) does.
        NotConnected: "the socket is not connected", NotConnected;
        /// The peer's host has said that nobody takes datagrams there (only of a connected
        /// socket, once for each time it says so): nothing was sent.
        Refused: "nobody takes datagrams there", ConnectionRefused;
        /// More tasks wait than the storage has places for: raise `WAITERS`, or let fewer
        /// tasks wait.
        TooManyWaiting: "too many tasks wait for datagrams", OutOfMemory;
        /// The host was rebooted: bind again.
        Closed: "the socket is closed", NotConnected;
    }
}
