//! A machine that is a program: firmware compiled for this host, in lock step over
//! descriptor 0. Power on starts the process and power off kills it, so statics are no
//! obstacle, and nothing of one boot is there in the next.
//!
//! Not here: the firmware's half and the messages, which are `cygnet-lockstep`.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration as WallTime;

use cygnet_lockstep::{Boot, Message, NoMessage, Turn};
use smoltcp::time::Instant;
use smoltcp::wire::IpAddress;

use super::card::Card;
use super::child::{Child, Silence};
use super::identity::Identity;
use super::machine::{Broken, Entropy, Machine};

/// How long a turn may take by the wall clock, unless somebody says. A busy machine
/// needs a second perhaps.
const PATIENCE: WallTime = WallTime::from_secs(20);

/// Lines of a program's last words that a violation repeats.
const LAST_WORDS: usize = 8;

/// Firmware that is compiled for this host and speaks the lock step of
/// [`cygnet_lockstep`]. Each boot starts the program anew; a crash kills it.
///
/// ```no_run
/// use cygnet_world::{Process, World};
///
/// let mut world = World::new(7);
/// // In a test of the firmware's own package: env!("CARGO_BIN_EXE_firmware").
/// let server = world.machine("server", Process::new("target/debug/firmware").arg("--slow"));
/// ```
///
/// What it prints, to standard output or error, is told as lines of the host. A program
/// that cannot be started, ends, says nothing for 20 seconds, or says what is no message
/// is a violation of `machine` that says what to do. Its process is gone when the host
/// crashes and when the world ends, however that ends.
#[derive(Debug)]
pub struct Process {
    program: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    patience: WallTime,
    child: Option<Child>,
    /// What it printed since its last turn.
    printed: Vec<String>,
    is_done: bool,
    /// Turns of this boot.
    turns: u32,
}

impl Process {
    /// A machine that is this program.
    pub fn new(program: impl AsRef<OsStr>) -> Process {
        Process {
            program: program.as_ref().into(),
            arguments: Vec::new(),
            variables: Vec::new(),
            patience: PATIENCE,
            child: None,
            printed: Vec::new(),
            is_done: false,
            turns: 0,
        }
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Process {
        self.arguments.push(argument.as_ref().into());
        self
    }

    /// With a variable of its environment, which is otherwise that of the test, with
    /// `RUST_BACKTRACE=0`.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Process {
        let variable = (name.as_ref().into(), value.as_ref().into());
        self.variables.push(variable);
        self
    }

    /// With another guard against turns that never end, by the wall clock. It decides
    /// nothing in a world that does not fail.
    #[must_use]
    pub fn patience(self, patience: WallTime) -> Process {
        let patience = patience.max(WallTime::from_millis(1));
        Process { patience, ..self }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env("RUST_BACKTRACE", "0");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Says this to the child, and gives what it answers.
    fn ask(&mut self, message: &Message, what: &str) -> Result<Message, Broken> {
        let Some(child) = &mut self.child else {
            return Err(Broken::new("it is off"));
        };
        let asked = child.ask(message, &mut self.printed);
        asked.map_err(|silence| self.broken(&silence, what))
    }

    fn name(&self) -> String {
        let name = Path::new(&self.program).file_name();
        name.unwrap_or(&self.program).to_string_lossy().into_owned()
    }

    /// What went wrong in `what`, what can be done, and its last words.
    fn broken(&self, silence: &Silence, what: &str) -> Broken {
        let name = self.name();
        let mut text = match silence {
            Silence::Unstarted(error) => format!(
                "the firmware {} cannot be started: {error}. Build it before the test: as \
                 env!(\"CARGO_BIN_EXE_{name}\") cargo does",
                self.program.to_string_lossy()
            ),
            Silence::Ended(how) => format!(
                "the firmware {name} {how} {what}. It must answer until the power is cut: \
                 cygnet_lockstep::Firmware::turn says when"
            ),
            Silence::Late(time) => format!(
                "the firmware {name} said nothing for {time:?} {what}. It waits for what is not \
                 of this world (a real clock, a thread, a socket), or it never ends its turn: it \
                 must answer every turn, and ask for the next"
            ),
            Silence::Loud => format!(
                "the firmware {name} prints without end {what}: say less in a turn than 100,000 \
                 lines"
            ),
            Silence::Garbage(NoMessage::Version(version), _) => format!(
                "the firmware {name} speaks version {version} of the lock step, and this world \
                 version {}: build both with the same cygnet-lockstep",
                cygnet_lockstep::VERSION
            ),
            Silence::Garbage(NoMessage::Garbage(why), first) => format!(
                "the firmware {name} wrote what is no message {what}: {why}; \"{}\". Only \
                 cygnet_lockstep may write to descriptor 0; print to standard output",
                first.escape_ascii()
            ),
        };
        let skipped = self.printed.len().saturating_sub(LAST_WORDS);
        if !self.printed.is_empty() {
            text += "\nit printed:";
        }
        for line in &self.printed[skipped..] {
            let _ = write!(text, "\n  {line}");
        }
        Broken::new(text)
    }
}

impl Machine for Process {
    fn boot(&mut self, who: &Identity, mut entropy: Entropy, now: Instant) -> Result<(), Broken> {
        self.power_off();
        let what = "when it was switched on";
        let child = Child::start(self.command(), self.patience);
        self.child = Some(child.map_err(|silence| self.broken(&silence, what))?);
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        let [v4, v6] = who.addresses;
        let (IpAddress::Ipv4(ipv4), IpAddress::Ipv6(ipv6)) = (v4.address(), v6.address()) else {
            unreachable!("an identity has an address of each kind");
        };
        let boot = Message::Boot(Boot {
            name: who.name.to_string(),
            hardware: who.hardware.0,
            ipv4: (ipv4.octets(), v4.prefix_len()),
            ipv6: (ipv6.octets(), v6.prefix_len()),
            entropy: bytes,
            now: micros(now),
        });
        match self.ask(&boot, what)? {
            Message::Ready => Ok(()),
            _ => Err(self.broken(&unexpected(), what)),
        }
    }

    fn turn(&mut self, card: &mut Card, now: Instant) -> Result<Option<Instant>, Broken> {
        let mut frames = Vec::new();
        while let Some(frame) = card.receive() {
            frames.push(frame);
        }
        self.turns = self.turns.wrapping_add(1);
        let turn = Turn {
            now: micros(now),
            frames,
        };
        let turn = Message::Turn(self.turns, turn);
        let what = format!("in its turn at {now} of its clock");
        let answer = match self.ask(&turn, &what)? {
            Message::Answer(number, answer) if number == self.turns => answer,
            _ => return Err(self.broken(&unexpected(), &what)),
        };
        self.printed.drain(..).for_each(|line| card.print(line));
        answer.frames.into_iter().for_each(|frame| card.send(frame));
        self.is_done = answer.is_done;
        let next = answer.next.map(|next| i64::try_from(next).ok());
        Ok(next.map(|next| Instant::from_micros(next.unwrap_or(i64::MAX))))
    }

    fn power_off(&mut self) {
        self.child = None;
        self.printed.clear();
        (self.is_done, self.turns) = (false, 0);
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    fn waiting(&self) -> String {
        let doing = if self.is_done { "done" } else { "busy" };
        format!("firmware {}, {doing}", self.name())
    }
}

fn unexpected() -> Silence {
    let why = NoMessage::Garbage("it answers something else than what was asked, or twice");
    Silence::Garbage(why, Vec::new())
}

fn micros(time: Instant) -> u64 {
    u64::try_from(time.total_micros()).unwrap_or(0)
}
