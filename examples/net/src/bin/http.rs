//! See `src/http.rs`. As root: `cargo run --bin http -- [INTERFACE]`.

use net_examples::{TAP, http, on_tap};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tap = std::env::args().nth(1);
    on_tap(tap.as_deref().unwrap_or(TAP), http::start)
}
