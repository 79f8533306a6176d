//! The host side of cygnet: what attaches the core to a TAP interface, and
//! what shows people what it does.
#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod capture;
pub mod cli;
pub mod host;
pub mod report;
pub mod tap;
mod tap_error;
