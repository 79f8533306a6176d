//! Memory per connection beyond its buffers, from the sizes of the types: what
//! one more connection adds to what the program sets aside.
//!
//! | contender | one more connection |
//! |---|---|
//! | cygnet | a slot of `Storage`, a task of `TaskStorage` and its flag |
//! | bare smoltcp | a `SocketStorage`; the program has no state of its own |
//! | embassy-net | a socket of `StackResources`, a `TaskStorage` of the future |

use cygnet::{ReadySet, Storage, TaskStorage};
use smoltcp::iface::SocketStorage;

use crate::{cygnet as ours, embassy};

const MANY: usize = 1024;

/// Bytes that one of `MANY` more takes; queues round up by less than one.
fn each(many: usize, twice: usize) -> usize {
    (twice - many) / MANY
}

/// Prints bytes per connection for each contender.
pub fn print() {
    let slot = each(
        size_of::<Storage<MANY, 0, 0>>(),
        size_of::<Storage<{ 2 * MANY }, 0, 0>>(),
    );
    let task = each(
        size_of::<TaskStorage<MANY, 0>>(),
        size_of::<TaskStorage<{ 2 * MANY }, 0>>(),
    );
    let flag = each(
        size_of::<ReadySet<MANY>>(),
        size_of::<ReadySet<{ 2 * MANY }>>(),
    );
    // A future begins at a multiple of 16 bytes.
    let future = ours::echo_bytes().next_multiple_of(16);
    let cygnet = slot + task + flag + future;
    let bare = size_of::<SocketStorage>();
    let embassy = embassy::connection_bytes();
    for (stack, bytes) in [("cygnet", cygnet), ("bare", bare), ("embassy", embassy)] {
        println!("ram {stack} 1 0 {bytes} 1");
    }
}
