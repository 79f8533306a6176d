//! Timeouts: who wins, and what is dropped when.

use super::*;

#[test]
fn a_future_that_is_ready_in_time_wins_over_its_timeout() {
    node!(node, 1);
    let future = async {
        let zero = node.timeout(Duration::ZERO, ready(1)).await;
        let ten = node.timeout(millis(10), node.sleep(millis(10))).await;
        let nine = node.timeout(millis(10), node.sleep(millis(9))).await;
        (zero, ten, nine)
    };
    alone!(let (out, end) = node, future);
    assert_eq!(out, (Ok(1), Ok(()), Ok(())));
    assert_eq!(end, ms(19));
}

#[test]
fn a_timeout_that_elapses_drops_the_future_before_it_says_so() {
    struct Tell<'t>(&'t Cell<bool>);
    impl Drop for Tell<'_> {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let dropped = Cell::new(false);
    node!(node, 1);
    let future = async {
        let tell = Tell(&dropped);
        let inner = async {
            let _tell = tell;
            node.sleep(millis(11)).await;
        };
        let out = node.timeout(millis(10), inner).await;
        (out, dropped.get(), node.now())
    };
    alone!(let (out, _) = node, future);
    assert_eq!(out, (Err(Elapsed), true, ms(10)));
}

#[test]
fn a_timeout_polled_after_its_end_is_pending() {
    node!(node, 1);
    let mut ready = Box::pin(node.timeout(millis(10), ready(1)));
    assert_eq!(ready.as_mut().poll(&mut noop()), Poll::Ready(Ok(1)));
    let mut elapsed = Box::pin(node.timeout(Duration::ZERO, pending::<()>()));
    assert_eq!(
        elapsed.as_mut().poll(&mut noop()),
        Poll::Ready(Err(Elapsed))
    );
    alone(node, |turn| {
        for at in [0, 20] {
            turn(ms(at));
            assert_eq!(ready.as_mut().poll(&mut noop()), Poll::Pending);
            assert_eq!(elapsed.as_mut().poll(&mut noop()), Poll::Pending);
        }
    });
    assert_eq!(node.counters().timers_refused, 0, "it asks for nothing");
}

#[test]
fn the_time_of_a_timeout_runs_from_the_call() {
    node!(node, 1);
    let future = async {
        let timeout = node.timeout(millis(10), pending::<()>());
        node.sleep(millis(8)).await;
        timeout.await
    };
    alone!(let (out, end) = node, future);
    assert_eq!((out, end), (Err(Elapsed), ms(10)));
}

#[test]
fn a_timeout_holds_its_future_once() {
    node!(node, 1);
    let load = poll_fn({
        let load = [0u8; 400];
        move |_| Poll::Ready(load[0])
    });
    let timeout = node.timeout(millis(1), load);
    assert!(
        size_of_val(&timeout) <= 400 + 48,
        "{}",
        size_of_val(&timeout)
    );
}

#[test]
fn nested_timeouts_end_at_the_earlier_one() {
    node!(node, 1);
    let future = async {
        let inner = node.timeout(millis(30), pending::<()>());
        let outer = node.timeout(millis(10), inner).await;
        let inner = node.timeout(millis(10), pending::<()>());
        (outer, node.timeout(millis(30), inner).await)
    };
    alone!(let (out, end) = node, future);
    assert_eq!(out, (Err(Elapsed), Ok(Err(Elapsed))));
    assert_eq!(end, ms(20));
}
