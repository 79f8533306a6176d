//! QEMU's virt machine: a serial line, and a register that ends everything.

use core::fmt::{Arguments, Write};

/// The serial line's data register; the emulated one is always ready.
const UART: *mut u8 = 0x1000_0000 as *mut u8;
/// The finisher.
const FINISHER: *mut u32 = 0x0010_0000 as *mut u32;
const PASS: u32 = 0x5555;
const FAIL: u32 = 1 << 16 | 0x3333;

struct Uart;

impl Write for Uart {
    fn write_str(&mut self, words: &str) -> core::fmt::Result {
        for byte in words.bytes() {
            // SAFETY: a register of this machine.
            unsafe { UART.write_volatile(byte) }
        }
        Ok(())
    }
}

/// Prints, if anybody listens.
pub fn print(words: Arguments<'_>) {
    let _ = Uart.write_fmt(words);
}

/// Ends with exit status 0, or 1.
pub fn exit(success: bool) -> ! {
    let how = if success { PASS } else { FAIL };
    // SAFETY: a register of this machine.
    unsafe { FINISHER.write_volatile(how) }
    loop {
        riscv::asm::wfi();
    }
}

#[unsafe(export_name = "ExceptionHandler")]
fn exception(_frame: &riscv_rt::TrapFrame) -> ! {
    let (cause, pc, at) = (
        riscv::register::mcause::read().bits(),
        riscv::register::mepc::read(),
        riscv::register::mtval::read(),
    );
    crate::println!("exception {cause} at {pc:#x}, address {at:#x}");
    exit(false)
}
