//! How a stack behaves, and what it refuses to be.

use smoltcp::time::Duration;

use crate::worded::worded;

/// What is longer is taken for this: 36,000 years, so that no sum with the time
/// wraps, in smoltcp neither. For ever is not at once.
pub(crate) const LONGEST: Duration = Duration::from_micros(1 << 60);

/// The longest packet that every link carries (RFC 791, 3.2).
pub(crate) const LEAST_MTU: usize = 68;

/// The same for IPv6 (RFC 8200, 5).
#[cfg(feature = "ipv6")]
pub(crate) const LEAST_MTU_V6: usize = 1280;

/// How a stack behaves. Start from [`Config::new`].
///
/// A timeout of [`Duration::MAX`] never ends; one of zero ends in the next turn.
///
/// ```
/// use cygnet::{Config, Stack, Storage};
/// use smoltcp::phy::DeviceCapabilities;
/// use smoltcp::time::Duration;
/// # fn entropy() -> [u8; 16] { [7; 16] }
///
/// let mut config = Config::new([2, 0, 0, 0, 0, 1], entropy());
/// config.frames_per_turn = 16; // tasks run after so many
/// config.close_timeout = Duration::from_secs(10);
///
/// let mut ethernet = DeviceCapabilities::default();
/// ethernet.max_transmission_unit = 1514;
/// let mut memory: Storage<4, 1024, 1024> = Storage::new();
/// let stack = Stack::new(&mut memory, &config, ethernet).expect("an Ethernet device");
/// # let _ = stack;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Our Ethernet address.
    pub hardware_addr: [u8; 6],
    /// Secret for the flow table, sequence numbers, cookies and ports. Draw it
    /// from the board's entropy source, anew at every boot; whoever knows it can
    /// guess sequence numbers. In a test it is the seed. A board without such a
    /// source says so: [`without_entropy`](Self::without_entropy).
    pub secret: [u8; 16],
    /// Whether SYNs that find no place are answered by cookies once handshakes do
    /// not get on (RFC 4987). A SYN waits in line as long as each handshake is
    /// answered within a quarter of a second; after one that is not, or is reset,
    /// everybody without a place has to acknowledge a cookie whose window is shut,
    /// and then goes before whoever has not answered, or waits in line. Needs the
    /// feature `cookies`.
    pub cookies: bool,
    /// How many connections may be half open before a SYN gets no slot although
    /// there is one, if there are cookies; 0 means half of all slots.
    pub half_open_limit: u16,
    /// The smallest MSS that a peer may ask for; a smaller one is taken for this
    /// one. 0 leaves it to smoltcp, which never sends less than 48 bytes at a
    /// time: 4,000 bytes in 84 segments. A peer behind a link that is really so
    /// narrow cannot be reached then.
    pub mss_floor: u16,
    /// The longest segment that we send, in bytes of text; 0 leaves it to the device's
    /// MTU, to what routers say and to what is repeated in vain. For a board behind a
    /// tunnel whose routers say nothing: 1,220 passes nearly everywhere.
    pub mss_ceiling: u16,
    /// Most frames received in one turn; less than one is taken for one.
    pub frames_per_turn: u16,
    /// Most frames that one slot sends in one turn; less than two is taken for two,
    /// because one alone does not show whether it makes progress.
    pub frames_per_slot: u16,
    /// A handshake that a peer began must finish in this time.
    pub handshake_timeout: Duration,
    /// A handshake that we began must finish in this time.
    pub connect_timeout: Duration,
    /// A closed stream's peer must finish the close in this time; of one that was dropped
    /// it begins again with every byte that the peer acknowledges, so that nobody is cut
    /// off because it reads slowly. One that takes nothing for so long, or for twice as
    /// long while what is on its way has left less often than five times, is reset although
    /// bytes are left, and that is counted as [`Deadline::Close`](crate::event::Deadline::Close): give it
    /// longer if peers may pause. [`TimeLimits::exchange`](crate::TimeLimits::exchange)
    /// bounds all of it.
    pub close_timeout: Duration,
}

impl Config {
    /// 64 frames a turn, 16 a slot, 20 s for a peer's handshake, 75 s for
    /// ours, 30 s for a close; cookies when half of the slots are half open.
    pub const fn new(hardware_addr: [u8; 6], secret: [u8; 16]) -> Self {
        Config {
            hardware_addr,
            secret,
            cookies: true,
            half_open_limit: 0,
            mss_floor: 0,
            mss_ceiling: 0,
            frames_per_turn: 64,
            frames_per_slot: 16,
            handshake_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(75),
            close_timeout: Duration::from_secs(30),
        }
    }

    /// For a host that has no source of entropy and says so. Nothing is secret
    /// then: whoever knows the hardware address can foresee sequence numbers,
    /// speak for other peers and reset their connections (RFC 6528), foresee
    /// ports (RFC 6056), and choose ports that make the flow table slow. Cookies
    /// are off, because anybody could forge them. Fit for a network on which
    /// everybody is trusted, and for nothing else.
    pub const fn without_entropy(hardware_addr: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = hardware_addr;
        let secret = [a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        Config {
            cookies: false,
            ..Config::new(hardware_addr, secret)
        }
    }

    /// The same, with timeouts that can be added to any time.
    pub(crate) fn bounded(&self) -> Self {
        let bounded = |timeout: Duration| timeout.min(LONGEST);
        Config {
            handshake_timeout: bounded(self.handshake_timeout),
            connect_timeout: bounded(self.connect_timeout),
            close_timeout: bounded(self.close_timeout),
            ..self.clone()
        }
    }

    /// Whether cookies are given. Never without the feature `cookies`, and then
    /// nothing is left of what makes them.
    #[inline]
    pub(crate) fn gives_cookies(&self) -> bool {
        cfg!(feature = "cookies") && self.cookies
    }
}

worded! {
    /// A stack cannot be built this way.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum ConfigError {
        /// The hardware address is a broadcast or multicast address.
        HardwareAddress: "the hardware address must be a unicast address",
        /// The secret is all zeros: nobody has drawn one, or the entropy source was not
        /// ready. A board that has none says so: [`Config::without_entropy`].
        Secret: "the secret is all zeros; draw it from an entropy source",
        /// The device says that it does not speak Ethernet. Where smoltcp is built
        /// without `medium-ethernet`, as it is if nobody asks for more, there is no
        /// word for Ethernet: a device leaves
        /// [`medium`](smoltcp::phy::DeviceCapabilities::medium) as it is, and one that
        /// speaks bare IP says the same and is taken for Ethernet. Ask for that feature
        /// of smoltcp to have it refused.
        Medium: "the device must be an Ethernet device",
        /// The device's MTU is too small: below 82 bytes with the Ethernet header
        /// (RFC 791, 3.2: every host takes packets of 68), or below 1,294 for an IPv6
        /// address (RFC 8200, 5: 1,280). A device that does not set
        /// [`max_transmission_unit`](smoltcp::phy::DeviceCapabilities) says 0.
        Mtu: "the device's max_transmission_unit must be 82 or more with the \
            Ethernet header, 1294 or more for IPv6",
        /// An IP address that is not a unicast address.
        Address: "an IP address must be a unicast address",
        /// More than four addresses.
        TooMany: "a host has at most four addresses",
        /// Memory for datagrams was given before.
        Datagrams: "the host has memory for datagrams already",
        /// The host has memory for names already.
        Names: "the host has memory for names already",
        /// Not even one slot: some part of the storage is empty.
        Storage: "the storage has no room for a single connection",
    }
}

impl core::error::Error for ConfigError {}
