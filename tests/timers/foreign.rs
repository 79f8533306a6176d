//! Sleeps that are woken by a waker which is not the task's.

use super::*;

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
