//! Promises of `wire.rs` that fit a board's memory; they run there too.

use smoltcp::phy::{RxToken as _, TxToken as _};

use super::*;
use smoltcp::time::Duration;

fn ms(millis: i64) -> Instant {
    Instant::from_millis(millis)
}

const BASE: Faults = Faults {
    seed: 7,
    latency: Duration::from_millis(3),
    ..Faults::NONE
};

crate::test_list::tests! {
    /// Part of every recorded seed; computed by another SipHash-1-3, in Python.
    fn draws_are_the_same_everywhere() {
        let draws = Draws::new(
            &Faults {
                seed: 42,
                ..Faults::NONE
            },
            Direction::Back,
        );
        assert_eq!(draws.draw(Kind::Corrupt, 258, 1), 0xb8b9_e869_de32_38f7);
    }

    fn a_full_direction_pushes_back() {
        let wire = Wire::<3>::new(Faults {
            duplicate_ppm: 1_000_000,
            ..BASE
        });
        let (mut first, mut second) = wire.ends();
        assert!(first.inject(ms(0), b"0"), "with its duplicate");
        assert!(first.transmit(ms(0)).is_some(), "a place is left");
        assert!(first.inject(ms(0), b"1"), "no room for the duplicate");
        assert!(first.transmit(ms(0)).is_none());
        assert!(!first.inject(ms(0), b"2"));
        let stats = wire.stats().forth;
        assert_eq!(
            (stats.sent, stats.duplicated, stats.duplicates_skipped),
            (2, 1, 1)
        );
        assert_eq!((stats.refused, stats.delivered), (2, 0));

        // A frame waits while its receiver could not answer.
        assert!(second.inject(ms(0), b"back"));
        assert!(first.receive(ms(3)).is_none());
        for frame in [b"0", b"0", b"1"] {
            assert_eq!(second.take(ms(3)).as_deref(), Some(&frame[..]));
        }
        assert_eq!(second.take(ms(3)), None);
        assert!(first.receive(ms(2)).is_none());
        let (rx, tx) = first.receive(ms(3)).unwrap();
        rx.consume(|frame| tx.consume(frame.len(), |answer| answer.copy_from_slice(frame)));
        assert_eq!(second.take(ms(6)).as_deref(), Some(&b"back"[..]));
    }

    fn places_are_used_again() {
        let wire = Wire::<2>::new(Faults::NONE);
        let (first, mut second) = wire.ends();
        for number in 0..20 {
            assert!(first.inject(ms(0), &[number]));
            assert!(first.inject(ms(0), &[number, number]));
            assert!(!first.inject(ms(0), &[]));
            assert_eq!(second.take(ms(0)).as_deref(), Some(&[number][..]));
            assert_eq!(second.take(ms(0)).as_deref(), Some(&[number, number][..]));
        }
    }

    fn a_filter_drops_and_is_counted() {
        let wire = Wire::<4>::new(Faults::NONE);
        let (first, mut second) = wire.ends();
        let odd = |frame: &[u8]| frame[0] % 2 == 1;
        let mut first = first.with_filter(&odd);
        for number in 0..4 {
            let token = first.transmit(ms(0)).unwrap();
            token.consume(1, |frame| frame[0] = number);
        }
        assert_eq!(second.take(ms(0)).as_deref(), Some(&[1][..]));
        assert_eq!(second.take(ms(0)).as_deref(), Some(&[3][..]));
        assert_eq!(wire.stats().forth.filtered, 2);
        assert!(first.inject(ms(0), &[0; FRAME_BYTES]));
        assert!(!first.inject(ms(0), &[0; FRAME_BYTES + 1]));
        assert_eq!(
            second.take(ms(0)).map(|frame| frame.len()),
            Some(FRAME_BYTES)
        );
    }

    fn next_delivery_is_the_earlier_of_both_directions() {
        let wire = Wire::<4>::new(BASE);
        let (first, second) = wire.ends();
        assert_eq!(wire.next_delivery(), None);
        first.inject(ms(5), b"forth");
        second.inject(ms(2), b"back");
        assert_eq!(wire.next_delivery(), Some(ms(5)));
        wire.set_faults(Faults::NONE);
        first.inject(ms(4), b"at once");
        assert_eq!(wire.next_delivery(), Some(ms(4)));
    }
}
