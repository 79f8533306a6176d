//! The end of an event loop, orderly or not, and wakers that outlive it.
#![cfg(feature = "lab")]
mod harness;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Poll, Waker};

use cygnet::lab::wire::Wire;
use cygnet::task::{SpawnRefused, TaskState};
use cygnet::{Node, Turn, turns};
use harness::*;
use smoltcp::time::Duration;

macro_rules! node {
    ($node:ident, $tasks:literal) => {
        host!($node, 1, slots: 1, tasks: $tasks, bytes: 512, rx: 64, tx: 64)
    };
}

type Words = RefCell<Vec<&'static str>>;

/// Says its word when dropped; `true` makes the drop panic.
struct Tell<'w>(&'w Words, &'static str, bool);

impl Drop for Tell<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
        assert!(!self.2, "a destructor that panics");
    }
}

/// Says `word` when it is dropped, which is not before the end.
async fn stay(words: &Words, word: &'static str) {
    let _tell = Tell(words, word, false);
    pending::<()>().await
}

async fn say(words: &Words, word: &'static str) {
    words.borrow_mut().push(word);
}

async fn own_waker() -> Waker {
    poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
}

/// What a panic said.
fn message(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast::<&str>().unwrap().to_string(),
    }
}

/// Every place can be had, and tasks run in the order of their spawns.
macro_rules! assert_usable {
    ($node:ident, $words:ident, $tasks:literal) => {
        assert_eq!($node.counters().tasks_used, 0);
        assert_eq!($node.waiting().count(), 0);
        $words.take();
        let again = ["one", "two", "three", "four"];
        for word in &again[..$tasks] {
            $node.spawn(say(&$words, word)).unwrap();
        }
        let full = $node.spawn(async {}).unwrap_err();
        assert_eq!(full.refused, SpawnRefused::Full);
        alone($node, |turn| assert_eq!(turn(ms(5)), Turn::Done));
        assert_eq!($words.take(), again[..$tasks]);
    };
}

#[test]
fn the_event_loop_returns_when_no_task_is_left() {
    let words = Words::default();
    let wire = Wire::new(Default::default());
    node!(node, 3);
    node.spawn(async {
        node.sleep(Duration::from_millis(20)).await;
        say(&words, "slept").await;
        node.spawn(async {
            node.sleep(Duration::from_millis(30)).await;
            say(&words, "slept again").await;
        })
        .unwrap();
    })
    .unwrap();
    let mut platform = Alone::new(&wire);
    let end = platform.run(node);
    assert_eq!(words.take(), ["slept", "slept again"]);
    assert!(end >= ms(50) && end < ms(51), "{end}");
    assert!(
        platform.run(node) < ms(51),
        "with no task it returns at once"
    );
}

#[test]
fn tasks_that_are_left_are_dropped_when_turns_returns() {
    let words = Words::default();
    node!(node, 4);
    node.spawn(stay(&words, "polled")).unwrap();
    alone(node, |turn| {
        turn(ms(0));
        let _tell = Tell(&words, "held, never polled", false);
        let tell = Tell(&words, "never polled", false);
        node.spawn(async move { drop(tell) }).unwrap();
        assert!(words.borrow().is_empty());
    });
    assert_eq!(
        words.take(),
        ["held, never polled", "polled", "never polled"]
    );
    assert_usable!(node, words, 4);
}

#[test]
fn tasks_woken_and_never_run_leave_no_trace_in_the_next_order() {
    let words = Words::default();
    node!(node, 4);
    for word in ["a", "b", "c"] {
        node.spawn(stay(&words, word)).unwrap();
    }
    alone(node, |_| ());
    assert_usable!(node, words, 4);
}

#[test]
fn a_panic_in_a_task_drops_all_tasks_and_the_node_is_usable() {
    for panics in 0..4 {
        let words = Words::default();
        let words = &words;
        node!(node, 4);
        for (number, word) in ["a", "b", "c", "d"].into_iter().enumerate() {
            node.spawn(async move {
                let _tell = Tell(words, word, false);
                assert!(number != panics, "a task that panics");
                pending::<()>().await
            })
            .unwrap();
        }
        let caught = catch_unwind(AssertUnwindSafe(|| alone(node, |turn| turn(ms(0)))));
        assert_eq!(message(caught.unwrap_err()), "a task that panics");
        let mut dropped = words.take();
        // A future that was never polled has made nothing.
        dropped.sort();
        assert_eq!(dropped, ["a", "b", "c", "d"][..=panics]);
        assert_usable!(node, words, 4);
    }
}

#[test]
fn a_panic_in_the_destructor_of_a_task_that_ends_leaves_the_node_usable() {
    let words = Words::default();
    let words = &words;
    node!(node, 3);
    node.spawn(stay(words, "a")).unwrap();
    let tell = Tell(words, "panics", true);
    node.spawn(poll_fn(move |_| {
        let _ = &tell;
        Poll::Ready(())
    }))
    .unwrap();
    node.spawn(stay(words, "c")).unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| alone(node, |turn| turn(ms(0)))));
    assert_eq!(message(caught.unwrap_err()), "a destructor that panics");
    assert_eq!(words.take(), ["panics", "a"], "c was never polled");
    assert_usable!(node, words, 3);
}

#[test]
fn a_panic_in_a_destructor_at_the_end_drops_the_other_tasks() {
    for panics in 0..3 {
        let words = Words::default();
        let words = &words;
        node!(node, 3);
        for (number, word) in ["a", "b", "c"].into_iter().enumerate() {
            node.spawn(async move {
                let _tell = Tell(words, word, number == panics);
                pending::<()>().await
            })
            .unwrap();
        }
        let caught = catch_unwind(AssertUnwindSafe(|| alone(node, |turn| turn(ms(0)))));
        assert_eq!(message(caught.unwrap_err()), "a destructor that panics");
        assert_eq!(words.take(), ["a", "b", "c"]);
        assert_usable!(node, words, 3);
    }
}

#[test]
fn a_panic_that_is_caught_between_turns_loses_no_other_task() {
    let words = Words::default();
    let words = &words;
    node!(node, 4);
    node.spawn(async {
        let _tell = Tell(words, "in poll", false);
        panic!("a task that panics");
    })
    .unwrap();
    let tell = Tell(words, "in drop", true);
    node.spawn(async move { drop(tell) }).unwrap();
    node.spawn(say(words, "b")).unwrap();
    node.spawn(async move {
        node.yield_now().await;
        say(words, "c").await;
    })
    .unwrap();
    alone(node, |turn| {
        let mut panics = 0;
        while catch_unwind(AssertUnwindSafe(|| turn(ms(0)))).is_err() {
            panics += 1;
            assert!(node.waiting().all(|task| task.state != TaskState::Running));
        }
        assert_eq!(panics, 2);
        while turn(ms(0)) == Turn::Ready {}
        assert_eq!(words.take(), ["in poll", "in drop", "b", "c"]);
        assert_eq!(turn(ms(0)), Turn::Done, "a task that panicked is over");
    });
    assert_usable!(node, words, 4);
}

/// Spawns when it is dropped, and notes the answer.
struct SpawnOnDrop<'a, 's>(Node<'a>, &'s Cell<Option<SpawnRefused>>);

impl Drop for SpawnOnDrop<'_, '_> {
    fn drop(&mut self) {
        let answer = self.0.spawn(async {}).map_err(SpawnRefused::from);
        self.1.set(answer.err());
    }
}

#[test]
fn a_destructor_at_the_end_cannot_spawn_whether_or_not_there_is_room() {
    for others in 0..3 {
        let words = Words::default();
        let seen = Cell::new(None);
        node!(node, 3);
        let on_drop = SpawnOnDrop(node, &seen);
        node.spawn(async move {
            let _on_drop = on_drop;
            pending::<()>().await
        })
        .unwrap();
        for word in &["a", "b"][..others] {
            node.spawn(stay(&words, word)).unwrap();
        }
        alone(node, |turn| turn(ms(0)));
        assert_eq!(seen.get(), Some(SpawnRefused::Ending), "{others}");
        assert_usable!(node, words, 3);
    }
}

#[test]
fn a_destructor_of_a_task_that_ends_can_spawn() {
    let (words, seen) = (Words::default(), Cell::new(Some(SpawnRefused::Ending)));
    node!(node, 2);
    let on_drop = SpawnOnDrop(node, &seen);
    node.spawn(async move { drop(on_drop) }).unwrap();
    alone(node, |turn| {
        assert_eq!(turn(ms(0)), Turn::Ready);
        assert_eq!(turn(ms(0)), Turn::Done);
    });
    assert_eq!(seen.get(), None);
    assert_usable!(node, words, 2);
}

#[test]
fn an_event_loop_inside_itself_panics_clearly_and_harms_nothing() {
    let words = Words::default();
    let words = &words;
    node!(node, 3);
    node.spawn(stay(words, "other")).unwrap();
    node.spawn_named("nested", async move {
        let nested = catch_unwind(AssertUnwindSafe(|| turns(node, |_| ())));
        assert_eq!(
            message(nested.unwrap_err()),
            "an event loop of this node is already running"
        );
        let me = node.waiting().find(|task| task.name == "nested").unwrap();
        assert_eq!(me.state, TaskState::Running);
        for _ in 0..2 {
            node.sleep(Duration::from_millis(10)).await;
        }
        say(words, "went on").await;
    })
    .unwrap();
    alone(node, |turn| {
        assert_eq!(turn(ms(0)), Turn::Idle(Some(ms(10))));
        assert_eq!(turn(ms(10)), Turn::Idle(Some(ms(20))));
        assert_eq!(turn(ms(20)), Turn::Idle(None));
        assert_eq!(words.take(), ["went on"]);
    });
    assert_eq!(words.take(), ["other"]);
    assert_usable!(node, words, 3);
}

#[test]
fn an_event_loop_in_a_destructor_at_the_end_is_refused_too() {
    struct LoopOnDrop<'a>(Node<'a>);
    impl Drop for LoopOnDrop<'_> {
        fn drop(&mut self) {
            turns(self.0, |_| ());
        }
    }
    let words = Words::default();
    node!(node, 3);
    node.spawn(stay(&words, "before")).unwrap();
    node.spawn(async move {
        let _on_drop = LoopOnDrop(node);
        pending::<()>().await
    })
    .unwrap();
    node.spawn(stay(&words, "after")).unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| alone(node, |turn| turn(ms(0)))));
    assert!(message(caught.unwrap_err()).contains("already running"));
    assert_eq!(words.take(), ["before", "after"]);
    assert_usable!(node, words, 3);
}

#[test]
fn two_nodes_run_inside_each_other_and_share_no_flag() {
    let words = Words::default();
    let words = &words;
    node!(outer, 3);
    node!(inner, 3);
    inner.spawn(say(words, "inner")).unwrap();
    outer
        .spawn(async move {
            alone(inner, |turn| assert_eq!(turn(ms(0)), Turn::Done));
            say(words, "outer").await;
            outer.sleep(Duration::from_millis(1)).await;
        })
        .unwrap();
    alone(outer, |turn| {
        assert_eq!(turn(ms(0)), Turn::Idle(Some(ms(1))));
    });
    assert_eq!(words.take(), ["inner", "outer"]);
}

#[test]
fn a_waker_is_harmless_after_its_task_its_loop_and_all_storage_are_gone() {
    let mut wakers = Vec::new();
    {
        let stash = RefCell::new(Vec::new());
        node!(node, 2);
        node.spawn(async {
            let waker = own_waker().await;
            stash.borrow_mut().push(waker);
        })
        .unwrap();
        node.spawn(async {
            let waker = own_waker().await;
            stash.borrow_mut().push(waker);
            pending::<()>().await
        })
        .unwrap();
        alone(node, |turn| {
            assert_eq!(turn(ms(0)), Turn::Idle(None));
            stash.borrow()[0].wake_by_ref();
            assert_eq!(turn(ms(0)), Turn::Idle(None));
        });
        stash.borrow().iter().for_each(Waker::wake_by_ref);
        wakers.append(&mut stash.borrow_mut());
    }
    for waker in &wakers {
        waker.wake_by_ref();
        assert!(waker.will_wake(&waker.clone()));
    }
    std::thread::spawn(move || wakers.into_iter().for_each(Waker::wake))
        .join()
        .unwrap();
}

#[test]
fn a_stale_waker_gives_the_next_task_in_its_place_one_spurious_poll() {
    let stale = RefCell::new(None);
    let polls = Cell::new(0);
    let (stale, polls) = (&stale, &polls);
    node!(node, 1);
    node.spawn(async move { *stale.borrow_mut() = Some(own_waker().await) })
        .unwrap();
    alone(node, |turn| {
        assert_eq!(turn(ms(0)), Turn::Done);
        let count = poll_fn(|_| {
            polls.set(polls.get() + 1);
            Poll::<()>::Pending
        });
        node.spawn(count).unwrap();
        assert_eq!(turn(ms(0)), Turn::Idle(None));
        let stale = stale.take().unwrap();
        stale.wake_by_ref();
        stale.wake();
        assert_eq!(turn(ms(0)), Turn::Idle(None));
        assert_eq!(turn(ms(0)), Turn::Idle(None));
        assert_eq!(polls.get(), 2);
    });
}

#[test]
fn a_waker_works_from_another_thread_while_turns_are_taken() {
    let (sender, receiver) = std::sync::mpsc::channel::<Waker>();
    let woken = std::sync::atomic::AtomicU32::new(0);
    let woken = &woken;
    node!(node, 1);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for waker in receiver {
                woken.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                waker.wake();
            }
        });
        node.spawn(async move {
            for number in 1..=1000 {
                sender.send(own_waker().await).unwrap();
                poll_fn(
                    |_| match woken.load(std::sync::atomic::Ordering::Relaxed) >= number {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    },
                )
                .await;
            }
        })
        .unwrap();
        // Not audited: a wake may be half done while the tables are looked at.
        let wire: cygnet::lab::wire::Wire<1> = cygnet::lab::wire::Wire::new(Default::default());
        let mut end = wire.ends().0;
        cygnet::turns(
            node,
            |turns| {
                while turns.turn(&mut end, ms(0)) != Turn::Done {}
            },
        );
    });
}

#[test]
#[should_panic(expected = "two Tasks share one ReadySet")]
fn a_second_owner_of_a_ready_set_is_told_to_the_first() {
    static READY: cygnet::ReadySet<2> = cygnet::ReadySet::new();
    let mut storage: cygnet::Storage<'_, 1, 64, 64> = cygnet::Storage::new();
    let stack = cygnet::Stack::new(&mut storage, &config(1), capabilities()).unwrap();
    let mut first: cygnet::TaskStorage<2, 64> = cygnet::TaskStorage::new();
    let mut second: cygnet::TaskStorage<2, 64> = cygnet::TaskStorage::new();
    let first = cygnet::Tasks::new(&mut first, &READY);
    let _second = cygnet::Tasks::new(&mut second, &READY);
    let node = cygnet::Node::new(&stack, &first);
    let wire: cygnet::lab::wire::Wire<1> = cygnet::lab::wire::Wire::new(Default::default());
    cygnet::turns(node, |turns| {
        turns.turn(&mut wire.ends().0, smoltcp::time::Instant::ZERO)
    });
}
