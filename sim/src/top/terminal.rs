//! The screen's thread: it looks at the host, draws, and hears keys. It ends when the host is
//! told to stop, and the terminal is as it was before the host drains its streams: a second
//! Ctrl-C is a signal then.

use std::io::{self, stdout};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyEventKind};

use super::desk::{Ask, Kept};
use super::moment::Moment;
use super::screen::{Screen, Wish};
use crate::host::{StopFlag, poke};
use crate::terminal::{Raw, is_raw, is_there};

/// A moment is asked for so often, and not more.
const REFRESH: Duration = Duration::from_millis(250);

/// How long it waits for a key before it looks for signals.
const LOOK: Duration = Duration::from_millis(100);

/// A host that has not answered for so long is said to be busy.
const BUSY: Duration = Duration::from_secs(1);

/// Shows the screen until it is quit or the host is told to stop, and tells the host then.
///
/// # Errors
/// One line about the terminal.
pub(super) fn run(
    mut screen: Screen,
    ask: Sender<Ask>,
    moments: Receiver<Moment>,
    kept: &Kept,
    stop: &StopFlag,
) -> Result<(), String> {
    // Also when it panics.
    let _stops = Stops { kept, stop };
    let gone = stop.clone();
    std::thread::spawn(move || stop_with_the_terminal(&gone));
    go(&mut screen, &ask, &moments, kept, stop).map_err(|error| format!("the terminal: {error}"))
}

struct Stops<'s> {
    kept: &'s Kept,
    stop: &'s StopFlag,
}

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.kept.over();
        self.stop.set();
        poke();
    }
}

/// Who waits for a key of a terminal that was taken away reads that there is nothing, for
/// ever, and a hangup may be ignored.
fn stop_with_the_terminal(stop: &StopFlag) {
    while is_there() {
        if stop.is_set() {
            return;
        }
        std::thread::sleep(LOOK);
    }
    stop.set();
    poke();
}

fn go(
    screen: &mut Screen,
    ask: &Sender<Ask>,
    moments: &Receiver<Moment>,
    kept: &Kept,
    stop: &StopFlag,
) -> io::Result<()> {
    let _raw = Raw::new()?;
    let mut terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
    let mut next = Instant::now();
    // Not after a panic of another thread, which has left the screen.
    while !stop.is_set() && is_raw() {
        let mut changed = false;
        if Instant::now() >= next {
            next = Instant::now() + REFRESH;
            if !screen.is_paused() {
                changed = true;
                if !look(screen, ask, moments) {
                    return Ok(());
                }
            }
        }
        let wait = next.saturating_duration_since(Instant::now());
        if !changed && event::poll(wait.min(LOOK))? {
            changed = true;
            let wish = match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => screen.key(key),
                _ => Wish::Redraw,
            };
            match wish {
                Wish::Redraw => (),
                Wish::Quit => return Ok(()),
                Wish::Abort(connection) => {
                    // Seen at once, not with the next moment.
                    next = Instant::now();
                    _ = ask.send(Ask::Abort(connection));
                    poke();
                }
            }
        }
        if changed && is_raw() {
            screen.log(kept.last(screen.rows()));
            terminal.draw(|frame| screen.draw(frame))?;
        }
    }
    Ok(())
}

/// Asks for a moment. False: nobody is there to ask.
fn look(screen: &mut Screen, ask: &Sender<Ask>, moments: &Receiver<Moment>) -> bool {
    // One that came too late for the last look.
    while moments.try_recv().is_ok() {}
    if ask.send(Ask::Look).is_err() {
        return false;
    }
    poke();
    match moments.recv_timeout(BUSY) {
        Ok(moment) => screen.show(moment),
        Err(RecvTimeoutError::Timeout) => screen.say("the host has not answered for a second"),
        Err(RecvTimeoutError::Disconnected) => return false,
    }
    true
}
