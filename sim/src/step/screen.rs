//! The screen of `sim step`: what it shows, and what a key does. It draws at any size.
//!
//! ```text
//!   plan.txt  event 120  0.271902 s          where we are
//!   118 0.271902 c4 recv 10.0.0.1:7 > …      the last events, lost ones marked
//!   119 0.271902 c4 wake 0 visitor
//!   120 0.271902 c4 resume 0 visitor         the one that happened last
//!   [server]  c1  c2  c3                     one host at a time
//!   tasks     - …                            its tasks, connections; frames on their way
//!   n next  b back  t to  d drop …           keys
//! ```
//!
//! Pure: no terminal is touched here (`terminal`).

use cygnet_world::cursor::Line as EventLine;
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, LineGauge, Paragraph, Wrap};

use super::command::Command;
use super::session::Session;
use super::view;

/// The keys, the ones that matter most first.
const KEYS: [(&str, &str); 13] = [
    ("n", "next"),
    ("b", "back"),
    ("t", "to"),
    ("d", "drop"),
    ("l", "lose"),
    ("?", "help"),
    ("q", "quit"),
    ("tab", "host"),
    ("z", "more of it"),
    ("s", "start"),
    ("e", "end"),
    ("N", "ten on"),
    ("B", "ten back"),
];

/// What the keys do, in words.
const HELP: [(&str, &str); 13] = [
    ("n  right  space", "one event forward"),
    (
        "b  left",
        "one event back: the run is made again up to there",
    ),
    ("N  B  pgdn  pgup", "ten events forward, back"),
    ("t", "to an event by its number, that of pages and captures"),
    ("d", "to the next event in which a frame is lost or dropped"),
    ("s  home", "to the start, before every event"),
    ("e  end", "to the last event, and how the run ended"),
    ("l", "lose the next frame that would arrive; writes a plan"),
    ("tab  down  up", "another host"),
    (
        "z  j  k",
        "more of that host and fewer events; its lines down, up",
    ),
    ("esc  ctrl-c", "stop a long way; a second time: quit"),
    ("?", "this list"),
    ("q", "quit"),
];

/// Below this many rows only the last events are shown, with the keys.
const ROWS_FOR_HOSTS: u16 = 8;

/// What a key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing but another picture.
    Redraw,
    /// Something that may take its time.
    Run(Command),
    /// The end.
    Quit,
}

/// What is shown on a long way: how far it is.
pub(super) struct Far<'s>(&'s str);

impl Far<'_> {
    pub(super) fn draw(&self, frame: &mut Frame<'_>, events: u64, target: Option<u64>) {
        let far = match target {
            Some(target) => format!("event {events} of {target}; esc stops"),
            None => format!("event {events}; esc stops"),
        };
        let [top, below] =
            Layout::vertical([Constraint::Length(1), Constraint::Length(1)]).areas(frame.area());
        frame.render_widget(Line::from(far), top);
        let of = target.unwrap_or(0).max(events).max(1);
        let gauge = LineGauge::default().ratio(events as f64 / of as f64);
        let gauge = gauge.label(self.0.to_owned());
        if target.is_some() {
            frame.render_widget(gauge, below);
        }
    }
}

/// See the [module](self).
pub(super) struct Screen {
    pub(super) session: Session,
    title: String,
    /// The host that is shown,
    host: usize,
    /// from this line on,
    below: usize,
    /// and whether it has most of the screen.
    zoomed: bool,
    /// What was typed of an event's number.
    prompt: Option<String>,
    help: bool,
    message: Vec<String>,
    color: bool,
}

impl Screen {
    /// With colors, unless `NO_COLOR` says otherwise.
    pub(super) fn new(session: Session, title: String, color: bool) -> Screen {
        Screen {
            session,
            title,
            host: 0,
            below: 0,
            zoomed: false,
            prompt: None,
            help: false,
            message: vec!["n goes to the next event, ? says what every key does".into()],
            color,
        }
    }

    /// What a key does.
    pub(super) fn key(&mut self, key: KeyEvent) -> Wish {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Wish::Quit;
        }
        if self.help {
            self.help = false;
            return Wish::Redraw;
        }
        if self.prompt.is_some() {
            return self.type_number(key.code);
        }
        let command = match key.code {
            KeyCode::Char('n' | ' ') | KeyCode::Right => Command::Next(1),
            KeyCode::Char('b') | KeyCode::Left => Command::Back(1),
            KeyCode::Char('N') | KeyCode::PageDown => Command::Next(10),
            KeyCode::Char('B') | KeyCode::PageUp => Command::Back(10),
            KeyCode::Char('d') => Command::Drop,
            KeyCode::Char('l') => Command::Lose,
            KeyCode::Char('s') | KeyCode::Home => Command::Start,
            KeyCode::Char('e') | KeyCode::End => Command::End,
            KeyCode::Char('q') | KeyCode::Esc => return Wish::Quit,
            other => {
                self.look_elsewhere(other);
                return Wish::Redraw;
            }
        };
        Wish::Run(command)
    }

    fn look_elsewhere(&mut self, key: KeyCode) {
        let hosts = self.session.cursor.snapshot().hosts.len().max(1);
        match key {
            KeyCode::Tab | KeyCode::Down => self.show((self.host + 1) % hosts),
            KeyCode::BackTab | KeyCode::Up => self.show((self.host + hosts - 1) % hosts),
            KeyCode::Char('z') => self.zoomed = !self.zoomed,
            KeyCode::Char('j') => self.below = (self.below + 1).min(self.words_of_host().0.len()),
            KeyCode::Char('k') => self.below = self.below.saturating_sub(1),
            KeyCode::Char('t') => self.prompt = Some(String::new()),
            KeyCode::Char('?' | 'h') => self.help = true,
            _ => (),
        }
    }

    fn show(&mut self, host: usize) {
        (self.host, self.below) = (host, 0);
    }

    fn type_number(&mut self, key: KeyCode) -> Wish {
        let Some(typed) = &mut self.prompt else {
            return Wish::Redraw;
        };
        match key {
            KeyCode::Char(digit) if digit.is_ascii_digit() && typed.len() < 19 => typed.push(digit),
            KeyCode::Backspace => _ = typed.pop(),
            KeyCode::Esc => self.prompt = None,
            KeyCode::Enter => {
                let event = typed.parse();
                self.prompt = None;
                if let Ok(event) = event {
                    return Wish::Run(Command::To(event));
                }
            }
            _ => (),
        }
        Wish::Redraw
    }

    /// Shows what came of a command.
    pub(super) fn say(&mut self, answer: Result<Vec<String>, String>) {
        self.message = match answer {
            // The event itself is on the screen.
            Ok(lines) => {
                let shown = self.session.cursor.lines(1);
                let shown = shown.first().map(|line| line.text.clone());
                lines
                    .into_iter()
                    .filter(|line| Some(line) != shown.as_ref())
                    .collect()
            }
            Err(why) => vec![why],
        };
    }

    /// The whole screen.
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let has_hosts = area.height >= ROWS_FOR_HOSTS;
        let hosts = if has_hosts {
            match self.zoomed {
                true => area.height - 6,
                false => (area.height - 4).div_ceil(2),
            }
        } else {
            0
        };
        let message = match has_hosts {
            true => rows(&self.words(), area.width).clamp(1, 3),
            false => u16::from(area.height > 3),
        };
        let [top, events, below, said, keys] = Layout::vertical([
            Constraint::Length(u16::from(area.height > 1)),
            Constraint::Min(1),
            Constraint::Length(hosts),
            Constraint::Length(message),
            Constraint::Length(u16::from(area.height > 2)),
        ])
        .areas(area);
        self.title(frame, top);
        self.events(frame, events);
        if has_hosts {
            self.host(frame, below);
        }
        self.message(frame, said);
        self.keys(frame, keys);
        if self.help {
            self.help(frame, area);
        }
    }

    /// What is shown on a long way, and what goes it.
    pub(super) fn split(&mut self) -> (Far<'_>, &mut Session) {
        (Far(&self.title), &mut self.session)
    }

    fn title(&self, frame: &mut Frame<'_>, area: Rect) {
        let here = self.session.cursor.snapshot();
        let at = match here.events.checked_sub(1) {
            None => "the start".to_owned(),
            Some(event) => format!("event {event}"),
        };
        let (seconds, micros) = (here.at.secs(), here.at.micros());
        let healed = if here.healed {
            "  faults have ended"
        } else {
            ""
        };
        // What matters comes first: a narrow screen shows the beginning.
        let words = format!("{at}  {seconds}.{micros:06} s{healed}  {}", self.title);
        frame.render_widget(Line::styled(words, Modifier::BOLD), area);
    }

    fn events(&self, frame: &mut Frame<'_>, area: Rect) {
        let rows = usize::from(area.height);
        let last = self.session.events().saturating_sub(1);
        let mut lines = Vec::new();
        for line in self.session.cursor.lines(rows) {
            for words in &line.unheard {
                lines.push(Line::styled(words.clone(), self.color(Color::Red)));
            }
            let mut style = self.of(&line);
            if line.number == last {
                style = style.add_modifier(Modifier::REVERSED);
            }
            match line.number == last {
                // What happened last is whole, if there is room.
                true => lines.extend(
                    wrapped(&line.text, area.width, style)
                        .into_iter()
                        .take(rows),
                ),
                false => lines.push(Line::styled(line.text, style)),
            }
        }
        if lines.is_empty() {
            lines.push(Line::from("nothing has happened yet"));
        }
        let first = lines.len().saturating_sub(rows);
        frame.render_widget(Paragraph::new(lines.split_off(first)), area);
    }

    fn of(&self, line: &EventLine) -> Style {
        let what = line.text.split(' ').nth(2).unwrap_or_default();
        match what {
            _ if line.is_drop => self.color(Color::Red),
            "fault" => self.color(Color::Magenta),
            "link" => self.color(Color::Cyan),
            _ => Style::default(),
        }
    }

    fn color(&self, color: Color) -> Style {
        match self.color {
            true => Style::default().fg(color),
            // Without color a loss is bold.
            false if color == Color::Red => Style::default().add_modifier(Modifier::BOLD),
            false => Style::default(),
        }
    }

    /// What is said of the host that is chosen, and then of what is on its way; and where
    /// that begins.
    fn words_of_host(&self) -> (Vec<String>, usize) {
        let here = self.session.cursor.snapshot();
        let Some(host) = here.hosts.get(self.host) else {
            return (Vec::new(), 0);
        };
        let (name, state) = (&host.name, view::state(host));
        let mut words = vec![format!("{name} is {state}")];
        words.extend(view::lists(host));
        words.extend(view::connections(host));
        let own = words.len();
        words.extend(view::queues(&self.session.cursor, &here));
        (words, own)
    }

    /// The host that is chosen, and what is on its way.
    fn host(&self, frame: &mut Frame<'_>, area: Rect) {
        let (words, own) = self.words_of_host();
        let all = words.iter().enumerate().flat_map(|(index, line)| {
            let style = match index < own {
                true => Style::default(),
                false => self.color(Color::Cyan),
            };
            wrapped(line, area.width, style)
        });
        let mut lines: Vec<Line<'_>> = all.collect();
        let rows = usize::from(area.height).saturating_sub(1);
        // As far down as there is something.
        lines.drain(..self.below.min(lines.len().saturating_sub(rows)));
        if lines.len() > rows && rows > 0 {
            let more = lines.len() - rows + 1;
            lines.truncate(rows - 1);
            lines.push(Line::from(format!("and {more} lines more: z, j")));
        }
        lines.insert(0, self.names(area.width));
        frame.render_widget(Paragraph::new(lines), area);
    }

    /// The names of all hosts, those around the chosen one if not all fit.
    fn names(&self, width: u16) -> Line<'static> {
        let here = self.session.cursor.snapshot();
        let names: Vec<String> = here.hosts.iter().map(|host| host.name.clone()).collect();
        let long = |name: &String| name.chars().count() + 2;
        let mut first = 0;
        while first < self.host
            && names[first..=self.host].iter().map(long).sum::<usize>() > usize::from(width)
        {
            first += 1;
        }
        let spans = names.into_iter().enumerate().skip(first);
        let spans = spans.map(|(index, name)| match index == self.host {
            true => Span::styled(format!("[{name}]"), Modifier::BOLD),
            false => Span::from(format!(" {name} ")),
        });
        Line::from(spans.collect::<Vec<_>>())
    }

    fn words(&self) -> String {
        match &self.prompt {
            Some(typed) => format!("to event {typed}_   (enter goes, esc does not)"),
            None => self.message.join("; "),
        }
    }

    fn message(&self, frame: &mut Frame<'_>, area: Rect) {
        let lines = wrapped(&self.words(), area.width, Style::default());
        frame.render_widget(Paragraph::new(lines), area);
    }

    fn keys(&self, frame: &mut Frame<'_>, area: Rect) {
        let mut spans = Vec::new();
        for (key, what) in KEYS {
            spans.push(Span::styled(key, Modifier::BOLD));
            spans.push(Span::from(format!(" {what}  ")));
        }
        frame.render_widget(Line::from(spans), area);
    }

    fn help(&self, frame: &mut Frame<'_>, area: Rect) {
        let lines = HELP.iter().map(|(keys, what)| {
            let keys = Span::styled(format!("{keys:<18}"), Modifier::BOLD);
            Line::from(vec![keys, Span::from(*what)])
        });
        frame.render_widget(Clear, area);
        let text = Paragraph::new(lines.collect::<Vec<_>>()).wrap(Wrap { trim: false });
        frame.render_widget(text, area);
    }
}

/// How many rows these words need.
fn rows(words: &str, width: u16) -> u16 {
    let rows = words.chars().count().div_ceil(usize::from(width).max(1));
    u16::try_from(rows).unwrap_or(u16::MAX)
}

/// Words cut where the row ends.
fn wrapped(words: &str, width: u16, style: Style) -> Vec<Line<'static>> {
    let letters: Vec<char> = words.chars().collect();
    let rows = letters.chunks(usize::from(width).max(1));
    rows.map(|row| Line::styled(row.iter().collect::<String>(), style))
        .collect()
}

#[cfg(test)]
mod tests;
