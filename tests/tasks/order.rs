//! The order in which tasks run.

use super::*;

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
