//! Datagrams, in virtual time: who has them, who may hear them, what is dropped and counted,
//! and that nobody waits for somebody else's neighbor.

#[path = "harness/mod.rs"]
#[macro_use]
mod harness;

#[path = "udp/hands.rs"]
#[macro_use]
mod hands;

#[path = "udp/delivery.rs"]
mod delivery;
#[path = "udp/groups.rs"]
mod groups;
#[path = "udp/pelt.rs"]
mod pelt;
#[cfg(feature = "ping")]
#[path = "udp/pings.rs"]
mod pings;
#[path = "udp/refusals.rs"]
mod refusals;
#[cfg(feature = "groups")]
#[path = "udp/reports.rs"]
mod reports;
#[path = "udp/sending.rs"]
mod sending;
#[path = "udp/services.rs"]
mod services;
#[path = "udp/tasks.rs"]
mod tasks;
