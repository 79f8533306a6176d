//! The options that every command with a server understands: how much the server
//! can hold, and what is written about it.

use std::path::PathBuf;

use clap::Args;

use super::values::{backlog, buffer_bytes, places};
use crate::report::Format;

#[derive(Args)]
pub(super) struct Sizes {
    /// Connections the server can hold
    #[arg(long, value_name = "N", default_value = "64", value_parser = places)]
    pub(super) slots: usize,
    /// Connections of a listener that may wait for accept
    #[arg(long, value_name = "N", default_value = "8", value_parser = backlog)]
    pub(super) backlog: usize,
    /// Receive buffer of each connection, such as 4096 or 16KiB
    #[arg(long, value_name = "BYTES", default_value = "4KiB", value_parser = buffer_bytes)]
    pub(super) rx: usize,
    /// Transmit buffer of each connection
    #[arg(long, value_name = "BYTES", default_value = "4KiB", value_parser = buffer_bytes)]
    pub(super) tx: usize,
}

#[derive(Args)]
pub(super) struct Output {
    /// Write every frame to this pcapng file, for Wireshark
    #[arg(long, value_name = "FILE")]
    pub(super) pcap: Option<PathBuf>,
    /// How to print the final table
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}
