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

            /// Whether only some plans ask for this one: that it had no effect in others
            /// says nothing.
            pub fn is_rare(name: &str) -> bool {
                let rare = ["attacked", "told", "lied_", "strange_", "unplugged", "dhcp_", "dns_"];
                rare.iter().any(|rare| name.starts_with(rare))
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
    /// Cables that were pulled.
    unplugged,
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
    /// Messages of routers about packets that were too long for a link.
    told,
    /// Segments past the window, of liars.
    lied_past,
    /// Windows that liars took back.
    lied_shrink,
    /// FINs of liars before, or behind, text that they do not belong to.
    lied_early,
    /// FINs of liars behind text past the window.
    lied_trimmed,
    /// Text of liars after their FIN.
    lied_twice,
    /// Acknowledgements of liars that are older than others.
    lied_old,
    /// Acknowledgements that liars repeated.
    lied_repeat,
    /// SYNs of liars with odd options.
    lied_odd,
    /// Packets that were longer than liars took, though not longer than they said.
    lied_narrow,
    /// Resets of liars with other flags or text.
    lied_beside,
    /// Windows too small to be offered, of liars.
    lied_silly,
    /// Datagrams of liars to closed ports.
    lied_knock,
    /// Probes of windows that strangers counted as sent.
    strange_counts,
    /// Acknowledgements that strangers delayed.
    strange_delays,
    /// Conversations of strangers without scaled windows.
    strange_plain,
    /// Acknowledgements of strangers that say what came out of order.
    strange_sacks,
    /// Texts that strangers repeated with other boundaries.
    strange_recuts,
    /// Moves of strangers to another hardware address.
    strange_moves,
    /// Leases that DHCP servers forgot.
    dhcp_forgets,
    /// Boots of DHCP servers with other addresses.
    dhcp_moves,
    /// Requests that DHCP servers refused for no reason.
    dhcp_refuses,
    /// Requests that were another DHCP server's, and refused.
    dhcp_strays,
    /// Answers of DHCP servers to everybody that were for one.
    dhcp_shouts,
    /// Leases of no time.
    dhcp_zero,
    /// Leases for ever.
    dhcp_forever,
    /// Answers of DHCP servers that came late.
    dhcp_slow,
    /// Leases whose times are in no order.
    dhcp_odd,
    /// Refusals of DHCP servers that were said again.
    dhcp_replays,
    /// Answers of DNS servers that have failed.
    dns_fails,
    /// Questions that DNS servers did not answer.
    dns_mute,
    /// Answers of DNS servers that were too long for a datagram.
    dns_truncates,
    /// Answers of DNS servers in capitals.
    dns_capitals,
    /// Answers of DNS servers with another number.
    dns_misnumbers,
    /// Answers of DNS servers about another name.
    dns_misnames,
    /// Answers of DNS servers from another port.
    dns_elsewhere,
}
