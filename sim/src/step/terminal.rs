//! The terminal under the screen: what is typed there goes to the screen, and a long way
//! can be stopped.
//!
//! Not here: what is drawn (`screen`), and how the terminal is as it was at the end
//! (`crate::terminal`).

use std::io::{self, stdout};
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::command::Command;
use super::screen::{Screen, Wish};
use crate::host::StopFlag;
use crate::terminal::{Raw, is_there};

/// How long it waits for a key before it looks for signals.
const LOOK: Duration = Duration::from_millis(100);

/// A way is long, and is shown, from here on; and how often.
const PATIENCE: Duration = Duration::from_millis(150);

/// The exit status of who is hung up on: 128 and SIGHUP's number.
const HUNG_UP: i32 = 129;

/// See [`panic_on_a_screen`](super::panic_on_a_screen).
pub(super) fn panic_while_raw() {
    let _raw = Raw::new().expect("a terminal");
    panic!("a swan sinks");
}

/// Shows the screen until somebody has seen enough; does `first` first. Gives the exit
/// status.
///
/// # Errors
/// One line about the terminal.
pub(super) fn run(screen: &mut Screen, first: Option<Command>) -> Result<u8, String> {
    let stop = StopFlag::default();
    stop.on_signals().map_err(|error| error.to_string())?;
    std::thread::spawn(end_with_the_terminal);
    go(screen, first, &stop).map_err(|error| format!("the terminal: {error}"))
}

/// Ends the process when its terminal was taken away: a hangup may be ignored, and who waits
/// for a key then reads that there is nothing, for ever.
fn end_with_the_terminal() {
    while is_there() {
        std::thread::sleep(LOOK);
    }
    std::process::exit(HUNG_UP);
}

fn go(screen: &mut Screen, first: Option<Command>, stop: &StopFlag) -> io::Result<u8> {
    let _raw = Raw::new()?;
    let mut terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
    if let Some(command) = first {
        away(screen, &mut terminal, &command, stop)?;
    }
    terminal.draw(|frame| screen.draw(frame))?;
    while !stop.is_set() {
        if !event::poll(LOOK)? {
            continue;
        }
        let wish = match event::read()? {
            Event::Key(key) if key.kind != KeyEventKind::Release => screen.key(key),
            _ => Wish::Redraw,
        };
        match wish {
            Wish::Redraw => (),
            Wish::Quit => return Ok(screen.session.status),
            Wish::Run(command) => away(screen, &mut terminal, &command, stop)?,
        }
        terminal.draw(|frame| screen.draw(frame))?;
    }
    Ok(130)
}

/// Does what may take long: shows how far it is, and hears when it should stop.
fn away(
    screen: &mut Screen,
    terminal: &mut Terminal<CrosstermBackend<io::Stdout>>,
    command: &Command,
    stop: &StopFlag,
) -> io::Result<()> {
    let target = screen.session.target(command);
    let mut shown = Instant::now();
    let mut failed = None;
    let (title, session) = screen.split();
    let answer = session.run(command, &mut |events| {
        if shown.elapsed() < PATIENCE {
            return !stop.is_set();
        }
        shown = Instant::now();
        let drawn = terminal.draw(|frame| title.draw(frame, events, target));
        match drawn.map(drop).and_then(|()| was_stopped()) {
            Ok(stopped) => !stopped && !stop.is_set(),
            Err(error) => {
                failed = Some(error);
                false
            }
        }
    });
    screen.say(answer);
    failed.map_or(Ok(()), Err)
}

/// Whether somebody pressed a key that stops. Other keys are forgotten.
fn was_stopped() -> io::Result<bool> {
    while event::poll(Duration::ZERO)? {
        if let Event::Key(KeyEvent {
            code, modifiers, ..
        }) = event::read()?
        {
            let control = modifiers.contains(KeyModifiers::CONTROL);
            let stops = code == KeyCode::Esc || code == KeyCode::Char('q');
            if stops || control && code == KeyCode::Char('c') {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
