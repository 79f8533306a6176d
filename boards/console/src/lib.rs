//! Where firmware says things, how it ends, and how much stack it used. Text
//! goes to whoever started QEMU: over semihosting on Cortex-M, over the serial
//! line on RISC-V. A panic or a fault says where it happened and ends with an
//! exit status that is not zero.
//!
//! Not here: logging. See the features `log` and `defmt` of `cygnet-compat`.
#![no_std]

#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "riscv32", path = "riscv.rs")]
mod machine;
pub mod stack;

pub use machine::{exit, print};

/// Prints a line.
#[macro_export]
macro_rules! println {
    ($($words:tt)*) => { $crate::print(format_args!("{}\n", format_args!($($words)*))) };
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("{info}");
    exit(false)
}
