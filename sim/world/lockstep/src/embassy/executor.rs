//! An executor that polls tasks when the world gives it a turn, until none is woken any
//! more, and then answers.
//!
//! The two unsafe things of this crate are here: `poll` of embassy's raw executor, and
//! the name of the function that it calls when it wants to be polled.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use embassy_executor::{Spawner, raw};

use super::clock::clock;
use super::device::{Device, Queues};
use crate::firmware::Firmware;
use crate::message::{Answer, Boot};
use crate::random::Random;

/// How often a turn polls. Tasks that wake themselves for ever (`yield_now` in a loop)
/// go on in the next microsecond, so that time passes for them too.
const PASSES: usize = 256;

/// A task was woken since the last poll.
static PENDED: AtomicBool = AtomicBool::new(false);

/// A program has nothing left to do, unless somebody asks.
static DONE: AtomicBool = AtomicBool::new(true);

thread_local! {
    static BOARD: RefCell<Option<Board>> = const { RefCell::new(None) };
}

/// What firmware finds on its board.
#[derive(Debug)]
pub struct Board {
    /// Who it is.
    pub boot: Boot,
    /// Its network driver, for `embassy_net::new`.
    pub device: Device,
    /// Its random generator.
    pub random: Random,
}

/// The board of this program.
///
/// # Panics
/// When no [`Executor`] was made in this thread, or a second time: there is one driver.
pub fn board() -> Board {
    let board = BOARD.take();
    board.expect("one board, in the thread of a cygnet_lockstep::embassy::Executor, taken once")
}

/// Says whether the program has nothing left to do unless somebody asks, which is so at
/// first: a client says `false` when it begins, and `true` when it is done.
pub fn set_done(is_done: bool) {
    DONE.store(is_done, Ordering::Relaxed);
}

/// An executor for `#[embassy_executor::main(executor = "…")]`, in lock step with a world.
pub struct Executor {
    inner: raw::Executor,
    firmware: Firmware,
    queues: Rc<RefCell<Queues>>,
}

// SAFETY: embassy-executor calls a function of this name and signature, and nothing else
// in a program defines it: platforms of embassy-executor do, and two do not link.
#[unsafe(export_name = "__pender")]
fn pender(_: *mut ()) {
    PENDED.store(true, Ordering::Relaxed);
}

impl Executor {
    /// Waits for the power. Ends the process, and says why, if no world started it.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Executor {
        let (firmware, boot) = Firmware::start().unwrap_or_else(|refused| {
            eprintln!("{refused}");
            std::process::exit(2);
        });
        clock().set(boot.now);
        let queues = Rc::<RefCell<Queues>>::default();
        BOARD.set(Some(Board {
            device: Device::new(boot.hardware, Rc::clone(&queues)),
            random: Random::new(boot.entropy),
            boot,
        }));
        Executor {
            inner: raw::Executor::new(std::ptr::null_mut()),
            firmware,
            queues,
        }
    }

    /// Runs the program that `init` spawns, until the power is cut; the process ends then.
    pub fn run(&'static mut self, init: impl FnOnce(Spawner)) -> ! {
        let Executor {
            inner,
            firmware,
            queues,
        } = self;
        let inner: &'static raw::Executor = inner;
        init(inner.spawner());
        while let Some(turn) = firmware.turn() {
            clock().set(turn.now);
            Queues::arrive(queues, turn.frames);
            for _ in 0..PASSES {
                if !PENDED.swap(false, Ordering::Relaxed) {
                    break;
                }
                // SAFETY: `self` is borrowed for ever and mutably, so nobody else polls,
                // and this loop is not inside of a poll: tasks cannot reach it.
                unsafe { inner.poll() };
            }
            let next = match PENDED.load(Ordering::Relaxed) {
                true => Some(turn.now),
                false => clock().next(),
            };
            firmware.answer(Answer {
                frames: Queues::take_sent(queues),
                next,
                is_done: DONE.load(Ordering::Relaxed),
            });
        }
        std::process::exit(0)
    }
}
