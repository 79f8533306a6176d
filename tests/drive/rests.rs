//! What a driver sleeps through, and what wakes it.

use super::*;

#[test]
fn nothing_is_done_before_the_next_of_sixteen_sleeps() {
    const SLEEPS: u64 = 16;
    let wire = wire();
    let mut pair = pair(&wire);
    let node = pair.server;
    let ended = leak(AtomicU32::new(0));
    for number in 1..=SLEEPS {
        pair.spawn(async move {
            let delay = Duration::from_secs(number * 3600 / SLEEPS);
            node.sleep(delay).await;
            assert_eq!(now(), Instant::ZERO + delay);
            ended.fetch_add(1, Relaxed);
        });
    }
    pair.run(async move {
        let (turns, ()) = turns_of(node, Timer::until(seconds(3700))).await;
        assert_eq!(ended.load(Relaxed), SLEEPS as u32);
        // Thirteen share a timer: those that have to wait on say so at the same moment.
        assert!(turns <= 3 * SLEEPS, "{turns} turns");
    });
    let moments = moments();
    let expected = (1..=SLEEPS).map(|number| Duration::from_secs(number * 3600 / SLEEPS));
    let expected: Vec<_> = expected.map(|delay| Instant::ZERO + delay).collect();
    assert_eq!(moments[..moments.len() - 1], expected, "and at the end");
}

/// The last turn was long ago, and nobody but the driver knows the time.
#[test]
fn an_hour_later_a_second_is_a_second() {
    let wire = wire();
    let mut pair = pair(&wire);
    let (server, client) = (pair.server, pair.client);
    pair.spawn(async move {
        let listener = server.listen(7, Backlog(2)).unwrap();
        let _held = listener.accept().await.unwrap();
        pending::<()>().await;
    });
    pair.run(async move {
        let second = Duration::from_secs(1);
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        stream.set_read_timeout(Some(second));
        for _ in 0..3 {
            Timer::after(Duration::from_secs(3600)).await;
            let began = now();
            assert_eq!(client.now(), began);
            client.sleep(second).await;
            assert_eq!(now() - began, second);
            Timer::after(Duration::from_secs(3600)).await;
            let began = now();
            let read = stream.read(&mut [0; 4]).await;
            assert_eq!((read, now() - began), (Err(ReadError::TimedOut), second));
            Timer::after(Duration::from_secs(3600)).await;
            let began = now();
            let out = client.timeout(second, pending::<()>()).await;
            assert!(out.is_err());
            assert_eq!(now() - began, second);
        }
    });
}

#[test]
fn a_deadline_that_moves_nearer_is_kept() {
    let wire = wire();
    let mut pair = pair(&wire);
    let client = pair.client;
    pair.run(async move {
        let long = async {
            client.sleep(Duration::from_secs(900)).await;
            panic!("the other ends first");
        };
        let short = async {
            Timer::after(Duration::from_secs(1)).await;
            // The driver sleeps until 900 s.
            client.sleep(Duration::from_secs(2)).await;
            assert_eq!(now(), seconds(3));
        };
        futures_util::future::select(pin!(long), pin!(short)).await;
    });
}

/// As an interrupt does, or another thread.
#[test]
fn a_task_of_the_node_that_is_woken_runs_at_once() {
    let wire = wire();
    let mut pair = pair(&wire);
    let node = pair.server;
    let (asked, ran) = (leak(RefCell::new(None::<Waker>)), leak(Cell::new(0)));
    pair.run(async move {
        let waits = poll_fn(move |cx| {
            ran.set(ran.get() + 1);
            *asked.borrow_mut() = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        node.spawn(waits).unwrap();
        Timer::after(Duration::from_secs(5)).await;
        assert_eq!(ran.get(), 1, "it was spawned between two turns");
        let waker = asked.borrow().clone().unwrap();
        std::thread::spawn(move || waker.wake()).join().unwrap();
        Timer::after(Duration::from_micros(1)).await;
        assert_eq!(ran.get(), 2);
    });
}

#[test]
fn dropping_the_driver_drops_the_tasks_and_another_can_drive() {
    struct Ends(&'static Cell<u32>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let wire = wire();
    let node = lasting(1);
    let ended: &'static Cell<u32> = leak(Cell::new(0));
    let mut executor = Executor::new();
    for round in 0..3 {
        let (end, _other) = wire.ends();
        executor.spawn(async move {
            drive(node, end, now, Timer).await;
        });
        let ends = Ends(ended);
        node.spawn(async move {
            let _ends = ends;
            pending::<()>().await
        })
        .unwrap();
        executor.run_now();
        assert_eq!(ended.get(), round);
        executor.end(round as usize);
        assert_eq!(ended.get(), round + 1);
        // Nobody drives it now, and it can be asked all the same.
        assert_eq!(node.counters().slots_used, 0);
        let _ = node.listen(7, Backlog(1)).unwrap();
    }
}
