//! A Linux TAP as a smoltcp device. A TAP is an Ethernet card whose cable ends
//! in a file: what the kernel sends, we read; what we write, the kernel
//! receives. One `read` is one frame, and a read that would wait says so, so a
//! wake-up serves every frame that is there and then stops.
//!
//! A persistent TAP remembers what its last user asked for. Offloads: a plain
//! reader would get segments of 64 KiB with unfinished checksums, so tun-rs sets
//! them at every attach, on or off (`TUNSETOFFLOAD`), and fails if it cannot; and
//! an interface that stays behind is left without them. The length of the header
//! in front of a frame: it is found out, not assumed. `tests/tap_offload.rs` and
//! `tests/tap.rs` hold it to that.
//!
//! Two ways in, and neither guesses: [`Tap::attach`] never creates, because a
//! mistyped name would quietly become a new interface for a privileged user;
//! [`Tap::create`] never attaches, because what it makes disappears with it.
//!
//! Buffers are made once: one for the frame that is being received, one for the
//! frame that is being sent.
//!
//! Not here: waiting (`host.rs`), what the header in front of a frame says
//! (`offload.rs`), and routes, bridges or firewalls (`ip`, `nft`).

use std::io;
use std::num::NonZeroU16;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use cygnet_world::frame::MTU;
use rustix::io::Errno;
use smoltcp::phy::{self, Device, DeviceCapabilities, PacketMeta};
use smoltcp::time::Instant;
use smoltcp::wire::{IpAddress, IpCidr};
use tun_rs::{DeviceBuilder, Layer, SyncDevice, VIRTIO_NET_HDR_LEN, VirtioNetHdr};

use crate::host::Readable;
use crate::offload::{self, FRAME_MAX, Offload, Refused, describe, inspect};
pub use crate::tap_error::{NAME_MAX, Remedy, TapError};

mod link;
mod names;
use link::Link;
use names::exists;
pub use names::{addresses_are_free, check_name};

/// Frames from the kernel that wait for us, where we make the interface. Linux has
/// 1000 by default, fewer than a burst of a thousand clients, each of whom would
/// then wait 200 ms to try again.
pub const TX_QUEUE: u32 = 8192;
/// What a read offers beyond the longest frame, so that one that is too long is
/// seen to be.
const SPARE_BYTES: usize = 64;
/// The longest header in front of a frame that a user before us may have set.
const HEADER_MAX: usize = 64;
/// IEEE 802's EtherType for local experiments: every host ignores it.
const PROBE: [u8; 60] = {
    let mut frame = [0; 60];
    frame[0] = 0x02;
    frame[6] = 0x02;
    frame[12] = 0x88;
    frame[13] = 0xb5;
    frame
};

/// What went through a [`Tap`], and what did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapStats {
    /// Frames read.
    pub rx_frames: u64,
    /// Frames longer than [`MTU`] that were not segments to be cut, dropped.
    pub rx_oversized: u64,
    /// Frames with a wrong checksum, dropped; only with offload, because
    /// otherwise the stack looks at checksums.
    pub rx_bad_checksum: u64,
    /// Frames that were several segments in one.
    pub rx_segments: u64,
    /// Frames written.
    pub tx_frames: u64,
    /// Frames written that were several segments in one.
    pub tx_segments: u64,
    /// Frames dropped because the kernel did not take them: its queue was full
    /// or the interface was down.
    pub tx_dropped: u64,
}

/// A TAP interface, open.
///
/// Dropping it closes it; an interface that [`Tap::create`] made goes with it.
pub struct Tap {
    tap: SyncDevice,
    /// After `tap`: only one process may have it open, so that is closed first.
    _restore: Option<Restore>,
    rx: Vec<u8>,
    /// The frame that was read and not yet received, in `rx`.
    ahead: Option<Range<usize>>,
    tx: Vec<u8>,
    /// Whether the link is up, if this kernel tells.
    link: Option<Link>,
    /// Bytes in front of each frame: 0 without offload.
    header: usize,
    stats: TapStats,
}

impl Tap {
    /// Opens a TAP that exists. Needs no privilege if it belongs to this user.
    ///
    /// `hosts`, the addresses that the host's side should have, only complete
    /// the commands that an error suggests.
    ///
    /// # Errors
    /// A [`TapError`]; its text says what to do.
    pub fn attach(name: &str, hosts: &[IpCidr], offload: Offload) -> Result<Tap, TapError> {
        check_name(name)?;
        if !exists(name)? {
            return Err(TapError::NotFound(Remedy::new(name, hosts, false)));
        }
        let tap = builder(name, offload)
            .build_sync()
            .map_err(|error| open_error(name, hosts, error))?;
        let mut tap = Tap::new(name, tap, offload)?;
        tap._restore = (offload == Offload::On).then(|| Restore(name.into()));
        tap.probe(name)?;
        Ok(tap)
    }

    /// Makes a TAP, gives the host's side its addresses and brings it up.
    /// Needs root or `CAP_NET_ADMIN`. At most one address may be IPv4.
    ///
    /// # Errors
    /// A [`TapError`]; nothing that was made is left behind.
    pub fn create(name: &str, hosts: &[IpCidr], offload: Offload) -> Result<Tap, TapError> {
        check_name(name)?;
        if exists(name)? {
            return Err(TapError::Exists { name: name.into() });
        }
        addresses_are_free(hosts)?;
        let fail = |what: &'static str| {
            move |error| TapError::Io {
                what,
                name: name.into(),
                error,
            }
        };

        let mut make = builder(name, offload);
        let mut v4 = 0;
        for host in hosts {
            if let IpAddress::Ipv4(address) = host.address() {
                v4 += 1;
                make = make.ipv4(address, host.prefix_len(), None);
            }
        }
        if v4 > 1 {
            return Err(TapError::AddressMalformed {
                address: hosts[hosts.len() - 1],
                why: "the host's side takes one IPv4 address; give the others as IPv6",
            });
        }
        let tap = make
            .build_sync()
            .map_err(|error| open_error(name, hosts, error))?;
        if v4 < hosts.len() {
            // Both are best effort. Some containers start with IPv6 off, and
            // duplicate address detection would make the first client wait a
            // second on a link where nobody else can hold the address.
            for (setting, value) in [("disable_ipv6", "0"), ("accept_dad", "0")] {
                let path = format!("/proc/sys/net/ipv6/conf/{name}/{setting}");
                let _ = std::fs::write(path, value);
            }
        }
        for host in hosts {
            if let IpAddress::Ipv6(address) = host.address() {
                tap.add_address_v6(address, host.prefix_len())
                    .map_err(fail("could not add an IPv6 address to"))?;
            }
        }
        tap.set_tx_queue_len(TX_QUEUE)
            .map_err(fail("could not set the queue length of"))?;
        tap.enabled(true).map_err(fail("could not bring up"))?;
        wait_for_addresses(name);
        Tap::new(name, tap, offload)
    }

    fn new(name: &str, tap: SyncDevice, offload: Offload) -> Result<Tap, TapError> {
        let fail = |what| {
            move |error| TapError::Io {
                what,
                name: name.into(),
                error,
            }
        };
        tap.set_nonblocking(true)
            .map_err(fail("could not make reads non-blocking on"))?;
        let (header, longest) = match offload {
            Offload::Off => (0, MTU),
            Offload::On => {
                let header =
                    header_bytes(&tap).map_err(fail("could not agree about offload on"))?;
                (header, header + FRAME_MAX)
            }
        };
        Ok(Tap {
            tap,
            _restore: None,
            rx: vec![0; longest + SPARE_BYTES],
            ahead: None,
            tx: vec![0; longest],
            link: Link::new(name),
            header,
            stats: TapStats::default(),
        })
    }

    /// Finds out whether the interface is up by sending one frame. The flags
    /// would say `RUNNING` only some time after the cable is plugged in.
    fn probe(&self, name: &str) -> Result<(), TapError> {
        let mut frame = [0; HEADER_MAX + PROBE.len()];
        frame[self.header..][..PROBE.len()].copy_from_slice(&PROBE);
        match self.tap.send(&frame[..self.header + PROBE.len()]) {
            Err(error) if errno(&error) == Some(Errno::IO) => {
                Err(TapError::Down { name: name.into() })
            }
            _ => Ok(()),
        }
    }

    /// Reads a frame, unless one was read already. False when there is none.
    fn read(&mut self) -> bool {
        while self.ahead.is_none() {
            // Nothing there; or the interface is gone, which poll tells.
            let Ok(length) = self.tap.recv(&mut self.rx) else {
                return false;
            };
            let frame = self.header.min(length)..length;
            match self.look_at(frame.clone()) {
                Ok(()) => self.ahead = Some(frame),
                Err(Refused::Oversized) => self.stats.rx_oversized += 1,
                Err(Refused::Checksum) => self.stats.rx_bad_checksum += 1,
            }
        }
        true
    }

    fn look_at(&mut self, frame: Range<usize>) -> Result<(), Refused> {
        let frame = &self.rx[frame];
        if self.header == 0 {
            return match frame.len() <= MTU {
                true => Ok(()),
                false => Err(Refused::Oversized),
            };
        }
        let header = VirtioNetHdr::decode(&self.rx).map_err(|_| Refused::Oversized)?;
        self.stats.rx_segments += u64::from(header.gso_type != 0);
        inspect(&header, frame)
    }

    /// Whether the kernel and we leave checksums and segmentation to each other.
    pub fn offload(&self) -> Offload {
        match self.header {
            0 => Offload::Off,
            _ => Offload::On,
        }
    }

    /// What went through so far.
    pub fn stats(&self) -> TapStats {
        self.stats
    }
}

/// Waits until the kernel uses the IPv6 addresses of an interface that it has just
/// brought up. Whoever connects to us earlier does so from `::1`, and goes on so.
fn wait_for_addresses(name: &str) {
    const TENTATIVE: u32 = 0x40;
    let is_tentative = |line: &str| {
        // Address, interface, prefix, scope, flags and name.
        let mut words = line.split_whitespace().skip(4);
        let flags = words
            .next()
            .and_then(|word| u32::from_str_radix(word, 16).ok());
        words.next() == Some(name) && flags.is_some_and(|flags| flags & TENTATIVE != 0)
    };
    for _ in 0..400 {
        let list = std::fs::read_to_string("/proc/thread-self/net/if_inet6");
        if !list.is_ok_and(|list| list.lines().any(is_tentative)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Leaves an interface without offload. It would hand its next user, who may know
/// nothing of it, segments with unfinished checksums.
struct Restore(String);

impl Drop for Restore {
    fn drop(&mut self) {
        // A process that another thread is just starting has our descriptors for
        // a moment. If the interface is gone, or somebody else has it for long,
        // there is nothing to do.
        for _ in 0..20 {
            match builder(&self.0, Offload::Off).build_sync() {
                Err(error) if errno(&error) == Some(Errno::BUSY) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                _ => return,
            }
        }
    }
}

impl Readable for Tap {
    fn fd(&self) -> BorrowedFd<'_> {
        self.tap.as_fd()
    }

    fn has_buffered(&self) -> bool {
        self.ahead.is_some()
    }

    fn look(&mut self) -> bool {
        self.read()
    }

    fn link_fd(&self) -> Option<BorrowedFd<'_>> {
        self.link.as_ref().map(Link::fd)
    }

    fn hear_link(&mut self) {
        if let Some(link) = &mut self.link {
            link.hear();
        }
    }

    fn is_link_up(&self) -> bool {
        self.link.as_ref().is_none_or(|link| link.is_up)
    }
}

impl Device for Tap {
    type RxToken<'a> = RxToken<'a>;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        self.read();
        let frame = self.ahead.take()?;
        self.stats.rx_frames += 1;
        let Tap {
            tap,
            rx,
            tx,
            header,
            stats,
            ..
        } = self;
        let tx = TxToken {
            tap,
            buffer: tx,
            header: *header,
            segment: None,
            stats,
        };
        Some((RxToken { frame: &rx[frame] }, tx))
    }

    fn transmit(&mut self, _now: Instant) -> Option<TxToken<'_>> {
        let Tap {
            tap,
            tx,
            header,
            stats,
            ..
        } = self;
        Some(TxToken {
            tap,
            buffer: tx,
            header: *header,
            segment: None,
            stats,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = MTU;
        if self.header > 0 {
            offload::add(&mut capabilities);
        }
        capabilities
    }
}

/// A frame that was read.
pub struct RxToken<'a> {
    frame: &'a [u8],
}

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.frame)
    }
}

/// Room for a frame to write.
pub struct TxToken<'a> {
    tap: &'a SyncDevice,
    buffer: &'a mut [u8],
    header: usize,
    segment: Option<NonZeroU16>,
    stats: &'a mut TapStats,
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let packet = &mut self.buffer[..self.header + len];
        let frame = &mut packet[self.header..];
        let result = f(frame);
        if self.header > 0 {
            let header = describe(frame, self.segment);
            self.stats.tx_segments += u64::from(header.gso_type != 0);
            let _ = header.encode(packet); // it has room for one
        }
        // As on a wire: what the kernel does not take is lost, and TCP repeats it.
        match self.tap.send(packet) {
            Ok(_) => self.stats.tx_frames += 1,
            Err(_) => self.stats.tx_dropped += 1,
        }
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.segment = meta.segmentation_offload_size;
    }
}

/// How long the header in front of a frame is. A user before us may have made it
/// longer, and a persistent TAP remembers; the kernel takes a frame of 14 bytes
/// and refuses one of 13 or less, so the first length that it takes is it.
fn header_bytes(tap: &SyncDevice) -> io::Result<usize> {
    let mut frame = [0; HEADER_MAX + 14];
    for header in VIRTIO_NET_HDR_LEN..=HEADER_MAX {
        frame.fill(0);
        frame[header..][..14].copy_from_slice(&PROBE[..14]);
        match tap.send(&frame[..header + 14]) {
            Err(error) if errno(&error) == Some(Errno::INVAL) => (),
            _ => return Ok(header), // also where the interface is down
        }
    }
    Err(io::ErrorKind::Unsupported.into())
}

/// A TAP: whole frames, with a header in front or as plain as it gets. It is left
/// up or down as it is.
fn builder(name: &str, offload: Offload) -> DeviceBuilder {
    DeviceBuilder::new()
        .name(name)
        .layer(Layer::L2)
        .inherit_enable_state()
        .with(move |linux| {
            let offload = offload == Offload::On;
            linux.offload(offload).packet_information(false);
        })
}

fn errno(error: &io::Error) -> Option<Errno> {
    Errno::from_io_error(error)
}

fn open_error(name: &str, hosts: &[IpCidr], error: io::Error) -> TapError {
    let there = || exists(name).unwrap_or(false);
    match errno(&error) {
        Some(Errno::PERM) => TapError::NoPermission(Remedy::new(name, hosts, there())),
        Some(Errno::ACCESS) => TapError::NoPermission(Remedy {
            unlock: true,
            ..Remedy::new(name, hosts, there())
        }),
        Some(Errno::BUSY) => TapError::Busy { name: name.into() },
        Some(Errno::INVAL) => TapError::NotATap { name: name.into() },
        Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => TapError::NoDriver,
        _ => TapError::Io {
            what: "could not open",
            name: name.into(),
            error,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tap_is_not_made_by_attach() {
        let missing = Tap::attach("cyg-not-there", &[], Offload::On);
        assert!(matches!(missing, Err(TapError::NotFound(_))));
        assert!(!exists("cyg-not-there").unwrap());
    }
}
