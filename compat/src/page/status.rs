//! What a node looks like, as JSON, and as one number that changes when something happened
//! that is none of the page's own doing.

use core::fmt::{self, Write};

use cygnet::Connection;
use cygnet::task::{TaskState, Waiting};
use smoltcp::time::Instant;

use super::View;
use super::pieces::{Piece, Pieces, Told};
use super::totals::{DROPS, GAUGES, TOTALS};

/// The most rows of a table; how many are left off is said.
const ROWS: u32 = 256;

/// The most letters of a name, of which the last ones say most.
const LETTERS: usize = 24;

/// The next piece of an object without a line's end.
pub(super) fn tell(at: &mut Pieces<'_>, to: &mut Piece) -> Result<Told, fmt::Error> {
    let node = at.view.node;
    let now = node.now();
    let left_off = |count: usize| count.saturating_sub(ROWS as usize);
    match at.part {
        0 => write!(to, "{{\"micros\":{},\"tasks\":[", now.total_micros())?,
        1 => {
            let next = node.waiting().find(|task| task.task >= at.from);
            let Some(task) = next.filter(|_| at.rows < ROWS) else {
                return Ok(Told::Nothing);
            };
            let row = at.row(task.task);
            task_row(to, row, &task, now)?;
            return Ok(Told::Row);
        }
        2 => {
            let left = left_off(node.waiting().count());
            write!(to, "],\"tasks_left_off\":{left},\"connections\":[")?;
        }
        3 => {
            let next = node.connections().find(|one| one.slot >= at.from);
            let Some(one) = next.filter(|_| at.rows < ROWS) else {
                return Ok(Told::Nothing);
            };
            let row = at.row(one.slot);
            connection_row(to, row, &one)?;
            return Ok(Told::Row);
        }
        4 => {
            let left = left_off(node.connections().count());
            write!(to, "],\"connections_left_off\":{left},\"counters\":{{")?;
        }
        5 => {
            let next = TOTALS.iter().chain(&GAUGES).nth(at.from as usize);
            let Some((name, _, get)) = next else {
                return Ok(Told::Nothing);
            };
            let row = at.row(at.from);
            write!(to, "{}\"{name}\":{}", comma(row), get(&node.counters()))?;
            return Ok(Told::Row);
        }
        6 => to.write_str("},\"dropped\":{")?,
        7 => {
            let dropped = node.counters().dropped;
            let mut any = (at.from as usize..DROPS.len()).filter(|reason| dropped[*reason] > 0);
            let Some(reason) = any.next() else {
                return Ok(Told::Nothing);
            };
            let row = at.row(reason as u32);
            write!(
                to,
                "{}\"{}\":{}",
                comma(row),
                DROPS[reason],
                dropped[reason]
            )?;
            return Ok(Told::Row);
        }
        8 => to.write_str("}}")?,
        _ => return Ok(Told::End),
    }
    Ok(Told::Part)
}

impl View<'_> {
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

fn comma(at: u32) -> &'static str {
    if at == 0 { "" } else { "," }
}

fn task_row(to: &mut Piece, at: u32, task: &Waiting, now: Instant) -> fmt::Result {
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

fn connection_row(to: &mut Piece, at: u32, one: &Connection) -> fmt::Result {
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
struct Quoted<'n>(&'n str);

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
