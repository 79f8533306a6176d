//! Every promise of `wire.rs`, each fault by itself and together.

extern crate std;

use std::sync::Mutex;
use std::vec::Vec;

use super::*;
use smoltcp::time::Duration;

fn ms(millis: i64) -> Instant {
    Instant::from_millis(millis)
}

/// Sends frames 0 to `count` forth, one per millisecond, and returns what
/// arrived, with the stats of the direction.
fn run(faults: Faults, count: u16) -> (Vec<(Instant, Frame)>, DirectionStats) {
    let wire = std::boxed::Box::new(Wire::<64>::new(faults));
    let (first, mut second) = wire.ends();
    let mut arrived = Vec::new();
    for number in 0..count + 1000 {
        let now = ms(number.into());
        if number < count {
            assert!(first.inject(now, &number.to_be_bytes()));
        }
        arrived.extend(core::iter::from_fn(|| second.take(now)).map(|frame| (now, frame)));
    }
    assert_eq!(wire.next_delivery(), None);
    let stats = wire.stats().forth;
    let flew = stats.sent - stats.filtered - stats.lost + stats.duplicated;
    assert_eq!(stats.delivered, flew);
    (arrived, stats)
}

const BASE: Faults = Faults {
    seed: 7,
    latency: Duration::from_millis(3),
    ..Faults::NONE
};

#[test]
fn a_perfect_wire_keeps_order_and_latency() {
    let (arrived, stats) = run(BASE, 500);
    for (number, (when, frame)) in arrived.iter().enumerate() {
        assert_eq!(*when, ms(number as i64 + 3));
        assert_eq!(frame[..], (number as u16).to_be_bytes());
    }
    let clean = DirectionStats {
        sent: 500,
        delivered: 500,
        ..Default::default()
    };
    assert_eq!(stats, clean);
}

#[test]
fn each_fault_takes_effect_and_repeats() {
    let jitter = Duration::from_millis(9);
    type Count = fn(&DirectionStats) -> u64;
    let cases: [(Faults, Count); 5] = [
        (
            Faults {
                loss_ppm: 100_000,
                ..BASE
            },
            |stats| stats.lost,
        ),
        (
            Faults {
                duplicate_ppm: 100_000,
                ..BASE
            },
            |stats| stats.duplicated,
        ),
        (
            Faults {
                reorder_ppm: 100_000,
                reorder_delay: jitter,
                ..BASE
            },
            |stats| stats.delayed,
        ),
        (
            Faults {
                corrupt_ppm: 100_000,
                ..BASE
            },
            |stats| stats.corrupted,
        ),
        (Faults { jitter, ..BASE }, |stats| stats.reordered),
    ];
    for (faults, count) in cases {
        let (arrived, stats) = run(faults, 1000);
        let range = if faults.jitter == jitter {
            300..900
        } else {
            70..130
        };
        assert!(range.contains(&count(&stats)), "{stats:?}");
        assert_eq!(
            stats.reordered > 0,
            faults.jitter == jitter || stats.delayed > 0
        );
        assert_eq!((arrived, stats), run(faults, 1000));
        let other = Faults { seed: 8, ..faults };
        assert_ne!(run(faults, 1000).0, run(other, 1000).0);
    }
}

#[test]
fn a_damaged_frame_has_one_bit_flipped() {
    let faults = Faults {
        corrupt_ppm: 1_000_000,
        ..BASE
    };
    let mut seen = 0;
    for (number, (_, frame)) in run(faults, 500).0.iter().enumerate() {
        let difference = u16::from_be_bytes([frame[0], frame[1]]) ^ number as u16;
        assert_eq!(difference.count_ones(), 1);
        seen |= difference;
    }
    assert_eq!(seen, u16::MAX, "every bit gets its turn");
}

#[test]
fn one_fault_does_not_shift_another() {
    let loss = Faults {
        loss_ppm: 200_000,
        ..BASE
    };
    let everything = Faults {
        duplicate_ppm: 300_000,
        reorder_ppm: 300_000,
        reorder_delay: Duration::from_millis(20),
        jitter: Duration::from_millis(5),
        ..loss
    };
    let survivors = |faults| {
        let mut frames: Vec<_> = run(faults, 500)
            .0
            .into_iter()
            .map(|(_, frame)| frame)
            .collect();
        frames.sort();
        frames.dedup();
        frames
    };
    assert_eq!(survivors(loss), survivors(everything));
}

#[test]
fn the_directions_draw_apart() {
    let wire = std::boxed::Box::new(Wire::<64>::new(Faults {
        loss_ppm: 500_000,
        ..BASE
    }));
    let (mut first, mut second) = wire.ends();
    for number in 0..64 {
        first.inject(ms(0), &[number]);
        second.inject(ms(0), &[number]);
    }
    let forth: Vec<_> = core::iter::from_fn(|| second.take(ms(9))).collect();
    let back: Vec<_> = core::iter::from_fn(|| first.take(ms(9))).collect();
    assert_ne!(forth, back);
}

#[test]
fn a_long_wire_fits_a_static() {
    static LONG: Mutex<Wire<4096>> = Mutex::new(Wire::new(Faults::NONE));
    let wire = LONG.lock().unwrap();
    let (first, mut second) = wire.ends();
    assert!((0..4096).all(|_| first.inject(ms(0), &[0; 60])));
    assert!(!first.inject(ms(0), &[0; 60]));
    assert_eq!(core::iter::from_fn(|| second.take(ms(0))).count(), 4096);
}

#[test]
fn a_duplicate_has_its_own_delay_and_damage() {
    let faults = Faults {
        duplicate_ppm: 1_000_000,
        corrupt_ppm: 500_000,
        jitter: Duration::from_millis(50),
        ..BASE
    };
    let wire = Wire::<2>::new(faults);
    let (first, mut second) = wire.ends();
    let (mut apart, mut differ) = (0, 0);
    for round in 0..100 {
        let start = ms(round * 100);
        first.inject(start, &[0; 60]);
        let early = wire.next_delivery().unwrap();
        let frame = second.take(early).unwrap();
        apart += i32::from(wire.next_delivery() != Some(early));
        differ += i32::from(second.take(ms(round * 100 + 99)).unwrap() != frame);
    }
    assert!(apart > 90, "{apart}");
    assert!((50..100).contains(&differ), "{differ}");
}
