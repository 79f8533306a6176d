//! What a host can be: anything that is stepped. A machine gets a name, addresses and
//! entropy when it is switched on, and then turns: frames and the time in, frames and
//! its next deadline out. The world does the rest.
//!
//! Not here: the world's own machines. `board` is the node of this library, `bare` a
//! loop around smoltcp, `process` a program.

use std::fmt;

use smoltcp::time::Instant;

use super::card::Card;
use super::draws::keyed;
use super::identity::Identity;

/// A host of a world: anything that can be stepped. Links, losses, partitions,
/// reboots, pauses, wrong clocks, captures, digests, replays and shrinking are the
/// world's; a machine only has to
///
/// - take the time and chance from what it is given, and from nowhere else,
/// - never wait: a turn does what can be done now,
/// - say when it wants its next turn. It also gets one when a frame arrives.
///
/// [`World::machine`](crate::World::machine) adds one. This one counts what others
/// shout, and shouts itself once a second:
///
/// ```
/// use cygnet_world::{Broken, Card, Duration, Entropy, Identity, Instant, Link, Machine, World};
/// use std::{cell::Cell, rc::Rc};
///
/// struct Beacon { from: [u8; 6], next: Instant, left: u32, heard: Rc<Cell<u32>> }
///
/// impl Machine for Beacon {
///     fn boot(&mut self, who: &Identity, _: Entropy, now: Instant) -> Result<(), Broken> {
///         (self.from, self.next, self.left) = (who.hardware.0, now, 10);
///         Ok(())
///     }
///
///     fn turn(&mut self, card: &mut Card, now: Instant) -> Result<Option<Instant>, Broken> {
///         while let Some(_frame) = card.receive() {
///             self.heard.set(self.heard.get() + 1);
///         }
///         if now >= self.next && self.left > 0 {
///             let kind = [0x88, 0xb5]; // for experiments (IEEE 802)
///             card.send([&[0xff; 6][..], &self.from, &kind, &[0; 46]].concat());
///             (self.next, self.left) = (now + Duration::from_secs(1), self.left - 1);
///         }
///         Ok((self.left > 0).then_some(self.next))
///     }
///
///     fn is_done(&self) -> bool { self.left == 0 }
/// }
///
/// let heard = Rc::new(Cell::new(0));
/// let beacon = || Beacon { from: [0; 6], next: Instant::ZERO, left: 0, heard: heard.clone() };
/// let mut world = World::new(7);
/// let [a, b] = ["a", "b"].map(|name| world.machine(name, beacon()));
/// world.connect(a, b, Link { loss: 200_000, ..Link::LAN });
/// world.run_until(Instant::from_secs(60), |world| world.is_done(a) && world.is_done(b));
/// assert!((5..20).contains(&heard.get()), "a fifth of 20 is lost: {}", heard.get());
/// ```
pub trait Machine {
    /// Power on: everything from its beginning, whatever was before. `now` is what the
    /// machine's clock shows, which begins at zero.
    ///
    /// # Errors
    /// [`Broken`]: it cannot start. The run is violated.
    fn boot(&mut self, who: &Identity, entropy: Entropy, now: Instant) -> Result<(), Broken>;

    /// Does what can be done now, with the frames that arrived. Gives the moment, on
    /// the machine's own clock, of the next turn that it wants without a frame; `None`
    /// for none. A moment that has passed is the next microsecond.
    ///
    /// # Errors
    /// [`Broken`]: it cannot go on. The run is violated.
    fn turn(&mut self, card: &mut Card, now: Instant) -> Result<Option<Instant>, Broken>;

    /// Power off: nothing is sent, nobody is told. Also called at the world's end, and
    /// perhaps of a machine that is off.
    fn power_off(&mut self) {}

    /// Whether it has nothing left to do, unless somebody asks: a server that serves
    /// nobody is done. [`World::until_done`](crate::World::until_done) waits for this.
    fn is_done(&self) -> bool {
        true
    }

    /// What it waits for, in a few words, for who reads why a world does not end.
    fn waiting(&self) -> String {
        let waiting = if self.is_done() { "done" } else { "busy" };
        waiting.into()
    }
}

/// Chance for a machine, different at every boot, and the same in every run of a seed.
#[derive(Debug)]
pub struct Entropy {
    secret: u64,
    boots: u64,
    drawn: u64,
}

impl Entropy {
    /// For the boot with this number.
    pub(super) fn new(secret: u64, boots: u64) -> Entropy {
        Entropy {
            secret,
            boots,
            drawn: 0,
        }
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        let (pair, half) = (self.drawn / 2, (self.drawn % 2) as u8);
        self.drawn += 1;
        keyed(self.secret, self.boots, half, pair)
    }

    /// Fills this with the next bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&self.next_u64().to_le_bytes()[..part.len()]);
        }
    }
}

/// A machine cannot start, or cannot go on. What it says is the detail of a violation
/// of `machine`: say what is wrong and what can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(String);

impl Broken {
    /// With this sentence, without the host's name.
    pub fn new(why: impl Into<String>) -> Broken {
        Broken(why.into())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}
