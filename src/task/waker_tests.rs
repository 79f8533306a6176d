#[cfg(test)]
extern crate std;
use super::*;
use heapless::Vec;

/// A set of a test's own. A static, so that a leak checker has no complaint.
macro_rules! ready {
    ($tasks:literal) => {{
        static SET: ReadySet<$tasks> = ReadySet::new();
        SET.ready().claim();
        SET.ready()
    }};
}

/// A waker that points at the same flag, and does nothing with it.
pub(crate) fn lookalike(waker: &Waker) -> Waker {
    static NOTHING: RawWakerVTable = {
        let clone = |data| RawWaker::new(data, &NOTHING);
        RawWakerVTable::new(clone, |_| (), |_| (), |_| ())
    };
    // SAFETY: none of the functions looks at the data.
    unsafe { Waker::from_raw(RawWaker::new(waker.data(), &NOTHING)) }
}

fn taken(ready: &Ready) -> Vec<u32, 64> {
    let mut order = Vec::new();
    ready.take(|task| order.insert(0, task).unwrap());
    for &task in &order {
        ready.clear(task);
    }
    order
}

crate::test_list::tests! {
    fn first_woken_is_first_taken_and_once() {
        let ready = ready!(4);
        for task in [2, 0, 2, 3, 0] {
            ready.waker(task).unwrap().wake();
        }
        assert!(ready.is_woken());
        assert_eq!(taken(&ready), [2, 0, 3]);
        assert!(!ready.is_woken());
        ready.wake(1);
        assert_eq!(taken(&ready), [1]);
    }

    fn a_flag_between_take_and_clear_is_not_queued_twice() {
        let ready = ready!(2);
        ready.wake(1);
        ready.take(|_| ());
        ready.wake(1);
        assert!(!ready.is_woken(), "the coming poll serves this wake");
        ready.clear(1);
        ready.wake(1);
        assert_eq!(taken(&ready), [1]);
    }

    fn the_hook_runs_once_per_flag_set() {
        use core::sync::atomic::AtomicUsize;
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        static SET: ReadySet<2> = ReadySet::with_hook(|| {
            CALLS.fetch_add(1, Ordering::Relaxed);
        });
        let ready = SET.ready();
        ready.claim();
        ready.wake(0);
        ready.wake(0);
        ready.wake(1);
        assert_eq!(CALLS.load(Ordering::Relaxed), 2);
    }

    fn anothers_waker_is_cloned_before_it_is_parked_and_the_old_one_dropped_behind() {
        use core::sync::atomic::AtomicUsize;
        static CLONES: AtomicUsize = AtomicUsize::new(0);
        static DROPS: AtomicUsize = AtomicUsize::new(0);
        static COUNTS: RawWakerVTable = {
            let clone = |data| {
                CLONES.fetch_add(1, Ordering::Relaxed);
                RawWaker::new(data, &COUNTS)
            };
            let drop = |_| {
                DROPS.fetch_add(1, Ordering::Relaxed);
            };
            RawWakerVTable::new(clone, drop, |_| (), drop)
        };
        let counts = || (CLONES.load(Ordering::Relaxed), DROPS.load(Ordering::Relaxed));
        // SAFETY: none of the functions looks at the data.
        let [one, two] = [1, 2].map(|data: usize| unsafe {
            let data = core::ptr::without_provenance(data);
            Waker::from_raw(RawWaker::new(data, &COUNTS))
        });
        let mut place = None;
        for (waker, before, behind) in [(&one, (1, 0), 0), (&one, (2, 0), 1), (&two, (3, 1), 2)] {
            let mut parking = Parking::new(waker);
            assert_eq!(counts(), before);
            parking.park(&mut place);
            assert_eq!(counts(), before, "nothing runs meanwhile");
            drop(parking);
            assert_eq!(counts().1, behind);
            assert!(place.as_ref().is_some_and(|parked| parked.will_wake(waker)));
        }
        assert!(!wake_ours(&mut place) && place.is_some());
        let ours = ready!(1).waker(0).unwrap();
        Parking::new(&ours).park(&mut place);
        assert!(wake_ours(&mut place) && place.is_none() && wake_ours(&mut place));
    }

    fn a_number_out_of_range_wakes_nobody() {
        let ready = ready!(1);
        ready.wake(1);
        ready.clear(7);
        assert!(ready.waker(1).is_none());
        assert!(!ready.is_woken());
    }
}

#[cfg(test)]
#[test]
fn wakes_from_many_threads_all_arrive() {
    let ready = ready!(64);
    let wakers: Vec<Waker, 64> = (0..64).map(|task| ready.waker(task).unwrap()).collect();
    std::thread::scope(|scope| {
        for chunk in wakers.chunks(16) {
            scope.spawn(move || chunk.iter().for_each(Waker::wake_by_ref));
        }
    });
    let mut order = taken(&ready);
    order.sort();
    assert!(order.into_iter().eq(0..64));
}
