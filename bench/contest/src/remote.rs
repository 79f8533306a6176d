//! A world in another process, for contenders that must not share a build: the
//! two talk a line at a time, and only between measurements.
//!
//! ```text
//! UNITS WATCH             do that much
//! DONE NANOSECONDS TURNS  so much it was, and so long the timed turns took
//! ```

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::world::{Contest, Watch};

/// Does what the standard input asks for.
pub fn serve(world: &mut dyn Contest) {
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let (units, watch) = line.split_once(' ').expect("two words");
        let watch = match watch {
            "time" => Watch::Time,
            _ => Watch::Nothing,
        };
        let done = world.advance(units.parse().expect("a number"), watch);
        let (nanos, turns) = world.spent();
        println!("{done} {nanos} {turns}");
    }
}

/// The other process, which serves.
pub struct Remote {
    child: Child,
    asks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    spent: (f64, u32),
}

impl Remote {
    pub fn start(program: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the contender's program");
        Remote {
            asks: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().expect("a pipe")),
            child,
            spent: (0.0, 0),
        }
    }
}

impl Contest for Remote {
    fn advance(&mut self, units: u64, watch: Watch) -> u64 {
        let watch = match watch {
            Watch::Time => "time",
            Watch::Count | Watch::Nothing => "nothing",
        };
        let asks = self.asks.as_mut().expect("open until the end");
        writeln!(asks, "{units} {watch}").expect("the contender lives");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("an answer");
        let words: Vec<&str> = line.split_whitespace().collect();
        let [done, nanos, turns] = words[..] else {
            panic!("not an answer: {line:?}");
        };
        self.spent.0 += nanos.parse::<f64>().expect("nanoseconds");
        self.spent.1 += turns.parse::<u32>().expect("turns");
        done.parse().expect("a number")
    }

    fn spent(&mut self) -> (f64, u32) {
        std::mem::take(&mut self.spent)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // The end of its input is the end of it.
        self.asks = None;
        let _ = self.child.wait();
    }
}
