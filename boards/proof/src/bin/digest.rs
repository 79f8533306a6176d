//! Runs the scenario and prints its digest. On a host: `boards/digest`.
#![cfg_attr(target_os = "none", no_std, no_main)]

use proof::scenario;

#[cfg(target_os = "none")]
use console::println;

fn report() -> bool {
    let outcome = scenario::run();
    println!(
        "digest {:032x}, {} events, {} us, {} of 3 good",
        outcome.digest,
        outcome.events,
        outcome.end.total_micros(),
        outcome.good
    );
    outcome.good == 3
}

#[cfg(not(target_os = "none"))]
fn main() {
    assert!(report(), "a conversation went wrong");
}

#[cfg(target_arch = "arm")]
#[cortex_m_rt::entry]
fn main() -> ! {
    console::exit(report())
}

#[cfg(target_arch = "riscv32")]
#[riscv_rt::entry]
fn main() -> ! {
    console::exit(report())
}
