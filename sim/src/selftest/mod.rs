//! `sim selftest`: plants one bug at a time into the core or into the simulated
//! network, runs seeds until a run goes wrong, and shrinks that run to the few
//! facts that matter. A test of the tests: whatever is not found here would not
//! be found elsewhere either.
//!
//! ```text
//!   patch    a bug: the lines that plant it, and where to look for it
//!   copy     the sources with all of them in, built into a program of its own
//!   all      every bug, each in a process of that program, and the table
//!   hunt     one bug: seeds until it shows, then the least that still shows it
//! ```
//!
//! The bugs are in `sim/selftest/`, a patch each, and nowhere in the sources. In
//! the copy each is asleep until its number is planted, in a whole process, hence
//! a process each.

use std::path::Path;

use crate::cli::SelftestConfig;

mod all;
mod copy;
mod hunt;
mod patch;

use copy::Sources;
use patch::Bug;

/// Plants a bug into this process by its number. Only in the copy is there a way.
const PLANT: Option<fn(usize)> = None;

/// Runs the self-test. Returns 0, or 1 when some bug was not found, or not shrunk
/// as far as it must be.
///
/// # Errors
/// There are no sources to plant bugs in, a patch no longer applies, the copy does
/// not build, or a file cannot be written.
pub fn run(config: &SelftestConfig) -> Result<u8, String> {
    let sources = Sources::find(config.sources.as_deref())?;
    let patches = sources.patches()?;
    let bugs = patches.iter().filter_map(|patch| patch.bug.as_ref());
    let numbered: Vec<(usize, &Bug)> = (1..).zip(bugs).collect();
    let wanted = match &config.bug {
        None => &numbered[..],
        Some(name) => match numbered.iter().position(|(_, bug)| bug.name == *name) {
            Some(index) => &numbered[index..=index],
            None => {
                let names: Vec<&str> = numbered.iter().map(|(_, bug)| &*bug.name).collect();
                return Err(format!("{name} is not one of: {}", names.join(", ")));
            }
        },
    };
    if let (Some((number, bug)), true) = (wanted.first(), config.is_child()) {
        let plant = PLANT.ok_or("this program has no bugs in it")?;
        plant(*number);
        return match &config.digest_of {
            Some(plan) => hunt::digest_of(plan),
            None => hunt::row(bug, config),
        };
    }
    let program = match PLANT {
        Some(_) => std::env::current_exe().map_err(|error| error.to_string())?,
        None => sources.build(&patches)?,
    };
    let bugs: Vec<&Bug> = wanted.iter().map(|(_, bug)| *bug).collect();
    all::run(&program, &bugs, config)
}

/// Whether every patch still has its place in the sources of this clone. Returns
/// the number of bugs.
///
/// # Errors
/// Which have none, and what they looked for.
pub fn check(root: &Path) -> Result<usize, String> {
    let sources = Sources::find(Some(root))?;
    let patches = sources.patches()?;
    sources.patched(&patches)?;
    Ok(patches.iter().filter(|patch| patch.bug.is_some()).count())
}
