//! `sim selftest`: plants one bug at a time into the core or into the simulated
//! network, runs seeds until a run goes wrong, and shrinks that run to the few
//! facts that matter. A test of the tests: whatever is not found here would not
//! be found elsewhere either.
//!
//! ```text
//!   hunt     one bug: seeds until it shows, then the least that still shows it
//!   all      every bug, each in a process of its own, and the table
//! ```
//!
//! A bug is planted in a whole process, hence a process each. All of it needs the
//! feature `selftest`: without it there is nothing to plant.

#[cfg(feature = "selftest")]
mod all;
#[cfg(feature = "selftest")]
mod hunt;

use crate::cli::SelftestConfig;

/// Runs the self-test. Returns 0, or 1 when some bug was not found, or not shrunk
/// as far as it must be.
///
/// # Errors
/// One line: this program cannot plant bugs, or a file cannot be written.
#[cfg(feature = "selftest")]
pub fn run(config: &SelftestConfig) -> Result<u8, String> {
    match (config.bug, &config.digest_of) {
        (Some(bug), Some(plan)) => hunt::digest_of(bug, plan),
        (Some(bug), None) if config.row => hunt::row(bug, config),
        _ => all::run(config),
    }
}

/// Says how to build a program that can.
///
/// # Errors
/// Always.
#[cfg(not(feature = "selftest"))]
pub fn run(_: &SelftestConfig) -> Result<u8, String> {
    Err(
        "bugs can be planted only in a program that is built for it: \
         cargo run --release --features selftest -- selftest"
            .into(),
    )
}
