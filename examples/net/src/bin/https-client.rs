//! See `src/https.rs`. As root: `cargo run --bin https-client -- HOST:PORT PATH AUTHORITY.der
//! [INTERFACE]`.

use std::io::Write;

use cygnet::FuturePlaces;
use net_examples::{TAP, end, https, on_tap};
use rand_core::OsRng;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let server = words.next().ok_or("which server?")?;
    let (host, port) = server.split_once(':').ok_or("which port?")?;
    let (host, port) = (host.to_owned(), port.parse()?);
    let path = words.next().ok_or("which page?")?;
    let authority = std::fs::read(words.next().ok_or("whom to trust?")?)?;
    let tap = words.next();
    // In a static on a board: a `ConstStaticCell` of the crate `static_cell`.
    let place = Box::leak(Box::new(FuturePlaces::<1, { https::BYTES }>::new()));
    on_tap(tap.as_deref().unwrap_or(TAP), |node| {
        let task = async move {
            let show = |piece: &[u8]| std::io::stdout().write_all(piece).expect("a reader");
            let got = https::get(node, (&host, port), &path, &authority, OsRng, show);
            end(got.await);
        };
        node.spawn_in(place, task).expect("a free task");
    })
}
