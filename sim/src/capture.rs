//! Every frame that passes, in a file that Wireshark opens. A [`Capture`] is a
//! device around a device: frames go through unchanged and are written, with
//! their direction, when the stack reads or has built them.
//!
//! A device may leave checksums to others (`offload.rs`). The file has them
//! finished all the same, so that a wrong one in it is wrong; but a segment that
//! is to be cut into pieces later is one frame there, of up to 64 KiB.
//!
//! Not here: the file. That is `cygnet_world::capture`.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;

pub use cygnet_world::capture::{CaptureError, CaptureFile, Direction, Epoch};
use smoltcp::phy::{self, Device, DeviceCapabilities};
use smoltcp::time::Instant;

use crate::host::Readable;
use crate::offload::finish_checksum;

/// What `--pcap` says for standard output.
const STDOUT: &str = "-";

/// Whether that is where frames go.
pub fn is_on_stdout(path: Option<&Path>) -> bool {
    path == Some(Path::new(STDOUT))
}

/// Opens what `--pcap` says for the frames of `name`: a file, or standard output.
///
/// # Errors
/// One line: the path cannot be written, or somebody would have to look at bytes.
pub fn open(path: &Path, name: &str, epoch: Epoch) -> Result<CaptureFile, String> {
    let file = match is_on_stdout(Some(path)) {
        true if io::stdout().is_terminal() => {
            return Err(
                "--pcap - is for a program, not for a terminal; say --pcap - | tshark -r -".into(),
            );
        }
        true => CaptureFile::stdout(name, epoch),
        false => CaptureFile::create(path, name, epoch),
    };
    file.map_err(|error| error.to_string())
}

/// Says that a capture lacks frames, unless it is only its reader who went away. Gives the
/// least exit status that the program may end with.
pub fn lacks(error: &io::Error) -> u8 {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return 0;
    }
    let _ = writeln!(
        io::stderr(),
        "sim: error: the capture is incomplete: {error}"
    );
    1
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

    fn link_fd(&self) -> Option<BorrowedFd<'_>> {
        self.device.link_fd()
    }

    fn hear_link(&mut self) {
        self.device.hear_link();
    }

    fn is_link_up(&self) -> bool {
        self.device.is_link_up()
    }

    fn notes_due_at(&self) -> Option<Instant> {
        self.file.borrow().is_due_at()
    }

    fn write_notes(&mut self) -> io::Result<()> {
        self.file.get_mut().show()
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
    if open {
        let mut frame = frame.to_vec();
        finish_checksum(&mut frame);
        file.record(0, at, way, &frame, None);
    } else {
        file.record(0, at, way, frame, None);
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

#[cfg(test)]
pub(crate) mod tests;
