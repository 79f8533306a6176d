//! A place in the run of a plan, to which one can go: an event forward, an event back, to
//! an event by its number, to the next drop. There it says what every host is doing. The
//! run can be changed from there on: the next frame can be lost.
//!
//! Going back is a run from the start, which is the same run. Event numbers are those of
//! files of events, captures and pages.
//!
//! ```
//! use cygnet_world::cursor::{Cursor, Moved};
//!
//! let plan = "cygnet-plan 1\nhost server serve\nhost c1 visit\nend\n".parse()?;
//! let mut cursor = Cursor::new(plan);
//! assert_eq!(cursor.to(120, |_| true), Moved::There);
//! let here = cursor.snapshot().clone();
//! assert_eq!((here.events, here.hosts[0].name.as_str()), (121, "server"));
//! assert_eq!(cursor.back(|_| true), Moved::There);
//! assert_eq!(cursor.forward(|_| true), Moved::There);
//! assert_eq!(*cursor.snapshot(), here);
//! # Ok::<(), cygnet_world::plan_text::PlanErrors>(())
//! ```
//!
//! ```text
//!   snapshot  what is known of a moment
//!   change    what an event changes of that
//!   tracker   events to moments
//! ```
//!
//! Not here: a screen, and keys. `sim step` has them.

mod change;
mod snapshot;
mod tracker;

use std::cell::{Ref, RefCell};
use std::rc::Rc;

use super::caught::caught;
use super::fate::{FrameId, Twist, Way};
use super::log::Violation;
use super::network::World;
use super::plan::Plan;
use super::stage::Stage;
pub use snapshot::{ConnectionView, Flight, HostView, List, Progress, Snapshot, TaskView};
pub use tracker::Line;
use tracker::Tracker;

/// How often whoever waits is told how far it is, in steps.
const LOOK: u32 = 1 << 10;

/// The most steps of a run.
const BUDGET: u64 = 20_000_000;

/// Where a movement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Where it should.
    There,
    /// At the beginning, before every event.
    Start,
    /// Behind the last event.
    End,
    /// On the way, because somebody said so.
    Stopped,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What must not happen and did.
    pub violation: Option<Violation>,
    /// What the plan says and did not happen: the words in the plan, and why.
    pub never_came: Option<(String, String)>,
}

/// A frame that was lost on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostFrame {
    /// Which.
    pub frame: FrameId,
    /// The event in which it is sent, and lost.
    pub event: u64,
}

/// See the [module](self).
pub struct Cursor {
    plan: Rc<Plan>,
    /// None only between two runs: hosts' memory is used again.
    stage: Option<Stage<Rc<Plan>>>,
    tracker: Rc<RefCell<Tracker>>,
    is_over: bool,
}

impl Cursor {
    /// Before the first event of the run of a plan.
    ///
    /// # Panics
    /// When the plan is of a test: only that can make its world.
    pub fn new(plan: Plan) -> Cursor {
        let mut cursor = Cursor {
            tracker: Rc::new(RefCell::new(Tracker::new(&plan))),
            plan: Rc::new(plan),
            stage: None,
            is_over: false,
        };
        cursor.start();
        cursor
    }

    /// The plan, with every frame that was lost on request.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What every host does here.
    pub fn snapshot(&self) -> Ref<'_, Snapshot> {
        Ref::map(self.tracker.borrow(), |tracker| &tracker.snapshot)
    }

    /// The last events, the one that happened last at the end: as many as there are, up to
    /// this many.
    pub fn lines(&self, most: usize) -> Vec<Line> {
        let tracker = self.tracker.borrow();
        let first = tracker.lines.len().saturating_sub(most);
        tracker.lines.iter().skip(first).cloned().collect()
    }

    /// The next event, if it is of the same turn as the last one, and so known.
    pub fn next_line(&self) -> Option<Line> {
        self.tracker.borrow().next_line().cloned()
    }

    /// How the run ended, if nothing is left of it.
    pub fn ending(&self) -> Option<Ending> {
        let stage = self.stage.as_ref().filter(|_| self.is_over)?;
        self.next_line().is_none().then(|| Ending {
            violation: stage.world.violation(),
            never_came: stage.never_came(),
        })
    }

    /// A frame's key in the text of a plan: `c1 up 17`.
    pub fn key(&self, frame: FrameId) -> String {
        let name = &self.plan.places[frame.link as usize].name;
        let way = if frame.way == Way::Forth {
            "up"
        } else {
            "down"
        };
        format!("{name} {way} {}", frame.number)
    }

    /// One event forward. While the world runs, `look` is told how many events have
    /// happened; `false` stops.
    pub fn forward(&mut self, look: impl FnMut(u64) -> bool) -> Moved {
        let events = self.events();
        self.tracker.borrow_mut().go_to(events + 1);
        self.advance(look)
    }

    /// One event back.
    pub fn back(&mut self, look: impl FnMut(u64) -> bool) -> Moved {
        match self.events().checked_sub(1) {
            None => Moved::Start,
            Some(0) => self.to_start(),
            Some(events) => self.again(events, look),
        }
    }

    /// To before the first event.
    pub fn to_start(&mut self) -> Moved {
        self.start();
        Moved::Start
    }

    /// To where event `number` has just happened.
    pub fn to(&mut self, number: u64, look: impl FnMut(u64) -> bool) -> Moved {
        let events = number.saturating_add(1);
        if events < self.events() {
            return self.again(events, look);
        }
        self.tracker.borrow_mut().go_to(events);
        self.advance(look)
    }

    /// To the next event in which a frame is lost, or dropped by a host that it was for.
    pub fn to_drop(&mut self, look: impl FnMut(u64) -> bool) -> Moved {
        self.tracker.borrow_mut().hunt();
        self.advance(look)
    }

    /// Loses the next frame that would arrive somewhere: adds that to the plan, and comes
    /// here again in the run of the new plan. `None` when no frame is left, or `look` said
    /// stop.
    pub fn lose(&mut self, mut look: impl FnMut(u64) -> bool) -> Option<LostFrame> {
        let events = self.events();
        let tracker = Rc::clone(&self.tracker);
        self.run(&mut look, || tracker.borrow().sees_a_frame());
        let (event, frame) = self.tracker.borrow().next_frame()?;
        let mut plan = (*self.plan).clone();
        plan.fates.add(frame, Twist::Lose);
        self.plan = Rc::new(plan);
        self.again(events, look);
        Some(LostFrame { frame, event })
    }

    fn events(&self) -> u64 {
        self.tracker.borrow().snapshot.events
    }

    /// A new run, to where so many events have happened.
    fn again(&mut self, events: u64, look: impl FnMut(u64) -> bool) -> Moved {
        self.start();
        self.tracker.borrow_mut().go_to(events);
        self.advance(look)
    }

    fn start(&mut self) {
        self.stage = None;
        self.is_over = false;
        self.tracker = Rc::new(RefCell::new(Tracker::new(&self.plan)));
        let mut world = World::told(self.plan.fates.clone());
        world.watch(Rc::clone(&self.tracker));
        world.set_budget(BUDGET);
        self.stage = Some(Stage::build(Rc::clone(&self.plan), world));
    }

    /// Runs until the tracker is where it wants to be.
    fn advance(&mut self, mut look: impl FnMut(u64) -> bool) -> Moved {
        let tracker = Rc::clone(&self.tracker);
        let stopped = self.run(&mut look, || tracker.borrow().is_there());
        let mut tracker = self.tracker.borrow_mut();
        let moved = match (tracker.is_there(), stopped) {
            (true, _) => Moved::There,
            (false, true) => Moved::Stopped,
            (false, false) => Moved::End,
        };
        tracker.stay();
        moved
    }

    /// Runs the world until `enough`, its end, or until `look` says stop, which is true.
    fn run(&mut self, look: &mut impl FnMut(u64) -> bool, enough: impl Fn() -> bool) -> bool {
        let Some(stage) = self.stage.as_mut().filter(|_| !self.is_over) else {
            return false;
        };
        let (mut steps, mut stopped) = (0_u32, false);
        let pause = |world: &World| {
            steps = steps.wrapping_add(1);
            stopped = steps.is_multiple_of(LOOK) && !look(world.events());
            stopped || enough()
        };
        match caught(|| stage.go_on(pause)) {
            Ok(is_over) => self.is_over = is_over,
            Err(message) => {
                stage.world.log.violated("panic", message);
                stage.world.abandon();
                self.is_over = true;
            }
        }
        stopped
    }
}

#[cfg(test)]
mod tests;
