//! Wall time: the contenders take turns, a few milliseconds each, many times
//! over, in one process; what counts is the median. A machine that slows down
//! then slows all of them down.

use std::time::Instant;

use crate::plan::{Mode, Plan};
use crate::world::Watch;
use crate::{Contest, with_contender};

/// How often each contender has its turn.
const ROUNDS: usize = 31;

/// Nanoseconds of server time in one turn of a contender, about.
const SLICE: f64 = 4e6;

/// What to let pass before anything is measured.
pub fn warm_up(plan: Plan) -> u64 {
    match plan.mode {
        Mode::BulkDown | Mode::BulkUp => 1 << 20,
        Mode::All => plan.connections as u64,
        _ => 2,
    }
}

/// Prints nanoseconds per unit for each contender.
pub fn print(plan: Plan) {
    let clock = clock_cost();
    with_contender("cygnet", plan, |cygnet| {
        with_contender("bare", plan, |bare| {
            with_contender("embassy", plan, |embassy| {
                let medians = compare(plan, clock, [cygnet, bare, embassy]);
                println!("{:.4} {:.4} {:.4}", medians[0], medians[1], medians[2]);
            })
        })
    });
}

fn compare(plan: Plan, clock: f64, mut worlds: [&mut dyn Contest; 3]) -> [f64; 3] {
    let units = worlds.each_mut().map(|world| {
        world.advance(warm_up(plan), Watch::Nothing);
        world.spent();
        let done = world.advance(warm_up(plan), Watch::Time);
        let each = world.spent().0 / done as f64;
        ((SLICE / each) as u64).max(1)
    });
    let mut costs: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for index in 0..3 {
            let world = &mut worlds[index];
            // What the others left in the caches is nobody's fault.
            world.advance(units[index].div_ceil(4), Watch::Nothing);
            world.spent();
            let done = world.advance(units[index], Watch::Time);
            let (nanos, turns) = world.spent();
            costs[index].push((nanos - f64::from(turns) * clock) / done as f64);
        }
    }
    costs.map(median)
}

/// What it costs to ask for the time, once per turn.
fn clock_cost() -> f64 {
    let cost = || {
        let start = Instant::now();
        start.elapsed().as_nanos() as f64
    };
    median((0..10_001).map(|_| cost()).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
