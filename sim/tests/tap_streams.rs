//! Streams end as they should: the kernel of this machine and `sim tap` with receive
//! and transmit buffers of 64 bytes to 1 MiB, windows scaled and not, over both
//! versions of IP, with and without offload. What a transfer is: `transfers/mod.rs`.
//!
//! 2,000 transfers, or as many as one likes, from any seed:
//!
//! ```sh
//! CYGNET_TRANSFERS=20000 [CYGNET_SEED=N] \
//!     cargo test --release -p cygnet-sim --test tap_streams -- --nocapture
//! ```
//!
//! Needs root; see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod netns;
mod transfers;

use std::time::Instant;

use netns::{Netns, Sim, V4, V6, no_tap_is_left, require_all};
use transfers::{Server, asked};

/// Buffers, in bytes: the smallest, odd ones, less and more than a segment, just
/// below and above what a window says without a scale, and much.
const BUFFERS: [usize; 9] = [64, 100, 536, 1_461, 4_096, 16_384, 65_535, 65_537, 1 << 20];

/// Each pair of buffers has its share of the transfers.
fn every_byte_or_an_error(scaled: bool) {
    // Where not every test must run a tenth of them.
    let usual = if require_all() { 2_000 } else { 200 };
    let all = u32::try_from(asked("CYGNET_TRANSFERS", usual)).unwrap();
    let seed = asked("CYGNET_SEED", 1);
    let cases = 2 * BUFFERS.len() as u32;
    for (at, rx) in BUFFERS.into_iter().enumerate() {
        let Some(netns) = Netns::new(&[]) else { return };
        // As much as it receives; or little for much, and much for little.
        let tx = BUFFERS[if scaled { BUFFERS.len() - 1 - at } else { at }];
        let offload = if (at % 2 == 0) == scaled { "off" } else { "on" };
        let words = format!(
            "--slots 16 --backlog 16 --rx {rx} --tx {tx} --offload {offload} \
             --ipv6 fd69::2/64 --serve echo:7 discard:9 chargen:19 --format json --log warn"
        );
        let sim = Sim::start(&netns, &words);
        let case = 2 * at as u32 + u32::from(scaled);
        let numbers = all * case / cases..all * (case + 1) / cases;
        let start = Instant::now();
        let sum = netns.inside(|| {
            let scaling = "/proc/sys/net/ipv4/tcp_window_scaling";
            std::fs::write(scaling, if scaled { "1" } else { "0" }).unwrap();
            let server = Server {
                ips: &[V4, V6],
                ports: [7, 9, 19],
                rx,
                clients: 8,
            };
            transfers::run(&server, seed, numbers.clone())
        });
        println!(
            "CYGNET_SEED={seed}: transfers {numbers:?}, scaled {scaled}, rx {rx}, tx {tx}, \
             offload {offload}: {sum:?} in {:.1?}",
            start.elapsed()
        );
        let table = sim.finish();
        assert_eq!(sum.done + sum.given_up, numbers.len() as u32);
        assert_eq!(table["connections"], numbers.len());
        assert!(
            table["resets"].as_u64() <= Some(sum.given_up.into()),
            "{table}"
        );
        no_tap_is_left(&netns);
    }
}

#[test]
fn every_byte_or_an_error_and_never_a_clean_end_with_bytes_missing() {
    every_byte_or_an_error(false);
}

#[test]
fn every_byte_or_an_error_also_with_scaled_windows() {
    every_byte_or_an_error(true);
}
