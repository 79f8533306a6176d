//! TCP peers of this world's own: a *stranger* is honest and unlike smoltcp, a *liar*
//! obeys the RFCs but in one respect. Each visits a server that echoes, or is one, and
//! judges what it gets by rules that any peer may hold against any other.
//!
//! ```text
//!   host        the machine: addresses, one conversation after the other
//!   talk        a conversation, and what is wrong with it
//!   part        what it says: a stream of its own, or what it has heard
//!   flight      how much comes before it has acknowledged anything
//!   saying      the segments in which it says it
//!   telling     when and how it lies
//!   sending     which bytes are due
//!   receiving   which have come, and which window is offered
//! ```

mod flight;
mod host;
mod part;
mod receiving;
mod saying;
mod sending;
mod talk;
mod telling;

pub(super) use host::Stranger;
