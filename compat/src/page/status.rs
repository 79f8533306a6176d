//! What a node looks like, as JSON in pieces that fit anywhere, and as one number that
//! changes when something happened that is none of the page's own doing.

use core::fmt::{self, Write};
use core::iter::once_with;

use cygnet::Connection;
use cygnet::task::{TaskState, Waiting};
use smoltcp::time::Instant;

use super::View;
use super::totals::{DROPS, GAUGES, TOTALS};

/// A row of a table, or a number.
pub(super) type Piece = heapless::String<384>;

/// The most rows of a table; how many are left off is said.
const ROWS: usize = 256;

/// The most letters of a name, of which the last ones say most.
const LETTERS: usize = 24;

/// Writes a piece. What is too long for one is left off as a whole, which the lengths above
/// do not let happen.
pub(super) fn piece(write: impl FnOnce(&mut Piece) -> fmt::Result) -> Piece {
    let mut piece = Piece::new();
    if write(&mut piece).is_err() {
        debug_assert!(false, "too long: {piece}");
        piece.clear();
    }
    piece
}

impl<'a> View<'a> {
    /// All of it: an object of JSON, without a line's end.
    pub(super) fn status(self) -> impl Iterator<Item = Piece> + use<'a> {
        let View { node, .. } = self;
        let now = node.now();
        let head =
            move || piece(|to| write!(to, "{{\"micros\":{},\"tasks\":[", now.total_micros()));
        let tasks = node.waiting().take(ROWS).enumerate();
        let tasks = tasks.map(move |(at, task)| piece(|to| task_row(to, at, &task, now)));
        let left_off = move || {
            let left = node.waiting().count().saturating_sub(ROWS);
            piece(|to| write!(to, "],\"tasks_left_off\":{left},\"connections\":["))
        };
        let connections = node.connections().take(ROWS).enumerate();
        let connections = connections.map(|(at, one)| piece(|to| connection_row(to, at, &one)));
        let unseen = move || {
            let left = node.connections().count().saturating_sub(ROWS);
            piece(|to| write!(to, "],\"connections_left_off\":{left},\"counters\":{{"))
        };
        let counters = TOTALS.iter().chain(&GAUGES).enumerate();
        let counters = counters.map(move |(at, (name, _, get))| {
            let value = get(&node.counters());
            piece(|to| write!(to, "{}\"{name}\":{value}", comma(at)))
        });
        let dropped = || piece(|to| write!(to, "}},\"dropped\":{{"));
        let drops = (0..DROPS.len()).filter(move |at| node.counters().dropped[*at] > 0);
        let drops = drops.enumerate().map(move |(at, reason)| {
            let (name, count) = (DROPS[reason], node.counters().dropped[reason]);
            piece(|to| write!(to, "{}\"{name}\":{count}", comma(at)))
        });
        let end = || piece(|to| write!(to, "}}}}"));
        once_with(head)
            .chain(tasks)
            .chain(once_with(left_off))
            .chain(connections)
            .chain(once_with(unseen))
            .chain(counters)
            .chain(once_with(dropped))
            .chain(drops)
            .chain(once_with(end))
    }

    /// A number for everything that is told, but the page's own tasks and connections, and the
    /// frames, turns and polls that these cause.
    pub(super) fn seen(self) -> u64 {
        let View { node, page } = self;
        let (at, seen) = page.seen.get();
        if at == node.now() && seen != 0 {
            return seen;
        }
        let mut all = Sum(0xcbf2_9ce4_8422_2325);
        // Who has not run yet may be the page's.
        let news = |task: &Waiting| task.polls > 0 && !page.is_own(task.task);
        for task in node.waiting().filter(news) {
            all.add(task.task.into());
            all.add(task.polls.into());
        }
        let port = page.port.get();
        for one in node.connections().filter(|one| one.local.port != port) {
            all.add(one.slot.into());
            all.add(one.state as u64);
            all.add(one.unread.into());
            all.add(one.unacknowledged.into());
        }
        let counters = node.counters();
        let what = [
            counters.syns_parked,
            counters.cookies_given,
            counters.conflicts,
            counters.spawns_refused,
            counters.tasks_failed,
        ];
        what.into_iter()
            .chain(counters.dropped)
            .for_each(|count| all.add(count));
        page.seen.set((node.now(), all.0.max(1)));
        all.0.max(1)
    }
}

/// FNV-1a, with words instead of bytes.
struct Sum(u64);

impl Sum {
    fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word)
            .wrapping_mul(0x100_0000_01b3)
            .rotate_left(29);
    }
}

fn comma(at: usize) -> &'static str {
    if at == 0 { "" } else { "," }
}

fn task_row(to: &mut Piece, at: usize, task: &Waiting, now: Instant) -> fmt::Result {
    let Waiting { line, polls, .. } = task;
    write!(
        to,
        "{}{{\"task\":{},\"name\":{}",
        comma(at),
        task.task,
        Quoted(task.name)
    )?;
    if *line > 0 {
        write!(to, ",\"line\":{line}")?;
    }
    match task.state {
        TaskState::Ready => to.write_str(",\"state\":\"ready\"")?,
        TaskState::Running => to.write_str(",\"state\":\"running\"")?,
        TaskState::Waiting(reason, source) => {
            write!(
                to,
                ",\"state\":\"waiting\",\"reason\":\"{reason}\",\"source\":\"{source}\""
            )?;
        }
    }
    let waits = (now - task.last_poll).total_micros();
    write!(to, ",\"polls\":{polls},\"waits_micros\":{waits}}}")
}

fn connection_row(to: &mut Piece, at: usize, one: &Connection) -> fmt::Result {
    write!(
        to,
        "{}{{\"slot\":{},\"peer\":\"{}\",\"local\":\"{}\",\"service\":{},\"state\":\"{}\"",
        comma(at),
        one.slot,
        one.peer,
        one.local,
        Quoted(one.listener.unwrap_or_default()),
        one.state
    )?;
    let (age, idle) = (one.age.total_micros(), one.idle.total_micros());
    let (unread, unacknowledged) = (one.unread, one.unacknowledged);
    write!(to, ",\"age_micros\":{age},\"idle_micros\":{idle}")?;
    write!(
        to,
        ",\"unread\":{unread},\"unacknowledged\":{unacknowledged}}}"
    )
}

/// The end of a name as a string of JSON.
pub(super) struct Quoted<'n>(pub(super) &'n str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        let letters = self.0.chars().count();
        for letter in self.0.chars().skip(letters.saturating_sub(LETTERS)) {
            match letter {
                '"' | '\\' => write!(f, "\\{letter}")?,
                letter if letter.is_control() => f.write_char('?')?,
                letter => f.write_char(letter)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::Quoted;

    #[test]
    fn a_name_is_a_string_of_json_whatever_is_in_it() {
        let long = "x".repeat(60) + "main.rs";
        let rows = [
            ("echo", r#""echo""#),
            ("a\"b\\c\n", r#""a\"b\\c?""#),
            ("шлюз", "\"шлюз\""),
        ];
        for (name, expected) in rows {
            assert_eq!(Quoted(name).to_string(), expected);
        }
        assert_eq!(Quoted(&long).to_string().len(), 26);
    }
}
