//! Frames to a file that Wireshark opens: pcapng with nanosecond timestamps, one
//! interface for each host, and names for their addresses. On virtual time they count from 1970, so that a run
//! repeats to the byte. Blocks reach the file whole: a process that is killed
//! leaves a file that is short, not one that is broken. A capture of the wall clock is live:
//! a tenth of a second after a frame passed it is in the file.
//!
//! Not here: choosing frames. A disk that fills up ends the capture, never the
//! program; [`CaptureFile::finish`] says so.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use smoltcp::time::Instant;

/// How long a frame of a live capture stays in memory at most: whoever follows sees it then,
/// and whoever kills the process loses no more.
const LIVE: Duration = Duration::from_millis(100);
/// The same on virtual time, which nobody follows.
const VIRTUAL: Duration = Duration::from_secs(1);

/// What smoltcp's time 0 is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epoch {
    /// The first moment of 1970: the same run gives the same file.
    Virtual,
    /// This much after it, usually what the wall clock says at the start.
    Wall(Duration),
}

impl Epoch {
    /// The wall clock, for a device whose time 0 is now.
    pub fn wall_now() -> Epoch {
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Epoch::Wall(since_1970.unwrap_or_default())
    }
}

/// Which way a frame passed its interface: the two lowest bits of a packet's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the host.
    In = 1,
    /// Away from it.
    Out = 2,
}

/// The file of a capture: open, so that a path that cannot be written fails before
/// anything else is made, and untouched until [`start`](Self::start) or the first
/// frame. Dropped before that, it leaves no file that was not there.
pub struct CaptureFile {
    path: PathBuf,
    file: BufWriter<File>,
    /// The blocks that are to be written next.
    blocks: Vec<u8>,
    epoch: Duration,
    /// Whether the header is written.
    started: bool,
    /// Whether it was opened by its path; what a shell opened is not emptied.
    is_path: bool,
    /// Whether the file was not there before.
    made: bool,
    frames: u64,
    /// How long a frame stays in memory.
    keep: Duration,
    /// Since when there is one that is not in the file, or some that would be too late.
    unwritten: Option<Duration>,
    /// The first failure, until it is told.
    failed: Option<io::Error>,
    /// There was one, and it is told: nothing is written any more.
    is_over: bool,
}

/// The file could not be made: choose another path.
#[derive(Debug)]
pub struct CaptureError {
    path: PathBuf,
    error: io::Error,
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CaptureError { path, error } = self;
        write!(f, "cannot write the capture {}: {error}", path.display())
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl CaptureFile {
    /// Opens the file, or makes it, for the frames of the interface `name`.
    ///
    /// # Errors
    /// [`CaptureError`]: choose a path that can be written.
    pub fn create(path: &Path, name: &str, epoch: Epoch) -> Result<CaptureFile, CaptureError> {
        Self::create_for(path, &[name], epoch)
    }

    /// The same for the frames of several interfaces.
    ///
    /// # Errors
    /// [`CaptureError`]: choose a path that can be written.
    pub fn create_for(
        path: &Path,
        names: &[&str],
        epoch: Epoch,
    ) -> Result<CaptureFile, CaptureError> {
        let open = || {
            let made = File::options().write(true).create_new(true).open(path);
            let (file, made) = match made {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    (File::options().write(true).open(path)?, false)
                }
                made => (made?, true),
            };
            Ok((file, made))
        };
        let (file, made) = open().map_err(|error| CaptureError {
            path: path.into(),
            error,
        })?;
        let mut capture = Self::of(path, file, names, epoch);
        (capture.is_path, capture.made) = (true, made);
        Ok(capture)
    }

    /// Writes to standard output, for a program at the other end of a pipe.
    ///
    /// # Errors
    /// [`CaptureError`]: there is no standard output.
    #[cfg(unix)]
    pub fn stdout(name: &str, epoch: Epoch) -> Result<CaptureFile, CaptureError> {
        use std::os::fd::AsFd;
        let path = Path::new("on standard output");
        let file = io::stdout().as_fd().try_clone_to_owned();
        let file = file.map_err(|error| CaptureError {
            path: path.into(),
            error,
        })?;
        Ok(Self::of(path, file.into(), &[name], epoch))
    }

    fn of(path: &Path, file: File, names: &[&str], epoch: Epoch) -> CaptureFile {
        let (epoch, keep) = match epoch {
            Epoch::Virtual => (Duration::ZERO, VIRTUAL),
            Epoch::Wall(since_1970) => (since_1970, LIVE),
        };
        CaptureFile {
            path: path.into(),
            file: BufWriter::with_capacity(1 << 17, file),
            blocks: header(names),
            epoch,
            started: false,
            is_path: false,
            made: false,
            frames: 0,
            keep,
            unwritten: None,
            failed: None,
            is_over: false,
        }
    }

    /// Names addresses, for a reader that shows names. Before the first frame.
    pub fn resolve<'n>(&mut self, names: impl IntoIterator<Item = (IpAddr, &'n str)>) {
        if !self.started {
            resolution(&mut self.blocks, names);
        }
    }

    /// Empties the file and writes the header.
    pub fn start(&mut self) {
        self.started = true;
        let mut write = || {
            let file = self.file.get_ref();
            if self.is_path && file.metadata()?.is_file() {
                file.set_len(0)?; // a pipe to Wireshark has no length
            }
            self.file.write_all(&self.blocks)?;
            self.file.flush()
        };
        self.failed = write().err();
        self.blocks.clear();
    }

    /// Writes a frame that passed the interface with this number, and a comment
    /// on it.
    pub fn record(
        &mut self,
        interface: u32,
        at: Instant,
        direction: Direction,
        frame: &[u8],
        comment: Option<&str>,
    ) {
        if !self.started {
            self.start();
        }
        if self.failed.is_some() || self.is_over {
            return;
        }
        let at = Duration::from_micros(u64::try_from(at.total_micros()).unwrap_or(0));
        packet(
            &mut self.blocks,
            interface,
            self.epoch + at,
            direction,
            frame,
            comment,
        );
        match self.write(at) {
            Ok(()) => self.frames += 1,
            Err(error) => self.failed = Some(error),
        }
    }

    fn write(&mut self, at: Duration) -> io::Result<()> {
        // Within its capacity BufWriter never splits one write, so what reaches
        // the file ends with a block.
        let written = self.file.write_all(&self.blocks);
        self.blocks.clear();
        written?;
        let since = *self.unwritten.get_or_insert(at);
        match at.saturating_sub(since) >= self.keep {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unwritten = None;
        self.file.flush()
    }

    /// When [`show`](Self::show) is to be called, if no frame is recorded until then.
    pub fn is_due_at(&self) -> Option<Instant> {
        let micros = |at: Duration| i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
        match (&self.failed, self.unwritten) {
            (Some(_), _) => Some(Instant::ZERO),
            (None, since) => Some(Instant::from_micros(micros(since? + self.keep))),
        }
    }

    /// Writes what is in memory, for the reader who follows along.
    ///
    /// # Errors
    /// The first failure since the start; it is not told again, and no frame is written
    /// after it.
    pub fn show(&mut self) -> io::Result<()> {
        if self.is_over {
            return Ok(());
        }
        let shown = match self.failed.take() {
            Some(error) => {
                self.unwritten = None;
                Err(error)
            }
            None => self.flush(),
        };
        self.is_over = shown.is_err();
        shown
    }

    /// Writes what is buffered and returns how many frames the file has.
    ///
    /// # Errors
    /// The first failure since the start, once; frames after it are missing.
    pub fn finish(&mut self) -> io::Result<u64> {
        self.show().map(|()| self.frames)
    }
}

impl Drop for CaptureFile {
    fn drop(&mut self) {
        if !self.started {
            if self.made {
                let _ = std::fs::remove_file(&self.path);
            }
        } else if let Err(error) = self.finish() {
            eprintln!("the capture {} is incomplete: {error}", self.path.display());
        }
    }
}

// The format: draft-ietf-opsawg-pcapng, sections 3 and 4. Little-endian everywhere,
// so that the same run gives the same bytes.

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const NAME_RESOLUTION: u32 = 4;
const ENHANCED_PACKET: u32 = 6;
const ETHERNET: u16 = 1;

/// Options: what they are in any block, then by block.
const END: u16 = 0;
const COMMENT: u16 = 1;
const SECTION_PROGRAM: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_RESOLUTION: u16 = 9;
const PACKET_FLAGS: u16 = 2;

/// Records of a name resolution.
const NAME_OF_IPV4: u16 = 1;
const NAME_OF_IPV6: u16 = 2;

/// The blocks that come first: who wrote the file, and its interfaces.
fn header(names: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    block(&mut bytes, SECTION, |bytes| {
        bytes.extend(0x1a2b_3c4d_u32.to_le_bytes());
        bytes.extend([1, 0, 0, 0]); // version 1.0
        bytes.extend((-1_i64).to_le_bytes()); // of any length
        let program = concat!("cygnet ", env!("CARGO_PKG_VERSION"));
        option(bytes, SECTION_PROGRAM, program.as_bytes());
        option(bytes, END, &[]);
    });
    for name in names {
        block(&mut bytes, INTERFACE, |bytes| {
            bytes.extend(u32::from(ETHERNET).to_le_bytes());
            bytes.extend([0; 4]); // frames of any length
            option(bytes, INTERFACE_NAME, name.as_bytes());
            option(bytes, INTERFACE_RESOLUTION, &[9]); // 10^-9 s
            option(bytes, END, &[]);
        });
    }
    bytes
}

/// A block with the names of addresses: each is an address, a name, and a zero.
fn resolution<'n>(bytes: &mut Vec<u8>, names: impl IntoIterator<Item = (IpAddr, &'n str)>) {
    block(bytes, NAME_RESOLUTION, |bytes| {
        for (address, name) in names {
            let (kind, mut value) = match address {
                IpAddr::V4(address) => (NAME_OF_IPV4, address.octets().to_vec()),
                IpAddr::V6(address) => (NAME_OF_IPV6, address.octets().to_vec()),
            };
            value.extend(name.bytes().filter(|byte| *byte != 0));
            value.push(0);
            option(bytes, kind, &value);
        }
        option(bytes, END, &[]);
    });
}

fn packet(
    bytes: &mut Vec<u8>,
    interface: u32,
    since_1970: Duration,
    direction: Direction,
    frame: &[u8],
    comment: Option<&str>,
) {
    let nanos = since_1970.as_nanos() as u64;
    let length = frame.len() as u32;
    block(bytes, ENHANCED_PACKET, |bytes| {
        let (high, low) = ((nanos >> 32) as u32, nanos as u32);
        for word in [interface, high, low, length, length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
        pad(bytes, frame.len());
        option(bytes, PACKET_FLAGS, &(direction as u32).to_le_bytes());
        if let Some(comment) = comment {
            option(bytes, COMMENT, comment.as_bytes());
        }
        option(bytes, END, &[]);
    });
}

/// A block: its kind and length, what `fill` puts into it, and the length again.
fn block(bytes: &mut Vec<u8>, kind: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    bytes.extend(kind.to_le_bytes());
    bytes.extend([0; 4]);
    fill(bytes);
    let length = (bytes.len() + 4 - start) as u32;
    bytes[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    bytes.extend(length.to_le_bytes());
}

fn option(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    bytes.extend(kind.to_le_bytes());
    bytes.extend((value.len() as u16).to_le_bytes());
    bytes.extend(value);
    pad(bytes, value.len());
}

fn pad(bytes: &mut Vec<u8>, length: usize) {
    bytes.resize(bytes.len() + (4 - length % 4) % 4, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("cygnet-world-{}-{name}", std::process::id()))
    }

    #[test]
    fn a_file_is_what_the_format_says() {
        let path = path("format");
        let mut file = CaptureFile::create(&path, "cyg0", Epoch::Virtual).unwrap();
        file.resolve([
            (IpAddr::from([10, 0, 0, 1]), "swan"),
            (IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 1]), "swan"),
        ]);
        let at = Instant::from_micros(5_000_000);
        file.record(0, at, Direction::Out, &[7; 61], Some("event 3"));
        assert_eq!(file.finish().unwrap(), 1);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let (mut at, mut blocks) = (0, Vec::new());
        while at < bytes.len() {
            let length = word(at + 4) as usize;
            assert_eq!(word(at + length - 4) as usize, length);
            assert_eq!(length % 4, 0);
            blocks.push((word(at), at));
            at += length;
        }
        let kinds: Vec<u32> = blocks.iter().map(|(kind, _)| *kind).collect();
        let expected = [SECTION, INTERFACE, NAME_RESOLUTION, ENHANCED_PACKET];
        assert_eq!(kinds, expected);
        let (names, packet) = (blocks[2].1, blocks[3].1);
        let first = b"\x01\x00\x09\x00\x0a\x00\x00\x01swan\x00\x00\x00\x00";
        assert_eq!(bytes[names + 8..][..16], *first);
        let second = b"\x02\x00\x15\x00\xfd\x00";
        assert_eq!(bytes[names + 24..][..6], *second);
        assert_eq!(bytes[names + 43..][..6], *b"\x01swan\0");
        let nanos = u64::from(word(packet + 12)) << 32 | u64::from(word(packet + 16));
        assert_eq!((nanos, word(packet + 20)), (5_000_000_000, 61));
        assert_eq!(
            bytes[packet + 28..][..64],
            [[7; 61].as_slice(), &[0; 3]].concat()
        );
        let comment = b"\x01\x00\x07\x00event 3\x00\x00\x00\x00\x00";
        assert_eq!(bytes[packet + 100..][..16], *comment);
    }

    #[test]
    fn a_path_that_cannot_be_written_is_one_clear_line() {
        let error = CaptureFile::create(Path::new("/no/such/dir/a.pcapng"), "a", Epoch::Virtual);
        let text = error.err().unwrap().to_string();
        let head = "cannot write the capture /no/such/dir/a.pcapng: ";
        assert!(text.starts_with(head) && !text.contains('\n'), "{text}");
    }

    #[test]
    fn a_live_frame_is_in_the_file_a_tenth_of_a_second_later() {
        let path = path("live");
        let wall = Epoch::Wall(Duration::from_secs(1));
        let mut file = CaptureFile::create(&path, "cyg0", wall).unwrap();
        file.start();
        let written = || std::fs::metadata(&path).unwrap().len();
        let (head, ms) = (written(), Instant::from_millis);
        assert_eq!(file.is_due_at(), None);
        let mut record = |at, due: Option<i64>| {
            file.record(0, ms(at), Direction::In, &[7; 60], None);
            assert_eq!(file.is_due_at(), due.map(ms), "at {at}");
        };
        record(1_000, Some(1_100));
        record(1_099, Some(1_100));
        assert_eq!(written(), head, "not each is written by itself");
        record(1_100, None);
        assert!(written() > head, "who never stops sending does not stop it");
        record(5_000, Some(5_100));
        let before = written();
        file.show().unwrap();
        assert_eq!((file.is_due_at(), written() > before), (None, true));
        assert_eq!(file.finish().unwrap(), 4);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_ends_the_capture_and_is_told_once() {
        let path = path("full");
        let mut file = CaptureFile::create(&path, "cyg0", Epoch::Virtual).unwrap();
        file.start();
        let full = File::options().write(true).open("/dev/full").unwrap();
        file.file = BufWriter::with_capacity(1 << 10, full);
        for _ in 0..20 {
            file.record(0, Instant::ZERO, Direction::Out, &[0; 100], None);
        }
        assert!(file.failed.is_some());
        let told = file.finish().unwrap_err();
        assert_eq!(told.kind(), io::ErrorKind::StorageFull);
        assert_eq!((file.is_due_at(), file.show().is_ok()), (None, true));
        std::fs::remove_file(path).unwrap();
    }
}
