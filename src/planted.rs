//! Bugs, planted on purpose, one at a time. `sim selftest` plants each of them
//! and shows that simulated networks find it: a net without a hole is one in
//! which every fish that was put there is caught.
//!
//! Without the feature `planted` there are none: [`planted`] is a constant
//! `false`, and what stands behind it compiles to nothing. The feature is for
//! the self-test alone; a server built with it is not to be trusted, and costs
//! a load and a comparison at every site.
//!
//! Each bug has one site, a line or a few, in the file that it spoils.

macro_rules! bugs {
    ($(#[doc = $about:literal] $bug:ident = $name:literal,)*) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Planted { $(#[doc = $about] $bug,)* }

        impl Planted {
            /// All of them.
            pub const ALL: &[Planted] = &[$(Planted::$bug,)*];

            /// Its name on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Planted::$bug => $name,)* }
            }

            /// What it does, in a line.
            pub const fn about(self) -> &'static str {
                match self { $(Planted::$bug => $about,)* }.trim_ascii()
            }
        }
    };
}

bugs! {
    /// bytes that come with an acknowledgement wake no reader
    LostWake = "lost-wake",
    /// one connection in a full backlog wakes no acceptor
    AcceptorNotWoken = "acceptor-not-woken",
    /// when four tasks are woken at once, one is forgotten
    ReadyForgotten = "ready-forgotten",
    /// a reset connection never gives its slot back
    SlotLeakedOnReset = "slot-leaked-on-reset",
    /// a stream whose task finds no room is forgotten, not closed
    StreamLeakedOnRefusal = "stream-leaked-on-refusal",
    /// a task that ends keeps its row
    TaskRowLeaked = "task-row-leaked",
    /// the handshake's deadline stays when the handshake is over
    StaleTimer = "stale-timer",
    /// a deadline that moves to earlier is served when it was due before
    DeadlineNotMovedUp = "deadline-not-moved-up",
    /// the heap of deadlines looks at one child only
    HeapMisordered = "heap-misordered",
    /// a host with timers in stack and tasks looks at the stack's alone
    TaskTimerOverlooked = "task-timer-overlooked",
    /// a sleep is over a millisecond early
    SleepEndsEarly = "sleep-ends-early",
    /// no FIN when a stream is dropped with bytes on their way
    FinLost = "fin-lost",
    /// a reader sees the end of the stream before the last bytes
    EndTooEarly = "end-too-early",
    /// a read loses a byte where the receive buffer wraps
    ReadLosesByteAtWrap = "read-loses-byte-at-wrap",
    /// a write that is cut short counts a byte too many
    WriteCountsOneMore = "write-counts-one-more",
    /// a retransmitted segment lacks its first byte
    ByteDroppedOnRetransmit = "byte-dropped-on-retransmit",
    /// a retransmitted segment has another last byte
    RetransmitDiffers = "retransmit-differs",
    /// a segment's checksum is not looked at
    ChecksumIgnored = "checksum-ignored",
    /// the last connection of a queue is never accepted
    AcceptOffByOne = "accept-off-by-one",
    /// a connection that ends before it is accepted still counts as waiting
    PendingNeverLeft = "pending-never-left",
    /// while another waits, a connection is accepted twice
    ConnectionAcceptedTwice = "connection-accepted-twice",
    /// a SYN that waits for a place is not told of one
    ParkedForgotten = "parked-forgotten",
    /// a peer that never finishes its handshake is waited for, always
    HalfOpenForever = "half-open-forever",
    /// a peer that never agrees to a close is waited for, always
    CloseForever = "close-forever",
    /// TIME-WAIT has no end
    TimeWaitForever = "time-wait-forever",
    /// a slot freed in TIME-WAIT stays in the line of those to reclaim
    TimeWaitLineKept = "time-wait-line-kept",
    /// a slot's next connection starts with the last one's socket
    SocketNotRenewed = "socket-not-renewed",
    /// a slot that has sent its share of a turn is not looked at again
    DirtyForgotten = "dirty-forgotten",
    /// what is written is sent when something else happens
    WriteForgotten = "write-forgotten",
    /// a neighbor's answer wakes nobody who waits for it
    NeighborReplyWakesNobody = "neighbor-reply-wakes-nobody",
    /// taking a flow out of a chain cuts off those behind it
    FlowChainCut = "flow-chain-cut",
    /// silent peers are never asked whether they are there
    KeepAliveNeverAsks = "keep-alive-never-asks",
    /// a turn takes every frame there is
    FramesPerTurnIgnored = "frames-per-turn-ignored",
    /// a reboot frees slots and keeps their flows
    RebootKeepsFlows = "reboot-keeps-flows",
    /// a switch floods in the order of a hash map
    OrderLeak = "order-leak",
    /// a delivery is late by a bit of the wall clock
    ClockLeak = "clock-leak",
    /// sequence numbers follow from an address in memory
    AddressLeak = "address-leak",
}

impl Planted {
    /// The one with this name.
    pub fn named(name: &str) -> Option<Planted> {
        let mut all = Planted::ALL.iter().copied();
        all.find(|bug| bug.name() == name)
    }
}

#[cfg(feature = "planted")]
mod field {
    use core::sync::atomic::{AtomicU8, Ordering};

    use super::Planted;

    /// What is planted, counted from one.
    static PLANTED: AtomicU8 = AtomicU8::new(0);

    /// Plants a bug in the whole process and takes the last one away.
    pub fn plant(bug: Option<Planted>) {
        PLANTED.store(bug.map_or(0, |bug| bug as u8 + 1), Ordering::Relaxed);
    }

    /// Whether this bug is planted.
    #[inline]
    pub fn planted(bug: Planted) -> bool {
        PLANTED.load(Ordering::Relaxed) == bug as u8 + 1
    }
}

#[cfg(feature = "planted")]
pub use field::{plant, planted};

/// Whether this bug is planted: never, without the feature.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn planted(_: Planted) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_has_a_name_of_its_own_and_none_is_planted() {
        for &bug in Planted::ALL {
            assert_eq!(Planted::named(bug.name()), Some(bug));
            assert!(!bug.about().is_empty() && !planted(bug), "{}", bug.name());
        }
        assert_eq!(Planted::named("swan"), None);
    }
}
