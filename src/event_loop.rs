//! The loop. The original, in five lines of Python: while any of `tasks`,
//! `to_read`, `to_write` is not empty, ask `select` who is ready, resume the
//! first ready task, park it under the reason and the socket it yields.
//!
//! One turn here:
//!
//! ```text
//!   expire    deadlines that passed: slots, then tasks
//!   receive   at most frames_per_turn frames, each to its slot
//!   resume    every task woken before now, once, in wake order
//!   transmit  every slot that was touched; answers ride on the
//!             acknowledgement they cause, because tasks ran before
//! ```
//!
//! Work per turn is bounded, and idle connections cost nothing.

use smoltcp::phy::Device;
use smoltcp::time::Instant;

use crate::node::Node;
use crate::task::slot::Pinned;
use crate::task::tasks::PinnedTasks;

/// What a board, or a host, must offer.
///
/// ```
/// use std::thread;
///
/// use cygnet::{Platform, ReadySet};
/// use smoltcp::phy::Device;
/// use smoltcp::time::Instant;
///
/// static READY: ReadySet<8> = ReadySet::new();
///
/// /// A process; a board reads its timer, and waits for interrupts.
/// struct Process<D> {
///     device: D,
///     started: std::time::Instant,
/// }
///
/// impl<D: Device> Platform for Process<D> {
///     type Device = D;
///
///     fn device(&mut self) -> &mut D {
///         &mut self.device
///     }
///
///     fn now(&mut self) -> Instant {
///         Instant::from_micros(self.started.elapsed().as_micros() as i64)
///     }
///
///     fn wait(&mut self, deadline: Option<Instant>) {
///         let now = self.now();
///         let longest = smoltcp::time::Duration::from_millis(1); // to look for frames again
///         let rest = deadline.map_or(longest, |at| longest.min(at.max(now) - now));
///         if !READY.is_woken() {
///             thread::sleep(rest.into());
///         }
///     }
/// }
/// ```
pub trait Platform {
    /// The Ethernet device.
    type Device: Device + ?Sized;

    /// The device to receive from and transmit to.
    ///
    /// A turn calls it and its tokens while the stack is in use, so they must not
    /// call the node: that panics, and says why, before it has changed anything. A
    /// panic that comes out of them ends the stack: every later call of its node
    /// panics too. `now` and `wait` are called between turns, and may call the node.
    fn device(&mut self) -> &mut Self::Device;

    /// The time since some fixed moment. It must never go backwards.
    fn now(&mut self) -> Instant;

    /// Whether the link is up, if the board can tell. Asked before every turn; used with
    /// the feature `addressing`.
    fn is_link_up(&mut self) -> bool {
        true
    }

    /// Sleeps until `deadline`, a frame or a wake, whichever is first; `None`
    /// means no deadline. To return early is allowed and costs a turn.
    ///
    /// A wake may come from an interrupt between the turn and the sleep: mask
    /// interrupts, look at [`ReadySet::is_woken`](crate::ReadySet::is_woken),
    /// and only then sleep.
    fn wait(&mut self, deadline: Option<Instant>);
}

/// What is to be done after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There is more to do now.
    Ready,
    /// Nothing to do before this time, a frame or a wake.
    Idle(Option<Instant>),
    /// No task is left, and what the last streams wrote was acknowledged or
    /// given up.
    Done,
}

/// Leave to step a node. See [`turns`].
pub struct Turns<'t, 'a> {
    node: Node<'a>,
    pinned: &'t Pinned<'t, 'a>,
}

impl Turns<'_, '_> {
    /// Takes one turn at time `now`, which must not lie before the last turn's.
    pub fn turn<D: Device + ?Sized>(&mut self, device: &mut D, now: Instant) -> Turn {
        let Node { stack, tasks } = self.node;
        // Whoever it wakes whose waker is not ours is woken behind `receive`.
        stack.begin(now);
        // Not inside the stack: such a waker may call the node.
        tasks.advance(now);
        let more_frames = stack.receive(device, tasks);
        tasks.run_woken(self.pinned, &stack.note);
        let sent = stack.transmit(device);
        if tasks.used.get() == 0 && !sent.closing && !tasks.timers.is_driven() {
            return Turn::Done;
        }
        if more_frames || sent.more || tasks.ready.is_woken() {
            return Turn::Ready;
        }
        Turn::Idle(sent.deadline.into_iter().chain(tasks.next_deadline()).min())
    }
}

/// Steps a node whose memory is never freed, without a function around it: what
/// a simulation of many hosts needs. Dropping it drops every task that is left.
///
/// A host crashes when this is dropped and [`Stack::reboot`](crate::Stack::reboot)
/// is called; it comes up again with a new one.
pub struct StaticTurns {
    node: Node<'static>,
    tasks: PinnedTasks,
}

impl StaticTurns {
    /// Begins to step `node`.
    ///
    /// # Panics
    /// When it is being stepped already.
    pub fn new(node: Node<'static>) -> Self {
        StaticTurns {
            node,
            tasks: node.tasks.pin(),
        }
    }

    /// Takes one turn at time `now`, which must not lie before the last turn's.
    pub fn turn<D: Device + ?Sized>(&mut self, device: &mut D, now: Instant) -> Turn {
        let (node, pinned) = (self.node, &self.tasks.0);
        Turns { node, pinned }.turn(device, now)
    }

    /// When the next timer of the stack or of a task is due. Also after
    /// [`Turn::Done`]: connections in TIME-WAIT outlive the tasks.
    pub fn next_deadline(&self) -> Option<Instant> {
        let Node { stack, tasks } = self.node;
        let slots = stack.with(|core| core.next_deadline());
        slots.into_iter().chain(tasks.next_deadline()).min()
    }
}

/// Runs `f`, inside which the node can be stepped one turn at a time. When it
/// returns, every task that is left is dropped.
///
/// # Panics
/// When the node is being stepped already.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub fn turns<'a, R>(node: Node<'a>, f: impl FnOnce(&mut Turns<'_, 'a>) -> R) -> R {
    node.tasks.pinned(|pinned| f(&mut Turns { node, pinned }))
}

/// Runs a node until no task is left: the lesson's
/// `while any([tasks, to_read, to_write])`.
///
/// # Panics
/// When the node is being stepped already.
pub fn event_loop<P: Platform + ?Sized>(platform: &mut P, node: Node<'_>) {
    turns(node, |turns| {
        loop {
            let now = platform.now();
            #[cfg(feature = "addressing")]
            node.set_link(platform.is_link_up());
            match turns.turn(platform.device(), now) {
                Turn::Ready => (),
                Turn::Idle(deadline) => platform.wait(deadline),
                Turn::Done => return,
            }
        }
    })
}
