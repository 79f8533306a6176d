//! Ready-made servers: the lesson's `hello`, and the small services of 1983.
//!
//! Each is one `async fn` for the server, which ends when its listener is
//! closed, and one for the client, which a program may use on its own. A
//! client that finds no free task is closed, and counted in
//! [`Counters::spawns_refused`](crate::event::Counters).

mod chargen;
#[cfg(feature = "udp")]
mod datagrams;
mod daytime;
#[cfg(feature = "dhcp")]
mod dhcp;
#[cfg(feature = "dhcp")]
mod dhcp_config;
mod discard;
#[cfg(feature = "dns")]
mod dns;
mod echo;
mod hello;
mod serve;
#[cfg(feature = "dhcp")]
mod standby;

pub use chargen::{chargen, chargen_client};
#[cfg(feature = "udp")]
pub use datagrams::{daytime_datagrams, discard_datagrams, echo_datagrams};
pub use daytime::{daytime, daytime_client};
#[cfg(feature = "dhcp")]
pub use dhcp::dhcp;
#[cfg(feature = "dhcp")]
pub use dhcp_config::{DhcpConfig, DhcpError};
pub use discard::{discard, discard_client};
#[cfg(feature = "dns")]
pub use dns::dns;
pub use echo::{echo, echo_client};
pub use hello::{hello, hello_client};
pub use serve::serve;
