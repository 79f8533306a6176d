//! The screen of `sim tap --top`: what it shows, and what a key does. It draws at any size.
//!
//! ```text
//!   cyg0  up 12.3s  slots 2/64  tasks 5/67          how full it is
//!   frames in 120 (33/s)  frames out 118 (31/s) …   totals and rates
//!   dropped: 2 not ours, 1 checksum                 why frames were dropped
//!   [tasks 5]  name^  waits for  at  since  polls   what each waits for
//!    connections 2  slot  peer  service  state …    the chosen row is marked
//!   Connection from 192.168.69.1:40112              the last lines of the log
//!   q quit  tab list  s sort  / filter …            keys
//! ```
//!
//! Pure: no terminal is touched here (`terminal.rs`).

use cygnet::Connection;
use cygnet_world::words::endpoint;
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Wrap};

use super::moment::{History, Moment};
use super::table::{self, CONNECTIONS, Column, Row, TASKS};
use super::text;
use crate::totals::Given;

/// The keys, the ones that matter most first.
const KEYS: [(&str, &str); 8] = [
    ("q", "quit"),
    ("tab", "list"),
    ("s", "sort"),
    ("/", "filter"),
    ("p", "pause"),
    ("a", "abort"),
    ("?", "help"),
    ("r", "reverse"),
];

/// What the keys do, in words.
const HELP: [(&str, &str); 9] = [
    (
        "q  ctrl-c",
        "stop accepting, let open streams finish (--drain), end; ctrl-c again ends at once",
    ),
    ("tab", "from tasks to connections, and back"),
    ("down up  j k", "choose another row; home, end, pgdn, pgup"),
    ("s  r", "sort by the next column; the other way round"),
    ("/", "show only rows that contain what is typed; enter"),
    ("esc", "show all rows again"),
    ("p  space", "stand still, and go on"),
    ("a", "abort the chosen connection; y resets it"),
    ("?", "this list"),
];

/// Below this many rows there is only one list.
const ROWS_FOR_BOTH: u16 = 12;

/// What a key asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wish {
    /// Nothing but another picture.
    Redraw,
    /// A reset.
    Abort(Box<Connection>),
    /// The end, in order.
    Quit,
}

/// A list, and what is chosen in it.
struct List {
    name: &'static str,
    columns: &'static [Column],
    /// By which column it is sorted,
    by: usize,
    /// and whether the largest come first.
    reverse: bool,
    /// The row that is chosen, and where it was last.
    chosen: Option<u64>,
    place: usize,
    /// As it is shown.
    rows: Vec<Row>,
}

impl List {
    fn new(name: &'static str, columns: &'static [Column]) -> List {
        List {
            name,
            columns,
            by: 0,
            reverse: false,
            chosen: None,
            place: 0,
            rows: Vec::new(),
        }
    }

    fn set(&mut self, mut rows: Vec<Row>, words: &str) {
        table::arrange(&mut rows, words, self.by, self.reverse);
        self.rows = rows;
        let chosen = self.chosen;
        let place = self.rows.iter().position(|row| Some(row.id) == chosen);
        self.choose(place.unwrap_or(self.place));
    }

    fn choose(&mut self, place: usize) {
        self.place = place.min(self.rows.len().saturating_sub(1));
        self.chosen = self.rows.get(self.place).map(|row| row.id);
    }

    /// How many lines it needs: its name, its columns, its rows.
    fn height(&self) -> u16 {
        u16::try_from(self.rows.len())
            .unwrap_or(u16::MAX)
            .saturating_add(2)
    }
}

/// See the [module](self).
pub(super) struct Screen {
    name: String,
    given: Given,
    moment: Option<Moment>,
    history: History,
    /// Tasks and connections.
    lists: [List; 2],
    /// Which of them keys are for.
    focus: usize,
    filter: String,
    is_typing: bool,
    is_paused: bool,
    help: bool,
    /// A connection that is aborted if the next key says so.
    doomed: Option<Box<Connection>>,
    message: String,
    log: Vec<String>,
    /// How many rows it had when it was drawn last.
    rows: u16,
    color: bool,
}

impl Screen {
    /// With colors, unless `NO_COLOR` says otherwise.
    pub(super) fn new(name: String, given: Given, color: bool) -> Screen {
        Screen {
            name,
            given,
            moment: None,
            history: History::default(),
            lists: [
                List::new("tasks", &TASKS),
                List::new("connections", &CONNECTIONS),
            ],
            focus: 1,
            filter: String::new(),
            is_typing: false,
            is_paused: false,
            help: false,
            doomed: None,
            message: String::new(),
            log: Vec::new(),
            rows: 24,
            color,
        }
    }

    /// Whether it stands still.
    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// How many lines of a log there may be room for.
    pub(super) fn rows(&self) -> usize {
        self.rows.into()
    }

    /// A later moment.
    pub(super) fn show(&mut self, moment: Moment) {
        self.history.add(&moment);
        self.moment = Some(moment);
        if self.doomed.is_none() {
            self.message.clear();
        }
        self.arrange();
    }

    /// Says something, until the next moment.
    pub(super) fn say(&mut self, words: &str) {
        words.clone_into(&mut self.message);
    }

    /// The last lines of the log.
    pub(super) fn log(&mut self, lines: Vec<String>) {
        self.log = lines;
    }

    fn arrange(&mut self) {
        let Some(moment) = &self.moment else {
            return;
        };
        let [tasks, connections] = &mut self.lists;
        tasks.set(table::tasks(moment), &self.filter);
        connections.set(table::connections(moment), &self.filter);
    }

    /// What a key does.
    pub(super) fn key(&mut self, key: KeyEvent) -> Wish {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Wish::Quit;
        }
        if let Some(connection) = self.doomed.take() {
            self.message.clear();
            if matches!(key.code, KeyCode::Char('y' | 'Y') | KeyCode::Enter) {
                self.say("aborted");
                return Wish::Abort(connection);
            }
            return Wish::Redraw;
        }
        if std::mem::take(&mut self.help) {
            return Wish::Redraw;
        }
        if self.is_typing {
            self.type_filter(key.code);
            return Wish::Redraw;
        }
        let list = &mut self.lists[self.focus];
        match key.code {
            KeyCode::Char('q') => return Wish::Quit,
            KeyCode::Tab | KeyCode::BackTab | KeyCode::Left | KeyCode::Right => self.focus ^= 1,
            KeyCode::Down | KeyCode::Char('j') => list.choose(list.place + 1),
            KeyCode::Up | KeyCode::Char('k') => list.choose(list.place.saturating_sub(1)),
            KeyCode::PageDown => list.choose(list.place + 10),
            KeyCode::PageUp => list.choose(list.place.saturating_sub(10)),
            KeyCode::Home => list.choose(0),
            KeyCode::End => list.choose(usize::MAX),
            KeyCode::Char('s') => {
                list.by = (list.by + 1) % list.columns.len();
                self.arrange();
            }
            KeyCode::Char('r') => {
                list.reverse = !list.reverse;
                self.arrange();
            }
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Esc => {
                self.filter.clear();
                self.arrange();
            }
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('a') => self.doom(),
            KeyCode::Char('?' | 'h') => self.help = true,
            _ => (),
        }
        Wish::Redraw
    }

    fn type_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Char(letter) if self.filter.len() < 64 => self.filter.push(letter),
            KeyCode::Backspace => _ = self.filter.pop(),
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.is_typing = false;
                self.filter.clear();
            }
            _ => (),
        }
        self.arrange();
    }

    fn doom(&mut self) {
        let list = &self.lists[1];
        let chosen = list.rows.get(list.place).and_then(|row| row.connection);
        let Some(connection) = chosen.filter(|_| self.focus == 1) else {
            return self.say("choose a connection first: tab, down");
        };
        let (slot, peer) = (connection.slot, endpoint(connection.peer));
        self.message = format!("abort #{slot} {peer}? y resets it, any other key does not");
        self.doomed = Some(Box::new(connection));
    }

    /// The whole screen.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let area = frame.area();
        self.rows = area.height;
        let has_all = area.height >= ROWS_FOR_BOTH;
        let totals = self.totals(area.width);
        let above = match has_all {
            true => u16::try_from(totals.len()).unwrap_or(u16::MAX).min(4),
            false => 0,
        };
        let [top, above, lists, said, keys] = Layout::vertical([
            Constraint::Length(u16::from(area.height > 1)),
            Constraint::Length(above),
            Constraint::Min(1),
            Constraint::Length(u16::from(area.height > 3)),
            Constraint::Length(u16::from(area.height > 2)),
        ])
        .areas(area);
        self.title(frame, top);
        frame.render_widget(Paragraph::new(totals), above);
        self.lists(frame, lists, has_all);
        frame.render_widget(Line::from(self.said()), said);
        Self::keys(frame, keys);
        if self.help {
            Self::help(frame, area);
        }
    }

    fn title(&self, frame: &mut Frame<'_>, area: Rect) {
        let mut words = match &self.moment {
            Some(moment) => text::title(&self.name, moment, self.given),
            None => self.name.clone(),
        };
        if self.is_paused {
            words.insert_str(0, "PAUSED  ");
        }
        frame.render_widget(Line::styled(words, Modifier::BOLD), area);
    }

    /// Totals as many as go on a line, and why frames were dropped.
    fn totals(&self, width: u16) -> Vec<Line<'static>> {
        let Some(moment) = &self.moment else {
            return Vec::new();
        };
        let mut lines = vec![String::new()];
        for total in text::totals(&moment.counters, Some(&self.history)) {
            let last = lines.last_mut().expect("it began with one");
            if last.is_empty() {
                *last = total;
            } else if last.chars().count() + 2 + total.chars().count() <= usize::from(width) {
                *last += "  ";
                *last += &total;
            } else {
                lines.push(total);
            }
        }
        // What goes wrong is never what there is no room for.
        lines.truncate(3);
        let mut lines: Vec<Line<'static>> = lines.into_iter().map(Line::from).collect();
        let dropped = text::drops(&moment.counters);
        lines.extend(dropped.map(|words| Line::styled(words, self.color(Color::Red))));
        lines
    }

    fn lists(&self, frame: &mut Frame<'_>, area: Rect, both: bool) {
        if !both {
            return self.list(frame, area, self.focus);
        }
        // Who needs less than half leaves the rest to the other, and both to the log.
        let [tasks, connections] = [0, 1].map(|list| self.lists[list].height());
        let half = area.height / 2;
        let connections_have = connections.min(area.height - tasks.min(half));
        let tasks_have = tasks.min(area.height - connections_have);
        let [first, second, log] = Layout::vertical([
            Constraint::Length(tasks_have),
            Constraint::Length(connections_have),
            Constraint::Min(0),
        ])
        .areas(area);
        self.list(frame, first, 0);
        self.list(frame, second, 1);
        let lines = self.log.iter().rev().take(log.height.into()).rev();
        let lines = lines.map(|line| Line::styled(line.clone(), self.color(Color::Cyan)));
        frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), log);
    }

    fn list(&self, frame: &mut Frame<'_>, area: Rect, which: usize) {
        let list = &self.lists[which];
        let has_focus = which == self.focus;
        let shown = table::fit(list.columns, &list.rows, area.width.into());
        let most = usize::from(area.height).saturating_sub(2);
        let first = (list.place + 1).saturating_sub(most.max(1));
        let named = |index: usize| match (index == list.by, list.reverse) {
            (true, false) => format!("{}^", list.columns[index].name),
            (true, true) => format!("{}v", list.columns[index].name),
            (false, _) => list.columns[index].name.to_owned(),
        };
        let names: Vec<String> = (0..list.columns.len()).map(named).collect();
        let heads = table::line(list.columns, &shown, |index| &names[index]);
        let count = list.rows.len();
        let mut head = match has_focus {
            true => format!("[{} {count}]", list.name),
            false => format!(" {} {count} ", list.name),
        };
        if count > most && most > 0 {
            let last = (first + most).min(count);
            head += &format!(" {} to {last}", first + 1);
        }
        if !self.filter.is_empty() {
            head += &format!(" with \"{}\"", self.filter);
        }
        let mut lines = vec![
            Line::styled(head, Modifier::BOLD),
            Line::styled(heads, Modifier::UNDERLINED),
        ];
        for (place, row) in list.rows.iter().enumerate().skip(first).take(most) {
            let line = table::line(list.columns, &shown, |index| &row.cells[index].text);
            let mut style = self.of(row);
            if has_focus && place == list.place {
                style = style.add_modifier(Modifier::REVERSED);
            }
            lines.push(Line::styled(line, style));
        }
        // With one row only, the one that is chosen.
        if area.height == 1
            && let Some(row) = list.rows.get(list.place)
        {
            let line = table::line(list.columns, &shown, |index| &row.cells[index].text);
            lines = vec![Line::from(line)];
        }
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// What is not open stands back.
    fn of(&self, row: &Row) -> Style {
        use cygnet::ConnectionState::{Closing, Open, Over, TimeWait};
        match row.connection.map(|connection| connection.state) {
            Some(Closing | TimeWait) => self.color(Color::DarkGray),
            Some(Over) => self.color(Color::Red),
            Some(Open) | None => Style::default(),
            Some(_) => self.color(Color::Yellow),
        }
    }

    fn color(&self, color: Color) -> Style {
        match self.color {
            true => Style::default().fg(color),
            // Without color what went wrong is bold.
            false if color == Color::Red => Style::default().add_modifier(Modifier::BOLD),
            false => Style::default(),
        }
    }

    fn said(&self) -> String {
        match self.is_typing {
            true => format!("rows with {}_   (enter, esc)", self.filter),
            false => self.message.clone(),
        }
    }

    fn keys(frame: &mut Frame<'_>, area: Rect) {
        let mut spans = Vec::new();
        for (key, what) in KEYS {
            spans.push(Span::styled(key, Modifier::BOLD));
            spans.push(Span::from(format!(" {what}  ")));
        }
        frame.render_widget(Line::from(spans), area);
    }

    fn help(frame: &mut Frame<'_>, area: Rect) {
        let lines = HELP.iter().map(|(keys, what)| {
            let keys = Span::styled(format!("{keys:<14}"), Modifier::BOLD);
            Line::from(vec![keys, Span::from(*what)])
        });
        frame.render_widget(Clear, area);
        let text = Paragraph::new(lines.collect::<Vec<_>>()).wrap(Wrap { trim: false });
        frame.render_widget(text, area);
    }
}

#[cfg(test)]
mod tests;
