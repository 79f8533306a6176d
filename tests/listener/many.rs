//! Several accepts in one task, and listeners of one address.

use super::*;
use futures_util::future::{join_all, select};
use smoltcp::wire::IpListenEndpoint;
use std::future::poll_fn;
use std::task::Poll;

/// More than there are places, at two listeners, and a task of its own beside them.
#[test]
fn one_task_waits_in_any_number_of_accepts() {
    host!(server, 1, slots: 8, tasks: 16, bytes: 64, rx: 512, tx: 512);
    host!(client, 2, slots: 8, tasks: 16, bytes: 64, rx: 512, tx: 512);
    let wire: Wire<32> = Wire::new(LAN);
    let served = Cell::new(0);
    let serve = async {
        let both = [7, 8].map(|port| server.listen(port, Backlog(8)).unwrap());
        let beside = server.listen(9, Backlog(1)).unwrap();
        let alone = Box::pin(async {
            while let Ok((mut stream, _)) = beside.accept().await {
                stream.write_all(b"alone").await.unwrap();
            }
        });
        let handlers = (0..20).map(|number| {
            let (listener, served) = (&both[number % 2], &served);
            async move {
                loop {
                    let mut stream = match listener.accept().await {
                        Ok((stream, _)) => stream,
                        Err(error) => return assert_eq!(error, AcceptError::Closed),
                    };
                    served.set(served.get() + 1);
                    // Holds this handler, and nobody else.
                    while let Ok(1..) = stream.read(&mut [0; 8]).await {}
                }
            }
        });
        // `select` and `join_all` below 30 poll their futures with the task's own waker.
        let handlers = Box::pin(join_all(handlers));
        select(alone, handlers).await;
    };
    let ask = async {
        for round in 0..5 {
            let mut held = Vec::new();
            for port in [7, 8, 7, 7, 8, 9] {
                held.push(client.connect(v4(1, port)).await.unwrap());
            }
            client.sleep(TICK).await;
            assert_eq!(served.get(), 5 * (round + 1));
            let mut word = [0; 9];
            assert_eq!(held.last_mut().unwrap().read(&mut word).await, Ok(5));
            drop(held);
            client.sleep(secs(1)).await;
        }
        server.close_listeners();
    };
    play(&wire, server, client, serve, ask);
    assert_eq!(served.get(), 25);
}

/// The first future of a task to be polled takes its connection; those that wait on are
/// woken for the next, and a task that waits elsewhere has its turn in between.
#[test]
fn a_place_that_futures_share_goes_on_and_keeps_no_one_out() {
    host!(server, 1, slots: 8, tasks: 16, bytes: 64, rx: 512, tx: 512);
    host!(client, 2, slots: 8, tasks: 16, bytes: 64, rx: 512, tx: 512);
    let wire: Wire<32> = Wire::new(LAN);
    let log = Rc::new(RefCell::new(Vec::new()));
    let seen = log.clone();
    let serve = async {
        let listener = Rc::new(server.listen(7, Backlog(8)).unwrap());
        let accepts = |name: &'static str| {
            let (listener, log) = (listener.clone(), log.clone());
            async move {
                while listener.accept().await.is_ok() {
                    log.borrow_mut().push(name);
                }
            }
        };
        server.spawn(Box::pin(accepts("other"))).unwrap();
        server.yield_now().await;
        join_all([accepts("one"), accepts("two")]).await;
    };
    let ask = async {
        for _ in 0..6 {
            client.connect(v4(1, 7)).await.unwrap();
            client.sleep(TICK).await;
        }
        server.close_listeners();
    };
    play(&wire, server, client, serve, ask);
    assert_eq!(
        *seen.borrow(),
        ["other", "one", "other", "one", "other", "one"]
    );
}

/// A future that waited in one task and goes on in another takes nobody's place along.
#[test]
fn an_accept_that_moves_to_another_task_leaves_the_others_theirs() {
    host!(server, 1, slots: 8, tasks: 16, bytes: 64, rx: 512, tx: 512);
    host!(client, 2, slots: 8, tasks: 16, bytes: 64, rx: 512, tx: 512);
    let wire: Wire<32> = Wire::new(LAN);
    let log = Rc::new(RefCell::new(Vec::new()));
    let seen = log.clone();
    let serve = async {
        let listener = Rc::new(server.listen(7, Backlog(8)).unwrap());
        let accept = || {
            let listener = listener.clone();
            Box::pin(async move { listener.accept().await.map(drop) })
        };
        let (mut stays, mut moves) = (accept(), accept());
        let both = poll_fn(|cx| {
            let pending = stays.as_mut().poll(cx).is_pending();
            assert!(moves.as_mut().poll(cx).is_pending() && pending);
            Poll::Ready(())
        });
        both.await;
        let there = log.clone();
        let elsewhere = async move {
            moves.await.unwrap();
            there.borrow_mut().push("moved");
        };
        server.spawn(Box::pin(elsewhere)).unwrap();
        stays.await.unwrap();
        log.borrow_mut().push("stayed");
    };
    let ask = async {
        for _ in 0..2 {
            client.connect(v4(1, 7)).await.unwrap();
            client.sleep(TICK).await;
        }
    };
    play(&wire, server, client, serve, ask);
    assert_eq!(seen.borrow().len(), 2);
}

#[test]
fn listeners_of_one_address_share_a_port() {
    host!(server, 1, slots: 8, tasks: 16, bytes: 64, rx: 512, tx: 512);
    host!(client, 2, slots: 8, tasks: 16, bytes: 64, rx: 512, tx: 512);
    let wire: Wire<32> = Wire::new(LAN);
    let serve = async {
        let mut listeners = Vec::new();
        for target in targets(1, 7) {
            let listener = server.listen((target.addr, 7), Backlog(1)).unwrap();
            let local = listener.local_addr();
            assert_eq!((local.addr, local.port), (Some(target.addr), 7));
            for overlap in [7.into(), IpListenEndpoint::from(target)] {
                let again = server.listen(overlap, Backlog(1));
                assert_eq!(again.err(), Some(ListenError::InUse));
            }
            listeners.push(listener);
        }
        let any = server.listen(8, Backlog(1)).unwrap();
        assert_eq!((any.local_addr().addr, any.port()), (None, 8));
        let unspecified = (smoltcp::wire::IpAddress::v4(0, 0, 0, 0), 8);
        let again = server.listen(unspecified, Backlog(1));
        assert_eq!(again.err(), Some(ListenError::InUse));
        let elsewhere = server.listen((v4(77, 9).addr, 9), Backlog(1)).unwrap();
        for listener in &listeners {
            let (stream, _) = listener.accept().await.unwrap();
            let local = listener.local_addr();
            assert_eq!(stream.local_addr().map(|at| at.addr), local.addr);
        }
        drop(elsewhere);
    };
    let ask = async {
        for target in targets(1, 7) {
            client.connect(target).await.unwrap();
            let refused = client.connect((target.addr, 9)).await;
            assert_eq!(refused.err(), Some(ConnectError::Refused));
        }
    };
    play(&wire, server, client, serve, ask);
}
