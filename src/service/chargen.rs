//! Character generator (RFC 864): lines of 72 printable characters, each one
//! character further on, until the peer stops.

use crate::service::serve::server;
use crate::socket::TcpStream;

server!(chargen, chargen_client);

/// Fills the transmit buffer whenever there is room, until the client resets
/// or closes; what the client sends is thrown away.
///
/// # Cancel safety
/// **Safe.** The stream closes in the background.
pub async fn chargen_client(mut stream: TcpStream<'_>) {
    let (reader, writer) = stream.split();
    let mut at = 0;
    let mut write = core::pin::pin!(async {
        while let Ok(next) = writer.write_with(|room| fill(room, at)).await {
            at = next;
        }
    });
    let mut read = core::pin::pin!(async {
        while let Ok(1..) = reader.read_with(|bytes| (bytes.len(), bytes.len())).await {}
    });
    // Whichever ends first ends the stream.
    core::future::poll_fn(|cx| match read.as_mut().poll(cx) {
        core::task::Poll::Pending => write.as_mut().poll(cx),
        ended => ended,
    })
    .await
}

/// A line: 72 of the 95 printable characters and CR LF.
const LINE: u32 = 74;
const PRINTABLE: u32 = 95;

/// The printable characters, and so many again that each line is in one piece.
static CHARACTERS: [u8; (PRINTABLE + LINE) as usize] = {
    let mut characters = [0; (PRINTABLE + LINE) as usize];
    let mut at = 0;
    while at < characters.len() {
        characters[at] = b' ' + (at % PRINTABLE as usize) as u8;
        at += 1;
    }
    characters
};

/// Fills `room` from position `at` of the pattern, which repeats after 95
/// lines. Returns how much it filled and the next position.
fn fill(room: &mut [u8], at: u32) -> (usize, u32) {
    const PATTERN: usize = (LINE * PRINTABLE) as usize;
    let first = room.len().min(PATTERN);
    let (mut next, mut done) = (at, 0);
    while done < first {
        let (line, column) = (next / LINE, next % LINE);
        // The rest of the characters in one copy; the end of a line by itself.
        let piece: &[u8] = match column {
            72 => b"\r",
            73 => b"\n",
            _ => &CHARACTERS[(line + column) as usize..(line + 72) as usize],
        };
        let count = piece.len().min(first - done);
        room[done..done + count].copy_from_slice(&piece[..count]);
        done += count;
        next = (next + count as u32) % (LINE * PRINTABLE);
    }
    // And the same again, twice as much each time.
    while done < room.len() {
        let count = done.min(room.len() - done);
        room.copy_within(..count, done);
        done += count;
    }
    let next = (at as usize + room.len() % PATTERN) % PATTERN;
    (room.len(), next as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_the_same_in_any_pieces() {
        let mut whole = [0; 3 * (LINE * PRINTABLE) as usize + 1000];
        fill(&mut whole, 0);
        let mut pieces = whole;
        pieces.fill(0);
        let (mut at, mut done) = (0, 0);
        for size in (1..200).cycle() {
            let end = (done + size).min(pieces.len());
            let (count, next) = fill(&mut pieces[done..end], at);
            (at, done) = (next, done + count);
            if done == pieces.len() {
                break;
            }
        }
        assert_eq!(pieces, whole);
    }

    #[test]
    fn lines_are_those_of_the_rfc() {
        let mut lines = [0; 2 * LINE as usize];
        fill(&mut lines, 0);
        assert_eq!(&lines[..4], b" !\"#");
        assert_eq!(&lines[70..78], b"fg\r\n!\"#$");
    }
}
