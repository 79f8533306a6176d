//! Transfers as honest clients make them, drawn from a seed: most are short and a
//! few are long, some read slowly or write in pieces, all end their side together
//! with their last bytes, and a few give up on the way.
//!
//! A transfer that was not given up gets every byte and then a clean end. A clean
//! end with bytes missing, other bytes, and an error nobody had a reason for are
//! told with what the transfer was.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::net::sockopt;
use siphasher::sip::SipHasher13;

use crate::netns::{connect, connect_narrow};

/// The number in this variable, or `usual`.
pub fn asked(variable: &str, usual: u64) -> u64 {
    let asked = std::env::var(variable).ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// The draws of one transfer, one after the other.
struct Chance {
    hasher: SipHasher13,
    drawn: u32,
}

impl Chance {
    /// Uniform from 0 to `bound`, without `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.drawn += 1;
        let drawn = self.hasher.hash(&self.drawn.to_le_bytes());
        ((u128::from(drawn) * bound as u128) >> 64) as usize
    }
}

/// Which service, and so what comes back.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    /// Everything.
    Echo,
    /// Nothing but the end.
    Discard,
    /// The characters of RFC 864 until the client ends its side.
    Chargen,
    /// As echo, and the client resets the connection when half is back.
    GivenUp,
}

/// How somebody reads or writes: in pieces up to so long, with a pause ahead of the
/// first and after each of the first few.
#[derive(Clone, Copy, Debug)]
struct Pace {
    piece: usize,
    ahead: Duration,
    after: Duration,
    pauses: u32,
}

impl Pace {
    const QUICK: Pace = Pace {
        piece: 64 << 10,
        ahead: Duration::ZERO,
        after: Duration::ZERO,
        pauses: 0,
    };

    fn drawn(chance: &mut Chance) -> Pace {
        let millis = |count| Duration::from_millis(count as u64);
        match chance.below(10) {
            0..5 => Pace::QUICK,
            5..8 => Pace {
                ahead: millis(1 + chance.below(40)),
                ..Pace::QUICK
            },
            _ => Pace {
                piece: 1 + chance.below(4000),
                after: millis(1 + chance.below(10)),
                pauses: 8,
                ..Pace::QUICK
            },
        }
    }

    fn pause(&self, piece: u32) {
        if piece < self.pauses {
            std::thread::sleep(self.after);
        }
    }
}

/// One transfer.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    number: u32,
    what: What,
    bytes: usize,
    writes: Pace,
    reads: Pace,
    /// Of the client; `None` is the kernel's own.
    receive_buffer: Option<usize>,
}

/// More than the longest transfer has, and no part of it is like another.
static PATTERN: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
    let mut state = 1u64;
    let bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (state >> 56) as u8
    });
    bytes.take(4 << 20).collect()
});

/// The byte of chargen at this position.
fn character(at: usize) -> u8 {
    match (at / 74, at % 74) {
        (_, 72) => b'\r',
        (_, 73) => b'\n',
        (line, column) => b' ' + ((line + column) % 95) as u8,
    }
}

impl Transfer {
    /// The transfer with this number, to a server that receives `rx` bytes at a time:
    /// a half of them end within a few bytes of its buffer's end. The median is 4 KiB,
    /// and 1 % are longer than a mebibyte.
    pub fn drawn(seed: u64, number: u32, rx: usize) -> Transfer {
        let mut chance = Chance {
            hasher: SipHasher13::new_with_keys(seed, number.into()),
            drawn: 0,
        };
        let power = 4 + chance.below(9) + chance.below(8);
        let mut bytes = match chance.below(100) {
            0 => (1 << 20) + 1 + chance.below(1 << 20),
            _ => (1 << power) + chance.below(1 << power),
        };
        if chance.below(2) == 0 {
            let edge = bytes.div_ceil(rx) * rx;
            // Not where it would make one that is short long.
            if edge <= 2 * bytes {
                bytes = (edge + 3).saturating_sub(chance.below(7)).max(1);
            }
        }
        let what = match chance.below(100) {
            0..70 => What::Echo,
            70..84 => What::Discard,
            84..97 => What::Chargen,
            _ => What::GivenUp,
        };
        Transfer {
            number,
            what,
            bytes,
            writes: Pace::drawn(&mut chance),
            reads: Pace::drawn(&mut chance),
            receive_buffer: match chance.below(3) {
                0 => Some(1 << (12 + chance.below(5))),
                _ => None,
            },
        }
    }

    /// So many characters from chargen, as fast as may be, and what is still on its way.
    pub fn download(bytes: usize) -> Transfer {
        Transfer {
            number: 0,
            what: What::Chargen,
            bytes,
            writes: Pace::QUICK,
            reads: Pace::QUICK,
            receive_buffer: None,
        }
    }

    /// Makes the transfer. Gives how many bytes came back.
    ///
    /// # Errors
    /// One line: what was wrong, and after how much.
    pub fn run(&self, server: &Server<'_>) -> Result<usize, String> {
        let port = server.ports[match self.what {
            What::Echo | What::GivenUp => 0,
            What::Discard => 1,
            What::Chargen => 2,
        }];
        let ip = server.ips[self.number as usize % server.ips.len()];
        let said = |error: std::io::Error| format!("{error}");
        let stream = match self.receive_buffer {
            None => connect(ip, port),
            Some(bytes) => connect_narrow(ip, port, bytes),
        };
        let stream = stream.map_err(said)?;
        if self.what == What::Chargen {
            return self.read(
                &stream,
                |at| Some(character(at)),
                |at| {
                    if at >= self.bytes {
                        let _ = stream.shutdown(Shutdown::Write);
                    }
                    true
                },
            );
        }
        let start = self.number as usize % 4096;
        let pattern = &PATTERN[start..][..self.bytes];
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| self.write(&stream, pattern));
            let got = self.read(
                &stream,
                |at| match self.what {
                    What::Discard => None,
                    _ => pattern.get(at).copied(),
                },
                |at| self.what != What::GivenUp || at < self.bytes / 2,
            );
            if self.what == What::GivenUp {
                // Closing with a linger time of zero resets.
                sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
                let _ = stream.shutdown(Shutdown::Both);
                let _ = writer.join().unwrap();
                return got;
            }
            let got = got?;
            writer
                .join()
                .unwrap()
                .map_err(|error| format!("writing: {error}"))?;
            match self.what {
                What::Discard => Ok(got),
                _ if got == self.bytes => Ok(got),
                _ => Err(format!("a clean end after {got} bytes")),
            }
        })
    }

    fn write(&self, mut stream: &TcpStream, bytes: &[u8]) -> std::io::Result<()> {
        std::thread::sleep(self.writes.ahead);
        let pieces = bytes.chunks(self.writes.piece);
        let last = pieces.len() - 1;
        for (number, piece) in pieces.enumerate() {
            // What is written last waits for the end, and leaves with it.
            if number == last {
                sockopt::set_tcp_cork(stream, true)?;
            }
            stream.write_all(piece)?;
            self.writes.pause(number as u32);
        }
        stream.shutdown(Shutdown::Write)
    }

    /// Reads to the end, or until `goes_on` says no to a position, and compares.
    fn read(
        &self,
        mut stream: &TcpStream,
        right: impl Fn(usize) -> Option<u8>,
        goes_on: impl Fn(usize) -> bool,
    ) -> Result<usize, String> {
        let mut piece = vec![0; self.reads.piece];
        let (mut at, mut number) = (0, 0);
        std::thread::sleep(self.reads.ahead);
        while goes_on(at) {
            let read = stream.read(&mut piece);
            let count = read.map_err(|error| format!("reading after {at} bytes: {error}"))?;
            if count == 0 {
                break;
            }
            for (offset, byte) in piece[..count].iter().enumerate() {
                if right(at + offset) != Some(*byte) {
                    return Err(format!("another byte than sent at {}", at + offset));
                }
            }
            at += count;
            // The kernel delays acknowledgements, and a server with room for one segment
            // waits for each; whoever wants much does not.
            if self.bytes > 8192 {
                sockopt::set_tcp_quickack(stream, true).unwrap();
            }
            self.reads.pause(number);
            number += 1;
        }
        Ok(at)
    }
}

/// Where echo, discard and chargen answer.
#[derive(Debug)]
pub struct Server<'a> {
    pub ips: &'a [&'a str],
    pub ports: [u16; 3],
    /// The server's receive buffer.
    pub rx: usize,
    /// How many clients it is to have at the same time.
    pub clients: usize,
}

/// What transfers came to.
#[derive(Debug, Default)]
pub struct Sum {
    pub done: u32,
    pub given_up: u32,
    pub bytes: usize,
}

/// Makes the transfers with these numbers, each client the next one.
///
/// # Panics
/// When one fails: with all that did.
pub fn run(server: &Server<'_>, seed: u64, numbers: std::ops::Range<u32>) -> Sum {
    let next = AtomicU32::new(numbers.start);
    let (sum, failed) = (Mutex::new(Sum::default()), Mutex::new(Vec::new()));
    let worker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= numbers.end || failed.lock().unwrap().len() > 9 {
                return;
            }
            let transfer = Transfer::drawn(seed, number, server.rx);
            match transfer.run(server) {
                Ok(bytes) => {
                    let mut sum = sum.lock().unwrap();
                    let given_up = transfer.what == What::GivenUp;
                    sum.done += u32::from(!given_up);
                    sum.given_up += u32::from(given_up);
                    sum.bytes += bytes;
                }
                Err(why) => failed.lock().unwrap().push(format!("{why}: {transfer:?}")),
            }
        }
    };
    // Threads of this one are in its namespace.
    std::thread::scope(|scope| {
        for _ in 0..server.clients {
            scope.spawn(worker);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{server:?}, CYGNET_SEED={seed}:\n{}",
        failed.join("\n")
    );
    sum.into_inner().unwrap()
}
