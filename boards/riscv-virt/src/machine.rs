//! The clock and the interrupts of a RISC-V hart, as QEMU's virt machine has
//! them: CLINT for time (SiFive FU540 manual, chapter 9), PLIC for devices
//! (chapter 10).
//!
//! No interrupt is ever taken. WFI ends when one is pending that `mie` lets
//! through, also while `mstatus` masks them all, so the loop asks, sleeps, and
//! asks again, and no handler is needed.

use riscv::register::mie;

/// CLINT: when the timer interrupts, and a counter at 10 MHz.
const MTIMECMP: *mut u32 = 0x0200_4000 as *mut u32;
const MTIME: *const u32 = 0x0200_bff8 as *const u32;
const TICKS_PER_MICRO: u64 = 10;

/// PLIC, for this hart in machine mode.
const PRIORITY: usize = 0x0c00_0000;
const ENABLE: *mut u32 = 0x0c00_2000 as *mut u32;
const THRESHOLD: *mut u32 = 0x0c20_0000 as *mut u32;
const CLAIM: *mut u32 = 0x0c20_0004 as *mut u32;

/// Lets one device and the timer end a sleep.
pub fn start(irq: u32) {
    // SAFETY: registers of this machine; with `mstatus.MIE` clear, as after a
    // reset, nothing is interrupted.
    unsafe {
        ((PRIORITY + 4 * irq as usize) as *mut u32).write_volatile(1);
        ENABLE.write_volatile(1 << irq);
        THRESHOLD.write_volatile(0);
        mie::set_mext();
        mie::set_mtimer();
    }
}

/// Tells the PLIC that whatever interrupted was looked at.
pub fn acknowledge() {
    // SAFETY: as above. Nothing to claim reads as 0, which may be completed.
    unsafe { CLAIM.write_volatile(CLAIM.read_volatile()) }
}

fn ticks() -> u64 {
    // SAFETY: as above.
    let read = |half: usize| unsafe { MTIME.add(half).read_volatile() };
    loop {
        let (high, low) = (read(1), read(0));
        // Unless the lower half ran over in between.
        if read(1) == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

/// Microseconds since the start.
pub fn micros() -> i64 {
    (ticks() / TICKS_PER_MICRO) as i64
}

/// Sets when a sleep ends at the latest.
pub fn wake_at(micros: Option<i64>) {
    let at = micros.map_or(u64::MAX, |micros| {
        (micros.max(0) as u64).saturating_mul(TICKS_PER_MICRO)
    });
    // SAFETY: as above. The upper half goes first, to its largest, so that no
    // time is set in between that has passed.
    unsafe {
        MTIMECMP.add(1).write_volatile(u32::MAX);
        MTIMECMP.write_volatile(at as u32);
        MTIMECMP.add(1).write_volatile((at >> 32) as u32);
    }
}
