//! Runs the core's tests of scheduler, flows, deadlines and wire. One that fails
//! panics, which ends the image with an exit status that is not zero.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
use console::println;

fn run() {
    let mut count = 0;
    for (name, test) in cygnet::lab::on_target::all() {
        println!("{name}");
        test();
        count += 1;
    }
    println!("{count} tests passed");
}

#[cfg(not(target_os = "none"))]
fn main() {
    run();
}

#[cfg(target_arch = "arm")]
#[cortex_m_rt::entry]
fn main() -> ! {
    run();
    console::exit(true)
}

#[cfg(target_arch = "riscv32")]
#[riscv_rt::entry]
fn main() -> ! {
    run();
    console::exit(true)
}
