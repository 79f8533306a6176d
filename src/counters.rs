//! What is counted: why frames were dropped, and totals since the start.
//!
//! Not here: single events (`event.rs`).

/// Why a frame was dropped. Nothing is dropped without one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum DropReason {
    /// A header was too short, had an impossible length or an unknown version.
    Malformed = 0,
    /// The hardware or IP address was somebody else's.
    NotOurs = 1,
    /// TCP to a broadcast or multicast address (RFC 9293, MUST-57), or a datagram to one that
    /// no socket asked for.
    NotUnicast = 2,
    /// The source address cannot be a peer: ours, loopback, broadcast,
    /// multicast or unspecified.
    BadSource = 3,
    /// A fragment of a TCP segment or of a datagram, or a segment behind IPv6 options.
    Fragment = 4,
    /// A SYN for a listener whose backlog is full.
    BacklogFull = 5,
    /// A SYN, or an acknowledgement that belongs to no connection, while every slot
    /// was taken or handshakes did not get on.
    NoSlot = 6,
    /// A SYN that was admitted and turned out to be damaged; a segment to a
    /// listener that neither begins nor acknowledges anything (RFC 9293,
    /// 3.10.7.2).
    BadSegment = 7,
    /// The stream's socket is borrowed: `fill_buf` without its `consume`.
    Borrowed = 8,
    /// A TCP segment, a datagram or an IPv4 header that was damaged on its way: the
    /// checksum is wrong.
    Checksum = 9,
    /// A reset that is not exactly at the next byte we expect (RFC 5961, 3). In
    /// the window it was challenged.
    InexactReset = 10,
    /// A SYN for an open connection, challenged (RFC 5961, 4).
    OpenFlow = 11,
    /// It acknowledges what was never sent; challenged (RFC 9293, 3.10.7.4).
    NeverSent = 12,
    /// Bytes outside the window, again within 65 ms; or what only an error or a reset
    /// could have answered, more than 800 or 8,000 a second.
    Throttled = 13,
    /// An acknowledgement that repeats what is known while only our FIN is on its
    /// way.
    RepeatedAck = 14,
    /// An answer about a hardware address that we did not ask for, or that an
    /// open connection knows better; or the word of a router or a peer about a packet that is
    /// not on its way.
    Unsolicited = 15,
    /// The acknowledgement of a cookie whose connection is over already.
    OldDuplicate = 16,
    /// Bytes past the window that we offered, with a FIN behind them or before our
    /// first scaled window; challenged (RFC 9293, 3.10.7.4, and RFC 7323, 2.2).
    PastEdge = 17,
    /// Bytes after the peer's FIN (RFC 9293, 3.10.7.4).
    AfterEnd = 18,
    /// A datagram that nobody read in time: the ring of its socket was full, or the socket
    /// was dropped first.
    Unread = 19,
    /// A datagram longer than the storage has places for.
    TooLong = 20,
    /// A datagram of ours whose neighbor did not answer, or to make room for a later one.
    NoNeighbor = 21,
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = 22;
}

/// Counters as a room keeps them: without the feature `counters` it keeps none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals(pub(crate) [Counters; cfg!(feature = "counters") as usize]);

impl Totals {
    pub(crate) fn get(&self) -> Counters {
        self.0.first().copied().unwrap_or_default()
    }
}

/// Adds one, or so many, to a total of a host.
macro_rules! count {
    ($host:expr, $total:ident $([$index:expr])?) => {
        crate::counters::count!($host, $total $([$index])?, 1)
    };
    ($host:expr, $total:ident $([$index:expr])?, $amount:expr) => {
        if let Some(counters) = $host.totals.0.first_mut() {
            counters.$total $([$index])? += $amount;
        }
    };
}
pub(crate) use count;

/// Totals since the start. They only grow, except the two gauges in use, which
/// are all that is kept without the feature `counters`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames received.
    pub frames_in: u64,
    /// Bytes in them, link header included.
    pub bytes_in: u64,
    /// Frames sent.
    pub frames_out: u64,
    /// Bytes in them, link header included.
    pub bytes_out: u64,
    /// Frames dropped, by [`DropReason`].
    pub dropped: [u64; DropReason::COUNT],
    /// SYNs that took a slot.
    pub syns_admitted: u64,
    /// SYNs, and acknowledgements of cookies, that found no place and waited for one.
    pub syns_parked: u64,
    /// SYNs that were answered by a cookie and forgotten.
    pub cookies_given: u64,
    /// Connections that a cookie brought back.
    pub cookies_taken: u64,
    /// Connections handed to a task by `accept`.
    pub accepts: u64,
    /// Connections opened by `connect`.
    pub connects: u64,
    /// Connections that the peer reset.
    pub resets: u64,
    /// Connections that a deadline ended.
    pub expired: u64,
    /// Bytes or ends that nothing would have sent again, and that were. A bug of this crate
    /// if it is not zero: the connection goes on all the same.
    pub rescued: u64,
    /// Slots given to a newer connection: in TIME-WAIT, half-open under pressure,
    /// or idle at a listener that asked for it.
    pub reclaimed: u64,
    /// Times that another host used an address of ours (feature `addressing`).
    pub conflicts: u64,
    /// Datagrams taken for a socket.
    pub datagrams_in: u64,
    /// Datagrams of sockets that left.
    pub datagrams_out: u64,
    /// Slots in use now.
    pub slots_used: u32,
    /// Most slots ever in use.
    pub slots_high: u32,
    /// Tasks that live now.
    pub tasks_used: u32,
    /// Most tasks that ever lived.
    pub tasks_high: u32,
    /// Spawns refused: no place or too large.
    pub spawns_refused: u64,
    /// Tasks that ended with an `Err`.
    pub tasks_failed: u64,
    /// Sleeps that joined others at a timer, because they found none of their own; and polls
    /// of waits for the host's link or addresses, beyond the fixed number, which poll instead
    /// of waiting.
    pub timers_refused: u64,
    /// Turns of the event loop.
    pub turns: u64,
    /// Polls of tasks.
    pub polls: u64,
}

impl Counters {
    /// Frames dropped for `reason`.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }
}
