//! Memory for datagrams: zeros, fit for a static, as all of a stack's.

use crate::table::binds::{Bind, Binds, Incoming};
use crate::table::outbox::{Outbox, Outgoing};
use crate::table::waiters::{Waiter, Waiters};

/// Memory for `SOCKETS` bound ports, each with a ring of `DATAGRAMS` datagrams of at most
/// `BYTES` bytes; for as many again that are on their way out, of all sockets together; and
/// for `WAITERS` tasks that wait for a datagram, or to send one, at the same time. A longer
/// datagram is neither taken nor sent.
///
/// A stack has it from [`Stack::add_datagrams`](crate::Stack::add_datagrams). It takes
/// (`SOCKETS` + 1) × `DATAGRAMS` × `BYTES` bytes, and some 100 for each datagram and socket.
///
/// ```
/// use cygnet::UdpStorage;
/// let mut storage: UdpStorage<4, 4, 576> = UdpStorage::new();
/// # let _ = &mut storage;
/// ```
#[derive(Debug)]
pub struct UdpStorage<
    const SOCKETS: usize,
    const DATAGRAMS: usize,
    const BYTES: usize,
    const WAITERS: usize = 8,
> {
    binds: [Bind; SOCKETS],
    buckets: [u32; SOCKETS],
    cells: [[Incoming; DATAGRAMS]; SOCKETS],
    bytes: [[[u8; BYTES]; DATAGRAMS]; SOCKETS],
    outgoing: [Outgoing; DATAGRAMS],
    out_links: [u32; DATAGRAMS],
    out_bytes: [[u8; BYTES]; DATAGRAMS],
    waiters: [Waiter; WAITERS],
    links: [u32; WAITERS],
}

impl<const SOCKETS: usize, const DATAGRAMS: usize, const BYTES: usize, const WAITERS: usize>
    UdpStorage<SOCKETS, DATAGRAMS, BYTES, WAITERS>
{
    /// Empty storage, all zeros, fit for a static.
    pub const fn new() -> Self {
        const {
            assert!(SOCKETS > 0, "datagrams need at least one socket");
            assert!(
                DATAGRAMS > 1,
                "one place is for those whose neighbor answers"
            );
            assert!(DATAGRAMS <= 1 << 15, "a ring is counted in 16 bits");
            assert!(BYTES <= 65_507, "no datagram is longer (RFC 768)");
        }
        UdpStorage {
            binds: [const { Bind::EMPTY }; SOCKETS],
            buckets: [0; SOCKETS],
            cells: [[Incoming::EMPTY; DATAGRAMS]; SOCKETS],
            bytes: [[[0; BYTES]; DATAGRAMS]; SOCKETS],
            outgoing: [Outgoing::EMPTY; DATAGRAMS],
            out_links: [0; DATAGRAMS],
            out_bytes: [[0; BYTES]; DATAGRAMS],
            waiters: [const { Waiter::EMPTY }; WAITERS],
            links: [0; WAITERS],
        }
    }

    pub(crate) fn binds(&mut self) -> Binds<'_> {
        let cells = self.cells.as_flattened_mut();
        let bytes = self.bytes.as_flattened_mut().as_flattened_mut();
        let out_bytes = self.out_bytes.as_flattened_mut();
        Binds::new(
            (&mut self.binds, &mut self.buckets),
            (cells, bytes),
            Waiters::new(&mut self.waiters, &mut self.links),
            Outbox::new(&mut self.outgoing, &mut self.out_links, out_bytes, BYTES),
        )
    }
}

impl<const SOCKETS: usize, const DATAGRAMS: usize, const BYTES: usize, const WAITERS: usize> Default
    for UdpStorage<SOCKETS, DATAGRAMS, BYTES, WAITERS>
{
    fn default() -> Self {
        Self::new()
    }
}
