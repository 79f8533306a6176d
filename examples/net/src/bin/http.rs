//! See `src/http.rs`. As root: `cargo run --bin http -- [INTERFACE]`.

use net_examples::{http, on_tap};
use smoltcp::wire::{Ipv4Address, Ipv4Cidr};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tap = std::env::args().nth(1).unwrap_or("cyg-http".into());
    let [this_machine, ours] =
        [1, 2].map(|number| Ipv4Cidr::new(Ipv4Address::new(192, 168, 70, number), 24));
    on_tap(&tap, this_machine, ours, http::start)
}
