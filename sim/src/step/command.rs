//! What one can say to `sim step`, as words: `n; back; to 120; lose`.
//!
//! Not here: doing it (`session`), and keys (`screen`).

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// So many events forward.
    Next(u64),
    /// So many events back.
    Back(u64),
    /// To where this event has just happened.
    To(u64),
    /// To the next drop.
    Drop,
    /// To before the first event.
    Start,
    /// To the last event.
    End,
    /// Lose the next frame.
    Lose,
    /// Say something of what is here.
    Show(Show),
    /// The commands.
    Help,
    /// Enough.
    Quit,
}

/// What can be said of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// The event that happened last.
    Where,
    /// So many events.
    Lines(usize),
    /// What tasks wait for.
    Tasks,
    /// Connections.
    Connections,
    /// Rings, and frames on their way.
    Queues,
    /// The plan.
    Plan,
}

/// Every command: its words, and what it does.
pub(super) const COMMANDS: [(&str, &str); 14] = [
    ("n [COUNT]", "one event forward, or so many; also: next"),
    ("b [COUNT]", "one event back; also: back"),
    (
        "to EVENT",
        "to where the event with this number has just happened",
    ),
    (
        "drop",
        "to the next event in which a frame is lost or dropped",
    ),
    ("start", "to before the first event"),
    ("end", "to the last event, and how it ended"),
    (
        "lose",
        "lose the next frame, write the plan of that, stay here",
    ),
    ("tasks", "every host's tasks, to_read, to_write"),
    ("connections", "every host's connections"),
    ("queues", "frames in rings of cards, and on their way"),
    ("lines [COUNT]", "the last events; 10 if nothing is said"),
    ("where", "the event that happened last"),
    ("plan", "the plan, with the frames that were lost here"),
    ("help, quit", "this list; the end"),
];

/// The words of commands: what is between semicolons and ends of lines. `#` begins a
/// comment.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines());
    lines.flat_map(|(number, line)| {
        let line = line.split('#').next().unwrap_or_default();
        let pieces = line.split(';').map(str::trim);
        let pieces = pieces.filter(|piece| !piece.is_empty());
        pieces.map(move |piece| (number, piece))
    })
}

/// Reads a command.
///
/// # Errors
/// One line: what is wrong, and what is allowed.
pub(super) fn parse(text: &str) -> Result<Command, String> {
    let mut words = text.split_whitespace();
    let word = words.next().unwrap_or_default();
    let mut number = |default: Option<u64>| match (words.next(), default) {
        (None, Some(default)) => Ok(default),
        (None, None) => Err(format!("{word}: expected a number, such as `{word} 120`")),
        (Some(text), _) => text
            .parse()
            .map_err(|_| format!("{word}: expected a number, found {text:?}")),
    };
    let command = match word {
        "n" | "next" => Command::Next(number(Some(1))?),
        "b" | "back" => Command::Back(number(Some(1))?),
        "to" => Command::To(number(None)?),
        "d" | "drop" => Command::Drop,
        "start" => Command::Start,
        "end" => Command::End,
        "l" | "lose" => Command::Lose,
        "tasks" => Command::Show(Show::Tasks),
        "connections" => Command::Show(Show::Connections),
        "queues" => Command::Show(Show::Queues),
        "lines" => Command::Show(Show::Lines(
            usize::try_from(number(Some(10))?).unwrap_or(usize::MAX),
        )),
        "where" => Command::Show(Show::Where),
        "plan" => Command::Show(Show::Plan),
        "h" | "help" => Command::Help,
        "q" | "quit" => Command::Quit,
        _ => {
            let known = COMMANDS.map(|(words, _)| words.split([' ', ',']).next().unwrap_or(words));
            let known = known.join(", ");
            return Err(format!(
                "there is no command {word:?}; there are {known}, quit"
            ));
        }
    };
    match words.next() {
        None => Ok(command),
        Some(more) => Err(format!("{word}: expected nothing more, found {more:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_lines_and_between_semicolons() {
        let read = |text| -> Vec<Command> {
            pieces(text)
                .map(|(_, piece)| parse(piece).unwrap())
                .collect()
        };
        assert_eq!(
            read("n; next 3;;back\nto 120 # there\n\nlines 3; tasks;quit"),
            [
                Command::Next(1),
                Command::Next(3),
                Command::Back(1),
                Command::To(120),
                Command::Show(Show::Lines(3)),
                Command::Show(Show::Tasks),
                Command::Quit
            ]
        );
        let numbers: Vec<usize> = pieces("a;b\n\nc").map(|(number, _)| number).collect();
        assert_eq!(numbers, [1, 1, 3]);
        // Every command of the list is one.
        for (words, _) in COMMANDS {
            for word in words.split(", ") {
                let example = word.replace("[COUNT]", "2").replace("EVENT", "9");
                assert!(parse(&example).is_ok(), "{example}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_one_line() {
        for (text, expected) in [
            (
                "swim",
                "there is no command \"swim\"; there are n, b, to, drop, ",
            ),
            ("to", "to: expected a number, such as `to 120`"),
            ("to -3", "to: expected a number, found \"-3\""),
            ("n three", "n: expected a number, found \"three\""),
            ("tasks c1", "tasks: expected nothing more, found \"c1\""),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
    }
}
