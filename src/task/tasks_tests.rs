//! The scheduler: who runs, in which order, and how often. The order is written
//! down as words.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Poll, Waker};

use smoltcp::time::Instant;

use crate::lab::task_audit::{is_set, woken};
use crate::scheduler::Scheduler;
use crate::task::slot::Pinned;
use crate::task::waker::tests::lookalike;
use crate::task::{ReadySet, SpawnRefused, TaskStorage, Tasks};

type Words = RefCell<heapless::Vec<&'static str, 16>>;

fn say(words: &Words, word: &'static str) {
    words.borrow_mut().push(word).unwrap();
}

fn said(words: &Words, expected: &[&'static str]) {
    let words = core::mem::take(&mut *words.borrow_mut());
    assert_eq!(words[..], *expected);
}

/// What the event loop does with tasks in one turn.
fn turn<'a>(tasks: &Tasks<'a>, pinned: &Pinned<'_, 'a>, now: Instant) {
    tasks.advance(now);
    tasks.collect_ready();
    while let Some(task) = tasks.next_ready() {
        tasks.resume(pinned, task, &Cell::new(None));
    }
}

crate::test_list::tests! {
    fn first_woken_runs_first_and_once_a_turn() {
        static READY: ReadySet<3> = ReadySet::new();
        let words = Words::default();
        let mut storage = TaskStorage::<3, 64>::new();
        let tasks = Tasks::new(&mut storage, &READY);
        for word in ["a", "b", "c"] {
            let words = &words;
            let each_poll = poll_fn(move |_| {
                say(words, word);
                Poll::<()>::Pending
            });
            tasks.spawn(None, each_poll).unwrap();
        }
        tasks.pinned(|pinned| {
            turn(&tasks, pinned, Instant::ZERO);
            said(&words, &["a", "b", "c"]);
            for task in [2, 0, 2, 1, 0] {
                READY.ready().wake(task);
            }
            turn(&tasks, pinned, Instant::ZERO);
            said(&words, &["c", "a", "b"]);
            turn(&tasks, pinned, Instant::ZERO);
            said(&words, &[]);
        });
    }

    /// With flags and without: the order is that of the wakes, and nobody is
    /// queued twice.
    fn a_wake_from_inside_the_turn_has_its_place_among_the_others() {
        static READY: ReadySet<4> = ReadySet::new();
        let words = Words::default();
        let mut storage = TaskStorage::<4, 64>::new();
        let tasks = Tasks::new(&mut storage, &READY);
        for word in ["a", "b", "c", "d"] {
            let words = &words;
            let each_poll = poll_fn(move |_| {
                say(words, word);
                Poll::<()>::Pending
            });
            tasks.spawn(None, each_poll).unwrap();
        }
        let here = |task| drop(tasks.wake(READY.ready().waker(task).unwrap()));
        let flag = |task| READY.ready().wake(task);
        tasks.pinned(|pinned| {
            turn(&tasks, pinned, Instant::ZERO);
            said(&words, &["a", "b", "c", "d"]);
            [2, 0, 2].into_iter().for_each(here);
            assert!(!READY.is_woken(), "no flag was needed");
            turn(&tasks, pinned, Instant::ZERO);
            said(&words, &["c", "a"]);
            // Those after a flag stand behind it; one that has its place keeps it.
            here(3);
            flag(1);
            here(0);
            flag(3);
            here(2);
            turn(&tasks, pinned, Instant::ZERO);
            said(&words, &["d", "b", "a", "c"]);
            // A flag that was set counts once, and can be set again.
            here(1);
            flag(1);
            turn(&tasks, pinned, Instant::ZERO);
            said(&words, &["b"]);
            flag(1);
            turn(&tasks, pinned, Instant::ZERO);
            said(&words, &["b"]);
            turn(&tasks, pinned, Instant::ZERO);
            said(&words, &[]);
        });
    }

    /// A flag on the list is cleared only after it was taken from it, or it would
    /// be put there twice.
    fn a_flag_set_while_its_task_was_queued_without_it_stays_set() {
        static READY: ReadySet<2> = ReadySet::new();
        let polls = Cell::new(0);
        let mut storage = TaskStorage::<2, 64>::new();
        let tasks = Tasks::new(&mut storage, &READY);
        let count = poll_fn(|_| {
            polls.set(polls.get() + 1);
            Poll::<()>::Pending
        });
        tasks.spawn(None, count).unwrap();
        tasks.pinned(|pinned| {
            turn(&tasks, pinned, Instant::ZERO);
            for round in 1..4 {
                tasks.wake(READY.ready().waker(0).unwrap());
                tasks.collect_ready();
                READY.ready().wake(0); // an interrupt
                let task = tasks.next_ready().unwrap();
                tasks.resume(pinned, task, &Cell::new(None));
                assert!(is_set(READY.ready(), 0));
                READY.ready().wake(0); // and another
                assert_eq!(woken(READY.ready()), 1);
                turn(&tasks, pinned, Instant::ZERO);
                assert!(!READY.is_woken());
                assert_eq!(polls.get(), 1 + 2 * round);
            }
        });
    }

    /// One of another set is woken, one that a combinator made is given back.
    fn a_waker_of_somebody_elses_is_left_as_it_is() {
        static READY: ReadySet<2> = ReadySet::new();
        static OTHER: ReadySet<2> = ReadySet::new();
        let mut storage = TaskStorage::<2, 64>::new();
        let tasks = Tasks::new(&mut storage, &READY);
        OTHER.ready().claim();
        assert!(tasks.wake(OTHER.ready().waker(1).unwrap()).is_none());
        assert!(tasks.wake(Waker::noop().clone()).is_some());
        let lookalike = lookalike(&READY.ready().waker(0).unwrap());
        assert!(tasks.wake(lookalike).is_some());
        assert!(OTHER.is_woken() && !READY.is_woken());
        tasks.collect_ready();
        assert_eq!(tasks.next_ready(), None);
    }

    fn what_wakes_itself_runs_again_in_the_next_turn() {
        static READY: ReadySet<1> = ReadySet::new();
        let polls = Cell::new(0);
        let mut storage = TaskStorage::<1, 64>::new();
        let tasks = Tasks::new(&mut storage, &READY);
        let three_times = poll_fn(|cx| {
            polls.set(polls.get() + 1);
            cx.waker().wake_by_ref();
            if polls.get() < 3 { Poll::Pending } else { Poll::Ready(()) }
        });
        tasks.spawn(None, three_times).unwrap();
        tasks.pinned(|pinned| {
            for expected in 1..=3 {
                turn(&tasks, pinned, Instant::ZERO);
                assert_eq!(polls.get(), expected);
            }
            assert!(tasks.used.get() == 0);
            turn(&tasks, pinned, Instant::ZERO); // a wake for nobody
            assert_eq!(polls.get(), 3);
        });
    }

    fn full_gives_the_future_back_and_an_end_makes_room() {
        static READY: ReadySet<2> = ReadySet::new();
        let words = Words::default();
        let mut storage = TaskStorage::<2, 64>::new();
        let tasks = Tasks::new(&mut storage, &READY);
        let task = |word| {
            let words = &words;
            async move { say(words, word) }
        };
        tasks.spawn(None, task("first")).unwrap();
        tasks.spawn(None, task("second")).unwrap();
        let refused = tasks.spawn(None, task("third")).unwrap_err();
        assert_eq!(refused.refused, SpawnRefused::Full);
        tasks.pinned(|pinned| {
            turn(&tasks, pinned, Instant::ZERO);
            said(&words, &["first", "second"]);
            tasks.spawn(None, refused.future).unwrap();
            turn(&tasks, pinned, Instant::ZERO);
            said(&words, &["third"]);
        });
        assert!(tasks.used.get() == 0);
    }

    fn timers_wake_by_time() {
        static READY: ReadySet<3> = ReadySet::new();
        let words = Words::default();
        let mut storage = TaskStorage::<3, 128>::new();
        let tasks = Tasks::new(&mut storage, &READY);
        for (word, millis) in [("late", 30), ("early", 10), ("middle", 20)] {
            let (words, timers) = (&words, &tasks.timers);
            let sleep = timers.sleep_until(Instant::from_millis(millis));
            let task = async move {
                sleep.await;
                say(words, word);
            };
            tasks.spawn(None, task).unwrap();
        }
        tasks.pinned(|pinned| {
            turn(&tasks, pinned, Instant::ZERO);
            assert_eq!(tasks.timers.next(), Some(Instant::from_millis(10)));
            turn(&tasks, pinned, Instant::from_millis(9));
            said(&words, &[]);
            turn(&tasks, pinned, Instant::from_millis(25));
            said(&words, &["early", "middle"]);
            turn(&tasks, pinned, Instant::from_millis(30));
            said(&words, &["late"]);
        });
    }
}
