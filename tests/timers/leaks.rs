//! What is dropped half way leaves no timer behind.

use super::*;

/// Drops what `make` makes after so many polls, with a waker of its own each
/// time and with one waker, and sees that every timer can still be had.
fn leaks_no_timer<'n, F: Future>(node: Node<'n>, polls: u32, make: impl Fn() -> F) {
    alone(node, |turn| {
        let mut at = ms(0);
        for foreign in [true, false] {
            let mut future = Box::pin(make());
            for _ in 0..polls {
                let polled = match foreign {
                    true => poll_foreign(future.as_mut(), &noop()),
                    false => future.as_mut().poll(&mut noop()),
                };
                if polled.is_ready() {
                    break;
                }
                at += millis(1);
                turn(at);
            }
        }
        let used: Vec<_> = (0..FOREIGN_TIMERS)
            .map(|_| {
                let mut sleep = Box::pin(node.sleep(millis(1000)));
                assert!(sleep.as_mut().poll(&mut noop()).is_pending());
                sleep
            })
            .collect();
        assert_eq!(node.counters().timers_refused, 0, "after {polls} polls");
        drop(used);
        assert_eq!(turn(ms(2000)), Turn::Done);
    });
}

#[test]
fn a_dropped_sleep_leaks_no_timer() {
    for polls in 0..6 {
        node!(node, 1);
        leaks_no_timer(node, polls, || node.sleep(millis(3)));
    }
}

#[test]
fn a_dropped_timeout_leaks_no_timer() {
    for polls in 0..6 {
        node!(node, 1);
        leaks_no_timer(node, polls, || node.timeout(millis(3), pending::<()>()));
        let sleep = || node.timeout(millis(50), node.sleep(millis(3)));
        leaks_no_timer(node, polls, sleep);
    }
}

#[test]
fn a_dropped_yield_leaks_no_timer_and_a_spurious_poll_at_most() {
    for polls in 0..3 {
        node!(node, 1);
        leaks_no_timer(node, polls, || node.yield_now());
    }
    node!(node, 1);
    let dropped = async {
        assert!(pin!(node.yield_now()).poll(&mut noop()).is_pending());
        poll_fn(|cx| {
            let _ = pin!(node.yield_now()).poll(cx);
            Poll::Ready(())
        })
        .await;
        node.sleep(millis(5)).await;
    };
    alone!(let ((), end) = node, dropped);
    assert_eq!((end, node.counters().polls), (ms(5), 3));
}

#[test]
fn a_task_that_ends_takes_its_deadline_with_it() {
    node!(node, 2);
    node.spawn(async {
        let mut sleep = pin!(node.sleep(millis(50)));
        let pending = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx).is_pending()));
        assert!(pending.await);
    })
    .unwrap();
    node.spawn(node.sleep(millis(90))).unwrap();
    alone(node, |turn| {
        assert_eq!(turn(ms(0)), Turn::Idle(Some(ms(90))));
    });
}
