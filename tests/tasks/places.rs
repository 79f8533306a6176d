//! Futures that are larger than a task's row, in places of their own.

use super::*;
use cygnet::{FuturePlaces, SpawnRefused};

/// Of some 4,000 bytes, when a row has 512.
async fn large(ring: &Ring, word: &'static str, words: &Words) -> Result<(), ()> {
    let mut load = [0_u8; 4000];
    for round in 0..3 {
        load[round as usize * 1000] = round;
        ring.wait().await;
        assert_eq!(load[round as usize * 1000], round, "it has moved");
    }
    words.borrow_mut().push(word);
    Ok(())
}

#[test]
fn a_large_future_has_a_place_and_gives_it_back() {
    node!(node, 3);
    let places: &'static FuturePlaces<2, 4200> = leak(FuturePlaces::new());
    let (words, ring) = (words(), Ring::new());
    assert!(node.spawn(large(&ring, "row", &words)).is_err());
    alone(node, |turn| {
        // More often than there are places.
        for word in ["a", "b", "c", "d", "e"] {
            node.spawn_in(places, large(&ring, word, &words)).unwrap();
            turn(ms(0));
            let waits = node.waiting().next().unwrap();
            assert!(waits.name.ends_with("places.rs"), "{waits}");
            for _ in 0..3 {
                ring.signal(());
                turn(ms(0));
            }
            assert_eq!(taken(&words), [word]);
        }
    });
}

#[test]
fn full_places_and_full_tasks_give_the_future_back() {
    node!(node, 2);
    let places: &'static FuturePlaces<2, 4200> = leak(FuturePlaces::new());
    let (words, ring) = (words(), Ring::new());
    let one = || large(&ring, "one", &words);
    for _ in 0..2 {
        node.spawn_in(places, one()).unwrap();
    }
    let error = node.spawn_in(places, one()).unwrap_err();
    assert_eq!((error.refused, error.has), (SpawnRefused::Full, 4200));
    drop(error.future);
    // Another set has room, and the node has no task: the place is free afterwards.
    let others: &'static FuturePlaces<1, 4200> = leak(FuturePlaces::new());
    for _ in 0..3 {
        let error = node.spawn_in(others, one()).unwrap_err();
        assert_eq!((error.refused, error.has), (SpawnRefused::Full, 512));
    }
    let small: &'static FuturePlaces<1, 64> = leak(FuturePlaces::new());
    let error = node.spawn_in(small, one()).unwrap_err();
    assert_eq!(error.refused, SpawnRefused::TooLarge);
    assert!(error.needs > 4000);
}

#[test]
fn a_place_is_free_after_its_loop_and_after_a_panic() {
    struct Ends<'w>(&'w Words);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.borrow_mut().push("dropped");
        }
    }
    let words = words();
    let places: &'static FuturePlaces<1, 4200> = leak(FuturePlaces::new());
    for panics in [false, true, false] {
        node!(node, 2);
        let ends = Ends(&words);
        let held = async {
            let _ends = ends;
            assert!(!panics, "as it should");
            std::future::pending::<()>().await
        };
        node.spawn_in(places, held).unwrap();
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            alone(node, |turn| turn(ms(0)));
        }));
        assert_eq!(ran.is_err(), panics);
        assert_eq!(taken(&words), ["dropped"]);
    }
}
