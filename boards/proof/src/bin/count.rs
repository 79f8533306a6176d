//! Counts the server's instructions per echo, with one connection and with
//! eight. For QEMU with `-icount shift=0`, where every run gives the same.
//!
//! Cortex-M3: QEMU's cycle counter stands still, but time is a nanosecond per
//! instruction there, and with the system divider of the LM3S at 0 SysTick
//! counts once in five. RISC-V counts instructions itself.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod image {
    use console::println;
    use proof::echoes::{ECHOES, Hosts};

    static ONE: Hosts<1, 2> = Hosts::new();
    static EIGHT: Hosts<8, 9> = Hosts::new();

    pub fn run(mut count: impl FnMut() -> u64) -> ! {
        let one = ONE.run(&mut count);
        let eight = EIGHT.run(&mut count);
        println!(
            "instructions per echo: {one} with 1 connection, {eight} with 8; {ECHOES} echoes each"
        );
        console::exit(true)
    }
}

#[cfg(target_arch = "arm")]
#[cortex_m_rt::entry]
fn main() -> ! {
    use cortex_m::peripheral::{SYST, syst::SystClkSource};

    /// Run-mode clock configuration; the divider is in bits 26:23.
    const RCC: *mut u32 = 0x400f_e060 as *mut u32;
    const INSTRUCTIONS: u64 = 5;
    const BITS: u32 = 0x00ff_ffff;

    // SAFETY: a register of this chip; nothing depends on the clock yet.
    unsafe { RCC.write_volatile(RCC.read_volatile() & !(0xf << 23)) }
    let core = cortex_m::Peripherals::take().expect("taken once");
    let mut syst = core.SYST;
    syst.set_clock_source(SystClkSource::Core);
    syst.set_reload(BITS);
    syst.clear_current();
    syst.enable_counter();
    let (mut total, mut last) = (0_u64, SYST::get_current());
    image::run(move || {
        let now = SYST::get_current(); // counts down, 84 million instructions
        total += u64::from(last.wrapping_sub(now) & BITS) * INSTRUCTIONS;
        last = now;
        total
    })
}

#[cfg(target_arch = "riscv32")]
#[riscv_rt::entry]
fn main() -> ! {
    image::run(riscv::register::minstret::read64)
}

#[cfg(not(target_os = "none"))]
fn main() {
    println!("on a board only: boards/count");
}
