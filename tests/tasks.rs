//! Tasks: what `spawn` answers, what a node tells about its tasks, and the
//! order in which they run, written down as words.
mod harness;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cygnet::event::{Reason, Source};
use cygnet::task::TaskState;
use cygnet::{Backlog, SpawnRefused, Turn};
use embassy_sync::blocking_mutex::raw::{CriticalSectionRawMutex, NoopRawMutex};
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{join, select_biased};
use harness::*;

/// A node that needs no network. `$tasks` tasks of 512 bytes.
macro_rules! node {
    ($node:ident, $tasks:literal) => {
        host!($node, 1, slots: 1, tasks: $tasks, bytes: 512, rx: 64, tx: 64)
    };
}

type Words = RefCell<Vec<&'static str>>;
type Ring = Signal<NoopRawMutex, ()>;

fn words() -> Words {
    RefCell::default()
}

async fn say(words: &Words, word: &'static str) {
    words.borrow_mut().push(word);
}

/// Says `word` each time it is polled, for ever; wakes itself never.
async fn each_poll(words: &Words, word: &'static str) {
    poll_fn(|_| {
        words.borrow_mut().push(word);
        Poll::Pending
    })
    .await
}

/// What was said since the last time.
fn taken(words: &Words) -> Vec<&'static str> {
    words.take()
}

/// The waker of the task that asks.
async fn own_waker() -> Waker {
    poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
}

#[test]
fn spawn_answers_at_one_less_at_and_at_one_more_than_the_capacity() {
    let words = words();
    node!(node, 3);
    for (word, used) in [("a", 1), ("b", 2), ("c", 3)] {
        node.spawn(say(&words, word)).unwrap();
        assert_eq!(node.counters().tasks_used, used);
    }
    let fourth = say(&words, "d");
    let needs = size_of_val(&fourth);
    let refused = node.spawn(fourth).unwrap_err();
    assert_eq!(refused.refused, SpawnRefused::Full);
    assert_eq!((refused.needs, refused.has), (needs, 512));
    assert_eq!(node.counters().spawns_refused, 1);
    alone(node, |turn| {
        assert_eq!(turn(ms(0)), Turn::Done);
        node.spawn(refused.future).unwrap();
        assert_eq!(turn(ms(0)), Turn::Done);
    });
    assert_eq!(taken(&words), ["a", "b", "c", "d"]);
    let counters = node.counters();
    assert_eq!((counters.tasks_used, counters.tasks_high), (0, 3));
    assert_eq!((counters.spawns_refused, counters.polls), (1, 4));
}

#[test]
fn a_future_of_the_full_size_fits_and_a_larger_one_comes_back_usable() {
    let sum = Cell::new(0);
    node!(node, 2);
    // The load and the reference to `sum` are all the future has.
    macro_rules! load {
        ($bytes:literal) => {{
            let (load, sum) = ([1u8; $bytes], &sum);
            poll_fn(move |_| {
                sum.set(load.iter().map(|&byte| usize::from(byte)).sum());
                Poll::Ready(())
            })
        }};
    }
    node.spawn(load!(504)).unwrap();
    let back = node.spawn(load!(505)).unwrap_err();
    assert_eq!(back.refused, SpawnRefused::TooLarge);
    assert_eq!((back.needs, back.has), (520, 512));
    assert_eq!(
        back.to_string(),
        "the future does not fit into a task: it needs 520 bytes, a task has 512"
    );
    assert_eq!(node.counters().tasks_used, 1, "it took no place");
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(back.future).poll(&mut cx).is_ready());
    assert_eq!(sum.get(), 505);
    alone(node, |turn| turn(ms(0)));
    assert_eq!(sum.get(), 504);
}

#[test]
fn a_task_spawns_tasks_that_borrow_the_node_and_the_same_locals() {
    let words = words();
    node!(node, 3);
    let words = &words;
    let parent = async move {
        say(words, "parent").await;
        node.spawn(async move {
            say(words, "child").await;
            node.spawn(say(words, "grandchild")).unwrap();
        })
        .unwrap();
        node.yield_now().await;
        say(words, "parent again").await;
    };
    node.spawn(parent).unwrap();
    alone(node, |turn| {
        assert_eq!(turn(ms(0)), Turn::Ready);
        assert_eq!(taken(words), ["parent"]);
        assert_eq!(turn(ms(0)), Turn::Ready);
        assert_eq!(taken(words), ["child", "parent again"]);
        assert_eq!(turn(ms(0)), Turn::Done);
        assert_eq!(taken(words), ["grandchild"]);
    });
}

#[test]
fn the_slot_of_a_task_that_ends_is_free_in_the_same_turn() {
    let words = words();
    node!(node, 2);
    let words = &words;
    node.spawn(say(words, "ends")).unwrap();
    node.spawn(async move {
        node.spawn(say(words, "takes its place")).unwrap();
        let full = node.spawn(say(words, "never")).unwrap_err();
        assert_eq!(full.refused, SpawnRefused::Full);
    })
    .unwrap();
    alone(node, |turn| while turn(ms(0)) != Turn::Done {});
    assert_eq!(taken(words), ["ends", "takes its place"]);
    assert_eq!(node.counters().tasks_high, 2);
}

#[test]
fn the_places_survive_ten_thousand_tasks() {
    let ran = Cell::new(0);
    node!(node, 3);
    let ran = &ran;
    node.spawn(async move {
        for _ in 0..5_000 {
            let one = async || ran.set(ran.get() + 1);
            node.spawn(async move { one().await }).unwrap();
            node.spawn(async move { one().await }).unwrap();
            assert!(node.spawn(async {}).is_err());
            node.yield_now().await;
        }
    })
    .unwrap();
    alone(node, |turn| while turn(ms(0)) != Turn::Done {});
    assert_eq!(ran.get(), 10_000);
    let counters = node.counters();
    assert_eq!((counters.tasks_used, counters.tasks_high), (0, 3));
    assert_eq!(counters.spawns_refused, 5_000);
}

#[test]
fn a_task_that_ends_with_an_error_is_counted() {
    node!(node, 3);
    node.spawn(async { Err::<(), u8>(1) }).unwrap();
    node.spawn(async { Ok::<(), u8>(()) }).unwrap();
    node.spawn(async {}).unwrap();
    alone(node, |turn| turn(ms(0)));
    assert_eq!(node.counters().tasks_failed, 1);
}

#[test]
fn waiting_tells_name_place_state_reason_and_polls() {
    node!(node, 8);
    let ring = Ring::new();
    let line = line!() + 1;
    node.spawn(pending::<()>()).unwrap();
    node.spawn_named("sleeper", node.sleep(ms(500) - ms(0)))
        .unwrap();
    node.spawn_named("receiver", ring.wait()).unwrap();
    node.spawn_named("listener", async move {
        let listener = node.listen(5000, Backlog(1)).unwrap();
        let _ = listener.accept().await;
    })
    .unwrap();
    node.spawn_named("yielder", async move {
        loop {
            node.yield_now().await
        }
    })
    .unwrap();
    let me = Cell::new(None);
    let me = &me;
    node.spawn_named("asks", async move {
        me.set(node.waiting().find(|task| task.name == "asks"));
        pending::<()>().await
    })
    .unwrap();
    for task in node.waiting() {
        assert_eq!((task.state, task.polls), (TaskState::Ready, 0));
    }
    alone(node, |turn| {
        turn(ms(3));
        turn(ms(4));
        let lines: Vec<String> = node.waiting().map(|task| task.to_string()).collect();
        let expected = [
            &format!("0 {}:{line} (other, -)", file!()),
            "1 sleeper (sleep, -)",
            "2 receiver (other, -)",
            "3 listener (accept, :5000)",
            "4 yielder (turn, -)",
            "5 asks (other, -)",
        ];
        assert_eq!(lines, expected);
        let yielder = node.waiting().nth(4).unwrap();
        assert_eq!((yielder.polls, yielder.last_poll), (2, ms(4)));
        assert_eq!(
            yielder.state,
            TaskState::Waiting(Reason::Turn, Source::None)
        );
        let sleeper = node.waiting().nth(1).unwrap();
        assert_eq!((sleeper.polls, sleeper.last_poll), (1, ms(3)));
    });
    let asks = me.get().unwrap();
    assert_eq!((asks.state, asks.polls), (TaskState::Running, 1));
    assert_eq!(node.waiting().count(), 0);
}

#[test]
fn tasks_run_first_in_the_order_of_their_spawns() {
    let words = words();
    node!(node, 4);
    for word in ["one", "two", "three", "four"] {
        node.spawn(say(&words, word)).unwrap();
    }
    alone(node, |turn| turn(ms(0)));
    assert_eq!(taken(&words), ["one", "two", "three", "four"]);
}

#[test]
fn tasks_run_in_the_order_of_their_wakes() {
    let words = words();
    let rings = [Ring::new(), Ring::new(), Ring::new()];
    node!(node, 4);
    let (words, rings) = (&words, &rings);
    for (ring, word) in rings.iter().zip(["a", "b", "c"]) {
        node.spawn(async move {
            loop {
                ring.wait().await;
                say(words, word).await;
            }
        })
        .unwrap();
    }
    alone(node, |turn| {
        turn(ms(0));
        for order in [[2, 0, 1], [0, 1, 2], [1, 2, 0], [2, 1, 0]] {
            for ring in order {
                rings[ring].signal(());
            }
            assert_eq!(turn(ms(0)), Turn::Idle(None));
            let expected = order.map(|ring| ["a", "b", "c"][ring]);
            assert_eq!(taken(words), expected);
        }
    });
}

#[test]
fn a_task_that_is_woken_twice_runs_once_and_in_its_first_place() {
    let words = words();
    let wakers = RefCell::new(Vec::new());
    node!(node, 2);
    let (words, wakers) = (&words, &wakers);
    for word in ["a", "b"] {
        node.spawn(async move {
            let waker = own_waker().await;
            wakers.borrow_mut().push(waker);
            each_poll(words, word).await
        })
        .unwrap();
    }
    alone(node, |turn| {
        turn(ms(0));
        taken(words);
        let wakers = wakers.borrow();
        for task in [1, 0, 1, 1, 0] {
            wakers[task].wake_by_ref();
        }
        assert_eq!(turn(ms(0)), Turn::Idle(None));
        assert_eq!(taken(words), ["b", "a"]);
        assert_eq!(turn(ms(0)), Turn::Idle(None));
        assert_eq!(taken(words).len(), 0);
    });
}

#[test]
fn a_task_that_wakes_itself_runs_again_in_the_next_turn_behind_the_others() {
    let words = words();
    node!(node, 3);
    let words = &words;
    for (word, times) in [("a", 3), ("b", 1), ("c", 2)] {
        node.spawn(async move {
            for _ in 0..times {
                say(words, word).await;
                node.yield_now().await;
            }
        })
        .unwrap();
    }
    alone(node, |turn| {
        for expected in [&["a", "b", "c"][..], &["a", "c"], &["a"]] {
            assert_eq!(turn(ms(0)), Turn::Ready);
            assert_eq!(taken(words), expected);
        }
        assert_eq!(turn(ms(0)), Turn::Done);
    });
}

#[test]
fn a_task_woken_during_a_turn_runs_in_the_next_unless_it_is_queued() {
    let words = words();
    let (first, last) = (Ring::new(), Ring::new());
    node!(node, 3);
    let (words, first, last) = (&words, &first, &last);
    node.spawn(async move {
        first.wait().await;
        say(words, "first").await;
    })
    .unwrap();
    node.spawn(async move {
        node.yield_now().await;
        say(words, "middle").await;
        first.signal(());
        last.signal(());
    })
    .unwrap();
    node.spawn(async move {
        node.yield_now().await; // it is queued when `middle` wakes it
        say(words, "last").await;
        last.wait().await;
        say(words, "last again").await;
    })
    .unwrap();
    alone(node, |turn| {
        turn(ms(0));
        assert_eq!(turn(ms(0)), Turn::Ready);
        assert_eq!(taken(words), ["middle", "last", "last again"]);
        assert_eq!(turn(ms(0)), Turn::Done);
        assert_eq!(taken(words), ["first"]);
    });
}

#[test]
fn wakes_from_everywhere_stand_in_one_queue() {
    let words = words();
    let (ring, late) = (Ring::new(), Signal::<CriticalSectionRawMutex, ()>::new());
    node!(node, 6);
    let (words, ring, late) = (&words, &ring, &late);
    node.spawn(async move {
        node.sleep_until(ms(10)).await;
        say(words, "timer").await;
    })
    .unwrap();
    node.spawn(async move {
        ring.wait().await;
        say(words, "channel").await;
    })
    .unwrap();
    node.spawn(async move {
        late.wait().await;
        say(words, "thread").await;
    })
    .unwrap();
    node.spawn(async move {
        node.spawn(say(words, "spawned")).unwrap();
        ring.signal(());
        node.yield_now().await;
        say(words, "itself").await;
    })
    .unwrap();
    alone(node, |turn| {
        turn(ms(0));
        std::thread::scope(|scope| scope.spawn(|| late.signal(())).join().unwrap());
        assert_eq!(turn(ms(10)), Turn::Done);
    });
    let expected = ["spawned", "channel", "itself", "thread", "timer"];
    assert_eq!(taken(words), expected);
}

#[test]
fn a_task_is_resumed_once_per_turn_however_often_it_is_woken() {
    let polls = Cell::new(0);
    node!(node, 3);
    let polls = &polls;
    node.spawn(poll_fn(move |cx| {
        polls.set(polls.get() + 1);
        cx.waker().wake_by_ref();
        cx.waker().wake_by_ref();
        Poll::<()>::Pending
    }))
    .unwrap();
    alone(node, |turn| {
        for turns in 1..=100 {
            assert_eq!(turn(ms(0)), Turn::Ready);
            assert_eq!(polls.get(), turns);
        }
    });
}

#[test]
fn a_channel_between_tasks_works_and_shows_as_other() {
    let channel = Channel::<CriticalSectionRawMutex, u32, 2>::new();
    let sum = Cell::new(0);
    node!(node, 2);
    let (channel, sum) = (&channel, &sum);
    node.spawn_named("sends", async move {
        for value in 1..=100 {
            channel.send(value).await;
        }
    })
    .unwrap();
    node.spawn_named("receives", async move {
        for _ in 1..=100 {
            sum.set(sum.get() + channel.receive().await);
        }
    })
    .unwrap();
    let other = TaskState::Waiting(Reason::Other, Source::None);
    alone(node, |turn| {
        turn(ms(0));
        let sends = node.waiting().next().unwrap();
        assert_eq!((sends.name, sends.state), ("sends", other));
        while turn(ms(0)) == Turn::Ready {}
    });
    assert_eq!(sum.get(), 5050);
}

#[test]
fn select_join_and_unordered_sets_work_unchanged() {
    use futures_util::FutureExt;
    let words = words();
    let rings = [Ring::new(), Ring::new(), Ring::new()];
    node!(node, 3);
    let (words, rings) = (&words, &rings);
    node.spawn(async move {
        join!(rings[0].wait(), rings[1].wait());
        say(words, "joined").await;
        let mut never = pin!(pending::<()>().fuse());
        select_biased! {
            () = rings[2].wait().fuse() => say(words, "selected").await,
            () = never => unreachable!(),
        }
        let both: FuturesUnordered<_> = rings.iter().map(|ring| ring.wait()).collect();
        assert_eq!(both.count().await, 3);
        say(words, "all three").await;
    })
    .unwrap();
    node.spawn(async move {
        for ring in [1, 0, 2, 2, 0, 1] {
            rings[ring].signal(());
            node.yield_now().await;
            node.yield_now().await;
            say(words, "-").await;
        }
    })
    .unwrap();
    alone(node, |turn| while turn(ms(0)) != Turn::Done {});
    let expected = "- joined - selected - - - all three -";
    assert_eq!(taken(words).join(" "), expected);
}

#[test]
fn a_task_costs_at_most_104_bytes_beyond_its_future() {
    use cygnet::{ReadySet, TaskStorage};
    const fn grows<const BYTES: usize>() -> usize {
        let storage = size_of::<TaskStorage<200, BYTES>>() - size_of::<TaskStorage<100, BYTES>>();
        storage + size_of::<ReadySet<200>>() - size_of::<ReadySet<100>>()
    }
    if cfg!(target_pointer_width = "64") {
        // Futures are rounded up to 16 bytes; the whole storage too.
        assert!(grows::<64>() <= 100 * (104 + 64) + 16, "{}", grows::<64>());
        assert!(grows::<50>() <= 100 * (104 + 64) + 16, "{}", grows::<50>());
        assert!(
            grows::<512>() <= 100 * (104 + 512) + 16,
            "{}",
            grows::<512>()
        );
    }
}

#[test]
fn a_task_that_never_ends_needs_no_annotation() {
    node!(node, 1);
    node.spawn(async move {
        loop {
            node.yield_now().await;
        }
    })
    .unwrap();
    alone(node, |turn| assert_eq!(turn(ms(0)), Turn::Ready));
}

/// On a 32-bit machine the number that a foreign waker gives, times what a task has
/// of memory, is longer than a word.
#[test]
fn a_segment_for_a_reader_with_a_waker_from_far_away_overflows_nothing() {
    use harness::peer::{answer, by_hand, syn};
    use smoltcp::time::Duration;
    use smoltcp::wire::TcpControl;
    let read = Cell::new(None);
    host!(node, 1, slots: 2, tasks: 2, bytes: 65536, rx: 64, tx: 64);
    node.spawn(async {
        let listener = node.listen(7, Backlog(1)).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; 8];
        let mut reads = pin!(stream.read(&mut bytes));
        poll_fn(|_| {
            // Its data is null, as far from a task's flag as can be.
            let mut nobody = Context::from_waker(Waker::noop());
            assert!(reads.as_mut().poll(&mut nobody).is_pending());
            Poll::Ready(())
        })
        .await;
        node.sleep(Duration::from_secs(1)).await;
        read.set(Some(reads.await));
    })
    .unwrap();
    by_hand(node, |hands| {
        hands.pass(Duration::from_millis(10));
        let reply = hands.open(&syn(9, 1000, 7, 1));
        hands.send(&answer(&reply, TcpControl::Psh, b"swan"));
        hands.pass(Duration::from_secs(2));
    });
    assert_eq!(read.take(), Some(Ok(4)));
}
