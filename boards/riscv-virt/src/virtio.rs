//! A virtio network card as a smoltcp device. The queues are the work of the
//! `virtio-drivers` crate; what is left here is the frames' memory, and when
//! each piece of it belongs to the card (virtio 1.2, 5.1.6).
//!
//! Received frames are lent to the stack where the card wrote them, and given
//! back to the card at the next call. Sent frames belong to the card until it
//! says that it is done, which is asked only when no buffer is free: asking
//! after every frame costs four times the instructions.
//!
//! The card must interrupt for received frames only; the loop asks for nothing
//! else.

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use smoltcp::phy::{self, DeviceCapabilities};
use smoltcp::time::Instant;
use virtio_drivers::device::net::VirtIONetRaw;
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceType, Transport};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// Where QEMU's virt machine has its virtio devices (hw/riscv/virt.c): eight
/// places, one page each. The one at `n` has interrupt `n` + 1.
const FIRST: usize = 0x1000_1000;
const PLACES: usize = 8;
const PLACE_BYTES: usize = 0x1000;

/// Frames on their way, each way.
const FRAMES: usize = 8;
/// An Ethernet frame without its CRC, and the card's longest header before it.
const MTU: usize = 1514;
const HEADER: usize = 12;
const BUFFER: usize = (HEADER + MTU).next_multiple_of(4);

/// Memory for the queues: two of them, each two pages at most in the old layout.
const PAGES: usize = 6;

#[repr(C, align(4096))]
struct Pages(UnsafeCell<[u8; PAGES * PAGE_SIZE]>);

// SAFETY: `Memory::dma_alloc` gives each page to one queue, once.
unsafe impl Sync for Pages {}

static MEMORY: Pages = Pages(UnsafeCell::new([0; PAGES * PAGE_SIZE]));
static USED: AtomicUsize = AtomicUsize::new(0);

/// Physical addresses are what they are here, and the card sees all of them.
pub struct Memory;

// SAFETY: pages are zeroed statics, given out once and never again.
unsafe impl Hal for Memory {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let first = USED.fetch_add(pages, Ordering::Relaxed);
        assert!(first + pages <= PAGES, "the queues need more pages");
        let start = MEMORY.0.get().cast::<u8>().wrapping_add(first * PAGE_SIZE);
        let start = NonNull::new(start).expect("a static");
        (start.as_ptr() as PhysAddr, start)
    }

    unsafe fn dma_dealloc(_: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        0 // a board keeps its card
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, _: usize) -> NonNull<u8> {
        NonNull::new(address as *mut u8).expect("no device is at address 0")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().as_ptr() as PhysAddr
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

type Card = VirtIONetRaw<Memory, MmioTransport<'static>, FRAMES>;

/// Memory for frames. Lives in a static, because the card writes into it.
pub struct Frames {
    rx: [[u8; BUFFER]; FRAMES],
    tx: [[u8; BUFFER]; FRAMES],
}

impl Frames {
    /// For a static: all zeros.
    pub const fn new() -> Self {
        Frames {
            rx: [[0; BUFFER]; FRAMES],
            tx: [[0; BUFFER]; FRAMES],
        }
    }
}

/// The card.
pub struct Virtio {
    card: Card,
    frames: &'static mut Frames,
    /// Which received frame the stack had last.
    lent: Option<usize>,
    sending: Sending,
    /// The interrupt's number.
    pub irq: u32,
}

/// Which buffer is under which of the card's numbers, and how long.
struct Sending {
    buffer: [usize; FRAMES],
    bytes: [usize; FRAMES],
    free: heapless::Vec<usize, FRAMES>,
}

impl Virtio {
    /// Looks for a network card and starts it.
    pub fn start(frames: &'static mut Frames) -> Option<Self> {
        let (place, transport) = (0..PLACES).find_map(|place| {
            let header = (FIRST + place * PLACE_BYTES) as *mut VirtIOHeader;
            // SAFETY: a place for a virtio device; an empty one says so.
            let found = unsafe { MmioTransport::new(NonNull::new(header)?, PLACE_BYTES) };
            let found = found.ok()?;
            (found.device_type() == DeviceType::Network).then_some((place, found))
        })?;
        let mut card = Card::new(transport).ok()?;
        for (index, buffer) in frames.rx.iter_mut().enumerate() {
            // SAFETY: the buffer is the card's until `receive` completes it.
            let number = unsafe { card.receive_begin(buffer) }.ok()?;
            assert_eq!(usize::from(number), index, "numbers come in order");
        }
        card.enable_interrupts();
        Some(Virtio {
            card,
            frames,
            lent: None,
            sending: Sending {
                buffer: [0; FRAMES],
                bytes: [0; FRAMES],
                free: (0..FRAMES).collect(),
            },
            irq: place as u32 + 1,
        })
    }

    /// The card's own address.
    pub fn address(&self) -> [u8; 6] {
        self.card.mac_address()
    }

    /// Ends the interrupt that is there. True when a frame waits already.
    pub fn listen(&mut self) -> bool {
        self.card.ack_interrupt();
        self.card.poll_receive().is_some()
    }

    /// Gives the card back what the stack has read.
    fn give_back(&mut self) {
        if let Some(index) = self.lent.take() {
            // SAFETY: as in `start`. The number is the one just given up, so it
            // is the buffer's again.
            let number = unsafe { self.card.receive_begin(&mut self.frames.rx[index]) };
            debug_assert_eq!(number.ok(), Some(index as u16));
        }
    }

    /// Whether a buffer is free, after taking back those that have been sent.
    fn can_send(&mut self) -> bool {
        if self.sending.free.is_empty() {
            while let Some(number) = self.card.poll_transmit() {
                let index = self.sending.buffer[usize::from(number)];
                let frame = &self.frames.tx[index][..self.sending.bytes[index]];
                // SAFETY: the same bytes as in `consume`.
                let _ = unsafe { self.card.transmit_complete(number, frame) };
                let _ = self.sending.free.push(index);
            }
        }
        !self.sending.free.is_empty()
    }
}

impl phy::Device for Virtio {
    type RxToken<'a> = RxToken<'a>;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        self.give_back();
        if !self.can_send() {
            return None;
        }
        let index = usize::from(self.card.poll_receive()?);
        self.lent = Some(index);
        let buffer = &mut self.frames.rx[index];
        // SAFETY: the same buffer as in `receive_begin`.
        let (header, bytes) = unsafe { self.card.receive_complete(index as u16, buffer) }.ok()?;
        let Virtio {
            card,
            frames: Frames { rx, tx },
            sending,
            ..
        } = self;
        let frame = &rx[index][header..header + bytes];
        Some((RxToken(frame), TxToken { card, tx, sending }))
    }

    fn transmit(&mut self, _now: Instant) -> Option<TxToken<'_>> {
        self.can_send().then_some(TxToken {
            card: &mut self.card,
            tx: &mut self.frames.tx,
            sending: &mut self.sending,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

/// A received frame.
pub struct RxToken<'a>(&'a [u8]);

impl phy::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Leave to send one frame: a buffer is free.
pub struct TxToken<'a> {
    card: &'a mut Card,
    tx: &'a mut [[u8; BUFFER]; FRAMES],
    sending: &'a mut Sending,
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let index = self.sending.free.pop().expect("a token means a buffer");
        let buffer = &mut self.tx[index];
        let header = self.card.fill_buffer_header(buffer).unwrap_or(HEADER);
        let out = f(&mut buffer[header..header + length]);
        let bytes = header + length;
        // SAFETY: the buffer is the card's until `can_send` completes it.
        match unsafe { self.card.transmit_begin(&buffer[..bytes]) } {
            Ok(number) => {
                self.sending.buffer[usize::from(number)] = index;
                self.sending.bytes[index] = bytes;
            }
            // It took nothing: the frame is lost, as on a wire.
            Err(_) => {
                let _ = self.sending.free.push(index);
            }
        }
        out
    }
}
