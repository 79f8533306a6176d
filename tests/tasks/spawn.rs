//! What `spawn` answers, and where tasks live.

use super::*;

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
