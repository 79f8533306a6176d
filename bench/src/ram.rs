//! Memory per connection beyond its buffers, from the sizes of the types: what
//! one more connection adds to what the program sets aside.
//!
//! | contender | one more connection |
//! |---|---|
//! | cygnet | a slot of `Storage`, a task of `TaskStorage` and its flag |
//! | bare smoltcp | a `SocketStorage`; the program has no state of its own |
//! | embassy-net | a socket of `StackResources`, a `TaskStorage` of the future |

use smoltcp::iface::SocketStorage;

use crate::{cygnet, embassy};

/// Prints bytes per connection for each contender.
pub fn print() {
    let cygnet = cygnet::connection_bytes();
    let bare = size_of::<SocketStorage>();
    let embassy = embassy::connection_bytes();
    for (stack, bytes) in [("cygnet", cygnet), ("bare", bare), ("embassy", embassy)] {
        println!("ram {stack} 1 0 {bytes} 1");
    }
}
