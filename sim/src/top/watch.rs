//! The loop's side of a screen: it answers what is asked, after a turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cygnet::Node;

use super::desk::{Ask, Kept};
use super::moment::Moment;
use super::screen::Screen;
use super::{terminal, text};
use crate::host::StopFlag;
use crate::observe::Out;
use crate::report::Format;
use crate::totals::Given;

/// The loop's side of the screen.
struct Desk {
    asks: Receiver<Ask>,
    moments: Sender<Moment>,
    thread: JoinHandle<Result<(), String>>,
    stop: StopFlag,
}

/// How long a screen may take to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who watches a host, if anybody.
pub struct Watch {
    name: String,
    given: Given,
    wants_text: Arc<AtomicBool>,
    desk: Option<Desk>,
}

impl Watch {
    /// Nobody but who sets `wants_text`, by a signal.
    pub fn new(name: String, given: Given, wants_text: Arc<AtomicBool>) -> Watch {
        Watch {
            name,
            given,
            wants_text,
            desk: None,
        }
    }

    /// A screen on the terminal, until `stop`; whose keys set that.
    pub fn on_screen(&mut self, stop: StopFlag, kept: Arc<Kept>) {
        crate::terminal::restore_at_a_panic();
        let (ask, asks) = channel();
        let (tell, moments) = channel();
        let color = crate::terminal::wants_color();
        let screen = Screen::new(self.name.clone(), self.given, color);
        let stops = stop.clone();
        let thread = std::thread::spawn(move || terminal::run(screen, ask, moments, &kept, &stops));
        self.desk = Some(Desk {
            asks,
            moments: tell,
            thread,
            stop,
        });
    }

    /// Answers what was asked since the last turn. True: something is to be sent now.
    pub fn serve(&self, node: Node<'_>, out: &Out) -> bool {
        if self.wants_text.swap(false, Ordering::Relaxed) && self.desk.is_none() {
            for line in text::whole(&self.name, &Moment::of(node), self.given) {
                out.line(format_args!("{line}"));
            }
            out.flush();
        }
        let Some(desk) = &self.desk else {
            return false;
        };
        let mut sends = false;
        while let Ok(ask) = desk.asks.try_recv() {
            match ask {
                // A screen that is gone does not miss it.
                Ask::Look => _ = desk.moments.send(Moment::of(node)),
                Ask::Abort(connection) => sends |= node.abort(&connection),
            }
        }
        sends
    }

    /// The screen is gone, and the terminal as it was. Who waits for keys of a terminal that
    /// was taken away is not waited for.
    ///
    /// # Errors
    /// One line: why it was gone before it was told to.
    pub fn end(&mut self) -> Result<(), String> {
        let Some(desk) = self.desk.take() else {
            return Ok(());
        };
        desk.stop.set();
        let start = Instant::now();
        loop {
            match desk.asks.recv_timeout(PATIENCE) {
                Err(RecvTimeoutError::Disconnected) => break,
                _ if start.elapsed() < PATIENCE => (),
                _ => return Err("the terminal is gone".into()),
            }
        }
        let ended = desk.thread.join();
        ended.unwrap_or_else(|_| Err("the screen has panicked".into()))
    }
}

/// Whether there is a terminal for a screen.
///
/// # Errors
/// One line: what to do without.
pub fn check_terminal() -> Result<(), String> {
    match crate::terminal::is_there() {
        true => Ok(()),
        false => Err("--top needs a terminal; without one, kill -USR1 prints the same".into()),
    }
}

/// For the test that a panic of the loop leaves a terminal as it was.
#[doc(hidden)]
pub fn panic_under_a_screen() {
    let given = Given { slots: 1, tasks: 1 };
    let mut watch = Watch::new("cyg0".into(), given, Arc::default());
    watch.on_screen(StopFlag::default(), Kept::new(Format::Table));
    while !crate::terminal::is_raw() {
        std::thread::yield_now();
    }
    panic!("a swan sinks");
}
