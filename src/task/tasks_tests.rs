//! The scheduler: who runs, in which order, and how often. The order is written
//! down as words.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::Poll;

use smoltcp::time::Instant;

use crate::event::Yield;
use crate::task::slot::Pinned;
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
        tasks.resume(pinned, task, || Yield::OTHER);
    }
}

crate::on_target::tests! {
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
            assert!(tasks.is_empty());
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
        assert!(tasks.is_empty());
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
