//! More connections than slots.

use super::*;

#[test]
fn a_hundred_connects_in_a_row_need_two_slots() {
    for target in targets(1, 7) {
        host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 512, tx: 512);
        host!(client, 2, slots: 4, tasks: 8, bytes: 64, rx: 512, tx: 512);
        let wire: Wire<32> = Wire::new(LAN);
        let ask = async {
            for n in 0..100 {
                let mut stream = client.connect(target).await.unwrap();
                let mut buf = [0; 64];
                assert_eq!(stream.read(&mut buf).await, Ok(10), "{n}");
                assert_eq!(stream.read(&mut buf).await, Ok(0), "{n}");
                stream.close().await.unwrap();
            }
            server.close_listeners();
        };
        play(&wire, server, client, greeter(server, false), ask);
        assert!(server.counters().reclaimed >= 90);
        assert_eq!(server.counters().resets + client.counters().resets, 0);
    }
}

#[test]
fn more_clients_than_slots_are_all_served() {
    host!(server, 1, slots: 8, tasks: 12, bytes: 64, rx: 256, tx: 256);
    host!(client, 2, slots: 64, tasks: 256, bytes: 64, rx: 256, tx: 256);
    let wire: Wire<64> = Wire::new(LAN);
    let served = Cell::new(0);
    let ask = async {
        let served = &served;
        for n in 0..200u64 {
            let visit = async move {
                client.sleep(Duration::from_millis(n * 31 % 900)).await;
                loop {
                    match client.connect(v4(1, 7)).await {
                        Ok(mut stream) => {
                            let mut buf = [0; 8];
                            stream.write_all(&n.to_le_bytes()).await.unwrap();
                            assert_eq!(stream.read(&mut buf).await, Ok(8));
                            assert_eq!(buf, n.to_le_bytes());
                            client.sleep(TICK * 4).await;
                            stream.close().await.unwrap();
                            served.set(served.get() + 1);
                            return;
                        }
                        Err(cygnet::ConnectError::NoSlot) => client.sleep(secs(1)).await,
                        Err(error) => panic!("{n}: {error}"),
                    }
                }
            };
            client.spawn(Box::pin(visit)).map_err(|_| ()).unwrap();
        }
        while served.get() < 200 {
            client.sleep(secs(1)).await;
        }
        server.close_listeners();
    };
    play(&wire, server, client, echo_server(server, 8), ask);
    let counters = server.counters();
    assert_eq!(counters.slots_high, 8);
    assert!(counters.dropped(DropReason::NoSlot) + counters.dropped(DropReason::BacklogFull) > 0);
    assert_eq!(counters.resets + client.counters().resets, 0);
}
