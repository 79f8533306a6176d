//! The firmware's half of the lock step: descriptor 0 of a process that a world started.

use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;

use crate::message::{Answer, Boot, Message, NoMessage, Turn};

/// A world that this process is a machine of.
#[derive(Debug)]
pub struct Firmware {
    wire: File,
    unread: Vec<u8>,
    /// The turn that is not answered yet.
    number: u32,
}

/// This process is no machine of a world that it can understand.
#[derive(Debug)]
pub enum Refused {
    /// Nobody said boot: start it from a test, with `Process::new` of `cygnet-world`.
    NoWorld,
    /// The world has another version of the lock step: build both with the same.
    NoMessage(NoMessage),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::NoWorld => f.write_str(
                "this firmware is a machine of a world, and no world started it: start it from a \
                 test, with cygnet_world::Process::new",
            ),
            Refused::NoMessage(why) => {
                write!(f, "{why}: build both with the same cygnet-lockstep")
            }
        }
    }
}

impl std::error::Error for Refused {}

impl Firmware {
    /// Waits for the power, and says that the firmware is there.
    ///
    /// # Errors
    /// [`Refused`]: no world started this process, or one of another version.
    pub fn start() -> Result<(Firmware, Boot), Refused> {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned();
        let mut firmware = Firmware {
            wire: stdin.map_err(|_| Refused::NoWorld)?.into(),
            unread: Vec::new(),
            number: 0,
        };
        let boot = match firmware.next() {
            Ok(Some(Message::Boot(boot))) => boot,
            Ok(_) | Err(NoMessage::Garbage(_)) => return Err(Refused::NoWorld),
            Err(other) => {
                firmware.say(&Message::Ready); // the world knows what that means
                return Err(Refused::NoMessage(other));
            }
        };
        match firmware.say(&Message::Ready) {
            true => Ok((firmware, boot)),
            false => Err(Refused::NoWorld),
        }
    }

    /// Waits for the next turn; `None` when the power is cut: end the process.
    pub fn turn(&mut self) -> Option<Turn> {
        match self.next() {
            Ok(Some(Message::Turn(number, turn))) => {
                self.number = number;
                Some(turn)
            }
            _ => None,
        }
    }

    /// Ends the turn. What was printed in it is told before its frames.
    pub fn answer(&mut self, answer: Answer) {
        let _ = std::io::stdout().flush(); // nobody is there to print to
        self.say(&Message::Answer(self.number, answer)); // without a world there is no next turn
    }

    fn say(&mut self, message: &Message) -> bool {
        self.wire.write_all(&message.encode()).is_ok()
    }

    /// The next message; `None` at the end.
    fn next(&mut self) -> Result<Option<Message>, NoMessage> {
        let mut more = [0; 1 << 15];
        loop {
            if let Some((message, length)) = Message::decode(&self.unread)? {
                self.unread.drain(..length);
                return Ok(Some(message));
            }
            match self.wire.read(&mut more) {
                Ok(count @ 1..) => self.unread.extend(&more[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => (),
                Ok(0) | Err(_) => return Ok(None),
            }
        }
    }
}
