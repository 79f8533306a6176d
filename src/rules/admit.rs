//! Who gets a place when there are not enough. A SYN that finds one is admitted. A
//! burst of honest peers is served best in its order, so one that finds none waits in
//! line; but once handshakes do not get on, or if somebody would give way for it, it
//! has to prove itself by a cookie. When the line is full it is dropped: its sender
//! tries again, and nobody is promised a place that is not there.
//!
//! Not here: what a cookie is and when handshakes are doubted (`cookie.rs`), and
//! those who have proved themselves: they wait for nobody who has not.

use crate::counters::DropReason;

/// What there is for a SYN, as far as it matters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<Id> {
    pub(crate) gives_cookies: bool,
    /// Somebody waits who has proved itself, and others may as well.
    pub(crate) has_line: bool,
    /// The listener's backlog is full.
    pub(crate) backlog_full: bool,
    /// So many connections are half open that a cookie serves instead of a slot.
    pub(crate) is_crowded: bool,
    /// A slot is free, or will be as soon as it is asked for.
    pub(crate) has_slot: bool,
    /// Who has been idle for so long that it gives way.
    pub(crate) idle: Option<Id>,
    /// A handshake does not get on.
    pub(crate) doubts: bool,
    /// Nobody else can wait.
    pub(crate) line_full: bool,
}

impl<Id> View<Id> {
    /// Whether a SYN gets a slot and nobody need be asked.
    #[inline]
    pub(crate) fn has_place(&self) -> bool {
        self.has_slot && !self.backlog_full && !self.is_crowded
    }
}

/// What becomes of a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admit<Id> {
    Slot,
    /// The slot of this one, which is idle.
    Reclaim(Id),
    Cookie,
    /// It waits in line, for want of this.
    Park(DropReason),
    Drop(DropReason),
}

/// Decides about a SYN.
#[inline]
pub(crate) fn admit<Id: Copy>(view: &View<Id>) -> Admit<Id> {
    if view.has_line {
        return Admit::Cookie; // behind those who have proved themselves
    }
    if view.has_place() {
        return Admit::Slot;
    }
    let reason = match view.backlog_full {
        true => DropReason::BacklogFull,
        false => DropReason::NoSlot,
    };
    match view.idle {
        Some(idle) if !view.gives_cookies => Admit::Reclaim(idle),
        Some(_) => Admit::Cookie,
        None if view.doubts && !view.line_full => Admit::Cookie,
        None if view.doubts || view.line_full => Admit::Drop(reason),
        None => Admit::Park(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syn_gets_what_there_is() {
        let empty = View {
            gives_cookies: true,
            has_line: false,
            backlog_full: false,
            is_crowded: false,
            has_slot: true,
            idle: None,
            doubts: false,
            line_full: false,
        };
        let full = View {
            backlog_full: true,
            ..empty
        };
        let taken = View {
            has_slot: false,
            ..empty
        };
        let idle = View {
            idle: Some(7),
            ..taken
        };
        let without = View {
            gives_cookies: false,
            ..idle
        };
        let doubts = |view| View {
            doubts: true,
            ..view
        };
        let in_vain = |view| View {
            line_full: true,
            ..view
        };
        let crowded = View {
            is_crowded: true,
            ..empty
        };
        let behind = View {
            has_line: true,
            ..empty
        };
        use DropReason::{BacklogFull, NoSlot};
        for (view, expected) in [
            (empty, Admit::Slot),
            (in_vain(doubts(empty)), Admit::Slot),
            (behind, Admit::Cookie),
            (crowded, Admit::Park(NoSlot)),
            (taken, Admit::Park(NoSlot)),
            (full, Admit::Park(BacklogFull)),
            (idle, Admit::Cookie),
            (without, Admit::Reclaim(7)),
            (doubts(taken), Admit::Cookie),
            (doubts(full), Admit::Cookie),
            (in_vain(taken), Admit::Drop(NoSlot)),
            (in_vain(doubts(full)), Admit::Drop(BacklogFull)),
            (in_vain(idle), Admit::Cookie),
        ] {
            assert_eq!(admit(&view), expected, "{view:?}");
        }
    }
}
