//! Timers on virtual time: when a sleep ends, in which order, and what a
//! future that was dropped half way leaves behind.
mod harness;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use cygnet::task::FOREIGN_TIMERS;
use cygnet::{Elapsed, Node, Turn};
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{future, join};
use harness::*;
use smoltcp::time::{Duration, Instant};

macro_rules! node {
    ($node:ident, $tasks:literal) => {
        host!($node, 1, slots: 1, tasks: $tasks, bytes: 2048, rx: 64, tx: 64)
    };
}

/// Runs one future as the only task, on the event loop. Gives what it gave,
/// and the time of the end.
macro_rules! alone {
    (let $out_and_end:pat = $node:ident, $future:expr) => {
        let wire = cygnet::net::wire::Wire::new(Default::default());
        let out = Cell::new(None);
        let future = $future;
        $node.spawn(async { out.set(Some(future.await)) }).unwrap();
        let end = Alone::new(&wire).run($node);
        let $out_and_end = (out.take().expect("the task ended"), end);
    };
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A waker that is not a task's: it passes the wake on, as combinators do.
struct Foreign(Waker);

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.0.wake_by_ref();
    }
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Polls with a foreign waker.
fn poll_foreign<F: Future>(future: Pin<&mut F>, cx: &Context<'_>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::new(Foreign(cx.waker().clone())));
    future.poll(&mut Context::from_waker(&waker))
}

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
        node.audit().unwrap();
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
fn a_sleep_for_ever_is_no_sleep_without_a_timer() {
    node!(node, 2);
    node.spawn(node.sleep(Duration::MAX)).unwrap();
    alone(node, |turn| {
        assert_eq!(turn(ms(0)), Turn::Idle(None));
        node.audit().unwrap();
    });
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

/// Sleeps of 1, 2, … ms in a set that polls them with wakers of its own; the
/// set polls at least one child per turn, and a turn takes a microsecond.
async fn unordered(node: Node<'_>, count: usize) {
    let sleeps: FuturesUnordered<_> = (1..=count)
        .map(async |number| {
            node.sleep_until(ms(number as i64)).await;
            let late = node.now() - ms(number as i64);
            assert!(late.total_micros() <= count as u64, "{late}");
            number
        })
        .collect();
    let order: Vec<usize> = sleeps.collect().await;
    assert!(order.into_iter().eq(1..=count));
}

#[test]
fn sleeps_with_foreign_wakers_end_in_time_below_at_and_above_the_capacity() {
    for count in [FOREIGN_TIMERS - 1, FOREIGN_TIMERS, FOREIGN_TIMERS + 1, 20] {
        node!(node, 1);
        alone!(let ((), end) = node, unordered(node, count));
        assert!(end >= ms(count as i64));
        let (refused, polls) = (node.counters().timers_refused, node.counters().polls);
        if count > FOREIGN_TIMERS {
            assert!(refused > 0);
        } else {
            assert_eq!(refused, 0);
            assert!(polls as usize <= count + 2, "idle between: {polls} polls");
        }
    }
}

#[test]
fn a_late_turn_wakes_foreign_and_own_sleeps_in_the_order_of_the_moments() {
    let order = RefCell::new(Vec::new());
    node!(node, 4);
    let order = &order;
    for (at, foreign) in [(40, true), (30, false), (20, true), (10, false)] {
        node.spawn(async move {
            let mut sleep = pin!(node.sleep_until(ms(at)));
            poll_fn(|cx| match foreign {
                true => poll_foreign(sleep.as_mut(), cx),
                false => sleep.as_mut().poll(cx),
            })
            .await;
            order.borrow_mut().push(at);
        })
        .unwrap();
    }
    alone(node, |turn| {
        assert_eq!(turn(ms(0)), Turn::Idle(Some(ms(10))));
        assert_eq!(turn(ms(100)), Turn::Done);
    });
    assert_eq!(*order.borrow(), [10, 20, 30, 40]);
}

#[test]
fn a_sleep_that_ended_holds_no_timer() {
    node!(node, 1);
    let future = async {
        let mut ended = Vec::new();
        for _ in 0..3 * FOREIGN_TIMERS {
            let mut sleep = Box::pin(node.sleep(millis(1)));
            poll_fn(|cx| poll_foreign(sleep.as_mut(), cx)).await;
            ended.push(sleep); // kept, not dropped
        }
    };
    alone!(let ((), _) = node, future);
    assert_eq!(node.counters().timers_refused, 0);
}

#[test]
fn a_sleep_moves_from_a_foreign_waker_to_its_task_and_back() {
    node!(node, 1);
    let future = async {
        let mut sleep = pin!(node.sleep(millis(10)));
        let mut turn = 0;
        poll_fn(|cx| {
            turn += 1;
            cx.waker().wake_by_ref();
            match turn {
                1 | 3 => poll_foreign(sleep.as_mut(), cx),
                _ => sleep.as_mut().poll(cx),
            }
        })
        .await;
    };
    alone!(let ((), end) = node, future);
    assert_eq!(end, ms(10));
}

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

#[test]
fn a_waker_that_drops_another_sleep_when_it_is_dropped_is_harmless() {
    // Executors exist whose last waker drops the task, and the sleep in it.
    thread_local! {
        static KEPT: RefCell<Option<Box<dyn FnOnce()>>> = RefCell::default();
    }
    struct OnDrop;
    impl Wake for OnDrop {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for OnDrop {
        fn drop(&mut self) {
            if let Some(then) = KEPT.take() {
                then();
            }
        }
    }
    let storage = Box::leak(Box::new(cygnet::Storage::<'static, 1, 64, 64>::new()));
    let tasks = Box::leak(Box::new(cygnet::TaskStorage::<1, 64>::new()));
    let stack = cygnet::Stack::new(storage, &config(1), capabilities()).unwrap();
    static READY: cygnet::ReadySet<1> = cygnet::ReadySet::new();
    let stack = Box::leak(Box::new(stack));
    let tasks = Box::leak(Box::new(cygnet::Tasks::new(tasks, &READY)));
    // Leaked on purpose: known to the leak checker by these.
    static KEPT_STACK: AtomicUsize = AtomicUsize::new(0);
    static KEPT_TASKS: AtomicUsize = AtomicUsize::new(0);
    KEPT_STACK.store(std::ptr::from_ref(stack).addr(), Relaxed);
    KEPT_TASKS.store(std::ptr::from_ref(tasks).addr(), Relaxed);
    let node: Node<'static> = Node::new(stack, tasks);
    let mut sleep = Box::pin(node.sleep(millis(5)));
    let mut poll = |waker: &Waker| {
        let mut cx = Context::from_waker(waker);
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
    };
    poll(&Waker::from(Arc::new(OnDrop)));
    let reenter = node;
    KEPT.set(Some(Box::new(move || {
        let mut other = Box::pin(reenter.sleep(millis(7)));
        assert!(other.as_mut().poll(&mut noop()).is_pending());
        alone(reenter, |turn| turn(ms(1)));
    })));
    poll(Waker::noop()); // drops the first waker, which takes a turn
    assert!(KEPT.take().is_none());
}
