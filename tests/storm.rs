//! A peer that sends anything at all to a program that does anything at all:
//! segments of every kind, in and out of every window, damaged ones, and long
//! silences. Nothing panics, no turn works without bound, and afterwards every
//! slot is free.
//!
//! `CYGNET_SEEDS=A..B cargo test --profile checked --test storm -- --nocapture`
//! runs more seeds, about 72 segments each, and counts them.
#![cfg(feature = "lab")]
mod harness;

use harness::storm::{Dice, storm};

#[test]
fn nothing_a_peer_sends_panics_spins_or_leaks() {
    let began = std::time::Instant::now();
    let (mut frames, mut turns) = (0, 0);
    for seed in harness::seeds(0..300) {
        let ended = std::panic::catch_unwind(|| {
            storm(Dice {
                state: seed,
                left: 1000,
            })
        });
        let passed = ended.unwrap_or_else(|panic| {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic)
        });
        frames += passed.frames;
        turns += passed.turns;
    }
    let time = began.elapsed();
    println!("{frames} segments, {turns} turns, none over its budget, no slot left, in {time:?}");
}
