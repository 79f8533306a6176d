//! What a TCP peer of this world can be that smoltcp is not: a habit, which the RFCs
//! allow, or a lie, which they do not. And what can be odd about a server.
//!
//! Not here: the peer itself (`stranger`), and the servers.

use super::effects::Effects;

macro_rules! words {
    ($(#[$head:meta])* $name:ident, $count:literal, $($(#[$doc:meta])* $variant:ident $word:literal $row:ident,)*) => {
        $(#[$head])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: [$name; $count] = [$($name::$variant,)*];

            /// The word that plans use.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// Where it is counted.
            pub(super) fn row(self, effects: &mut Effects) -> &mut u64 {
                match self { $($name::$variant => &mut effects.$row,)* }
            }
        }
    };
}

words! {
    /// The one respect in which a liar does not obey the RFCs.
    Lie, 12,
    /// Sends text past the window that it was offered.
    Past "past" lied_past,
    /// Takes back a window that it has offered (RFC 9293, 3.8.6, MUST-34).
    Shrink "shrink" lied_shrink,
    /// Sends the FIN before, or behind, text that it does not belong to.
    Early "early" lied_early,
    /// Sends the FIN behind text that does not fit into the window.
    Trimmed "trimmed" lied_trimmed,
    /// Goes on after its FIN, and ends again.
    Twice "twice" lied_twice,
    /// Sends text with an acknowledgement that is older than what it has said.
    Old "old" lied_old,
    /// Says every acknowledgement four times.
    Repeat "repeat" lied_repeat,
    /// Has odd options in its SYN.
    Odd "odd" lied_odd,
    /// Takes shorter packets than it says, and tells so or does not.
    Narrow "narrow" lied_narrow,
    /// Resets with other flags and text beside the reset.
    Beside "beside" lied_beside,
    /// Offers each byte of its buffer as it gets free (RFC 9293, 3.8.6.2.2).
    Silly "silly" lied_silly,
    /// Knocks at many closed ports at once.
    Knock "knock" lied_knock,
}

words! {
    /// What an honest peer may do, and smoltcp does not.
    Habit, 6,
    /// Counts the byte of a window probe as sent.
    Counts "counts" strange_counts,
    /// Acknowledges 200 ms late (RFC 1122, 4.2.3.2).
    Delays "delays" strange_delays,
    /// Does not scale its window.
    Plain "plain" strange_plain,
    /// Says which text has come out of order (RFC 2018).
    Sacks "sacks" strange_sacks,
    /// Repeats text with other boundaries than it was sent with.
    Recuts "recuts" strange_recuts,
    /// Moves to another hardware address in the middle of a conversation, and says so.
    Moves "moves" strange_moves,
}

words! {
    /// What a DHCP server may do that makes it hard for those that have their addresses
    /// from it.
    Quirk, 10,
    /// Has forgotten its leases when it was switched off.
    Forgets "forgets" dhcp_forgets,
    /// Has another address, and gives others, after every second boot.
    Moves "moves" dhcp_moves,
    /// Refuses some requests.
    Refuses "refuses" dhcp_refuses,
    /// Gives no address and refuses what others have offered.
    Strays "strays" dhcp_strays,
    /// Says everything to everybody.
    Shouts "shouts" dhcp_shouts,
    /// Gives some addresses for no time at all.
    Zero "zero" dhcp_zero,
    /// Gives some for ever.
    Forever "forever" dhcp_forever,
    /// Answers some seconds late.
    Slow "slow" dhcp_slow,
    /// Says that a lease is to be renewed after its end.
    Odd "odd" dhcp_odd,
    /// Says an old refusal again before every answer.
    Replays "replays" dhcp_replays,
}

words! {
    /// What a DNS server may do that a client must live with.
    DnsQuirk, 7,
    /// Knows nothing: it has failed (RFC 1035, 4.1.1).
    Fails "fails" dns_fails,
    /// Says nothing.
    Mute "mute" dns_mute,
    /// Says by TCP alone what it knows.
    Truncates "truncates" dns_truncates,
    /// Says names in capitals (RFC 4343).
    Capitals "capitals" dns_capitals,
    /// Says something else before, with another number.
    Misnumbers "misnumbers" dns_misnumbers,
    /// Says something else before, of another name.
    Misnames "misnames" dns_misnames,
    /// Says something else before, from another port.
    Elsewhere "elsewhere" dns_elsewhere,
}

macro_rules! sets {
    ($($(#[$head:meta])* $name:ident of $one:ident in $bits:ty,)*) => {$(
        $(#[$head])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name($bits);

        impl $name {
            /// Those whose bits are set, in the order in which they are declared.
            pub fn of_bits(bits: $bits) -> $name {
                $name(bits & ((1 << $one::ALL.len()) - 1))
            }

            /// Whether this is one of them.
            pub fn has(self, one: $one) -> bool {
                self.0 & (1 << one as u8) != 0
            }

            /// With this one.
            #[must_use]
            pub fn with(self, one: $one) -> $name {
                $name(self.0 | 1 << one as u8)
            }

            /// Without this one.
            #[must_use]
            pub fn without(self, one: $one) -> $name {
                $name(self.0 & !(1 << one as u8))
            }

            /// Each of them.
            pub fn iter(self) -> impl Iterator<Item = $one> {
                $one::ALL.into_iter().filter(move |one| self.has(*one))
            }
        }
    )*};
}

sets! {
    /// Some of the [`Habit`]s.
    Habits of Habit in u8,
    /// Some of the [`Quirk`]s.
    Quirks of Quirk in u16,
    /// Some of the [`DnsQuirk`]s.
    DnsQuirks of DnsQuirk in u8,
}
