//! SMSC's LAN9118 Ethernet controller on a 32-bit bus, as a smoltcp device.
//! Registers: LAN9118 data sheet, chapter 5, and `hw/net/lan9118.c` of QEMU for
//! what it takes of them.
//!
//! Data and status have FIFOs of their own, each way. A frame is sent as two
//! command words and its data, received as a status word and its data; both can
//! begin two bytes into the first word, so that the IP header is aligned.
//!
//! An interrupt says one thing: a frame has arrived. The handler only masks it;
//! [`Lan9118::listen`] lets it through again, when all frames have been taken.

use core::ptr::{read_volatile, write_volatile};

use cortex_m::peripheral::NVIC;
use smoltcp::phy::{self, DeviceCapabilities};
use smoltcp::time::Instant;

const BASE: usize = 0x4020_0000;

/// Registers, by their offset.
#[derive(Clone, Copy)]
enum Register {
    RxData = 0x00,
    TxData = 0x20,
    RxStatus = 0x40,
    TxStatus = 0x48,
    /// What the interrupt line does.
    IrqConfig = 0x54,
    /// What happened; written ones are forgotten.
    InterruptStatus = 0x58,
    InterruptEnable = 0x5c,
    /// At which levels the FIFOs interrupt.
    FifoLevels = 0x68,
    RxConfig = 0x6c,
    TxConfig = 0x70,
    HardwareConfig = 0x74,
    /// Bits 23:16: statuses, so frames, that wait.
    RxWaiting = 0x7c,
    /// Bits 23:16: statuses that wait; bits 15:0: free bytes of data.
    TxFree = 0x80,
    /// The way to the MAC's own registers.
    MacCommand = 0xa4,
    MacData = 0xa8,
}

/// The MAC's own registers, by their number.
#[derive(Clone, Copy)]
enum Mac {
    Control = 1,
    AddressHigh = 2,
    AddressLow = 3,
}

/// In `HardwareConfig`: reset; then 5 KiB of the memory to transmission.
const RESET: u32 = 1;
const STORE_AND_FORWARD: u32 = 1 << 20;
const TX_FIFO_5K: u32 = 5 << 16;

/// In `IrqConfig`: enabled, active high, push-pull.
const IRQ_ENABLE_HIGH_PUSH: u32 = 1 << 8 | 1 << 4 | 1;
/// In both interrupt registers: more received statuses than the level, which is 0.
const RX_STATUS: u32 = 1 << 3;
/// In `FifoLevels`: nothing but received statuses.
const ONLY_RX: u32 = 0xff00_0000;

/// In `RxConfig`: data begins at byte 2 of the first word.
const RX_OFFSET: u32 = 2 << 8;
/// In `TxConfig`.
const TX_ON: u32 = 1 << 1;

/// In `Mac::Control`. Multicast is IPv6's neighbor discovery.
const MAC_RX_TX: u32 = 1 << 3 | 1 << 2;
const MAC_DUPLEX: u32 = 1 << 20;
const MAC_MULTICAST: u32 = 1 << 19;
/// In `MacCommand`: begin; reads as 1 until that is done.
const MAC_BUSY: u32 = 1 << 31;

/// In the first command word: where the frame begins; it is all one buffer.
const TX_OFFSET: u32 = 2 << 16;
const FIRST_AND_LAST: u32 = 1 << 13 | 1 << 12;

/// In a received status.
const RX_ERROR: u32 = 1 << 15;

/// The interrupt's number.
pub const IRQ: u8 = 13;

/// For functions of the `cortex-m` crate.
#[derive(Clone, Copy)]
pub struct Interrupt;

// SAFETY: the number is a constant, and the chip has 32 interrupts.
unsafe impl cortex_m::interrupt::InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        IRQ.into()
    }
}

/// An Ethernet frame without its CRC, and the shortest one.
const MTU: usize = 1514;
const SHORTEST: usize = 60;
const CRC: usize = 4;

/// A frame at offset 2, in whole words.
type Buffer = [u32; (2 + MTU).div_ceil(4)];

/// The controller. Its buffers are for one frame each way.
pub struct Lan9118 {
    rx: Buffer,
    tx: Buffer,
}

fn read(register: Register) -> u32 {
    // SAFETY: a register of this board, 32 bits wide.
    unsafe { read_volatile((BASE + register as usize) as *const u32) }
}

fn write(register: Register, value: u32) {
    // SAFETY: as above; none of them makes the controller touch memory.
    unsafe { write_volatile((BASE + register as usize) as *mut u32, value) }
}

fn write_mac(register: Mac, value: u32) {
    write(Register::MacData, value);
    write(Register::MacCommand, MAC_BUSY | register as u32);
    while read(Register::MacCommand) & MAC_BUSY != 0 {}
}

/// A frame has arrived: masks that, so that the loop gets a chance to look.
/// Called by the board's handler.
pub fn on_interrupt() {
    write(Register::InterruptEnable, 0);
}

impl Lan9118 {
    /// For a static: all zeros.
    pub const fn new() -> Self {
        Lan9118 {
            rx: [0; _],
            tx: [0; _],
        }
    }

    /// Starts the controller under this address.
    pub fn start(&mut self, address: [u8; 6]) {
        write(Register::HardwareConfig, RESET);
        while read(Register::HardwareConfig) & RESET != 0 {}
        write(Register::HardwareConfig, STORE_AND_FORWARD | TX_FIFO_5K);
        write(Register::FifoLevels, ONLY_RX);
        write(Register::RxConfig, RX_OFFSET);
        write(Register::IrqConfig, IRQ_ENABLE_HIGH_PUSH);
        let [a, b, c, d, e, f] = address;
        write_mac(Mac::AddressHigh, u32::from_le_bytes([e, f, 0, 0]));
        write_mac(Mac::AddressLow, u32::from_le_bytes([a, b, c, d]));
        write_mac(Mac::Control, MAC_RX_TX | MAC_DUPLEX | MAC_MULTICAST);
        write(Register::TxConfig, TX_ON);
        // SAFETY: the handler is in place since the reset, and shares nothing.
        unsafe { NVIC::unmask(Interrupt) };
    }

    /// Lets the next frame interrupt. True when one waits already.
    pub fn listen(&self) -> bool {
        write(Register::InterruptStatus, RX_STATUS);
        write(Register::InterruptEnable, RX_STATUS);
        waiting() > 0
    }

    /// Moves the next frame that is whole from the FIFO into `rx`; its length.
    fn fetch(&mut self) -> Option<usize> {
        while waiting() > 0 {
            let status = read(Register::RxStatus);
            let length = (status >> 16 & 0x3fff) as usize;
            // What is too long is read and let go.
            for index in 0..(2 + length).div_ceil(4) {
                let word = read(Register::RxData);
                if let Some(place) = self.rx.get_mut(index) {
                    *place = word;
                }
            }
            if status & RX_ERROR == 0 {
                return Some(length.saturating_sub(CRC).min(MTU));
            }
        }
        None
    }
}

fn waiting() -> u32 {
    read(Register::RxWaiting) >> 16 & 0xff
}

/// Whether a whole frame and its commands fit. Statuses of earlier ones are
/// taken out, because a full FIFO of them stops transmission.
fn has_room() -> bool {
    let free = read(Register::TxFree);
    for _ in 0..free >> 16 & 0xff {
        read(Register::TxStatus);
    }
    (free & 0xffff) as usize >= size_of::<Buffer>() + 8
}

/// The frame in a buffer.
fn frame(buffer: &mut Buffer, length: usize) -> &mut [u8] {
    // SAFETY: words are bytes, any bytes are words, and the slice is inside.
    let bytes = unsafe {
        core::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast::<u8>(), size_of::<Buffer>())
    };
    &mut bytes[2..2 + length]
}

impl phy::Device for Lan9118 {
    type RxToken<'a> = RxToken<'a>;
    type TxToken<'a> = TxToken<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(RxToken<'_>, TxToken<'_>)> {
        if !has_room() {
            return None;
        }
        let length = self.fetch()?;
        Some((RxToken(frame(&mut self.rx, length)), TxToken(&mut self.tx)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<TxToken<'_>> {
        has_room().then_some(TxToken(&mut self.tx))
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
        let padded = length.max(SHORTEST);
        let bytes = frame(self.0, padded);
        bytes[length..].fill(0);
        let out = f(&mut bytes[..length]);
        write(Register::TxData, TX_OFFSET | FIRST_AND_LAST | padded as u32);
        write(Register::TxData, padded as u32);
        for &word in &self.0[..(2 + padded).div_ceil(4)] {
            write(Register::TxData, word);
        }
        out
    }
}
