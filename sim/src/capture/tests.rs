use super::*;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use smoltcp::phy::{RxToken as _, TxToken as _};
use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A device that receives what it sent. (smoltcp's needs its `alloc` feature,
/// which the core would then get too.)
#[derive(Default)]
pub(crate) struct Queue(VecDeque<Vec<u8>>);
pub(crate) struct Rx(Vec<u8>);
pub(crate) struct Tx<'a>(&'a mut Queue);

impl Device for Queue {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;
    fn receive(&mut self, _: Instant) -> Option<(Rx, Tx<'_>)> {
        self.0.pop_front().map(|frame| (Rx(frame), Tx(self)))
    }
    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        Some(Tx(self))
    }
    fn capabilities(&self) -> DeviceCapabilities {
        DeviceCapabilities::default()
    }
}

impl phy::RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl phy::TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.0.push_back(frame);
        result
    }
}

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("cygnet-{}-{name}.pcapng", std::process::id()))
}

#[test]
fn both_directions_are_written_with_their_time() {
    let path = path("both");
    let epoch = Epoch::Wall(Duration::from_secs(1_700_000_000));
    let file = CaptureFile::create(&path, "cyg0", epoch).unwrap();
    let mut capture = Capture::new(Queue::default(), file);
    let frame: Vec<u8> = (0..61).collect();
    let tx = capture.transmit(Instant::from_micros(1_000_001)).unwrap();
    tx.consume(61, |buffer| buffer.copy_from_slice(&frame));
    let (rx, _tx) = capture.receive(Instant::from_micros(1_000_051)).unwrap();
    rx.consume(|received| assert_eq!(received, frame));
    assert_eq!(capture.finish().unwrap(), 2);

    let mut reader = PcapNgReader::new(File::open(&path).unwrap()).unwrap();
    let mut seen = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block.unwrap().into_owned() {
            assert_eq!(packet.data, frame);
            seen.push((packet.timestamp.as_nanos(), packet.options));
        }
    }
    assert_eq!(
        seen,
        [
            (
                1_700_000_001_000_001_000,
                vec![EnhancedPacketOption::Flags(2)]
            ),
            (
                1_700_000_001_000_051_000,
                vec![EnhancedPacketOption::Flags(1)]
            ),
        ]
    );
    std::fs::remove_file(path).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_ends_the_capture_and_is_told_once() {
    let full = CaptureFile::create(Path::new("/dev/full"), "cyg0", Epoch::Virtual).unwrap();
    let told = Capture::new(Queue::default(), full).finish();
    assert_eq!(told.unwrap_err().kind(), io::ErrorKind::StorageFull);
}

#[test]
fn a_file_is_touched_only_when_there_is_a_device() {
    let path = path("untouched");
    drop(CaptureFile::create(&path, "cyg0", Epoch::Virtual).unwrap());
    assert!(!path.exists(), "made and left behind");

    std::fs::write(&path, vec![b'x'; 100_000]).unwrap();
    drop(CaptureFile::create(&path, "cyg0", Epoch::Virtual).unwrap());
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 100_000);
    let file = CaptureFile::create(&path, "cyg0", Epoch::Virtual).unwrap();
    drop(Capture::new(Queue::default(), file));
    let bytes = std::fs::read(&path).unwrap();
    assert!(
        bytes.len() < 200 && !bytes.contains(&b'x'),
        "the old content is gone"
    );
    std::fs::remove_file(path).unwrap();
}
