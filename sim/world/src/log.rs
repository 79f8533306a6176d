//! The record of a world: every event of every host and link, in order,
//! numbered, hashed, and shown to whoever watches. It also keeps the first
//! violation of an invariant.
//!
//! The digest is one hash over all of it, in fixed-width little-endian fields,
//! so two runs with the same digest did the same things in the same order.
//!
//! Not here: what an event means. The ledger checks bytes, a watcher writes
//! files.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hasher as _;
use std::rc::Rc;

use cygnet::Digest;
use cygnet::event::{Event, Observer};
use siphasher::sip::SipHasher13;
use smoltcp::time::Instant;
use smoltcp::wire::IpAddress;

use super::course::Fate;
use super::fate::{FrameId, Lost, Twist, Way};
use super::fault::Fault;
use super::ids::{End, HostId};
use super::ledger::Ledger;

/// Something that happened in a world.
#[derive(Debug)]
pub enum Happening<'e> {
    /// In a host; with its own clock's time.
    Host(HostId, Instant, &'e Event<'e>),
    /// A frame was sent into a link.
    Sent {
        /// Which frame of which link.
        frame: FrameId,
        /// Who sent it, and who is at the link's other end.
        ends: (End, End),
        /// What happens to it.
        twists: &'e [Twist],
        /// How many copies arrive: none, one, two.
        copies: usize,
        /// Why none does.
        lost: Option<Lost>,
        /// The frame, before anything happened to it.
        bytes: &'e [u8],
    },
    /// A fault struck.
    Fault(&'e Fault),
    /// A machine, which is no node of this library, took a turn.
    Turned {
        /// Which.
        host: HostId,
        /// Frames that it took.
        received: usize,
        /// Frames that it sent.
        sent: usize,
        /// When it wants its next turn, on its own clock.
        next: Option<Instant>,
    },
    /// A machine printed a line.
    Printed {
        /// Which.
        host: HostId,
        /// What.
        line: &'e str,
    },
}

/// Is shown everything that happens in a world.
pub trait Watch {
    /// Event `number` happened at `at`. It must not call back into the world.
    fn happened(&mut self, number: u64, at: Instant, what: &Happening<'_>);

    /// A frame that event `sent` put into a link came to the other end, at `at`. It is
    /// no event: it has no number, and is not in the digest. The host takes frames in
    /// the order in which they come.
    fn arrived(&mut self, sent: u64, at: Instant, to: End, how: Arrival) {
        let _ = (sent, at, to, how);
    }

    /// Every fault ended. It is no event either.
    fn healed(&mut self, at: Instant) {
        let _ = at;
    }

    /// Every so many events, and at the end: the digest of all before `number`.
    fn checkpoint(&mut self, number: u64, at: Instant, digest: u128) {
        let _ = (number, at, digest);
    }
}

/// One that is looked at after the run.
impl<W: Watch> Watch for Rc<RefCell<W>> {
    fn happened(&mut self, number: u64, at: Instant, what: &Happening<'_>) {
        self.borrow_mut().happened(number, at, what);
    }

    fn arrived(&mut self, sent: u64, at: Instant, to: End, how: Arrival) {
        self.borrow_mut().arrived(sent, at, to, how);
    }

    fn healed(&mut self, at: Instant) {
        self.borrow_mut().healed(at);
    }

    fn checkpoint(&mut self, number: u64, at: Instant, digest: u128) {
        self.borrow_mut().checkpoint(number, at, digest);
    }
}

/// How a frame was received at the end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is in the ring of a host's card, or at a switch or an attacker.
    Taken,
    /// The host was down.
    Down,
    /// The host was paused, and the ring of its card full.
    RingFull,
}

/// How many events lie between two checkpoints.
pub const CHECKPOINT_EVENTS: u64 = 1 << 12;

/// Something that must never happen, did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule was broken.
    pub invariant: &'static str,
    /// Whose turn it was, if it was anybody's.
    pub host: Option<HostId>,
    /// When, in the world's time.
    pub at: Instant,
    /// After how many events.
    pub event: u64,
    /// What was seen.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation {
            invariant,
            at,
            event,
            detail,
            ..
        } = self;
        let (seconds, micros) = (at.secs(), at.micros());
        write!(
            f,
            "{invariant} at {seconds}.{micros:06} s, event {event}: {detail}"
        )
    }
}

/// See the [module](self).
pub(super) struct Log {
    digest: Digest,
    pub(super) now: Cell<Instant>,
    /// Whose turn it is, or was in the last step.
    pub(super) acting: Cell<Option<HostId>>,
    /// Names of tasks, when a task that fails is a violation.
    tasks: RefCell<Option<Names>>,
    ledger: RefCell<Ledger>,
    watch: RefCell<Option<Box<dyn Watch>>>,
    is_watched: Cell<bool>,
    violation: OnceCell<Violation>,
}

impl Default for Log {
    fn default() -> Self {
        Log {
            digest: Digest::new(),
            now: Cell::new(Instant::ZERO),
            acting: Cell::default(),
            tasks: RefCell::default(),
            ledger: RefCell::default(),
            watch: RefCell::default(),
            is_watched: Cell::default(),
            violation: OnceCell::new(),
        }
    }
}

impl Log {
    pub(super) fn events(&self) -> u64 {
        self.digest.events()
    }

    pub(super) fn digest(&self) -> u128 {
        self.digest.value()
    }

    pub(super) fn watch(&self, watch: Box<dyn Watch>) {
        *self.watch.borrow_mut() = Some(watch);
        self.is_watched.set(true);
    }

    /// Ends the watch with a last checkpoint.
    pub(super) fn unwatch(&self) {
        self.is_watched.set(false);
        if let Some(mut watch) = self.watch.borrow_mut().take() {
            watch.checkpoint(self.events(), self.now.get(), self.digest());
        }
    }

    /// Keeps the first violation.
    pub(super) fn violated(&self, invariant: &'static str, detail: String) {
        self.violation.get_or_init(|| Violation {
            invariant,
            host: self.acting.get(),
            at: self.now.get(),
            event: self.events(),
            detail,
        });
    }

    pub(super) fn violation(&self) -> Option<Violation> {
        self.violation.get().cloned()
    }

    pub(super) fn is_violated(&self) -> bool {
        self.violation.get().is_some()
    }

    /// Hosts at these addresses do not tell what they read and write.
    pub(super) fn silent(&self, addresses: [IpAddress; 2]) {
        let mut ledger = self.ledger.borrow_mut();
        addresses
            .into_iter()
            .for_each(|address| ledger.silent(address));
    }

    pub(super) fn host(&self, host: HostId, local: Instant, event: &Event<'_>) {
        self.digest.event_of(host.0 as u64, local, event);
        if Ledger::is_of_it(event) {
            self.keep_in_ledger(host, event);
        }
        self.show(|| Happening::Host(host, local, event));
        if matches!(event, Event::Spawned { .. } | Event::Done { .. }) {
            self.look_at_tasks(host, event);
        }
    }

    #[inline(never)]
    fn keep_in_ledger(&self, host: HostId, event: &Event<'_>) {
        if let Err(detail) = self.ledger.borrow_mut().event(host, event) {
            self.violated("bytes", detail);
        }
    }

    /// From now on a task that returns an error is a violation, or no longer.
    pub(super) fn forbid_failed_tasks(&self, forbidden: bool) {
        *self.tasks.borrow_mut() = forbidden.then(Names::new);
    }

    #[inline(never)]
    fn look_at_tasks(&self, host: HostId, event: &Event<'_>) {
        let mut tasks = self.tasks.borrow_mut();
        let Some(names) = &mut *tasks else { return };
        match *event {
            Event::Spawned { task, name, line } => {
                names.insert((host.0, task), (name.to_owned(), line));
            }
            Event::Done { task, failed: true } => {
                let detail = match names.get(&(host.0, task)) {
                    Some((name, 0)) => format!("the task {name} returned an error"),
                    Some((name, line)) => format!("the task {name}:{line} returned an error"),
                    None => format!("task {task} returned an error"),
                };
                self.violated("task", detail);
            }
            _ => (),
        }
    }

    /// Gives the number of the event.
    pub(super) fn sent(
        &self,
        ends: (End, End),
        (fate, twists): (&Fate, &[Twist]),
        bytes: &[u8],
    ) -> u64 {
        let (frame, copies) = (fate.frame, fate.copies());
        let FrameId { link, way, number } = frame;
        let mut numbers = [0; 16];
        numbers[..4].copy_from_slice(&[
            LINK | u64::from(link) << 8 | u64::from(way == Way::Back),
            self.now.get().total_micros() as u64,
            number,
            copies as u64,
        ]);
        // Six twists at most, one of each kind.
        for (place, twist) in numbers[4..].chunks_exact_mut(2).zip(twists) {
            let kind = match *twist {
                Twist::Lose => 1,
                Twist::Late(_) => 2,
                Twist::Spike(_) => 3,
                Twist::Hold(_) => 4,
                Twist::Flip(_) => 5,
                Twist::Twice(_) => 6,
            };
            let value = match *twist {
                Twist::Lose => 0,
                Twist::Late(more) | Twist::Spike(more) | Twist::Hold(more) => more.total_micros(),
                Twist::Flip(bit) => bit,
                Twist::Twice(after) => after.total_micros(),
            };
            place.copy_from_slice(&[kind, value]);
        }
        let numbers = &numbers[..4 + 2 * twists.len()];
        self.digest.numbers(numbers);
        self.show(|| Happening::Sent {
            frame,
            ends,
            twists,
            copies,
            lost: fate.lost(),
            bytes,
        });
        self.events() - 1
    }

    /// What event `sent` put into a link came to its end.
    #[inline]
    pub(super) fn arrived(&self, sent: u64, to: End, how: Arrival) {
        if self.is_watched.get()
            && let Some(watch) = self.watch.borrow_mut().as_mut()
        {
            watch.arrived(sent, self.now.get(), to, how);
        }
    }

    pub(super) fn healed(&self) {
        if let Some(watch) = self.watch.borrow_mut().as_mut() {
            watch.healed(self.now.get());
        }
    }

    pub(super) fn fault(&self, fault: &Fault) {
        let (kind, what, how) = fault.code();
        let now = self.now.get().total_micros() as u64;
        self.digest.numbers(&[FAULT | kind, now, what, how]);
        self.show(|| Happening::Fault(fault));
    }

    /// A machine's turn.
    pub(super) fn turned(&self, host: HostId, received: usize, sent: usize, next: Option<Instant>) {
        let now = self.now.get().total_micros() as u64;
        let next_at = next.map_or(u64::MAX, |next| next.total_micros() as u64);
        let (who, counts) = (MACHINE | host.0 as u64, [received as u64, sent as u64]);
        self.digest
            .numbers(&[who, now, counts[0], counts[1], next_at]);
        self.show(|| Happening::Turned {
            host,
            received,
            sent,
            next,
        });
    }

    /// A line of a machine.
    pub(super) fn printed(&self, host: HostId, line: &str) {
        let mut hasher = SipHasher13::new();
        hasher.write(line.as_bytes());
        let now = self.now.get().total_micros() as u64;
        let words = [
            PRINTED | host.0 as u64,
            now,
            line.len() as u64,
            hasher.finish(),
        ];
        self.digest.numbers(&words);
        self.show(|| Happening::Printed { host, line });
    }

    #[inline]
    fn show<'e>(&self, what: impl FnOnce() -> Happening<'e>) {
        if self.is_watched.get() {
            self.show_to_watch(&what());
        }
    }

    #[cold]
    #[inline(never)]
    fn show_to_watch(&self, what: &Happening<'_>) {
        if let Some(watch) = self.watch.borrow_mut().as_mut() {
            let (number, at) = (self.events() - 1, self.now.get());
            watch.happened(number, at, what);
            if (number + 1).is_multiple_of(CHECKPOINT_EVENTS) {
                watch.checkpoint(number + 1, at, self.digest());
            }
        }
    }
}

/// Names of tasks and the lines where they were spawned, by host and number.
type Names = BTreeMap<(usize, u32), (String, u32)>;

/// Hosts are numbers below these.
const PRINTED: u64 = 1 << 60;
const MACHINE: u64 = 1 << 61;
const LINK: u64 = 1 << 62;
const FAULT: u64 = 1 << 63;

/// What a host's node tells its events to: the log of the world that the host
/// is in. It lives as long as the host's memory, which is used again.
#[derive(Default)]
pub(super) struct HostLog {
    world: RefCell<Option<(HostId, Rc<Log>)>>,
}

impl HostLog {
    pub(super) fn attach(&self, host: HostId, log: Rc<Log>) {
        *self.world.borrow_mut() = Some((host, log));
    }

    pub(super) fn detach(&self) {
        *self.world.borrow_mut() = None;
    }
}

impl Observer for HostLog {
    fn event(&self, now: Instant, event: &Event<'_>) {
        if let Some((host, log)) = &*self.world.borrow() {
            log.host(*host, now, event);
        }
    }
}

/// For programs in a world: the world's time, and a way to report what must
/// never happen.
#[derive(Clone)]
pub struct Witness(pub(super) Rc<Log>);

impl Witness {
    /// The world's time; a host's clock may be wrong.
    pub fn now(&self) -> Instant {
        self.0.now.get()
    }

    /// Reports that `invariant` does not hold. The run ends; the first report
    /// counts.
    pub fn violated(&self, invariant: &'static str, detail: String) {
        self.0.violated(invariant, detail);
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").finish_non_exhaustive()
    }
}
