//! See `src/rest.rs`. As root: `cargo run --bin rest-client -- URL [INTERFACE]`.

use net_examples::{TAP, end, on_tap, rest};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let url = words.next().ok_or("which URL?")?;
    let tap = words.next();
    on_tap(tap.as_deref().unwrap_or(TAP), |node| {
        let task = async move { end(rest::run(node, &url).await) };
        node.spawn_named("rest", task).expect("a free task");
    })
}
