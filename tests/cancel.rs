//! Cancel safety: every future of ours is dropped after its k-th poll, for
//! every k until it completes, in the middle of an exchange. No byte may be
//! lost or repeated, no slot leak, no wake be lost.
#![cfg(feature = "lab")]
mod harness;

use std::cell::Cell;
use std::rc::Rc;

use cygnet::lab::wire::{Faults, Wire};
use cygnet::{Backlog, Node, TcpStream};
use harness::*;
use smoltcp::time::Duration;

const TOTAL: usize = 6000;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Sends the pattern in pieces that come apart on the way.
async fn feeder(node: Node<'_>) {
    let mut stream = node.connect(v4(1, 7)).await.unwrap();
    let mut all = vec![0; TOTAL];
    pattern(0, &mut all);
    for piece in all.chunks(250) {
        stream.write_all(piece).await.unwrap();
        node.sleep(millis(3)).await;
    }
    stream.close().await.unwrap();
}

/// Takes the pattern to its end.
async fn eater(node: Node<'_>) {
    let mut stream = node.connect(v4(1, 7)).await.unwrap();
    let (mut at, mut buf, mut wish) = (0, [0; 90], [0; 90]);
    loop {
        let n = stream.read(&mut buf).await.unwrap();
        if n == 0 {
            break;
        }
        pattern(at, &mut wish[..n]);
        assert_eq!(buf[..n], wish[..n], "at {at}");
        at += n;
        if at % 4 == 0 {
            node.sleep(millis(2)).await;
        }
    }
    assert_eq!(at, TOTAL);
}

async fn accept(node: Node<'_>) -> TcpStream<'_> {
    let listener = node.listen(7, Backlog(4)).unwrap();
    listener.accept().await.unwrap().0
}

fn check(at: usize, bytes: &[u8]) {
    let mut wish = vec![0; bytes.len()];
    pattern(at, &mut wish);
    assert_eq!(bytes, wish, "at {at}");
}

/// Reads everything, each time with an operation that is dropped after `k`
/// polls at first.
fn reading(kind: u32) {
    for k in 0..12 {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let serve = async {
            let mut stream = accept(server).await;
            let (mut at, mut tries) = (0, 0u32);
            loop {
                tries += 1;
                assert!(tries < 100_000);
                let mut buf = [0; 70];
                let done = match kind {
                    0 => give_up_after(k, stream.read(&mut buf)).await.map(|n| {
                        let n = n.unwrap();
                        check(at, &buf[..n]);
                        n
                    }),
                    1 => {
                        let seen = stream.read_with(|bytes| {
                            check(at, bytes);
                            (bytes.len().min(40), bytes.len().min(40))
                        });
                        give_up_after(k, seen).await.map(|n| n.unwrap())
                    }
                    2 => match give_up_after(k, stream.fill_buf()).await {
                        Some(bytes) => {
                            let bytes = bytes.unwrap();
                            check(at, bytes);
                            let n = bytes.len().min(33);
                            stream.consume(n);
                            Some(n)
                        }
                        None => None,
                    },
                    3 => match give_up_after(k, stream.readable()).await {
                        Some(ready) => {
                            ready.unwrap();
                            let n = stream.read(&mut buf).await.unwrap();
                            check(at, &buf[..n]);
                            Some(n)
                        }
                        None => None,
                    },
                    _ => {
                        let read = server.timeout(millis(1), stream.read(&mut buf));
                        match give_up_after(k, read).await {
                            Some(Ok(n)) => {
                                let n = n.unwrap();
                                check(at, &buf[..n]);
                                Some(n)
                            }
                            _ => None,
                        }
                    }
                };
                match done {
                    Some(0) => break,
                    Some(n) => at += n,
                    // Never polled to its end: wait for something to happen.
                    None if k == 0 => {
                        let n = stream.read(&mut buf).await.unwrap();
                        check(at, &buf[..n]);
                        at += n;
                        if n == 0 {
                            break;
                        }
                    }
                    None => server.yield_now().await,
                }
            }
            assert_eq!(at, TOTAL, "kind {kind}, {k} polls");
        };
        play(&wire, server, client, serve, feeder(client));
    }
}

#[test]
fn a_dropped_read_takes_no_byte() {
    reading(0);
}

#[test]
fn a_dropped_read_with_takes_no_byte() {
    reading(1);
}

#[test]
fn a_dropped_fill_buf_takes_no_byte() {
    reading(2);
}

#[test]
fn a_dropped_readable_takes_no_byte() {
    reading(3);
}

#[test]
fn a_dropped_timeout_around_a_read_takes_no_byte() {
    reading(4);
}

fn writing(kind: u32) {
    for k in 0..12 {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let serve = async {
            let mut stream = accept(server).await;
            let mut all = vec![0; TOTAL];
            pattern(0, &mut all);
            let (mut at, mut tries) = (0, 0u32);
            while at < TOTAL {
                tries += 1;
                assert!(tries < 100_000);
                let rest = &all[at..TOTAL.min(at + 900)];
                let given = match kind {
                    0 => give_up_after(k, stream.write(rest))
                        .await
                        .map(|n| n.unwrap()),
                    1 => {
                        let write = stream.write_with(|room| {
                            let n = room.len().min(rest.len());
                            room[..n].copy_from_slice(&rest[..n]);
                            (n, n)
                        });
                        give_up_after(k, write).await.map(|n| n.unwrap())
                    }
                    2 => match give_up_after(k, stream.writable()).await {
                        Some(ready) => {
                            ready.unwrap();
                            Some(stream.write(rest).await.unwrap())
                        }
                        None => None,
                    },
                    3 => {
                        // Does not tell how much was given, so only once all was.
                        stream.write_all(rest).await.unwrap();
                        let done = give_up_after(k, stream.acknowledged()).await;
                        assert!(done.is_none_or(|done| done.is_ok()));
                        Some(rest.len())
                    }
                    _ => {
                        let write = server.timeout(millis(1), stream.write(rest));
                        match give_up_after(k, write).await {
                            Some(Ok(n)) => Some(n.unwrap()),
                            _ => None,
                        }
                    }
                };
                at += match given {
                    Some(n) => n,
                    None if k == 0 => stream.write(&rest[..1]).await.unwrap(),
                    None => {
                        server.yield_now().await;
                        0
                    }
                };
            }
        };
        play(&wire, server, client, serve, eater(client));
    }
}

#[test]
fn a_dropped_write_gives_no_byte() {
    writing(0);
}

#[test]
fn a_dropped_write_with_gives_no_byte() {
    writing(1);
}

#[test]
fn a_dropped_writable_gives_no_byte() {
    writing(2);
}

#[test]
fn a_dropped_flush_moves_no_byte() {
    writing(3);
}

#[test]
fn a_dropped_timeout_around_a_write_gives_no_byte() {
    writing(4);
}

#[test]
fn a_dropped_write_all_loses_and_repeats_nothing() {
    let seen = Cell::new(0);
    for k in 0..12 {
        let all_given = Cell::new(false);
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let serve = async {
            let mut stream = accept(server).await;
            let mut all = vec![0; TOTAL];
            pattern(0, &mut all);
            // What arrives is the pattern, as far as it was given.
            let done = give_up_after(k, stream.write_all(&all)).await;
            all_given.set(done.is_some_and(|done| done.is_ok()));
        };
        let ask = async {
            let mut stream = client.connect(v4(1, 7)).await.unwrap();
            let (mut at, mut buf) = (0, [0; 90]);
            while let n @ 1.. = stream.read(&mut buf).await.unwrap() {
                check(at, &buf[..n]);
                at += n;
            }
            assert_eq!(at == TOTAL, all_given.get(), "{at} bytes, {k} polls");
            seen.set(seen.get() | 1 << u8::from(all_given.get()));
        };
        play(&wire, server, client, serve, ask);
    }
    assert_eq!(seen.get(), 3, "both outcomes were seen");
}

#[test]
fn a_dropped_connect_leaks_no_slot() {
    for k in 0..6 {
        for wait in [0, 1, 2, 5, 50, 3000] {
            pair!(server, client);
            let wire: Wire<32> = Wire::new(LAN);
            let serve = async {
                let listener = server.listen(7, Backlog(4)).unwrap();
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    if stream.write_all(b"hi").await.is_ok()
                        && stream.read(&mut [0; 9]).await == Ok(3)
                    {
                        break;
                    }
                }
            };
            let ask = async {
                let connect = client.connect(v4(1, 7));
                match wait {
                    0 => drop(give_up_after(k, connect).await),
                    _ => {
                        let connect = client.timeout(millis(wait), connect);
                        drop(give_up_after(k, connect).await);
                    }
                }
                let mut stream = client.connect(v4(1, 7)).await.unwrap();
                assert_eq!(stream.read(&mut [0; 9]).await, Ok(2));
                stream.write_all(b"bye").await.unwrap();
                stream.close().await.unwrap();
            };
            play(&wire, server, client, serve, ask);
        }
    }
}

#[test]
fn a_dropped_close_closes_in_the_background() {
    for k in 0..6 {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let serve = async {
            let mut stream = accept(server).await;
            stream.write_all(&[1; 1024]).await.unwrap();
            give_up_after(k, stream.close()).await;
            server.sleep(Duration::from_secs(1)).await;
        };
        let ask = async {
            let mut stream = client.connect(v4(1, 7)).await.unwrap();
            let (mut all, mut buf) = (0, [0; 90]);
            while let n @ 1.. = stream.read(&mut buf).await.unwrap() {
                all += n;
            }
            assert_eq!(all, 1024);
        };
        play(&wire, server, client, serve, ask);
        assert_eq!(server.counters().expired + client.counters().expired, 0);
    }
}

/// Several tasks accept; some give up after `k` polls, some while the wake for
/// their connection is under way. Every connection is served at once.
#[test]
fn a_dropped_accept_hands_its_wake_on() {
    for k in 0..4 {
        for quitter in 0..3 {
            host!(server, 1, slots: 8, tasks: 16, bytes: 64, rx: 512, tx: 512);
            host!(client, 2, slots: 8, tasks: 16, bytes: 64, rx: 512, tx: 512);
            let wire: Wire<32> = Wire::new(LAN);
            let served = Rc::new(Cell::new(0));
            let serve = async {
                let listener = Rc::new(server.listen(7, Backlog(8)).unwrap());
                for name in 0..3 {
                    let (listener, served) = (listener.clone(), served.clone());
                    let task = async move {
                        if name == quitter {
                            // Its wake comes with the connection; it is dropped
                            // before it can look.
                            let accept = std::pin::pin!(listener.accept());
                            let mut accept = Some(Box::pin(accept));
                            let mut polls = 0;
                            std::future::poll_fn(|cx| {
                                if polls == k {
                                    accept = None;
                                    return std::task::Poll::Ready(());
                                }
                                polls += 1;
                                let future = accept.as_mut().unwrap();
                                if future.as_mut().poll(cx).is_ready() {
                                    polls = k;
                                }
                                if polls == k && k == 0 {
                                    return std::task::Poll::Ready(());
                                }
                                std::task::Poll::Pending
                            })
                            .await;
                            return;
                        }
                        while let Ok((mut stream, _)) = listener.accept().await {
                            if stream.write_all(b"hi").await.is_ok() {
                                served.set(served.get() + 1);
                            }
                        }
                    };
                    server.spawn(Box::pin(task)).map_err(|_| ()).unwrap();
                    server.yield_now().await;
                }
                server.sleep(Duration::from_secs(5)).await;
                server.close_listeners();
            };
            let ask = async {
                for _ in 0..3 {
                    let mut stream = client.connect(v4(1, 7)).await.unwrap();
                    let mut buf = [0; 9];
                    let hi = client.timeout(millis(500), stream.read(&mut buf)).await;
                    // One may have gone to the quitter, if it looked.
                    let fine = hi == Ok(Ok(2)) || (k > 1 && hi == Ok(Ok(0)));
                    assert!(fine, "{hi:?} k {k} quitter {quitter}");
                }
            };
            play(&wire, server, client, serve, ask);
            assert!(served.get() >= 2);
        }
    }
}

#[test]
fn a_timeout_around_accept_loses_no_connection() {
    pair!(server, client);
    let wire: Wire<32> = Wire::new(Faults {
        jitter: millis(5),
        ..LAN
    });
    let serve = async {
        let listener = server.listen(7, Backlog(4)).unwrap();
        let mut got = 0;
        while got < 30 {
            let accept = server.timeout(millis(1), listener.accept());
            if let Ok(Ok((mut stream, _))) = accept.await {
                stream.write_all(b"hi").await.unwrap();
                got += 1;
            }
        }
    };
    let ask = async {
        for _ in 0..30 {
            let mut stream = client.connect(v4(1, 7)).await.unwrap();
            assert_eq!(stream.read(&mut [0; 9]).await, Ok(2));
        }
    };
    play(&wire, server, client, serve, ask);
}
