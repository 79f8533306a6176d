//! What a server costs, measured from outside, by the kernel's own sockets.
//!
//! ```text
//!   client     many connections, one request each under way
//!   bulk       one connection, as fast as it goes
//! ```

pub mod bulk;
pub mod client;
