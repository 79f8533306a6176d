//! Between cygnet and other `no_std` crates: one file and one feature each.
//!
//! | feature | what it gives |
//! |---|---|
//! | `embassy-net-driver` | a driver written for embassy-net is a device of cygnet |
//! | `xarxa-driver` 0.1 | a driver written for xarxa is one, too; needs Rust 1.95 |
//! | `embassy-net-driver-reverse` | a device of smoltcp's is a driver for embassy-net |
//! | `embassy` | a firmware of embassy's from one static: driver, executor and time |
//! | `addressing` | and its link is told to the node |
//! | `embassy-executor` | a node's turns as one task there, sleeping by embassy-time 0.5 |
//! | `embassy-time` 0.5 | its time driver, on the platform's clock |
//! | `edge-nal` 0.7 | its traits, for edge-http, edge-dhcp and their kin |
//! | `embedded-nal-async` 0.9 | its traits, for reqwless, rust-mqtt and others |
//! | `udp`, `groups`, `dns` | datagrams, groups, and names for these two |
//! | `sntpc` 0.11 | its socket and its timestamps: the time from a server |
//! | `ipv6` | addresses of IPv6 |
//! | `picoserve` 0.20 | HTTP: its sockets, its timer, and a task per connection |
//! | `page` | a node shows itself in a browser and to Prometheus, over picoserve |
//! | none | RTIC 2 needs no adapter: see `boards/rtic-lm3s6965evb` of the repository |
//! | `log` | an observer that writes to `log` |
//! | `defmt` | an observer that writes to `defmt` |
#![no_std]

#[cfg(any(
    feature = "edge-nal",
    feature = "embedded-nal-async",
    feature = "sntpc"
))]
mod address;
#[cfg(any(feature = "embassy-net-driver", feature = "xarxa-driver"))]
mod bell;
#[cfg(feature = "defmt")]
pub mod defmt;
#[cfg(feature = "edge-nal")]
pub mod edge_nal;
#[cfg(feature = "embassy")]
pub mod embassy;
#[cfg(feature = "embassy-executor")]
pub mod embassy_executor;
#[cfg(feature = "embassy-net-driver")]
pub mod embassy_net_driver;
#[cfg(feature = "embassy-net-driver-reverse")]
pub mod embassy_net_driver_reverse;
#[cfg(feature = "embassy-time")]
pub mod embassy_time;
#[cfg(feature = "embedded-nal-async")]
pub mod embedded_nal_async;
#[cfg(feature = "log")]
pub mod log;
#[cfg(any(feature = "edge-nal", feature = "embedded-nal-async"))]
mod nal;
#[cfg(feature = "page")]
pub mod page;
#[cfg(feature = "picoserve")]
pub mod picoserve;
#[cfg(feature = "sntpc")]
pub mod sntpc;
#[cfg(feature = "xarxa-driver")]
pub mod xarxa_driver;
