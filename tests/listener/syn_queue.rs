//! SYNs that wait for a slot.

use super::*;

/// Connects, asks and closes; says when it was served.
async fn visit(node: Node<'_>, target: IpEndpoint, served: &RefCell<Vec<u16>>) {
    let mut stream = node.connect(target).await.unwrap();
    stream.write_all(b"?").await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await, Ok(1));
    let port = stream.local_addr().unwrap().port;
    served.borrow_mut().push(port);
    stream.close().await.unwrap();
}

async fn one_at_a_time(node: Node<'_>, visits: usize) {
    let listener = node.listen(7, Backlog(2)).unwrap();
    for _ in 0..visits {
        let (mut stream, _) = listener.accept().await.unwrap();
        let count = stream.read(&mut [0; 8]).await.unwrap();
        stream.write_all(&[b'!'; 8][..count]).await.unwrap();
        assert_eq!(stream.read(&mut [0; 8]).await, Ok(0));
    }
}

#[test]
fn a_burst_waits_in_line_and_not_for_the_peers_retries() {
    for target in targets(1, 7) {
        host!(server, 1, slots: 2, tasks: 4, bytes: 512, rx: 512, tx: 512, parked: 8);
        host!(client, 2, slots: 16, tasks: 16, bytes: 1024, rx: 512, tx: 512);
        let served = RefCell::new(Vec::new());
        let wire: Wire<64> = Wire::new(LAN);
        server.spawn(one_at_a_time(server, 10)).unwrap();
        for _ in 0..10 {
            client.spawn(visit(client, target, &served)).unwrap();
        }
        let end = run(&wire, server, client, seconds(60));
        assert_eq!(served.borrow().len(), 10);
        // The first SYN meets an unknown neighbor; nobody waits a retry longer.
        assert!(end < seconds(2), "{end}");
        let counters = server.counters();
        assert_eq!(counters.slots_high, 2);
        assert_eq!(counters.syns_parked, 8);
        assert_eq!(counters.dropped(DropReason::NoSlot), 0);
        assert_eq!(counters.dropped(DropReason::BacklogFull), 0);
    }
}

#[test]
fn a_full_line_drops_the_next_syn_and_counts_it() {
    for (clients, dropped) in [(4, 0), (5, 0), (6, 1)] {
        host!(server, 1, slots: 2, tasks: 4, bytes: 512, rx: 512, tx: 512, parked: 3);
        host!(client, 2, slots: 16, tasks: 16, bytes: 1024, rx: 512, tx: 512);
        let served = RefCell::new(Vec::new());
        let wire: Wire<64> = Wire::new(LAN);
        server.spawn(one_at_a_time(server, clients)).unwrap();
        for _ in 0..clients {
            client.spawn(visit(client, v4(1, 7), &served)).unwrap();
        }
        run(&wire, server, client, seconds(60));
        assert_eq!(served.borrow().len(), clients, "the peer's retry is served");
        let counters = server.counters();
        let drops =
            counters.dropped(DropReason::NoSlot) + counters.dropped(DropReason::BacklogFull);
        assert_eq!(drops, dropped, "{clients} clients");
    }
}

#[test]
fn a_syn_whose_sender_has_long_given_up_is_not_let_in() {
    host!(server, 1, slots: 1, tasks: 4, bytes: 512, rx: 512, tx: 512, parked: 2);
    host!(client, 2, slots: 4, tasks: 4, bytes: 1024, rx: 512, tx: 512);
    let wire: Wire<64> = Wire::new(LAN);
    let serve = async {
        let listener = server.listen(7, Backlog(2)).unwrap();
        let (held, _) = listener.accept().await.unwrap();
        server.sleep(secs(25)).await; // longer than a handshake may take
        drop(held);
        server.sleep(secs(25)).await;
        assert_eq!(server.counters().syns_admitted, 1);
    };
    let ask = async {
        let held = client.connect(v4(1, 7)).await.unwrap();
        let impatient = client.timeout(secs(1), client.connect(v4(1, 7))).await;
        assert!(impatient.is_err());
        assert_eq!(server.counters().syns_parked, 1);
        client.sleep(secs(60)).await;
        drop(held);
    };
    server.spawn(serve).unwrap();
    client.spawn(ask).unwrap();
    run(&wire, server, client, seconds(100));
    assert_eq!(server.counters().dropped(DropReason::NoSlot), 1);
}
