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
    /// Connections of a listener that may wait for accept, each in a slot [default: 8, or
    /// as many as there are slots]
    #[arg(long, value_name = "N", value_parser = backlog)]
    backlog: Option<usize>,
    /// Receive buffer of each connection, such as 4096, 4k or 1MiB
    #[arg(long, value_name = "BYTES", default_value = "4KiB", value_parser = buffer_bytes)]
    pub(super) rx: usize,
    /// Transmit buffer of each connection
    #[arg(long, value_name = "BYTES", default_value = "4KiB", value_parser = buffer_bytes)]
    pub(super) tx: usize,
}

impl Sizes {
    /// Connections of a listener that may wait for `accept`.
    pub(super) fn backlog(&self) -> Result<usize, String> {
        let slots = self.slots;
        match self.backlog {
            None => Ok(slots.min(8)),
            Some(backlog) if backlog > slots => Err(format!(
                "--backlog {backlog} is more than --slots {slots}: who waits for accept has a \
                 slot; give at most {slots}, or more slots"
            )),
            Some(backlog) => Ok(backlog),
        }
    }
}

#[derive(Args)]
pub(super) struct Output {
    /// Write every frame to this pcapng file, for Wireshark; - is standard output:
    /// --pcap - | tshark -r -
    #[arg(long, value_name = "FILE")]
    pub(super) pcap: Option<PathBuf>,
    /// How to print the final table
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}
