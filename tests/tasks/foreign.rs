//! Other people's futures and wakers in our tasks.

use super::*;

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
