//! Between cygnet and other `no_std` crates: one file and one feature each.
//!
//! | feature | what it gives |
//! |---|---|
//! | `embassy-net-driver` | a driver written for embassy-net is a device of cygnet |
//! | `log` | an observer that writes to `log` |
//! | `defmt` | an observer that writes to `defmt` |
#![no_std]

#[cfg(feature = "defmt")]
pub mod defmt;
#[cfg(feature = "embassy-net-driver")]
pub mod embassy_net_driver;
#[cfg(feature = "log")]
pub mod log;
