//! Connections that we open.

use super::*;

#[test]
fn connect_says_why_it_cannot() {
    pair!(server, client);
    let wire: Wire<64> = Wire::new(LAN);
    let ask = async {
        #[allow(unused_mut, reason = "grows with IPv6")]
        let mut bad = vec![
            v4(1, 0),
            v4(2, 7),
            v4(255, 7),
            IpEndpoint::new(IpAddress::v4(255, 255, 255, 255), 7),
            IpEndpoint::new(IpAddress::v4(224, 0, 0, 1), 7),
            IpEndpoint::new(IpAddress::v4(0, 0, 0, 0), 7),
            IpEndpoint::new(IpAddress::v4(127, 0, 0, 1), 7),
        ];
        #[cfg(feature = "ipv6")]
        bad.extend([
            v6(1, 0),
            v6(2, 7),
            IpEndpoint::new(IpAddress::v6(0xff02, 0, 0, 0, 0, 0, 0, 1), 7),
            IpEndpoint::new(IpAddress::v6(0, 0, 0, 0, 0, 0, 0, 0), 7),
            IpEndpoint::new(IpAddress::v6(0, 0, 0, 0, 0, 0, 0, 1), 7),
        ]);
        for target in bad {
            let outcome = client.connect(target).await.map(|_| ());
            assert_eq!(outcome, Err(ConnectError::Unaddressable), "{target}");
        }
        assert_eq!(client.counters().slots_used, 0);
        for target in targets(1, 99) {
            let began = client.now();
            let outcome = client.connect(target).await.map(|_| ());
            assert_eq!(outcome, Err(ConnectError::Refused), "{target}");
            let waited = client.now() - began;
            assert!(waited < millis(10), "{target}: {waited}");
        }
        // Nobody has this address; then nobody answers at all.
        for target in targets(3, 99) {
            let began = client.now();
            let outcome = client.connect(target).await.map(|_| ());
            assert_eq!(outcome, Err(ConnectError::TimedOut), "{target}");
            let waited = client.now() - began;
            assert!(waited >= Duration::from_secs(75) && waited < Duration::from_secs(76));
            assert_eq!(client.counters().slots_used, 0);
        }
    };
    play(&wire, server, client, async {}, ask);
}

#[test]
fn an_own_second_address_and_a_missing_family_cannot_be_reached() {
    use cygnet::{ReadySet, Stack, Storage, TaskStorage, Tasks, turns};
    let mut storage: Storage<'_, 1, 64, 64> = Storage::new();
    let mut task_storage: TaskStorage<1, 64> = TaskStorage::new();
    let stack = Stack::new(&mut storage, &config(9), capabilities()).unwrap();
    for last in [9, 10] {
        let cidr = smoltcp::wire::IpCidr::new(IpAddress::v4(10, 0, 0, last), 24);
        stack.add_address(cidr).unwrap();
    }
    static READY: ReadySet<1> = ReadySet::new();
    let tasks = Tasks::new(&mut task_storage, &READY);
    let node = Node::new(&stack, &tasks);
    let done = Cell::new(false);
    node.spawn(Box::pin(async {
        #[allow(unused_mut)]
        let mut bad = vec![v4(9, 7), v4(10, 7)];
        #[cfg(feature = "ipv6")]
        bad.push(v6(1, 7));
        for target in bad {
            let outcome = node.connect(target).await.map(|_| ());
            assert_eq!(outcome, Err(ConnectError::Unaddressable), "{target}");
        }
        done.set(true);
    }))
    .unwrap();
    let wire: Wire<4> = Wire::new(LAN);
    turns(node, |turns| turns.turn(&mut wire.ends().0, Instant::ZERO));
    assert!(done.get());
}

#[test]
fn connect_needs_a_slot_and_a_dropped_one_frees_it() {
    pair!(server, client);
    let wire: Wire<64> = Wire::new(LAN);
    let serve = async {
        let listener = server.listen(7, Backlog(4)).unwrap();
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(listener.accept().await.unwrap());
        }
        server.sleep(Duration::from_secs(5)).await;
    };
    let ask = async {
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(client.connect(v4(1, 7)).await.unwrap());
        }
        // The fourth slot is taken by one that nobody answers.
        let mut lost = Box::pin(client.connect(v4(3, 7)));
        poll_fn(|cx| {
            assert!(lost.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert_eq!(client.counters().slots_used, 4);
        let outcome = client.connect(v4(1, 7)).await.map(|_| ());
        assert_eq!(outcome, Err(ConnectError::NoSlot));
        drop(lost);
        assert_eq!(client.counters().slots_used, 3);
        // Dropped with its SYN on the way: the late answer is reset.
        assert!(give_up_after(1, client.connect(v4(1, 7))).await.is_none());
        assert_eq!(client.counters().slots_used, 3);
        client.yield_now().await;
        let mut late = Box::pin(client.connect(v4(1, 7)));
        poll_fn(|cx| {
            assert!(late.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        client.yield_now().await;
        client.yield_now().await;
        drop(late);
        client.sleep(Duration::from_secs(1)).await;
        assert_eq!(
            server.counters().slots_used,
            3,
            "the half-open one was reset"
        );
        held.push(client.connect(v4(1, 7)).await.unwrap());
    };
    play(&wire, server, client, serve, ask);
    assert_eq!(client.counters().slots_high, 4);
}

/// With and without IPv6 of our own.
#[test]
fn socket_addresses_of_the_core_are_connected_to() {
    pair!(server, client);
    let wire: Wire<32> = Wire::new(LAN);
    let serve = async {
        let _ = one(server).await;
    };
    let ask = async {
        let addr: core::net::SocketAddr = "10.0.0.1:7".parse().unwrap();
        client.connect(addr).await.unwrap();
        let none: core::net::SocketAddr = "[fd00::77]:7".parse().unwrap();
        let outcome = client.connect(none).await.err();
        let expected = match cfg!(feature = "ipv6") {
            true => ConnectError::TimedOut,
            false => ConnectError::Unaddressable,
        };
        assert_eq!(outcome, Some(expected));
    };
    play(&wire, server, client, serve, ask);
}
