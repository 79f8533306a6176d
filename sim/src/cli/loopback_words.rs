//! The options of `sim loopback`.

use std::path::PathBuf;

use clap::Args;
use smoltcp::time::Duration;

use super::server_words::{Output, Sizes};
use super::values::{Loss, Service, at_least_one, clients, duration, places, ppm};
use crate::report::Format;

/// `sim loopback`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct LoopbackConfig {
    /// Clients, all at once.
    pub clients: usize,
    /// Requests of each client, one after the other.
    pub requests: usize,
    /// Who answers.
    pub service: Service,
    /// Connections the server can hold.
    pub slots: usize,
    /// Tasks the server can hold.
    pub tasks: usize,
    /// Connections that may wait for `accept`.
    pub backlog: usize,
    /// Receive buffer of each connection.
    pub rx_bytes: usize,
    /// Transmit buffer of each connection.
    pub tx_bytes: usize,
    /// Time on the wire, one way.
    pub latency: Duration,
    /// Frames lost.
    pub loss: Loss,
    /// What decides everything that is random.
    pub seed: u64,
    /// Print every yield, wake and resume.
    pub trace: bool,
    /// Print the digest of all events.
    pub digest: bool,
    /// Write the frames here.
    pub pcap: Option<PathBuf>,
    /// Draw the run here.
    pub page: Option<PathBuf>,
    /// Write a trace for ui.perfetto.dev here.
    pub perfetto: Option<PathBuf>,
    /// How to print the final table.
    pub format: Format,
}

#[derive(Args)]
#[command(
    after_help = "Time is virtual: the same options give the same run, event for event.\n\n\
    Examples:\n  \
    sim loopback --clients 2 --requests 3 --trace    the lesson: who waits for what\n  \
    sim loopback --clients 1000 --slots 64           more clients than places\n  \
    sim loopback --loss 1% --seed 7 --digest         a bad wire, repeatable\n  \
    sim loopback --clients 2 --page run.html         then open run.html in a browser\n  \
    sim loopback --pcap run.pcapng                   then: wireshark run.pcapng"
)]
pub(super) struct LoopbackWords {
    /// Clients, all at once
    #[arg(long, value_name = "N", default_value = "8", value_parser = clients)]
    clients: usize,
    /// Requests of each client, one after the other
    #[arg(long, value_name = "N", default_value = "100", value_parser = at_least_one)]
    requests: usize,
    /// Who answers: hello, echo, discard, chargen or daytime
    #[arg(long, value_name = "SERVICE", default_value = "hello")]
    service: Service,
    #[command(flatten)]
    sizes: Sizes,
    /// Tasks the server can hold [default: slots + 2]
    #[arg(long, value_name = "N", value_parser = places)]
    tasks: Option<usize>,
    /// Time on the wire, one way
    #[arg(long, value_name = "TIME", default_value = "50us", value_parser = duration)]
    latency: Duration,
    /// Frames lost, such as 1% or 500ppm
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = ppm)]
    loss: Loss,
    /// Decides everything that is random
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print every yield, wake and resume with its reason and socket
    #[arg(long)]
    trace: bool,
    /// Print the digest of all events: equal digests, equal runs
    #[arg(long)]
    digest: bool,
    /// Draw the run as one HTML page that opens from disk: who sent what to whom, what
    /// each task waits for
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Write the run as a trace, for ui.perfetto.dev
    #[arg(long, value_name = "FILE")]
    perfetto: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

impl LoopbackWords {
    pub(super) fn check(self) -> Result<LoopbackConfig, String> {
        let backlog = self.sizes.backlog()?;
        let Sizes { slots, rx, tx, .. } = self.sizes;
        let tasks = self.tasks.unwrap_or(slots + 2);
        if self.service == Service::Http {
            return Err("--service http is a page for browsers; `sim tap` serves it".into());
        }
        if tasks < 2 {
            return Err("--tasks 1 is the listener alone; a connection needs one more".into());
        }
        Ok(LoopbackConfig {
            clients: self.clients,
            requests: self.requests,
            service: self.service,
            slots,
            tasks,
            backlog,
            rx_bytes: rx,
            tx_bytes: tx,
            latency: self.latency,
            loss: self.loss,
            seed: self.seed,
            trace: self.trace,
            digest: self.digest,
            pcap: self.output.pcap,
            page: self.page,
            perfetto: self.perfetto,
            format: self.output.format,
        })
    }
}
