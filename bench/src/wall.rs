//! Wall time: the contenders take turns, a few milliseconds each, many times
//! over, each in a process of its own that sleeps meanwhile; what counts is the
//! median. A machine that slows down then slows all of them down, as long as they
//! are on the same core: `bench/run` sees to that.

use std::path::Path;
use std::time::Instant;

use contest::median;
use contest::plan::Plan;
use contest::remote::Remote;
use contest::world::{Contest, Watch};

/// How often each contender has its turn.
const ROUNDS: usize = 31;

/// Nanoseconds of server time in one turn of a contender, about.
const SLICE: f64 = 4e6;

/// How many such slices a contender may take to come back to its own pace, if
/// its connections need that long to be visited once.
const SLICES_TO_WARM: u64 = 8;

/// Prints nanoseconds per unit for each contender, and for cygnet with a single
/// connection. The plan's words are those of the command line.
pub fn print(plan: Plan, [mode, connections, buffer]: [&str; 3]) {
    let clock = clock_cost();
    let single = Plan {
        connections: 1,
        ..plan
    };
    let ours = std::env::current_exe().expect("this program");
    let bare = ours.with_file_name("bare");
    let start = |program: &Path, stack: &[&str], connections| {
        let words = [&["serve"], stack, &[mode, connections, buffer]].concat();
        Remote::start(program, &words)
    };
    let worlds = [
        start(&ours, &["cygnet"], connections),
        start(&bare, &[], connections),
        start(&ours, &["embassy"], connections),
        start(&ours, &["cygnet"], "1"),
    ];
    let [cygnet, bare, embassy, alone] = compare(clock, worlds, [plan, plan, plan, single]);
    println!("{cygnet:.4} {bare:.4} {embassy:.4} {alone:.4}");
}

fn compare(clock: f64, mut worlds: [Remote; 4], plans: [Plan; 4]) -> [f64; 4] {
    let units: [u64; 4] = std::array::from_fn(|index| {
        let (world, warm_up) = (&mut worlds[index], plans[index].warm_up());
        world.advance(warm_up, Watch::Nothing);
        world.spent();
        let done = world.advance(warm_up, Watch::Time);
        let each = world.spent().0 / done as f64;
        ((SLICE / each) as u64).max(1)
    });
    let mut costs: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        for (index, world) in worlds.iter_mut().enumerate() {
            // What the other contenders left in the caches must not count: every
            // connection is used once, or for so long that it does not matter.
            let all = (plans[index].connections as u64).min(units[index] * SLICES_TO_WARM);
            world.advance(all.max(units[index].div_ceil(4)), Watch::Nothing);
            world.spent();
            let done = world.advance(units[index], Watch::Time);
            let (nanos, turns) = world.spent();
            costs[index].push((nanos - f64::from(turns) * clock) / done as f64);
        }
    }
    costs.map(|costs| median(&costs))
}

/// What it costs to ask for the time, once per turn.
fn clock_cost() -> f64 {
    let cost = || {
        let start = Instant::now();
        start.elapsed().as_nanos() as f64
    };
    median(&(0..10_001).map(|_| cost()).collect::<Vec<_>>())
}
