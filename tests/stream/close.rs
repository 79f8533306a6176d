//! How a stream ends, from either side.

use super::*;

#[test]
fn everything_before_the_fin_is_read_however_late() {
    for target in targets(1, 7) {
        for server_closes_first in [false, true] {
            pair!(server, client);
            let wire: Wire<32> = Wire::new(LAN);
            let serve = async {
                let mut stream = one(server).await;
                if server_closes_first {
                    stream.shutdown();
                }
                // Longer than TIME-WAIT, with bytes that nobody has read.
                server.sleep(Duration::from_secs(100)).await;
                let mut buf = [0; 4];
                assert_eq!(stream.read(&mut buf).await, Ok(4));
                server.sleep(Duration::from_secs(100)).await;
                assert_eq!(read_to_end(&mut stream).await, Ok(vec![7; 796]));
                assert_eq!(stream.read(&mut buf).await, Ok(0));
                if server_closes_first {
                    assert_eq!(stream.write(b"x").await, Err(WriteError::Closed));
                    assert_eq!(stream.close().await, Ok(()));
                } else {
                    // The client did not wait for the server's FIN so long.
                    assert_eq!(stream.write(b"x").await, Err(WriteError::Reset));
                }
            };
            let send = async {
                let mut stream = client.connect(target).await.unwrap();
                client.sleep(millis(50)).await;
                stream.write_all(&[7; 800]).await.unwrap();
                drop(stream);
            };
            play(&wire, server, client, serve, send);
            assert_eq!(server.counters().resets, u64::from(!server_closes_first));
            assert_eq!(server.counters().expired, 0);
        }
    }
}

#[test]
fn a_reset_is_told_after_the_bytes_before_it() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let serve = async {
            let mut stream = one(server).await;
            server.sleep(Duration::from_secs(1)).await;
            let mut buf = [0; 64];
            assert_eq!(stream.read(&mut buf).await, Ok(5));
            assert_eq!(stream.read(&mut buf).await, Err(ReadError::Reset));
            assert_eq!(stream.read(&mut buf).await, Err(ReadError::Reset));
            assert_eq!(stream.write(b"x").await, Err(WriteError::Reset));
            assert_eq!(stream.close().await, Err(CloseError::Reset));
        };
        let send = async {
            let mut stream = client.connect(target).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            stream.acknowledged().await.unwrap();
            stream.abort();
        };
        play(&wire, server, client, serve, send);
        assert_eq!(server.counters().resets, 1);
    }
}

#[test]
fn a_reset_during_a_close_is_told() {
    // In FIN-WAIT-1 and, when the client has shut down before, in LAST-ACK.
    for client_shuts_down in [false, true] {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let serve = async {
            let mut stream = one(server).await;
            server.sleep(millis(500)).await;
            assert_eq!(stream.close().await, Err(CloseError::Reset));
        };
        let ask = async {
            let mut stream = client.connect(v4(1, 7)).await.unwrap();
            if client_shuts_down {
                stream.shutdown();
            }
            // The server's FIN and the reset cross each other.
            client.sleep(Duration::from_micros(497_500)).await;
            let late = millis(500) + Duration::from_micros(1500);
            client.sleep_until(Instant::ZERO + late).await;
            stream.abort();
        };
        let end = play(&wire, server, client, serve, ask);
        assert!(end < seconds(2));
        assert_eq!(server.counters().resets, 1);
    }
}

#[test]
fn write_is_never_ok_zero_and_closed_after_shutdown() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let serve = async {
            let mut stream = one(server).await;
            let all = read_to_end(&mut stream).await.unwrap();
            assert_eq!(all.len(), 20_000);
        };
        let ask = async {
            let mut stream = client.connect(target).await.unwrap();
            assert_eq!(stream.write(b"").await, Ok(0));
            let mut left = 20_000;
            while left > 0 {
                let n = stream.write(&vec![1; left]).await.unwrap();
                assert!((1..=1024).contains(&n));
                left -= n;
            }
            stream.shutdown();
            assert_eq!(stream.write(b"x").await, Err(WriteError::Closed));
            stream.shutdown();
            stream.acknowledged().await.unwrap();
            // The peer has closed too, and the connection is no more.
            client.sleep(Duration::from_secs(1)).await;
            assert_eq!(stream.write(b"x").await, Err(WriteError::Closed));
            assert_eq!(
                stream.write_with(|_| (1, ())).await,
                Err(WriteError::Closed)
            );
            assert_eq!(stream.writable().await, Err(WriteError::Closed));
            stream.acknowledged().await.unwrap();
        };
        play(&wire, server, client, serve, ask);
    }
}

#[test]
fn write_is_closed_after_both_sides_have_closed() {
    pair!(server, client);
    let wire: Wire<32> = Wire::new(LAN);
    let serve = async {
        let mut stream = one(server).await;
        assert_eq!(read_to_end(&mut stream).await, Ok(vec![]));
        stream.shutdown();
        // LAST-ACK, then nothing is left.
        server.sleep(Duration::from_secs(1)).await;
        assert_eq!(stream.write(b"x").await, Err(WriteError::Closed));
        assert_eq!(stream.read(&mut [0]).await, Ok(0));
        assert_eq!(stream.close().await, Ok(()));
    };
    let ask = async {
        client
            .connect(v4(1, 7))
            .await
            .unwrap()
            .close()
            .await
            .unwrap();
    };
    play(&wire, server, client, serve, ask);
}

#[test]
fn a_half_closed_peer_gets_its_answer() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let serve = async {
            let mut stream = one(server).await;
            let question = read_to_end(&mut stream).await.unwrap();
            server.sleep(Duration::from_secs(60)).await;
            stream.write_all(&question).await.unwrap();
            stream.write_all(&[9; 5000]).await.unwrap();
            stream.close().await.unwrap();
        };
        let ask = async {
            let mut stream = client.connect(target).await.unwrap();
            stream.write_all(b"question").await.unwrap();
            stream.shutdown();
            let answer = read_to_end(&mut stream).await.unwrap();
            assert_eq!(&answer[..8], b"question");
            assert_eq!(answer.len(), 5008);
            stream.close().await.unwrap();
        };
        play(&wire, server, client, serve, ask);
        assert_eq!(client.counters().resets + server.counters().resets, 0);
    }
}

#[test]
fn close_waits_for_the_acknowledgement_of_the_fin() {
    pair!(server, client);
    let wire: Wire<32> = Wire::new(Faults {
        latency: millis(100),
        ..Faults::NONE
    });
    let serve = async {
        let mut stream = one(server).await;
        assert_eq!(read_to_end(&mut stream).await.unwrap().len(), 1000);
        // Never closes by itself before the client has returned.
        server.sleep(Duration::from_secs(10)).await;
    };
    let ask = async {
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        stream.write_all(&[1; 1000]).await.unwrap();
        let began = client.now();
        assert_eq!(stream.close().await, Ok(()));
        let waited = client.now() - began;
        assert!(waited >= millis(200) && waited < millis(500), "{waited}");
    };
    play(&wire, server, client, serve, ask);
}

#[test]
fn close_returns_while_the_peer_pours_bytes() {
    pair!(server, client);
    let wire: Wire<32> = Wire::new(LAN);
    let serve = async {
        let mut stream = one(server).await;
        let mut given = 0;
        while stream.write_all(&[1; 100]).await.is_ok() {
            given += 100;
        }
        assert!(given > 1000, "{given}");
    };
    let ask = async {
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        stream.write_all(b"x").await.unwrap();
        client.sleep(millis(100)).await;
        assert_eq!(stream.close().await, Ok(()));
    };
    let end = play(&wire, server, client, serve, ask);
    assert!(end < seconds(40), "the peer was never told: {end}");
}

#[test]
fn close_to_a_silent_peer_times_out_and_frees_the_slot() {
    pair!(server, client);
    let wire: Wire<32> = Wire::new(LAN);
    let serve = async {
        let mut stream = one(server).await;
        wire.set_faults(silence());
        let began = server.now();
        assert_eq!(stream.close().await, Err(CloseError::TimedOut));
        let waited = server.now() - began;
        assert!(
            waited >= Duration::from_secs(30) && waited < Duration::from_secs(31),
            "{waited}"
        );
        drop(stream);
        server.sleep(Duration::from_secs(2)).await;
        assert_eq!(server.counters().slots_used, 0);
        assert_eq!(server.counters().expired, 1);
    };
    let ask = async {
        let stream = client.connect(v4(1, 7)).await.unwrap();
        client.sleep(Duration::from_secs(1)).await;
        drop(stream);
        client.sleep(Duration::from_secs(32)).await;
        assert_eq!(client.counters().slots_used, 0, "the orphan's deadline");
    };
    play(&wire, server, client, serve, ask);
}

#[test]
fn a_dropped_stream_delivers_what_was_written() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let serve = async {
            let mut stream = one(server).await;
            // Bytes that the client will never read do not stop its close.
            stream.write_all(&[1; 900]).await.unwrap();
            server.sleep(Duration::from_secs(3)).await;
            assert_eq!(read_to_end(&mut stream).await, Ok(vec![5; 1024]));
        };
        let ask = async {
            let mut stream = client.connect(target).await.unwrap();
            client.sleep(millis(100)).await;
            stream.write_all(&[5; 1024]).await.unwrap();
            drop(stream);
            client.sleep(Duration::from_secs(20)).await;
            assert_eq!(client.counters().slots_used, 0);
        };
        play(&wire, server, client, serve, ask);
        assert_eq!(client.counters().expired, 0);
    }
}

#[test]
fn abort_resets() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let serve = async {
            let mut stream = one(server).await;
            let mut buf = [0; 64];
            assert_eq!(stream.read(&mut buf).await, Err(ReadError::Reset));
        };
        let ask = async {
            let stream = client.connect(target).await.unwrap();
            client.sleep(millis(10)).await;
            stream.abort();
            client.yield_now().await;
            client.yield_now().await;
            assert_eq!(client.counters().slots_used, 0);
        };
        let end = play(&wire, server, client, serve, ask);
        assert!(end < seconds(1));
    }
}
