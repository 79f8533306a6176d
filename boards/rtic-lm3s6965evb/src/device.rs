//! What RTIC wants to know of a chip, and the crates of most chips say: its interrupts, and how
//! many priorities there are.

/// The three that are used here, two of them to run software tasks.
#[derive(Clone, Copy)]
#[allow(non_camel_case_types, clippy::upper_case_acronyms)]
pub enum Interrupt {
    SSI0 = 7,
    QEI0 = 13,
    ETH = 42,
}

pub use Interrupt as interrupt;

/// Eight priorities.
pub const NVIC_PRIO_BITS: u8 = 3;

// SAFETY: the numbers are constants, and the chip has 44 interrupts.
unsafe impl cortex_m::interrupt::InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

unsafe extern "C" {
    fn SSI0();
    fn QEI0();
    fn ETH();
}

/// The vectors from 0 to the Ethernet controller's. RTIC defines the handlers.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
pub static __INTERRUPTS: [Option<unsafe extern "C" fn()>; Interrupt::ETH as usize + 1] = {
    let mut vectors: [Option<unsafe extern "C" fn()>; _] = [None; Interrupt::ETH as usize + 1];
    vectors[Interrupt::SSI0 as usize] = Some(SSI0);
    vectors[Interrupt::QEI0 as usize] = Some(QEI0);
    vectors[Interrupt::ETH as usize] = Some(ETH);
    vectors
};
