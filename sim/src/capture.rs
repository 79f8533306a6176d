//! Every frame that passes, in a file that Wireshark opens. A [`Capture`] is a
//! device around a device: frames go through unchanged and are written, with
//! their direction, when the stack reads or has built them.
//!
//! The file is pcapng with nanosecond timestamps. On a TAP they are the wall
//! clock's; on virtual time they count from 1970, so that a run repeats to the
//! byte. Blocks reach the file whole: a process that is killed leaves a file
//! that is short, not one that is broken.
//!
//! A device may leave checksums to others (`offload.rs`). The file has them
//! finished all the same, so that a wrong one in it is wrong; but a segment that
//! is to be cut into pieces later is one frame there, of up to 64 KiB.
//!
//! Not here: choosing frames. A disk that fills up ends the capture, never the
//! program; [`Capture::finish`] says so.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::pcapng::{PcapNgBlock, PcapNgWriter};
use pcap_file::{DataLink, Endianness, PcapError};
use smoltcp::phy::{self, Device, DeviceCapabilities};
use smoltcp::time::Instant;

use crate::host::Readable;
use crate::offload::finish_checksum;

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

/// The file of a capture, before there is a device: open, so that a path that
/// cannot be written fails before anything else is made, and untouched until
/// [`Capture::new`]. Dropped before that, it leaves no file that was not there.
pub struct CaptureFile {
    path: PathBuf,
    file: BufWriter<File>,
    /// Builds one block at a time.
    blocks: PcapNgWriter<Vec<u8>>,
    epoch: Duration,
    /// Whether the header is written.
    started: bool,
    /// Whether the file was not there before.
    made: bool,
    frames: u64,
    flushed: Duration,
    /// The first failure. Nothing is written after it.
    failed: Option<io::Error>,
    /// A copy of a frame, to finish its checksum.
    copy: Vec<u8>,
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
            let blocks = header(names)?;
            let made = File::options().write(true).create_new(true).open(path);
            let (file, made) = match made {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    (File::options().write(true).open(path)?, false)
                }
                made => (made?, true),
            };
            Ok(CaptureFile {
                path: path.into(),
                file: BufWriter::with_capacity(1 << 17, file),
                blocks,
                epoch: match epoch {
                    Epoch::Virtual => Duration::ZERO,
                    Epoch::Wall(since_1970) => since_1970,
                },
                started: false,
                made,
                frames: 0,
                flushed: Duration::ZERO,
                failed: None,
                copy: Vec::new(),
            })
        };
        open().map_err(|error| CaptureError {
            path: path.into(),
            error,
        })
    }

    /// Empties the file and writes the header.
    fn start(&mut self) {
        self.started = true;
        let mut write = || {
            let file = self.file.get_ref();
            if file.metadata()?.is_file() {
                file.set_len(0)?; // a pipe to Wireshark has no length
            }
            self.file.write_all(self.blocks.get_ref())?;
            self.file.flush()
        };
        self.failed = write().err();
        self.blocks.get_mut().clear();
    }

    fn record(&mut self, at: Instant, direction: Direction, frame: &[u8]) {
        self.record_at(0, at, direction, frame, None);
    }

    /// Writes a frame that passed the interface with this number, and a comment
    /// on it.
    pub(crate) fn record_at(
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
        if self.failed.is_some() {
            return;
        }
        match self.write(interface, at, direction, frame, comment) {
            Ok(()) => self.frames += 1,
            Err(error) => self.failed = Some(error),
        }
    }

    /// The same for a frame whose checksum was left open.
    fn record_open(&mut self, at: Instant, direction: Direction, frame: &[u8]) {
        let mut copy = std::mem::take(&mut self.copy);
        copy.clear();
        copy.extend_from_slice(frame);
        finish_checksum(&mut copy);
        self.record(at, direction, &copy);
        self.copy = copy;
    }

    fn write(
        &mut self,
        interface_id: u32,
        at: Instant,
        direction: Direction,
        frame: &[u8],
        comment: Option<&str>,
    ) -> io::Result<()> {
        let at = Duration::from_micros(u64::try_from(at.total_micros()).unwrap_or(0));
        let comment = comment.map(|text| EnhancedPacketOption::Comment(text.into()));
        let flags = EnhancedPacketOption::Flags(direction as u32);
        let block = EnhancedPacketBlock {
            interface_id,
            timestamp: self.epoch + at,
            original_len: frame.len() as u32,
            data: Cow::Borrowed(frame),
            options: [flags].into_iter().chain(comment).collect(),
        };
        self.blocks.write_pcapng_block(block).map_err(plain)?;
        // Within its capacity BufWriter never splits one write, so what reaches
        // the file ends with a block.
        let written = self.file.write_all(self.blocks.get_ref());
        self.blocks.get_mut().clear();
        written?;
        // Once a second, for the reader who follows along.
        if at.saturating_sub(self.flushed) >= Duration::from_secs(1) {
            self.flushed = at;
            self.file.flush()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<u64> {
        let flushed = self.file.flush();
        match self.failed.take() {
            Some(error) => Err(error),
            None => flushed.map(|()| self.frames),
        }
    }
}

impl Drop for CaptureFile {
    fn drop(&mut self) {
        if !self.started {
            if self.made {
                let _ = std::fs::remove_file(&self.path);
            }
        } else if let Err(error) = self.finish() {
            eprintln!(
                "sim: the capture {} is incomplete: {error}",
                self.path.display()
            );
        }
    }
}

/// A device whose frames are written to a file.
pub struct Capture<D> {
    device: D,
    file: RefCell<CaptureFile>,
    /// What the device leaves open on the way in, and on the way out.
    open: (bool, bool),
}

impl<D: Device> Capture<D> {
    /// Writes the frames of `device` to `file`, and to nothing that was in it.
    pub fn new(device: D, mut file: CaptureFile) -> Capture<D> {
        file.start();
        let sums = device.capabilities().checksum.tcp;
        Capture {
            device,
            file: RefCell::new(file),
            open: (!sums.rx(), !sums.tx()),
        }
    }
}

impl<D> Capture<D> {
    /// The device inside.
    pub fn get_ref(&self) -> &D {
        &self.device
    }

    /// The device inside.
    pub fn get_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// Writes what is buffered and returns how many frames the file has.
    ///
    /// # Errors
    /// The first failure since the start, once; frames after it are missing.
    pub fn finish(&mut self) -> io::Result<u64> {
        self.file.get_mut().finish()
    }
}

impl<D: Readable> Readable for Capture<D> {
    fn fd(&self) -> BorrowedFd<'_> {
        self.device.fd()
    }

    fn has_buffered(&self) -> bool {
        self.device.has_buffered()
    }

    fn look(&mut self) -> bool {
        self.device.look()
    }
}

impl<D: Device> Device for Capture<D> {
    type RxToken<'a>
        = Token<'a, D::RxToken<'a>>
    where
        D: 'a;
    type TxToken<'a>
        = Token<'a, D::TxToken<'a>>
    where
        D: 'a;

    fn receive(&mut self, at: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let (rx, tx) = self.device.receive(at)?;
        let file = &self.file;
        let (open_in, open_out) = self.open;
        Some((
            Token {
                inner: rx,
                file,
                at,
                open: open_in,
            },
            Token {
                inner: tx,
                file,
                at,
                open: open_out,
            },
        ))
    }

    fn transmit(&mut self, at: Instant) -> Option<Self::TxToken<'_>> {
        let inner = self.device.transmit(at)?;
        Some(Token {
            inner,
            file: &self.file,
            at,
            open: self.open.1,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.device.capabilities()
    }
}

/// A token of the device inside that writes its frame down.
pub struct Token<'a, T> {
    inner: T,
    file: &'a RefCell<CaptureFile>,
    at: Instant,
    /// Its checksum is not finished.
    open: bool,
}

fn record(open: bool, file: &RefCell<CaptureFile>, at: Instant, way: Direction, frame: &[u8]) {
    let mut file = file.borrow_mut();
    match open {
        true => file.record_open(at, way, frame),
        false => file.record(at, way, frame),
    }
}

impl<T: phy::RxToken> phy::RxToken for Token<'_, T> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let Token {
            inner,
            file,
            at,
            open,
        } = self;
        inner.consume(|frame| {
            record(open, file, at, Direction::In, frame);
            f(frame)
        })
    }

    fn meta(&self) -> phy::PacketMeta {
        self.inner.meta()
    }
}

impl<T: phy::TxToken> phy::TxToken for Token<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let Token {
            inner,
            file,
            at,
            open,
        } = self;
        inner.consume(len, |frame| {
            let result = f(frame);
            record(open, file, at, Direction::Out, frame);
            result
        })
    }

    fn set_meta(&mut self, meta: phy::PacketMeta) {
        self.inner.set_meta(meta);
    }
}

/// The two lowest bits of a packet's flags word.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    In = 1,
    Out = 2,
}

/// The blocks that come first: who wrote the file, and its interfaces.
/// Little-endian everywhere, so that the same run gives the same bytes.
fn header(names: &[&str]) -> io::Result<PcapNgWriter<Vec<u8>>> {
    let program = concat!("cygnet-sim ", env!("CARGO_PKG_VERSION"));
    let section = SectionHeaderBlock {
        endianness: Endianness::Little,
        options: vec![SectionHeaderOption::UserApplication(program.into())],
        ..SectionHeaderBlock::default()
    };
    let mut blocks = PcapNgWriter::with_section_header(Vec::new(), section).map_err(plain)?;
    for name in names {
        let interface = InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: 0, // no limit
            options: vec![
                InterfaceDescriptionOption::IfName((*name).to_owned().into()),
                // 10^-9 s. Without it readers take microseconds; the crate writes
                // nanoseconds whatever this says.
                InterfaceDescriptionOption::IfTsResol(9),
            ],
        };
        blocks.write_block(&interface.into_block()).map_err(plain)?;
    }
    Ok(blocks)
}

fn plain(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

#[cfg(test)]
pub(crate) mod tests;
