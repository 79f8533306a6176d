//! Who may stand at an end of the link.

use smoltcp::time::Instant;

use crate::link::End;

/// One side of the link.
pub trait Host {
    /// Does everything there is to do now; returns when it wants to be called
    /// again without a frame.
    fn turn(&mut self, end: &mut End, now: Instant) -> Option<Instant>;
}
