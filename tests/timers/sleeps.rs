//! Sleeps: when they end, and in which order.

use super::*;

#[test]
fn a_sleep_ends_in_the_first_turn_at_or_after_its_moment() {
    let ends = RefCell::new(Vec::new());
    node!(node, 1);
    node.spawn(async {
        for _ in 0..3 {
            node.sleep(millis(10)).await;
            ends.borrow_mut().push(node.now());
        }
    })
    .unwrap();
    alone(node, |turn| {
        assert_eq!(turn(ms(100)), Turn::Idle(Some(ms(110))));
        assert_eq!(turn(ms(109)), Turn::Idle(Some(ms(110))));
        assert_eq!(turn(ms(110)), Turn::Idle(Some(ms(120))));
        assert_eq!(turn(ms(125)), Turn::Idle(Some(ms(135))));
        assert_eq!(turn(ms(135)), Turn::Done);
    });
    assert_eq!(*ends.borrow(), [110, 125, 135].map(ms));
}

#[test]
fn a_moment_that_is_past_or_now_does_not_wait_and_a_future_one_does() {
    let seen = RefCell::new(Vec::new());
    node!(node, 1);
    let future = async {
        for at in [-5, 0, 5, 5, 4, 6] {
            node.sleep_until(ms(at)).await;
            seen.borrow_mut().push(node.now());
        }
    };
    alone!(let ((), end) = node, future);
    assert_eq!(*seen.borrow(), [0, 0, 5, 5, 5, 6].map(ms));
    assert_eq!((end, node.counters().polls), (ms(6), 3));
}

#[test]
fn a_late_turn_ends_every_sleep_in_the_order_of_the_moments() {
    let order = RefCell::new(Vec::new());
    node!(node, 8);
    let order = &order;
    for at in [30, 10, 40, 20, 10, 50, 30] {
        node.spawn(async move {
            node.sleep_until(ms(at)).await;
            order.borrow_mut().push(at);
        })
        .unwrap();
    }
    alone(node, |turn| {
        assert_eq!(turn(ms(0)), Turn::Idle(Some(ms(10))));
        assert_eq!(turn(ms(9)), Turn::Idle(Some(ms(10))));
        assert_eq!(turn(ms(40)), Turn::Idle(Some(ms(50))));
        assert_eq!(order.take(), [10, 10, 20, 30, 30, 40]);
        assert_eq!(turn(ms(60)), Turn::Done);
        assert_eq!(order.take(), [50]);
    });
}

#[test]
fn sleeps_with_one_moment_end_by_task_number() {
    let order = RefCell::new(Vec::new());
    let gate =
        embassy_sync::signal::Signal::<embassy_sync::blocking_mutex::raw::NoopRawMutex, ()>::new();
    node!(node, 4);
    let (order, gate) = (&order, &gate);
    node.spawn(async move {
        gate.wait().await; // the first task sleeps last
        node.sleep_until(ms(5)).await;
        order.borrow_mut().push(0);
    })
    .unwrap();
    for task in 1..4 {
        node.spawn(async move {
            node.sleep_until(ms(5)).await;
            order.borrow_mut().push(task);
            gate.signal(());
        })
        .unwrap();
    }
    alone(node, |turn| {
        turn(ms(0));
        gate.signal(());
        turn(ms(1));
        turn(ms(5));
    });
    assert_eq!(*order.borrow(), [0, 1, 2, 3]);
}

#[test]
fn many_sleeps_in_one_task_share_its_one_timer() {
    node!(node, 1);
    let future = async {
        let at = async |millis| {
            node.sleep_until(ms(millis)).await;
            node.now()
        };
        join!(at(40), at(10), at(30), at(20), at(50), at(60), at(10))
    };
    alone!(let (ends, end) = node, future);
    assert_eq!(
        ends,
        (ms(40), ms(10), ms(30), ms(20), ms(50), ms(60), ms(10))
    );
    assert_eq!(end, ms(60));
    assert_eq!(node.counters().timers_refused, 0);
    assert_eq!(node.counters().polls, 7, "once per moment");
}

/// Polls each of these once, then waits without looking at them again: whoever
/// polled them may be one who looks only when woken. Gives when it was woken.
fn wakes_of_sleeps_polled_once(moments: &[i64]) -> Vec<i64> {
    let woken = RefCell::new(Vec::new());
    node!(node, 1);
    node.spawn(async {
        let sleeps = moments.iter().map(|&at| Box::pin(node.sleep_until(ms(at))));
        let mut sleeps: Vec<_> = sleeps.collect();
        let mut first = true;
        poll_fn(|cx| {
            if std::mem::take(&mut first) {
                for sleep in &mut sleeps {
                    assert!(sleep.as_mut().poll(cx).is_pending());
                }
            } else {
                woken.borrow_mut().push(node.now().total_millis());
            }
            Poll::<()>::Pending
        })
        .await
    })
    .unwrap();
    alone(node, |turn| {
        let mut now = ms(0);
        while let Turn::Idle(Some(at)) = turn(now) {
            now = at;
            assert!(now < ms(1000));
        }
        cygnet::lab::audit(node).unwrap();
    });
    woken.take()
}

#[test]
fn a_sleep_beside_an_earlier_one_is_woken_although_nobody_polls_it_again() {
    assert_eq!(wakes_of_sleeps_polled_once(&[10, 20]), [10, 20]);
    assert_eq!(wakes_of_sleeps_polled_once(&[20, 10]), [10, 20]);
    assert_eq!(wakes_of_sleeps_polled_once(&[10, 10, 20, 20]), [10, 20]);
    // More than a task remembers: none is forgotten.
    for moments in [[10, 20, 30], [30, 20, 10], [20, 30, 10], [20, 10, 30]] {
        assert_eq!(wakes_of_sleeps_polled_once(&moments), [10, 30]);
    }
    assert_eq!(wakes_of_sleeps_polled_once(&[40, 30, 10, 50, 20]), [10, 50]);
}

#[test]
fn a_sleep_is_woken_after_the_one_beside_it_has_ended_or_is_dropped() {
    for dropped in [false, true] {
        let woken = Cell::new(None);
        node!(node, 1);
        node.spawn(async {
            let mut late = pin!(node.sleep(millis(20)));
            let mut early = Box::pin(node.sleep(millis(10)));
            poll_fn(|cx| {
                let _ = early.as_mut().poll(cx);
                assert!(late.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            match dropped {
                true => drop(early),
                false => early.await,
            }
            // A channel's receiver, say, that is done when the time is up.
            let ended = poll_fn(|_| match node.now() < ms(20) {
                true => Poll::Pending,
                false => Poll::Ready(node.now()),
            });
            woken.set(Some(ended.await));
        })
        .unwrap();
        alone(node, |turn| {
            assert_eq!(turn(ms(0)), Turn::Idle(Some(ms(10))));
            assert_eq!(turn(ms(10)), Turn::Idle(Some(ms(20))), "{dropped}");
            assert_eq!(turn(ms(20)), Turn::Done);
        });
        assert_eq!(woken.get(), Some(ms(20)));
    }
}

#[test]
fn a_task_does_not_remember_the_sleeps_of_the_one_before_it() {
    node!(node, 1);
    for _ in 0..2 {
        node.spawn(async {
            let mut sleeps = [10, 20, 30].map(|at| Box::pin(node.sleep(millis(at))));
            poll_fn(|cx| {
                for sleep in &mut sleeps {
                    assert!(sleep.as_mut().poll(cx).is_pending());
                }
                Poll::Ready(())
            })
            .await;
        })
        .unwrap();
        alone(node, |turn| assert_eq!(turn(node.now()), Turn::Done));
    }
    node.spawn(node.sleep(millis(5))).unwrap();
    alone(node, |turn| {
        assert_eq!(turn(ms(0)), Turn::Idle(Some(ms(5))));
        assert_eq!(turn(ms(5)), Turn::Done);
    });
}

#[test]
fn a_sleep_that_select_dropped_costs_one_spurious_poll_at_most() {
    let polls = Cell::new(0);
    node!(node, 1);
    node.spawn(async {
        let (long, short) = (node.sleep(millis(50)), node.sleep(millis(10)));
        future::select(long, short).await;
        poll_fn(|_| {
            polls.set(polls.get() + 1);
            Poll::<()>::Pending
        })
        .await
    })
    .unwrap();
    alone(node, |turn| {
        for at in 0..200 {
            turn(ms(at));
        }
        assert_eq!(turn(ms(200)), Turn::Idle(None));
    });
    assert!(polls.get() <= 2, "{}", polls.get());
}

#[test]
fn the_longest_sleep_never_ends_and_overflows_nothing() {
    node!(node, 4);
    for delay in [Duration::MAX, Duration::from_micros(i64::MAX as u64)] {
        let sleep = node.sleep(delay);
        node.spawn(sleep).unwrap();
    }
    node.spawn(async {
        node.sleep_until(ms(7)).await;
        let never = node.timeout(Duration::MAX, pending::<()>());
        assert_eq!(never.await, Err(Elapsed));
    })
    .unwrap();
    alone(node, |turn| {
        assert_eq!(turn(ms(0)), Turn::Idle(Some(ms(7))));
        assert_eq!(turn(ms(7)), Turn::Idle(None));
        let late = Instant::from_micros(i64::MAX - 1);
        assert_eq!(turn(late), Turn::Idle(None));
        node.spawn(node.sleep(Duration::MAX)).unwrap();
        assert_eq!(turn(late), Turn::Idle(None));
    });
    assert_eq!(node.counters().tasks_high, 4);
}

#[test]
fn a_sleep_for_ever_is_no_sleep_without_a_timer() {
    node!(node, 2);
    node.spawn(node.sleep(Duration::MAX)).unwrap();
    alone(node, |turn| {
        assert_eq!(turn(ms(0)), Turn::Idle(None));
        cygnet::lab::audit(node).unwrap();
    });
}
