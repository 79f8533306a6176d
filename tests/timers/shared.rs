//! Sleeps with another's waker that are more than there are timers: they share the last one.

use super::*;

/// Children of a set, each of which drops a sleep in the middle of those that share a timer.
#[test]
fn sleeps_that_share_a_timer_end_in_time_whoever_is_dropped() {
    const MOST: i64 = 24;
    for seed in seeds(0..40) {
        node!(node, 1);
        let mut random = seed;
        let mut draw = |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) % below
        };
        let moments: Vec<_> = (0..MOST)
            .map(|_| (draw(30) as i64, draw(60) as i64))
            .collect();
        let set = async {
            let children = moments.iter().map(async |&(one, other)| {
                let (one, other) = (ms(one), ms(other));
                // Both begin, one ends, and the other is dropped.
                let (first, second) = (node.sleep_until(one), node.sleep_until(other));
                future::select(pin!(first), pin!(second)).await;
                let late = node.now() - one.min(other);
                // A turn takes a microsecond, and each sleep is one wake away from the next.
                assert!(late.total_micros() <= 8 * MOST as u64, "{seed}: {late}");
            });
            children.collect::<FuturesUnordered<_>>().count().await
        };
        alone!(let (count, _end) = node, set);
        assert_eq!(count, MOST as usize);
        let turns = node.counters().turns;
        assert!(turns < 4 * (MOST * MOST) as u64, "{seed}: {turns} turns");
    }
}

/// Between the moments nothing happens, however many share the timer.
#[test]
fn who_shares_a_timer_does_not_spin() {
    const COUNT: i64 = 20;
    node!(node, 1);
    node.spawn(async move {
        let sleeps = (1..=COUNT).map(async |number| node.sleep_until(ms(1_000 * number)).await);
        sleeps.collect::<FuturesUnordered<_>>().count().await;
    })
    .unwrap();
    alone(node, |turn| {
        let (mut now, mut turns) = (ms(0), 0);
        loop {
            turns += 1;
            match turn(now) {
                Turn::Ready => (),
                Turn::Idle(Some(at)) => {
                    assert!(at > now, "it asks for a turn now");
                    assert_eq!(at.total_millis() % 1_000, 0);
                    now = at;
                }
                Turn::Idle(None) => panic!("nobody is woken any more"),
                Turn::Done => break,
            }
        }
        assert_eq!(now, ms(1_000 * COUNT));
        assert!(turns <= COUNT * COUNT, "{turns} turns");
    });
}

/// A sleep that was polled with one waker and goes on with another one.
#[test]
fn a_sleep_among_them_may_move_to_another_waker() {
    node!(node, 1);
    let polled = [0, 1].map(|_| Arc::new(Count::default()));
    let wakers = polled.clone().map(Waker::from);
    let mut sleeps: Vec<_> = (0..8).map(|_| Box::pin(node.sleep_until(ms(10)))).collect();
    alone(node, |turn| {
        turn(ms(0));
        for (waker, from) in wakers.iter().zip([0, FOREIGN_TIMERS - 1]) {
            // Those before have a timer each, and stay where they are.
            for sleep in &mut sleeps[from..] {
                let polled = sleep.as_mut().poll(&mut Context::from_waker(waker));
                assert!(polled.is_pending());
            }
        }
        let before = polled[1].0.load(Relaxed);
        turn(ms(10));
        // Each wakes the one before it when it is polled.
        assert!(polled[1].0.load(Relaxed) > before);
        for sleep in sleeps.iter_mut().rev() {
            let polled = sleep.as_mut().poll(&mut Context::from_waker(&wakers[1]));
            assert!(polled.is_ready());
        }
    });
}

#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}
