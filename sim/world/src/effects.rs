//! What faults did: a fault that touched no frame proved nothing, so each that takes
//! effect is counted.
//!
//! Not here: taking effect. That is the link's, and the world's.

macro_rules! effects {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How many frames each fault has touched.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Effects { $($(#[$doc])* pub $name: u64,)* }

        impl Effects {
            /// Name and count of every fault.
            pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }

            pub(super) fn add(&mut self, other: &Effects) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

effects! {
    /// Lost by rate.
    lost,
    /// Delivered twice.
    duplicated,
    /// Held back.
    reordered,
    /// Delivered with a flipped bit.
    corrupted,
    /// Delayed by a spike.
    spiked,
    /// Dropped because the queue was full.
    overflowed,
    /// Dropped because it was longer than the link carries.
    oversized,
    /// Dropped by a partition.
    partitioned,
    /// Touched by the test's own rule.
    ruled,
    /// Dropped because the host was down.
    unheard,
    /// Dropped because a paused host's ring was full.
    overrun,
    /// Hosts that crashed.
    crashed,
    /// Hosts that came up again.
    rebooted,
    /// Hosts that were paused.
    paused,
    /// Clocks that were changed.
    clocked,
    /// Frames that attackers sent.
    attacked,
}
