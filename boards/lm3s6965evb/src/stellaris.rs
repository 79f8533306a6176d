//! The Ethernet controller of TI's Stellaris LM3S6000 series, as a smoltcp
//! device. Registers: LM3S6965 data sheet, chapter 16 (Ethernet Controller),
//! and `hw/net/stellaris_enet.c` of QEMU for what it takes of them.
//!
//! Both FIFOs move 32-bit words. The first word of a frame carries its length
//! in the lower half and the first two bytes of the frame in the upper; so a
//! buffer that begins two bytes before the frame makes whole words of the rest,
//! and the IP header is aligned too.
//!
//! An interrupt says one thing: a frame has arrived. The handler only masks it;
//! [`listen`] lets it through again, when all frames have been taken.
//!
//! On silicon (not tried): the clocks of MAC and PHY must be switched on in
//! RCGC2 first, and the PHY be told to negotiate, through the MII registers.

use core::ptr::{read_volatile, write_volatile};

use cortex_m::peripheral::NVIC;
use smoltcp::phy::{self, DeviceCapabilities};
use smoltcp::time::Instant;

const BASE: usize = 0x4004_8000;

/// Registers, by their offset.
#[derive(Clone, Copy)]
enum Register {
    /// What happened (read), what was seen (write).
    Status = 0x00,
    /// Which of that interrupts.
    InterruptMask = 0x04,
    ReceiveControl = 0x08,
    TransmitControl = 0x0c,
    /// Both FIFOs.
    Data = 0x10,
    AddressLow = 0x14,
    AddressHigh = 0x18,
    /// From how many bytes on transmission starts by itself.
    Threshold = 0x1c,
    /// How many frames were received, in bits 5:0.
    Frames = 0x34,
    /// Bit 0: transmit; reads as 1 until that is done.
    TransmitRequest = 0x38,
}

/// In `Status` and `InterruptMask`.
const RX: u32 = 0x01;
const EVERYTHING: u32 = 0x7f;

/// In `ReceiveControl`. Multicast is IPv6's neighbor discovery.
const RX_ENABLE: u32 = 0x01;
const RX_MULTICAST: u32 = 0x02;
const RX_REFUSE_BAD_CRC: u32 = 0x08;
const RX_RESET_FIFO: u32 = 0x10;

/// In `TransmitControl`. The controller pads short frames and adds the CRC.
const TX_ENABLE: u32 = 0x01;
const TX_PAD: u32 = 0x02;
const TX_CRC: u32 = 0x04;
const TX_DUPLEX: u32 = 0x10;

/// Never by itself: a frame goes out when it is complete.
const THRESHOLD_NEVER: u32 = 0x3f;

/// The interrupt's number.
pub const IRQ: u8 = 42;

/// For functions of the `cortex-m` crate.
#[derive(Clone, Copy)]
pub struct Interrupt;

// SAFETY: the number is a constant, and the chip has 44 interrupts.
unsafe impl cortex_m::interrupt::InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        IRQ.into()
    }
}

/// An Ethernet frame without its CRC.
const MTU: usize = 1514;
const HEADER: usize = 14;
/// What a frame is longer by in the length that reception gives.
const LENGTH_AND_CRC: usize = 6;

/// A frame at offset 2, in whole words.
type Buffer = [u32; (2 + MTU).div_ceil(4)];

/// The controller. Its buffers are for one frame each way.
pub struct Stellaris {
    rx: Buffer,
    tx: Buffer,
}

fn read(register: Register) -> u32 {
    // SAFETY: a register of this chip, 32 bits wide.
    unsafe { read_volatile((BASE + register as usize) as *const u32) }
}

fn write(register: Register, value: u32) {
    // SAFETY: as above; none of them makes the controller touch memory.
    unsafe { write_volatile((BASE + register as usize) as *mut u32, value) }
}

/// A frame has arrived: masks that, so that the loop gets a chance to look.
/// Called by the board's handler.
pub fn on_interrupt() {
    write(Register::InterruptMask, 0);
}

/// Lets the next frame interrupt. True when one waits already.
pub fn listen() -> bool {
    write(Register::Status, RX);
    write(Register::InterruptMask, RX);
    waiting() > 0
}

impl Stellaris {
    /// For a static: all zeros.
    pub const fn new() -> Self {
        Stellaris {
            rx: [0; _],
            tx: [0; _],
        }
    }

    /// Starts the controller under this address.
    pub fn start(&mut self, address: [u8; 6]) {
        write(Register::InterruptMask, 0);
        write(Register::ReceiveControl, RX_RESET_FIFO);
        write(Register::ReceiveControl, 0);
        write(Register::Status, EVERYTHING);
        let [a, b, c, d, e, f] = address;
        write(Register::AddressLow, u32::from_le_bytes([a, b, c, d]));
        write(Register::AddressHigh, u32::from_le_bytes([e, f, 0, 0]));
        write(Register::Threshold, THRESHOLD_NEVER);
        write(
            Register::TransmitControl,
            TX_ENABLE | TX_PAD | TX_CRC | TX_DUPLEX,
        );
        write(
            Register::ReceiveControl,
            RX_ENABLE | RX_MULTICAST | RX_REFUSE_BAD_CRC,
        );
        // SAFETY: the handler is in place since the reset, and shares nothing.
        unsafe { NVIC::unmask(Interrupt) };
    }

    /// Moves the next frame from the FIFO into `rx`; its length.
    fn fetch(&mut self) -> usize {
        let first = read(Register::Data);
        let length = (first & 0xffff) as usize;
        self.rx[0] = first;
        // The CRC, and a frame that is too long, are read and let go.
        for index in 1..length.div_ceil(4) {
            let word = read(Register::Data);
            if let Some(place) = self.rx.get_mut(index) {
                *place = word;
            }
        }
        length.saturating_sub(LENGTH_AND_CRC).min(MTU)
    }
}

fn waiting() -> u32 {
    read(Register::Frames) & 0x3f
}

fn is_transmitting() -> bool {
    read(Register::TransmitRequest) & 1 != 0
}

/// The frame in a buffer.
fn frame(buffer: &mut Buffer, length: usize) -> &mut [u8] {
    // SAFETY: words are bytes, any bytes are words, and the slice is inside.
    let bytes = unsafe {
        core::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast::<u8>(), size_of::<Buffer>())
    };
    &mut bytes[2..2 + length]
}

impl phy::Device for Stellaris {
    type RxToken<'a> = RxToken<'a>;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        if waiting() == 0 || is_transmitting() {
            return None;
        }
        let length = self.fetch();
        Some((RxToken(frame(&mut self.rx, length)), TxToken(&mut self.tx)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<TxToken<'_>> {
        (!is_transmitting()).then_some(TxToken(&mut self.tx))
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

/// Leave to send one frame.
pub struct TxToken<'a>(&'a mut Buffer);

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let buffer = self.0;
        let out = f(frame(buffer, length));
        let counted = length.saturating_sub(HEADER) as u32;
        buffer[0] = buffer[0] & 0xffff_0000 | counted;
        for &word in &buffer[..(2 + length).div_ceil(4)] {
            write(Register::Data, word);
        }
        write(Register::TransmitRequest, 1);
        out
    }
}
