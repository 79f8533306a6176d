//! TCP peers of this world's own: a *stranger* is honest and unlike smoltcp, a *liar*
//! obeys the RFCs but in one respect. Each visits a server that echoes, and judges what
//! it gets by rules that any peer may hold against any server.
//!
//! ```text
//!   host        the machine: addresses, one conversation after the other
//!   talk        a conversation, and what is wrong with it
//!   telling     when and how it lies
//!   sending     which bytes are due
//!   receiving   which have come, and which window is offered
//! ```

mod host;
mod receiving;
mod sending;
mod talk;
mod telling;

pub(super) use host::Stranger;
