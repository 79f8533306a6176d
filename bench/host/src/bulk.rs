//! One stream, as fast as it goes. Down: what a chargen server sends, and every
//! byte of it is compared. Up: to a discard server, which closes its side after
//! it has read everything, so an end that arrives proves that all of it did.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What is moved with one system call.
const CHUNK: usize = 256 << 10;
/// A server that is silent for so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Lines of the character generator: 95 of them, then again (RFC 864).
const PATTERN: usize = 95 * 74;

/// What was moved, and how long it took.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    /// Bytes.
    pub bytes: u64,
    /// The time.
    pub time: Duration,
}

impl Moved {
    /// Bytes per second.
    pub fn rate(&self) -> f64 {
        self.bytes as f64 / self.time.as_secs_f64()
    }
}

/// Reads from a chargen server for `time`.
///
/// # Errors
/// A connection that ended, a wrong byte, or a server that is silent.
pub fn down(server: SocketAddr, time: Duration) -> io::Result<Moved> {
    let mut stream = connect(server)?;
    let pattern: Vec<u8> = (0..PATTERN + CHUNK).map(character).collect();
    let mut chunk = vec![0; CHUNK];
    let (mut bytes, mut at) = (0, 0);
    let start = Instant::now();
    while start.elapsed() < time {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if chunk[..count] != pattern[at..][..count] {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a wrong byte"));
        }
        at = (at + count) % PATTERN;
        bytes += count as u64;
    }
    let time = start.elapsed();
    Ok(Moved { bytes, time })
}

/// Writes to a discard server for `time`, and waits until it has read it all.
///
/// # Errors
/// A connection that ended, or a server that is silent.
pub fn up(server: SocketAddr, time: Duration) -> io::Result<Moved> {
    let mut stream = connect(server)?;
    let chunk = vec![b'x'; CHUNK];
    let mut bytes = 0;
    let start = Instant::now();
    while start.elapsed() < time {
        bytes += stream.write(&chunk)? as u64;
    }
    stream.shutdown(Shutdown::Write)?;
    if stream.read(&mut [0])? != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer"));
    }
    let time = start.elapsed();
    Ok(Moved { bytes, time })
}

fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The byte at a place of the pattern.
fn character(at: usize) -> u8 {
    let (line, column) = (at % PATTERN / 74, at % 74);
    match column {
        72 => b'\r',
        73 => b'\n',
        _ => b' ' + ((line + column) % 95) as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_the_rfcs() {
        let pattern: Vec<u8> = (0..2 * PATTERN).map(character).collect();
        assert_eq!(&pattern[..4], b" !\"#");
        assert_eq!(&pattern[70..78], b"fg\r\n!\"#$");
        assert_eq!(pattern[..PATTERN], pattern[PATTERN..]);
    }
}
