//! A child process in lock step: what is said to it, what it answers, what it prints,
//! and that it is gone when nobody needs it any more.
//!
//! The wall clock is a guard here and nothing else: a child that says nothing for too
//! long is an error, so a world never hangs.

use std::fmt;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child as Process, Command, Stdio};
use std::time::{Duration as WallTime, Instant as WallClock};

use cygnet_lockstep::{Message, NoMessage};

/// How often who waits looks at what the child prints meanwhile, so that it does not
/// wait for room to print.
const LOOK: WallTime = WallTime::from_millis(50);

/// How long a child that hung up has to be gone by itself.
const FAREWELL: WallTime = WallTime::from_secs(2);

/// How many bytes of what is no message are shown.
const SHOWN: usize = 24;

/// Lines that a child may print in a turn, and how long one may be until it is cut.
const LINES: usize = 100_000;
const LINE_BYTES: usize = 4096;

/// Why a child said nothing, or nothing good.
#[derive(Debug)]
pub(super) enum Silence {
    /// It could not be started.
    Unstarted(io::Error),
    /// It is gone; how.
    Ended(String),
    /// It said nothing for this long.
    Late(WallTime),
    /// It prints and prints.
    Loud,
    /// It wrote something else; the first bytes of it.
    Garbage(NoMessage, Vec<u8>),
}

/// See the [module](self). Dropped, it is killed and waited for.
pub(super) struct Child {
    process: Process,
    wire: UnixStream,
    console: UnixStream,
    unread: Vec<u8>,
    /// A line that has no end yet.
    line: Vec<u8>,
    patience: WallTime,
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Child").field(&self.process.id()).finish()
    }
}

impl Child {
    /// Starts it with its end of the wire as descriptor 0.
    ///
    /// # Errors
    /// [`Silence::Unstarted`].
    pub(super) fn start(mut command: Command, patience: WallTime) -> Result<Child, Silence> {
        let mut start = || {
            let (wire, theirs) = UnixStream::pair()?;
            let (console, output) = UnixStream::pair()?;
            wire.set_read_timeout(Some(LOOK.min(patience)))?;
            wire.set_write_timeout(Some(patience))?;
            console.set_nonblocking(true)?;
            command.stdin(Stdio::from(OwnedFd::from(theirs)));
            command.stdout(Stdio::from(OwnedFd::from(output.try_clone()?)));
            command.stderr(Stdio::from(OwnedFd::from(output)));
            Ok(Child {
                process: command.spawn()?,
                wire,
                console,
                unread: Vec::new(),
                line: Vec::new(),
                patience,
            })
        };
        // The command goes, and with it this process's copies of the child's ends:
        // otherwise nobody would see when the child is gone.
        start().map_err(Silence::Unstarted)
    }

    /// Says this and waits for what it answers. What it printed goes to `printed`, a
    /// line at a time.
    ///
    /// # Errors
    /// [`Silence`].
    pub(super) fn ask(
        &mut self,
        message: &Message,
        printed: &mut Vec<String>,
    ) -> Result<Message, Silence> {
        let answered = self.write(message).and_then(|()| self.read(printed));
        if answered.is_err() {
            // Whatever is left of its last words.
            let _ = self.listen(printed);
            let rest = std::mem::take(&mut self.line);
            if !rest.is_empty() {
                printed.push(words(&rest));
            }
        }
        answered
    }

    fn write(&mut self, message: &Message) -> Result<(), Silence> {
        match self.wire.write_all(&message.encode()) {
            Ok(()) => Ok(()),
            Err(error) if is_timeout(&error) => Err(Silence::Late(self.patience)),
            Err(_) => Err(Silence::Ended(self.end())),
        }
    }

    fn read(&mut self, printed: &mut Vec<String>) -> Result<Message, Silence> {
        let begun = WallClock::now();
        let mut more = [0; 1 << 15];
        loop {
            match Message::decode(&self.unread) {
                Ok(Some((message, length))) => {
                    self.unread.drain(..length);
                    self.listen(printed)?;
                    return Ok(message);
                }
                Ok(None) => (),
                Err(wrong) => {
                    // As much as is shown, so that it is the same every time.
                    while self.unread.len() < SHOWN
                        && let Ok(count @ 1..) = self.wire.read(&mut more)
                    {
                        self.unread.extend(&more[..count]);
                    }
                    self.unread.truncate(SHOWN);
                    let first = std::mem::take(&mut self.unread);
                    return Err(Silence::Garbage(wrong, first));
                }
            }
            match self.wire.read(&mut more) {
                Ok(0) => return Err(Silence::Ended(self.end())),
                Ok(count) => self.unread.extend(&more[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => (),
                Err(error) if is_timeout(&error) => {
                    self.listen(printed)?;
                    if begun.elapsed() >= self.patience {
                        return Err(Silence::Late(self.patience));
                    }
                }
                Err(_) => return Err(Silence::Ended(self.end())),
            }
        }
    }

    /// Takes what it printed. That is there before its answer is.
    fn listen(&mut self, printed: &mut Vec<String>) -> Result<(), Silence> {
        let mut more = [0; 1 << 12];
        while printed.len() < LINES {
            let Ok(count @ 1..) = self.console.read(&mut more) else {
                return Ok(());
            };
            for &byte in &more[..count] {
                if byte != b'\n' {
                    self.line.push(byte);
                }
                if byte == b'\n' || self.line.len() >= LINE_BYTES {
                    printed.push(words(&std::mem::take(&mut self.line)));
                }
            }
        }
        Err(Silence::Loud)
    }

    /// How it ended.
    fn end(&mut self) -> String {
        let begun = WallClock::now();
        while begun.elapsed() < FAREWELL {
            match self.process.try_wait() {
                Ok(Some(status)) => return format!("ended ({status})"),
                Ok(None) => std::thread::sleep(WallTime::from_millis(1)),
                Err(_) => break,
            }
        }
        "closed descriptor 0, which is its wire to the world".into()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it may be gone already
        let _ = self.process.wait();
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// A line as text. The standard library says a thread's number when it panics, which is
/// another in every run.
fn words(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line).trim_end().to_owned();
    let panic = line.split_once("' (").and_then(|(head, rest)| {
        let (number, rest) = rest.split_once(") panicked")?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        (head.starts_with("thread '") && is_number).then(|| format!("{head}' panicked{rest}"))
    });
    panic.unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_said_without_the_number_of_its_thread() {
        let line = b"thread 'main' (4711) panicked at src/main.rs:3:5:\r";
        assert_eq!(words(line), "thread 'main' panicked at src/main.rs:3:5:");
        for other in [
            "thread 'main' (a) panicked",
            "thread 'x",
            "it's (1) panicked",
        ] {
            assert_eq!(words(other.as_bytes()), other);
        }
    }
}
