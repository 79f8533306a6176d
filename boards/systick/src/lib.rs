//! Time on a Cortex-M: SysTick counts a millisecond and begins again; its
//! interrupt counts milliseconds. Between two of them the counter says how many
//! cycles have passed.
//!
//! The trap: the counter may have begun again while its interrupt still waits.
//! Who adds the old milliseconds to the new cycles sees time go backwards. So
//! both are read with interrupts masked, and a waiting interrupt is counted.
#![no_std]

use core::cell::Cell;

use cortex_m::interrupt::{self, Mutex};
use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use cortex_m_rt::exception;

static MILLIS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

#[exception]
fn SysTick() {
    interrupt::free(|cs| {
        let millis = MILLIS.borrow(cs);
        millis.set(millis.get() + 1);
    });
}

/// A clock that runs from when it was started.
pub struct Clock {
    cycles_per_milli: u32,
}

impl Clock {
    /// Starts SysTick from a core clock of `hertz`: at least 1 kHz, below 16 GHz.
    pub fn start(mut syst: SYST, hertz: u32) -> Self {
        let cycles_per_milli = hertz / 1000;
        syst.set_clock_source(SystClkSource::Core);
        syst.set_reload(cycles_per_milli - 1);
        syst.clear_current();
        syst.enable_interrupt();
        syst.enable_counter();
        Clock { cycles_per_milli }
    }

    /// Microseconds since the start. Never goes backwards.
    pub fn micros(&self) -> i64 {
        interrupt::free(|cs| {
            let (left, waiting) = loop {
                let before = SCB::is_pendst_pending();
                let left = SYST::get_current();
                if SCB::is_pendst_pending() == before {
                    break (left, before);
                }
            };
            let millis = MILLIS.borrow(cs).get() + u64::from(waiting);
            // Both fit 32 bits: a division of 64 takes hundreds of cycles here.
            let cycles = self.cycles_per_milli - 1 - left;
            (millis * 1000) as i64 + i64::from(cycles * 1000 / self.cycles_per_milli)
        })
    }
}
