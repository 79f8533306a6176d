//! What world and firmware say to each other, as bytes. The table is in the crate's
//! documentation.
//!
//! Not here: sockets.

use std::fmt;

/// The version of the messages. Both halves must have the same.
pub const VERSION: u16 = 1;

/// How long a frame may be, from its shortest to its longest.
pub const FRAME_BYTES: std::ops::RangeInclusive<usize> = 14..=1514;

/// A message longer than this is none.
const LONGEST: usize = 16 << 20;

const MAGIC: &[u8; 6] = b"cygnet";
const NEVER: u64 = u64::MAX;

/// Power on: who the firmware is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    /// The host's name in the world.
    pub name: String,
    /// Its Ethernet address.
    pub hardware: [u8; 6],
    /// Its IPv4 address, and how long the network's prefix is.
    pub ipv4: ([u8; 4], u8),
    /// Its IPv6 address, and how long the network's prefix is.
    pub ipv6: ([u8; 16], u8),
    /// For a random generator; another at every boot.
    pub entropy: [u8; 32],
    /// What its clock shows, in microseconds.
    pub now: u64,
}

/// A turn of the firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What its clock shows, in microseconds.
    pub now: u64,
    /// The frames that arrived since the last turn.
    pub frames: Vec<Vec<u8>>,
}

/// What came of a turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Frames to send.
    pub frames: Vec<Vec<u8>>,
    /// When the next turn is wanted if no frame comes before, in microseconds of its
    /// clock.
    pub next: Option<u64>,
    /// It has nothing left to do, unless somebody asks.
    pub is_done: bool,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// World to firmware: power on.
    Boot(Boot),
    /// Firmware to world: it is there.
    Ready,
    /// World to firmware: take the turn with this number.
    Turn(u32, Turn),
    /// Firmware to world: this came of that turn.
    Answer(u32, Answer),
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMessage {
    /// A message of this version, which is another than [`VERSION`].
    Version(u16),
    /// Something else; what is wrong with it.
    Garbage(&'static str),
}

impl fmt::Display for NoMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoMessage::Version(version) => write!(
                f,
                "one half speaks version {version} of the lock step, the other version {VERSION}"
            ),
            NoMessage::Garbage(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for NoMessage {}

impl Message {
    /// The message as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        match self {
            Message::Boot(boot) => {
                bytes.push(1);
                hello(&mut bytes);
                bytes.extend(boot.hardware);
                bytes.extend(boot.ipv4.0);
                bytes.push(boot.ipv4.1);
                bytes.extend(boot.ipv6.0);
                bytes.push(boot.ipv6.1);
                bytes.extend(boot.entropy);
                bytes.extend(boot.now.to_le_bytes());
                part(&mut bytes, boot.name.as_bytes());
            }
            Message::Ready => {
                bytes.push(129);
                hello(&mut bytes);
            }
            Message::Turn(number, turn) => {
                bytes.push(2);
                bytes.extend(number.to_le_bytes());
                bytes.extend(turn.now.to_le_bytes());
                parts(&mut bytes, &turn.frames);
            }
            Message::Answer(number, answer) => {
                bytes.push(130);
                bytes.extend(number.to_le_bytes());
                bytes.extend(answer.next.unwrap_or(NEVER).to_le_bytes());
                bytes.push(answer.is_done.into());
                parts(&mut bytes, &answer.frames);
            }
        }
        let length = (bytes.len() - 4) as u32;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes
    }

    /// The message that these bytes begin with, and how many it has; `None` as long as
    /// it is not complete.
    ///
    /// # Errors
    /// [`NoMessage`]: no further byte makes it one.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Message, usize)>, NoMessage> {
        let Some((length, rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length == 0 || length > LONGEST {
            return Err(NoMessage::Garbage("its length is none of a message"));
        }
        // A kind that is none is said before the rest comes, which it never may.
        if !matches!(rest.first(), None | Some(1 | 2 | 129 | 130)) {
            return Err(NoMessage::Garbage("its kind is none of a message"));
        }
        let Some(mut body) = rest.get(..length).map(Body) else {
            return Ok(None);
        };
        let message = body.message()?;
        match body.0.is_empty() {
            true => Ok(Some((message, 4 + length))),
            false => Err(NoMessage::Garbage("it is longer than its fields")),
        }
    }
}

fn hello(bytes: &mut Vec<u8>) {
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
}

fn part(bytes: &mut Vec<u8>, part: &[u8]) {
    let part = &part[..part.len().min(u16::MAX.into())];
    bytes.extend((part.len() as u16).to_le_bytes());
    bytes.extend(part);
}

fn parts(bytes: &mut Vec<u8>, frames: &[Vec<u8>]) {
    let frames = &frames[..frames.len().min(u16::MAX.into())];
    bytes.extend((frames.len() as u16).to_le_bytes());
    frames.iter().for_each(|frame| part(bytes, frame));
}

/// The fields of a message that are not read yet.
struct Body<'b>(&'b [u8]);

impl Body<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], NoMessage> {
        let split = self.0.split_first_chunk();
        let (field, rest) = split.ok_or(NoMessage::Garbage("it is shorter than its fields"))?;
        self.0 = rest;
        Ok(*field)
    }

    fn part(&mut self) -> Result<Vec<u8>, NoMessage> {
        let length = u16::from_le_bytes(self.take()?);
        let split = self.0.split_at_checked(length.into());
        let (part, rest) = split.ok_or(NoMessage::Garbage("it is shorter than its fields"))?;
        self.0 = rest;
        Ok(part.to_vec())
    }

    fn frames(&mut self) -> Result<Vec<Vec<u8>>, NoMessage> {
        let count = u16::from_le_bytes(self.take()?);
        let frames: Result<Vec<_>, _> = (0..count).map(|_| self.part()).collect();
        let frames = frames?;
        match frames.iter().all(|it| FRAME_BYTES.contains(&it.len())) {
            true => Ok(frames),
            false => Err(NoMessage::Garbage(
                "a frame in it has not 14 to 1514 bytes: Ethernet frames have",
            )),
        }
    }

    fn hello(&mut self) -> Result<(), NoMessage> {
        if self.take()? != *MAGIC {
            return Err(NoMessage::Garbage("it does not begin with `cygnet`"));
        }
        match u16::from_le_bytes(self.take()?) {
            VERSION => Ok(()),
            version => Err(NoMessage::Version(version)),
        }
    }

    fn message(&mut self) -> Result<Message, NoMessage> {
        let [kind] = self.take()?;
        Ok(match kind {
            1 => {
                self.hello()?;
                let hardware = self.take()?;
                let (ipv4, [prefix]) = (self.take()?, self.take()?);
                let (ipv6, [prefix_v6]) = (self.take()?, self.take()?);
                let entropy = self.take()?;
                let now = u64::from_le_bytes(self.take()?);
                let name = String::from_utf8(self.part()?);
                Message::Boot(Boot {
                    name: name.map_err(|_| NoMessage::Garbage("its name is not UTF-8"))?,
                    hardware,
                    ipv4: (ipv4, prefix),
                    ipv6: (ipv6, prefix_v6),
                    entropy,
                    now,
                })
            }
            129 => {
                self.hello()?;
                Message::Ready
            }
            2 => {
                let number = u32::from_le_bytes(self.take()?);
                let now = u64::from_le_bytes(self.take()?);
                let frames = self.frames()?;
                Message::Turn(number, Turn { now, frames })
            }
            130 => {
                let number = u32::from_le_bytes(self.take()?);
                let next = u64::from_le_bytes(self.take()?);
                let [is_done] = self.take()?;
                let answer = Answer {
                    next: (next != NEVER).then_some(next),
                    is_done: is_done != 0,
                    frames: self.frames()?,
                };
                Message::Answer(number, answer)
            }
            _ => return Err(NoMessage::Garbage("its kind is none of a message")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [Message; 5] {
        let frames = vec![vec![1; 14], vec![2; 1514]];
        let answer = Answer {
            frames: frames.clone(),
            next: Some(u64::MAX - 1),
            is_done: true,
        };
        [
            Message::Boot(Boot {
                name: "sérver".into(),
                hardware: [2, 0, 0, 0, 0, 1],
                ipv4: ([10, 0, 0, 1], 16),
                ipv6: ([0xfd; 16], 64),
                entropy: [7; 32],
                now: 0x0102_0304_0506_0708,
            }),
            Message::Ready,
            Message::Turn(0x0102_0304, Turn { now: 5, frames }),
            Message::Answer(3, answer),
            Message::Answer(0, Answer::default()),
        ]
    }

    #[test]
    fn what_is_written_is_read_and_a_part_of_it_is_not_yet() {
        for message in all() {
            let bytes = message.encode();
            let more = [&bytes[..], &[9; 3]].concat();
            assert_eq!(Message::decode(&more), Ok(Some((message, bytes.len()))));
            for count in 0..bytes.len() {
                assert_eq!(Message::decode(&bytes[..count]), Ok(None), "{count}");
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_version_1() {
        let ready = Message::Ready.encode();
        assert_eq!(ready, *b"\x09\x00\x00\x00\x81cygnet\x01\x00");
        let answer = Answer {
            frames: vec![vec![0xab; 14]],
            next: None,
            is_done: true,
        };
        let bytes = Message::Answer(7, answer).encode();
        let head = [32, 0, 0, 0, 130, 7, 0, 0, 0];
        let fields = [&head[..], &[0xff; 8], &[1, 1, 0, 14, 0], &[0xab; 14]];
        assert_eq!(bytes, fields.concat());
    }

    #[test]
    fn what_is_no_message_says_why() {
        let says = |bytes: &[u8]| Message::decode(bytes).unwrap_err().to_string();
        assert!(says(b"\0\0\0\0").contains("length"));
        assert!(says(b"hello world").contains("length"));
        assert!(says(b"\x01\0\0\0\x07").contains("kind"));
        assert!(says(b"\x02\0\0\0\x82\0").contains("shorter"));
        assert!(says(b"\x09\0\0\0\x81cygnix\x01\0").contains("`cygnet`"));
        let other = Message::decode(b"\x09\0\0\0\x81cygnet\x02\0");
        assert_eq!(other, Err(NoMessage::Version(2)));
        let mut long = Message::Ready.encode();
        long[0] += 1;
        long.push(0);
        assert!(says(&long).contains("longer"));
        let frames = vec![vec![0; 13]];
        let short = Message::Turn(0, Turn { now: 0, frames });
        assert!(says(&short.encode()).contains("14 to 1514"));
    }

    #[test]
    fn no_bytes_whatever_end_the_process() {
        let mut state = 7_u64;
        for _ in 0..20_000 {
            let mut bytes = all()[(state % 5) as usize].encode();
            for _ in 0..3 {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                let at = (state >> 33) as usize % bytes.len();
                bytes[at] = (state >> 20) as u8;
            }
            let _ = Message::decode(&bytes);
        }
    }
}
