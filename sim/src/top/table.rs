//! Tasks and connections as tables: columns of which the least important go first when
//! there is no room, rows that can be sorted by each and filtered by any.
//!
//! Not here: colors, and what is chosen (`screen.rs`).

use cygnet::Connection;
use cygnet::event::Source;
use cygnet::task::{TaskState, Waiting};
use cygnet_world::words::endpoint;
use smoltcp::time::Duration;

use super::moment::Moment;
use super::words;

/// A column.
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Numbers stand at the right.
    right: bool,
    /// The ones with the largest go first.
    rank: u8,
}

const fn column(name: &'static str, right: bool, rank: u8) -> Column {
    Column { name, right, rank }
}

/// The columns of tasks.
pub(super) const TASKS: [Column; 6] = [
    column("task", true, 0),
    column("name", false, 0),
    column("waits for", false, 0),
    column("at", false, 1),
    column("since", true, 2),
    column("polls", true, 3),
];

/// The columns of connections.
pub(super) const CONNECTIONS: [Column; 12] = [
    column("slot", true, 0),
    column("peer", false, 0),
    column("service", false, 1),
    column("state", false, 2),
    column("waits", false, 3),
    column("age", true, 4),
    column("idle", true, 7),
    column("unread", true, 5),
    column("unsent", true, 5),
    column("next limit", false, 6),
    column("window", true, 9),
    column("its window", true, 8),
];

/// What stands in a column, and a number to sort by, if not by that.
pub(super) struct Cell {
    pub(super) text: String,
    by: Option<u64>,
}

fn text(text: impl Into<String>) -> Cell {
    let text = text.into();
    Cell { text, by: None }
}

fn number(number: impl Into<u64>) -> Cell {
    let number = number.into();
    let text = words::number(number);
    let by = Some(number);
    Cell { text, by }
}

fn time(time: Duration) -> Cell {
    let by = Some(time.total_micros());
    let text = words::time(time);
    Cell { text, by }
}

/// A row: a task or a connection.
pub(super) struct Row {
    /// Is the same in the next moment.
    pub(super) id: u64,
    pub(super) cells: Vec<Cell>,
    pub(super) connection: Option<Connection>,
}

impl Row {
    fn task(moment: &Moment, task: &Waiting) -> Row {
        let name = match task.line {
            0 => task.name.to_owned(),
            line => format!("{}:{line}", task.name),
        };
        let (reason, at) = match task.state {
            TaskState::Ready => ("ready".to_owned(), Source::None),
            TaskState::Running => ("running".to_owned(), Source::None),
            TaskState::Waiting(reason, at) => (reason.to_string(), at),
        };
        let since = match moment.now > task.last_poll {
            true => moment.now - task.last_poll,
            false => Duration::ZERO,
        };
        Row {
            id: task.task.into(),
            cells: vec![
                number(task.task),
                text(name),
                text(reason),
                text(at.to_string()),
                time(since),
                number(task.polls),
            ],
            connection: None,
        }
    }

    fn connection(moment: &Moment, one: &Connection) -> Row {
        let service = match one.listener {
            Some(name) => name.to_owned(),
            None => format!(":{}", one.local.port),
        };
        let next = one.limits().filter(|limit| limit.left.is_some());
        let next = next.min_by_key(|limit| limit.left);
        let next = next.map_or_else(Cell::nothing, |limit| {
            let left = limit.left.unwrap_or_default();
            let name = words::limit_name(limit.deadline);
            Cell {
                text: format!("{name} {}", words::time(left)),
                by: Some(left.total_micros()),
            }
        });
        Row {
            // A slot serves another peer next.
            id: u64::from(one.peer.port) << 32 | u64::from(one.slot),
            cells: vec![
                Cell {
                    text: format!("#{}", one.slot),
                    by: Some(one.slot.into()),
                },
                text(endpoint(one.peer).to_string()),
                text(service),
                text(one.state.to_string()),
                text(moment.waits_at(one.slot)),
                time(one.age),
                time(one.idle),
                number(one.unread),
                number(one.unacknowledged),
                next,
                number(one.receive_window),
                number(one.send_window),
            ],
            connection: Some(*one),
        }
    }

    fn has(&self, words: &str) -> bool {
        let words = words.to_lowercase();
        let mut cells = self.cells.iter();
        cells.any(|cell| cell.text.to_lowercase().contains(&words))
    }
}

impl Cell {
    /// Sorted after everything.
    fn nothing() -> Cell {
        Cell {
            text: String::new(),
            by: Some(u64::MAX),
        }
    }
}

/// The rows of tasks.
pub(super) fn tasks(moment: &Moment) -> Vec<Row> {
    let tasks = moment.tasks.iter();
    tasks.map(|task| Row::task(moment, task)).collect()
}

/// The rows of connections.
pub(super) fn connections(moment: &Moment) -> Vec<Row> {
    let all = moment.connections.iter();
    all.map(|one| Row::connection(moment, one)).collect()
}

/// Only those with these words in them, by this column; equal ones stay as they were.
pub(super) fn arrange(rows: &mut Vec<Row>, words: &str, by: usize, reverse: bool) {
    rows.retain(|row| row.has(words));
    rows.sort_by(|a, b| {
        let (a, b) = (&a.cells[by], &b.cells[by]);
        let order = (a.by, &a.text).cmp(&(b.by, &b.text));
        match reverse {
            true => order.reverse(),
            false => order,
        }
    });
}

/// Which columns there is room for, and how wide each is.
pub(super) fn fit(columns: &[Column], rows: &[Row], width: usize) -> Vec<(usize, usize)> {
    let wide = |(index, column): (usize, &Column)| {
        let cells = rows.iter().map(|row| row.cells[index].text.chars().count());
        // With room for the mark of the one that is sorted by.
        let name = column.name.chars().count() + 1;
        (index, cells.max().unwrap_or(0).max(name))
    };
    let mut shown: Vec<(usize, usize)> = columns.iter().enumerate().map(wide).collect();
    loop {
        let all: usize = shown.iter().map(|(_, wide)| wide + 1).sum();
        let last = shown.iter().max_by_key(|(index, _)| columns[*index].rank);
        match last {
            Some((last, _)) if all > width + 1 && columns[*last].rank > 0 => {
                let last = *last;
                shown.retain(|(index, _)| *index != last);
            }
            _ => return shown,
        }
    }
}

/// One line: these texts in these columns.
pub(super) fn line<'t>(
    columns: &[Column],
    shown: &[(usize, usize)],
    text: impl Fn(usize) -> &'t str,
) -> String {
    let mut line = String::new();
    for (place, (index, wide)) in shown.iter().enumerate() {
        if place > 0 {
            line.push(' ');
        }
        let text = text(*index);
        match columns[*index].right {
            true => line.push_str(&format!("{text:>wide$}")),
            false => line.push_str(&format!("{text:<wide$}")),
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// A whole table as lines.
pub(super) fn lines(columns: &[Column], rows: &[Row], width: usize) -> Vec<String> {
    let shown = fit(columns, rows, width);
    let head = line(columns, &shown, |index| columns[index].name);
    let rows = rows
        .iter()
        .map(|row| line(columns, &shown, |index| &row.cells[index].text));
    std::iter::once(head).chain(rows).collect()
}
