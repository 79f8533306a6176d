//! How a stack behaves, and what it refuses to be.

use smoltcp::time::Duration;
use smoltcp::wire::EthernetAddress;

/// How a stack behaves. Start from [`Config::new`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Our Ethernet address.
    pub hardware_addr: EthernetAddress,
    /// Secret for the flow table, sequence numbers and ports. Draw it from the
    /// board's entropy source; whoever knows it can guess sequence numbers. In
    /// a test it is the seed.
    pub secret: [u8; 16],
    /// Most frames received in one turn.
    pub frames_per_turn: u16,
    /// Most frames that one slot sends in one turn.
    pub frames_per_slot: u16,
    /// A handshake that a peer began must finish in this time.
    pub handshake_timeout: Duration,
    /// A handshake that we began must finish in this time.
    pub connect_timeout: Duration,
    /// A closed stream's peer must finish the close in this time.
    pub close_timeout: Duration,
}

impl Config {
    /// 64 frames a turn, 16 a slot, 20 s for a peer's handshake, 75 s for
    /// ours, 30 s for a close.
    pub const fn new(hardware_addr: EthernetAddress, secret: [u8; 16]) -> Self {
        Config {
            hardware_addr,
            secret,
            frames_per_turn: 64,
            frames_per_slot: 16,
            handshake_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(75),
            close_timeout: Duration::from_secs(30),
        }
    }
}

/// A stack cannot be built this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The hardware address is a broadcast or multicast address.
    HardwareAddress,
    /// The device does not speak Ethernet.
    Medium,
    /// An IP address that is not a unicast address.
    Address,
    /// More addresses or routes than smoltcp was built for (its
    /// `iface-max-addr-count-…` and `iface-max-route-count-…` features).
    TooMany,
    /// Not even one slot: some part of the storage is empty.
    Storage,
}

impl core::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            ConfigError::HardwareAddress => "the hardware address must be a unicast address",
            ConfigError::Medium => "the device must be an Ethernet device",
            ConfigError::Address => "an IP address must be a unicast address",
            ConfigError::TooMany => "more addresses or routes than smoltcp was built for",
            ConfigError::Storage => "the storage has no room for a single connection",
        })
    }
}

impl core::error::Error for ConfigError {}
