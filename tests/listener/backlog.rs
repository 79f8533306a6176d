//! How many may wait, and who accepts first.

use super::*;

#[test]
fn the_backlog_holds_so_many_and_drops_the_next_silently() {
    for target in targets(1, 7) {
        for backlog in [1, 2, 3] {
            host!(server, 1, slots: 8, tasks: 8, bytes: 64, rx: 512, tx: 512);
            host!(client, 2, slots: 8, tasks: 8, bytes: 64, rx: 512, tx: 512);
            let wire: Wire<32> = Wire::new(LAN);
            let serve = async {
                let listener = server.listen(7, Backlog(backlog)).unwrap();
                server.sleep(secs(2)).await;
                assert_eq!(server.counters().slots_used, u32::from(backlog));
                assert!(server.counters().dropped(DropReason::BacklogFull) > 0);
                for _ in 0..=backlog {
                    listener.accept().await.unwrap();
                }
            };
            let ask = async {
                let mut held = Vec::new();
                for _ in 0..backlog {
                    held.push(client.connect(target).await.unwrap());
                }
                let began = client.now();
                held.push(client.connect(target).await.unwrap());
                assert!(client.now() - began > Duration::from_millis(900), "a retry");
            };
            play(&wire, server, client, serve, ask);
            assert_eq!(client.counters().resets, 0);
        }
    }
}

#[test]
fn a_backlog_of_nothing_is_one() {
    pair!(server, client);
    let wire: Wire<32> = Wire::new(LAN);
    let serve = async {
        let listener = server.listen(7, Backlog(0)).unwrap();
        listener.accept().await.unwrap();
    };
    play(&wire, server, client, serve, async {
        client.connect(v4(1, 7)).await.unwrap();
    });
}

#[test]
fn without_a_slot_the_syn_is_dropped_silently_and_the_retry_is_served() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 512, tx: 512);
    host!(client, 2, slots: 8, tasks: 8, bytes: 64, rx: 512, tx: 512);
    let wire: Wire<32> = Wire::new(LAN);
    let serve = async {
        let listener = server.listen(7, Backlog(8)).unwrap();
        let one = listener.accept().await.unwrap();
        let two = listener.accept().await.unwrap();
        server.sleep(secs(2)).await;
        assert!(server.counters().dropped(DropReason::NoSlot) > 0);
        drop((one, two));
        listener.accept().await.unwrap();
    };
    let ask = async {
        let one = client.connect(v4(1, 7)).await.unwrap();
        let two = client.connect(v4(1, 7)).await.unwrap();
        let three = client.connect(v4(1, 7));
        let (three, ()) = futures_util::future::join(three, async {
            client.sleep(secs(3)).await;
            drop((one, two));
        })
        .await;
        drop(three.unwrap());
    };
    play(&wire, server, client, serve, ask);
    assert_eq!(client.counters().resets, 0);
}

/// Each of these waits for one connection and writes its name down.
async fn acceptor(
    listener: Rc<TcpListener<'_>>,
    name: usize,
    log: Rc<RefCell<Vec<usize>>>,
    node: Node<'_>,
) {
    if listener.accept().await.is_ok() {
        log.borrow_mut().push(name);
        node.sleep(secs(5)).await;
    }
}

#[test]
fn those_who_wait_longest_accept_first() {
    host!(server, 1, slots: 8, tasks: 12, bytes: 64, rx: 512, tx: 512);
    host!(client, 2, slots: 8, tasks: 12, bytes: 64, rx: 512, tx: 512);
    let wire: Wire<32> = Wire::new(LAN);
    let log = Rc::new(RefCell::new(Vec::new()));
    let serve = async {
        let listener = Rc::new(server.listen(7, Backlog(8)).unwrap());
        for name in 0..8 {
            let task = acceptor(listener.clone(), name, log.clone(), server);
            server.spawn(Box::pin(task)).map_err(|_| ()).unwrap();
            server.yield_now().await;
        }
        server.sleep(secs(30)).await;
    };
    let ask = async {
        let mut held = Vec::new();
        client.sleep(secs(1)).await;
        for n in 0..8 {
            held.push(client.connect(v4(1, 7)).await.unwrap());
            // Alone, and several in one turn.
            client.sleep(Duration::from_millis(n % 3)).await;
        }
        client.sleep(secs(1)).await;
    };
    play(&wire, server, client, serve, ask);
    assert_eq!(*log.borrow(), [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_newcomer_does_not_put_a_woken_acceptor_at_the_end_of_the_line() {
    host!(server, 1, slots: 8, tasks: 12, bytes: 64, rx: 512, tx: 512);
    host!(client, 2, slots: 8, tasks: 12, bytes: 64, rx: 512, tx: 512);
    let wire: Wire<32> = Wire::new(LAN);
    let log = Rc::new(RefCell::new(Vec::new()));
    let serve = async {
        let listener = Rc::new(server.listen(7, Backlog(8)).unwrap());
        // Looks for a connection in every turn, before those in line are run.
        let (thief, noted) = (listener.clone(), log.clone());
        let steal = async move {
            let stolen = loop {
                if let Some(stolen) = give_up_after(1, thief.accept()).await {
                    break stolen.unwrap();
                }
                server.yield_now().await;
            };
            noted.borrow_mut().push(9);
            server.sleep(secs(5)).await;
            drop(stolen);
        };
        server.spawn(Box::pin(steal)).map_err(|_| ()).unwrap();
        for name in 0..3 {
            let task = acceptor(listener.clone(), name, log.clone(), server);
            server.spawn(Box::pin(task)).map_err(|_| ()).unwrap();
            server.yield_now().await;
        }
        server.sleep(secs(30)).await;
    };
    let ask = async {
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(client.connect(v4(1, 7)).await.unwrap());
            client.sleep(TICK).await;
        }
    };
    play(&wire, server, client, serve, ask);
    let mut order = log.borrow().clone();
    order.retain(|&name| name != 9);
    assert_eq!(order, [0, 1, 2]);
}

#[test]
fn eight_tasks_may_wait_in_accept_and_the_ninth_is_told() {
    for waiting in [7, 8, 9] {
        host!(server, 1, slots: 8, tasks: 16, bytes: 64, rx: 512, tx: 512);
        host!(client, 2, slots: 8, tasks: 16, bytes: 64, rx: 512, tx: 512);
        let wire: Wire<32> = Wire::new(LAN);
        let errors = Rc::new(RefCell::new(Vec::new()));
        let serve = async {
            let listener = Rc::new(server.listen(7, Backlog(8)).unwrap());
            for name in 0..waiting {
                let (listener, errors) = (listener.clone(), errors.clone());
                let task = async move {
                    if let Err(error) = listener.accept().await {
                        errors.borrow_mut().push((name, error));
                    }
                };
                server.spawn(Box::pin(task)).map_err(|_| ()).unwrap();
                server.yield_now().await;
            }
            server.yield_now().await;
            let told: Vec<_> = (8..waiting)
                .map(|n| (n, AcceptError::TooManyWaiting))
                .collect();
            assert_eq!(*errors.borrow(), told);
            listener.close();
            server.yield_now().await;
            server.yield_now().await;
            assert_eq!(errors.borrow().len(), waiting);
        };
        play(&wire, server, client, serve, async {});
        let closed = |(_, error): &&(usize, AcceptError)| *error == AcceptError::Closed;
        assert_eq!(
            errors.borrow().iter().filter(closed).count(),
            waiting.min(8)
        );
    }
}

#[test]
fn four_listeners_share_the_slots_and_the_fifth_finds_no_place() {
    host!(server, 1, slots: 4, tasks: 4, bytes: 64, rx: 512, tx: 512);
    host!(client, 2, slots: 5, tasks: 4, bytes: 64, rx: 512, tx: 512);
    let wire: Wire<32> = Wire::new(LAN);
    let serve = async {
        assert_eq!(
            server.listen(0, Backlog(1)).err(),
            Some(ListenError::PortZero)
        );
        let mut listeners = Vec::new();
        for port in 7..11 {
            assert_eq!(listeners.len(), port as usize - 7);
            listeners.push(server.listen(port, Backlog(4)).unwrap());
            let again = server.listen(port, Backlog(4)).err();
            assert_eq!(again, Some(ListenError::InUse));
        }
        assert_eq!(
            server.listen(11, Backlog(1)).err(),
            Some(ListenError::TooMany)
        );
        drop(listeners.pop());
        listeners.push(server.listen(11, Backlog(4)).unwrap());
        let mut held = Vec::new();
        for listener in &listeners {
            let (stream, _) = listener.accept().await.unwrap();
            assert_eq!(stream.local_addr().unwrap().port, listener.port());
            held.push(stream);
        }
        assert_eq!(server.counters().slots_used, 4);
        server.sleep(secs(1)).await;
    };
    let ask = async {
        let mut held = Vec::new();
        for port in [11, 9, 8, 7] {
            held.push(client.connect(v4(1, port)).await.unwrap());
        }
        let refused = client.connect(v4(1, 10)).await.map(|_| ());
        assert_eq!(refused, Err(ConnectError::Refused));
        client.sleep(secs(1)).await;
    };
    play(&wire, server, client, serve, ask);
}

#[test]
fn the_peer_is_named_to_the_acceptor() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let named: std::cell::Cell<Option<IpEndpoint>> = None.into();
        let serve = async {
            let listener = server.listen(7, Backlog(4)).unwrap();
            let (stream, remote) = listener.accept().await.unwrap();
            assert_eq!(stream.remote_addr(), Some(remote));
            assert_eq!(stream.local_addr(), Some(target));
            named.set(Some(remote));
            server.sleep(secs(1)).await;
        };
        let ask = async {
            let stream = client.connect(target).await.unwrap();
            client.sleep(TICK).await;
            assert_eq!(named.get(), stream.local_addr());
        };
        play(&wire, server, client, serve, ask);
    }
}
