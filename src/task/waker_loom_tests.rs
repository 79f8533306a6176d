extern crate std;
use super::*;
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::thread;
use std::boxed::Box;
use std::vec::Vec;

fn unclaimed(n: usize) -> Ready {
    // Not by `new`: loom's atomics cannot be made in a `const fn`.
    let queue = Queue {
        head: AtomicU32::new(0),
        flags: AtomicPtr::new(core::ptr::null_mut()),
        claims: AtomicU32::new(0),
        hook: None,
    };
    let flag = |_| Flag {
        next: AtomicU32::new(0),
        queued: AtomicBool::new(false),
        queue: AtomicPtr::new(core::ptr::null_mut()),
    };
    let queue = Box::leak(Box::new(queue));
    let flags: Vec<Flag> = (0..n).map(flag).collect();
    Ready::new(queue, Vec::leak(flags))
}

fn leaked(n: usize) -> Ready {
    let ready = unclaimed(n);
    ready.claim();
    ready
}

/// What the event loop does in one turn: take, clear, poll.
fn turn(ready: &Ready, mut poll: impl FnMut(u32)) {
    let mut batch = Vec::new();
    ready.take(|task| batch.insert(0, task));
    for task in batch {
        ready.clear(task);
        poll(task);
    }
}

#[test]
fn loom_no_wake_is_lost() {
    loom::model(|| {
        let ready = leaked(1);
        let data = Arc::new(AtomicUsize::new(0));
        let writer = {
            let (data, waker) = (data.clone(), ready.waker(0).unwrap());
            thread::spawn(move || {
                for value in 1..=2 {
                    data.store(value, Ordering::Relaxed);
                    waker.wake_by_ref();
                }
            })
        };
        let mut seen = 0;
        turn(&ready, |_| seen = data.load(Ordering::Relaxed));
        writer.join().unwrap();
        turn(&ready, |_| seen = data.load(Ordering::Relaxed));
        assert_eq!(seen, 2, "the last value was never polled for");
    });
}

#[test]
fn loom_two_threads_wake_two_tasks() {
    loom::model(|| {
        let ready = leaked(2);
        let threads: Vec<_> = (0..2)
            .map(|task| {
                let waker = ready.waker(task).unwrap();
                thread::spawn(move || waker.wake())
            })
            .collect();
        let mut polled = [0; 2];
        turn(&ready, |task| polled[task as usize] += 1);
        for thread in threads {
            thread.join().unwrap();
        }
        turn(&ready, |task| polled[task as usize] += 1);
        assert_eq!(polled, [1, 1]);
        assert!(!ready.is_woken());
    });
}

#[test]
fn loom_a_late_wake_while_the_set_changes_hands_breaks_nothing() {
    loom::model(|| {
        let ready = leaked(1);
        let late = {
            let waker = ready.waker(0).unwrap();
            thread::spawn(move || (waker.wake_by_ref(), waker.wake()))
        };
        ready.claim();
        late.join().unwrap();
        let mut polled = 0;
        turn(&ready, |_| polled += 1);
        assert!(polled <= 1 && !ready.is_woken());
        ready.wake(0);
        turn(&ready, |_| polled += 1);
        assert!(polled >= 1, "the flag is stuck");
    });
}

/// Whoever sees a flag's queue sees where that queue counts from.
#[test]
fn loom_a_wake_during_the_first_claim_counts_or_is_nobodys() {
    loom::model(|| {
        let ready = unclaimed(2);
        let early = {
            let waker = ready.waker(1).unwrap();
            thread::spawn(move || waker.wake())
        };
        ready.claim();
        let mut polled = [0; 2];
        turn(&ready, |task| polled[task as usize] += 1);
        early.join().unwrap();
        turn(&ready, |task| polled[task as usize] += 1);
        assert!(polled[0] == 0 && polled[1] <= 1, "{polled:?}");
        ready.wake(1);
        turn(&ready, |task| polled[task as usize] += 1);
        assert!(polled[1] >= 1, "the flag is stuck");
    });
}

#[test]
fn loom_who_has_lost_a_set_to_another_thread_is_told() {
    loom::model(|| {
        let ready = unclaimed(1);
        let first = ready.claim();
        let thief = thread::spawn(move || ready.claim());
        let mut polled = 0;
        turn(&ready, |_| polled += 1);
        let second = thief.join().unwrap();
        assert!(!ready.is_owned_by(first) && ready.is_owned_by(second));
        ready.wake(0);
        turn(&ready, |_| polled += 1);
        assert_eq!(polled, 1);
    });
}

#[test]
fn loom_two_threads_wake_one_task() {
    loom::model(|| {
        let ready = leaked(1);
        let data = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (data, waker) = (data.clone(), ready.waker(0).unwrap());
                thread::spawn(move || {
                    data.fetch_add(1, Ordering::Relaxed);
                    waker.wake();
                })
            })
            .collect();
        let mut seen = 0;
        turn(&ready, |_| seen = data.load(Ordering::Relaxed));
        for thread in threads {
            thread.join().unwrap();
        }
        turn(&ready, |_| seen = data.load(Ordering::Relaxed));
        assert_eq!(seen, 2);
    });
}
