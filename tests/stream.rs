//! Streams between two hosts on the wire.
mod harness;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cygnet::event::DropReason;
use cygnet::net::wire::{DirectionStats, Faults, Wire};
use cygnet::{
    Backlog, CloseError, ConnectError, Node, OwnedReadHalf, ReadError, StreamError, TcpListener,
    TcpStream, WriteError,
};
use embedded_io_async::{BufRead, Read, ReadReady, Write, WriteReady};
use futures_util::future::join;
use harness::*;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpEndpoint};

async fn echo_server(node: Node<'_>) -> Result<(), cygnet::ListenError> {
    let listener = node.listen(7, Backlog(4))?;
    while let Ok((stream, _)) = listener.accept().await {
        let _ = node.spawn(Box::pin(echo(stream)));
    }
    Ok(())
}

/// Listens on port 7 and gives the first connection.
async fn one(node: Node<'_>) -> TcpStream<'_> {
    let listener: TcpListener<'_> = node.listen(7, Backlog(4)).unwrap();
    listener.accept().await.unwrap().0
}

async fn read_to_end(stream: &mut TcpStream<'_>) -> Result<Vec<u8>, ReadError> {
    let (mut all, mut buf) = (Vec::new(), [0; 300]);
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(all),
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn silence() -> Faults {
    Faults {
        loss_ppm: 1_000_000,
        ..LAN
    }
}

#[test]
fn bytes_come_back() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<16> = Wire::new(Faults::default());
        let end = play(
            &wire,
            server,
            client,
            async { echo_server(server).await.unwrap() },
            async {
                let mut stream = client.connect(target).await.unwrap();
                assert_eq!(stream.remote_addr(), Some(target));
                assert_ne!(stream.local_addr().unwrap().port, 0);
                stream.write_all(b"swan").await.unwrap();
                let mut buf = [0; 16];
                assert_eq!(stream.read(&mut buf).await, Ok(4));
                assert_eq!(&buf[..4], b"swan");
                stream.close().await.unwrap();
                server.close_listeners();
            },
        );
        assert!(end < seconds(1), "{end}");
    }
}

/// Echoes `total` bytes over a bad wire and returns when it was done.
fn bad_wire(target: IpEndpoint, faults: Faults, total: usize) -> DirectionStats {
    pair!(server, client);
    let wire: Box<Wire<64>> = Box::new(Wire::new(faults));
    let serve = async {
        let listener = server.listen(7, Backlog(4)).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        echo(stream).await;
    };
    let ask = async {
        let stream = client.connect(target).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let write = async {
            let (mut at, mut buf) = (0, [0; 700]);
            while at < total {
                let n = buf.len().min(total - at);
                pattern(at, &mut buf[..n]);
                writer.write_all(&buf[..n]).await.unwrap();
                at += n;
            }
            writer.shutdown();
        };
        let read = async {
            let (mut at, mut buf, mut wish) = (0, [0; 500], [0; 500]);
            loop {
                let n = reader.read(&mut buf).await.unwrap();
                if n == 0 {
                    break;
                }
                pattern(at, &mut wish[..n]);
                assert_eq!(buf[..n], wish[..n], "at {at}, seed {}", faults.seed);
                at += n;
            }
            assert_eq!(at, total, "seed {}", faults.seed);
        };
        join(write, read).await;
    };
    play(&wire, server, client, serve, ask);
    assert_eq!(
        server.counters().resets + client.counters().resets,
        0,
        "seed {}",
        faults.seed
    );
    wire.stats().forth
}

#[test]
fn a_mebibyte_comes_back_intact_over_a_bad_wire() {
    for (seed, target) in targets(1, 7).into_iter().enumerate() {
        let faults = Faults {
            seed: seed as u64,
            loss_ppm: 10_000,
            duplicate_ppm: 10_000,
            reorder_ppm: 10_000,
            reorder_delay: millis(3),
            corrupt_ppm: 2_000,
            ..LAN
        };
        let stats = bad_wire(target, faults, 1 << 20);
        assert!(
            stats.lost > 0 && stats.corrupted > 0 && stats.duplicated > 0,
            "{stats:?}"
        );
        assert!(stats.delayed > 0, "{stats:?}");
    }
}

#[test]
fn bytes_stay_intact_and_nobody_is_reset_on_a_terrible_wire() {
    let mut reordered = 0;
    for seed in 0..40 {
        let targets = targets(1, 7);
        let faults = Faults {
            seed,
            loss_ppm: 50_000 + 50_000 * (seed as u32 % 2),
            jitter: millis(seed % 4),
            duplicate_ppm: 50_000,
            reorder_ppm: 50_000,
            reorder_delay: millis(7),
            corrupt_ppm: 20_000,
            ..LAN
        };
        let target = targets[seed as usize % targets.len()];
        reordered += bad_wire(target, faults, 16 << 10).reordered;
    }
    assert!(reordered > 0);
}

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
fn lent_bytes_outlive_time_wait() {
    pair!(server, client);
    let wire: Wire<32> = Wire::new(LAN);
    let serve = async {
        let mut stream = one(server).await;
        stream.shutdown();
        server.sleep(Duration::from_secs(1)).await;
        assert_eq!(stream.fill_buf().await, Ok(&[7; 800][..]));
        server.sleep(Duration::from_secs(60)).await;
        stream.consume(300);
        server.sleep(Duration::from_secs(60)).await;
        assert_eq!(read_to_end(&mut stream).await, Ok(vec![7; 500]));
    };
    let send = async {
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        assert_eq!(stream.read(&mut [0]).await, Ok(0));
        stream.write_all(&[7; 800]).await.unwrap();
    };
    play(&wire, server, client, serve, send);
    assert_eq!(server.counters().expired, 0);
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
            stream.flush().await.unwrap();
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
            let stream = one(server).await;
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
fn a_timeout_is_told_and_the_stream_still_works() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let serve = async {
            let mut stream = one(server).await;
            stream.set_read_timeout(Some(millis(500)));
            stream.set_write_timeout(Some(millis(300)));
            let began = server.now();
            let mut buf = [0; 64];
            assert_eq!(stream.read(&mut buf).await, Err(ReadError::TimedOut));
            let waited = server.now() - began;
            assert!((millis(500)..millis(502)).contains(&waited), "{waited}");
            assert_eq!(stream.fill_buf().await, Err(ReadError::TimedOut));
            assert_eq!(stream.readable().await, Err(ReadError::TimedOut));
            assert_eq!(
                stream.write_all(&[1; 8000]).await,
                Err(WriteError::TimedOut)
            );
            assert_eq!(stream.flush().await, Err(WriteError::TimedOut));
            assert_eq!(stream.writable().await, Err(WriteError::TimedOut));
            stream.set_read_timeout(None);
            stream.set_write_timeout(None);
            assert_eq!(stream.read(&mut buf).await, Ok(2));
            stream.flush().await.unwrap();
            assert_eq!(stream.write(b"end").await, Ok(3));
        };
        let ask = async {
            let mut stream = client.connect(target).await.unwrap();
            client.sleep(Duration::from_secs(4)).await;
            stream.write_all(b"go").await.unwrap();
            let all = read_to_end(&mut stream).await.unwrap();
            assert_eq!(&all[all.len() - 3..], b"end");
            assert!(all[..all.len() - 3].iter().all(|&byte| byte == 1));
            assert!(all.len() > 1024);
        };
        play(&wire, server, client, serve, ask);
    }
}

/// The time is for each piece that makes progress, not for all of them.
#[test]
fn a_slow_reader_is_no_write_that_gets_nowhere() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let serve = async {
            let mut stream = one(server).await;
            stream.set_write_timeout(Some(millis(1500)));
            let began = server.now();
            stream.write_all(&[1; 8000]).await.unwrap();
            assert!(server.now() - began > millis(3000));
        };
        let ask = async {
            let mut stream = client.connect(target).await.unwrap();
            let (mut buf, mut left) = ([0; 1024], 8000);
            while left > 0 {
                client.sleep(millis(800)).await;
                left -= stream.read(&mut buf).await.unwrap();
            }
        };
        play(&wire, server, client, serve, ask);
    }
}

#[test]
fn keep_alive_finds_a_silent_peer_and_keeps_an_idle_one() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(LAN);
        let serve = async {
            let mut stream = one(server).await;
            // Idle for longer than the peer would be given, before it is asked.
            server.sleep(Duration::from_secs(3600)).await;
            stream.set_keep_alive(Some(Duration::from_secs(10)));
            server.sleep(Duration::from_secs(5 * 3600)).await;
            let mut buf = [0; 64];
            stream.write_all(b"still there?").await.unwrap();
            assert_eq!(stream.read(&mut buf).await, Ok(3));
            wire.set_faults(silence());
            let began = server.now();
            assert_eq!(stream.read(&mut buf).await, Err(ReadError::TimedOut));
            let waited = server.now() - began;
            assert!(waited <= Duration::from_secs(41), "{waited}");
            assert!(waited >= Duration::from_secs(20), "{waited}");
            assert_eq!(stream.write(b"x").await, Err(WriteError::TimedOut));
            assert_eq!(stream.close().await, Err(CloseError::TimedOut));
            wire.set_faults(LAN);
        };
        let ask = async {
            let mut stream = client.connect(target).await.unwrap();
            let mut buf = [0; 64];
            assert_eq!(stream.read(&mut buf).await, Ok(12));
            stream.write_all(b"yes").await.unwrap();
            client.sleep(Duration::from_secs(100)).await;
        };
        play(&wire, server, client, serve, ask);
    }
}

#[test]
fn keep_alive_gives_up_with_bytes_on_their_way_too() {
    pair!(server, client);
    let wire: Wire<32> = Wire::new(LAN);
    let serve = async {
        let mut stream = one(server).await;
        stream.set_keep_alive(Some(Duration::from_secs(10)));
        server.sleep(Duration::from_secs(100)).await;
        wire.set_faults(silence());
        stream.write_all(&[1; 500]).await.unwrap();
        let began = server.now();
        assert_eq!(stream.flush().await, Err(WriteError::TimedOut));
        assert!(server.now() - began <= Duration::from_secs(41));
        wire.set_faults(LAN);
    };
    let ask = async {
        let _stream = client.connect(v4(1, 7)).await.unwrap();
        client.sleep(Duration::from_secs(200)).await;
    };
    play(&wire, server, client, serve, ask);
}

#[test]
fn without_nagle_small_writes_leave_at_once() {
    for nagle in [true, false] {
        pair!(server, client);
        let wire: Wire<64> = Wire::new(Faults {
            latency: millis(50),
            ..Faults::NONE
        });
        let serve = async {
            let mut stream = one(server).await;
            assert_eq!(read_to_end(&mut stream).await, Ok(vec![1; 8]));
        };
        let ask = async {
            let mut stream = client.connect(v4(1, 7)).await.unwrap();
            stream.set_nagle(nagle);
            client.sleep(millis(200)).await;
            let before = wire.stats().back.sent;
            for _ in 0..8 {
                stream.write_all(&[1]).await.unwrap();
                client.yield_now().await;
                client.yield_now().await;
            }
            let sent = wire.stats().back.sent - before;
            assert_eq!(sent, if nagle { 1 } else { 8 });
        };
        play(&wire, server, client, serve, ask);
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
            stream.flush().await.unwrap();
            // The peer has closed too, and the connection is no more.
            client.sleep(Duration::from_secs(1)).await;
            assert_eq!(stream.write(b"x").await, Err(WriteError::Closed));
            assert_eq!(
                stream.write_with(|_| (1, ())).await,
                Err(WriteError::Closed)
            );
            assert_eq!(stream.writable().await, Err(WriteError::Closed));
            stream.flush().await.unwrap();
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
fn flush_returns_when_all_is_acknowledged_and_not_before() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<32> = Wire::new(Faults {
            latency: millis(200),
            ..Faults::NONE
        });
        let serve = async {
            let mut stream = one(server).await;
            read_to_end(&mut stream).await.unwrap();
        };
        let ask = async {
            let mut stream = client.connect(target).await.unwrap();
            stream.flush().await.unwrap();
            let began = client.now();
            stream.write_all(b"hello").await.unwrap();
            assert_eq!(client.now(), began);
            stream.flush().await.unwrap();
            let waited = client.now() - began;
            assert!(waited >= millis(400) && waited < millis(500), "{waited}");
        };
        play(&wire, server, client, serve, ask);
    }
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
        assert!(given > 5000);
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
        let stream = one(server).await;
        wire.set_faults(silence());
        let began = server.now();
        assert_eq!(stream.close().await, Err(CloseError::TimedOut));
        let waited = server.now() - began;
        assert!(
            waited >= Duration::from_secs(30) && waited < Duration::from_secs(31),
            "{waited}"
        );
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

#[test]
fn halves_work_at_once_in_one_task_and_in_two() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<64> = Wire::new(LAN);
        let got = Cell::new(0);
        let serve = async {
            let mut stream = one(server).await;
            let (reader, writer) = stream.split();
            let write = async {
                writer.write_all(&[1; 10_000]).await.unwrap();
                writer.flush().await.unwrap();
                writer.shutdown();
            };
            let read = async {
                let (mut all, mut buf) = (0, [0; 100]);
                while let Ok(n @ 1..) = reader.read(&mut buf).await {
                    all += n;
                }
                assert_eq!(all, 10_000);
            };
            join(write, read).await;
        };
        async fn count(mut half: OwnedReadHalf<'_>, got: &Cell<usize>) {
            let mut buf = [0; 100];
            while let Ok(n @ 1..) = half.read(&mut buf).await {
                got.set(got.get() + n);
            }
        }
        let ask = async {
            let stream = client.connect(target).await.unwrap();
            let (reader, mut writer) = stream.into_split();
            client.spawn(Box::pin(count(reader, &got))).unwrap();
            writer.write_all(&[2; 10_000]).await.unwrap();
            drop(writer);
            while got.get() < 10_000 {
                client.sleep(millis(10)).await;
            }
        };
        play(&wire, server, client, serve, ask);
        assert_eq!(got.get(), 10_000);
    }
}

#[test]
fn a_half_dropped_alone_leaves_the_other_working() {
    for (drop_reader, target) in [false, true].into_iter().zip([v4(1, 7), targets(1, 7)[0]]) {
        pair!(server, client);
        let wire: Wire<64> = Wire::new(LAN);
        let serve = async {
            let mut stream = one(server).await;
            if drop_reader {
                assert_eq!(read_to_end(&mut stream).await.unwrap().len(), 5000);
            } else {
                assert_eq!(stream.read(&mut [0; 9]).await, Ok(0), "the end, at once");
                stream.write_all(&[1; 5000]).await.unwrap();
            }
        };
        let ask = async {
            let (mut reader, mut writer) = client.connect(target).await.unwrap().into_split();
            if drop_reader {
                drop(reader);
                writer.write_all(&[1; 5000]).await.unwrap();
                writer.flush().await.unwrap();
            } else {
                drop(writer);
                let (mut all, mut buf) = (0, [0; 100]);
                while let Ok(n @ 1..) = reader.read(&mut buf).await {
                    all += n;
                }
                assert_eq!(all, 5000);
            }
        };
        play(&wire, server, client, serve, ask);
    }
}

#[test]
fn closures_may_use_other_sockets_and_the_other_half() {
    pair!(server, client);
    let wire: Wire<64> = Wire::new(LAN);
    let serve = async {
        let listener = server.listen(7, Backlog(4)).unwrap();
        let (mut one, _) = listener.accept().await.unwrap();
        let (mut two, _) = listener.accept().await.unwrap();
        let (reader, writer) = one.split();
        let copied = reader
            .read_with(|bytes| {
                // Poll the other connection's future by hand: there is room.
                let mut cx = Context::from_waker(Waker::noop());
                let n = match pin!(two.write(bytes)).poll(&mut cx) {
                    Poll::Ready(Ok(n)) => n,
                    other => panic!("{other:?}"),
                };
                // The half of the same connection cannot now, and says so.
                assert_eq!(writer.write_ready(), Ok(false));
                assert!(pin!(writer.write(b"no")).poll(&mut cx).is_pending());
                writer.shutdown();
                (usize::MAX, n)
            })
            .await;
        assert_eq!(copied, Ok(5));
        let sum = two
            .write_with(|room| {
                room[..3].copy_from_slice(b"yes");
                (3, 3)
            })
            .await;
        assert_eq!(sum, Ok(3));
        two.write_with(|room| {
            room.fill(b'!');
            (usize::MAX, ())
        })
        .await
        .unwrap();
        assert_eq!(two.write_with(|_| (0, ())).await, Ok(()));
        server.sleep(Duration::from_secs(1)).await;
    };
    let ask = async {
        let mut one = client.connect(v4(1, 7)).await.unwrap();
        let mut two = client.connect(v4(1, 7)).await.unwrap();
        one.write_all(b"hello").await.unwrap();
        assert_eq!(
            one.read(&mut [0; 9]).await,
            Ok(0),
            "the shutdown from within"
        );
        let all = read_to_end(&mut two).await.unwrap();
        assert_eq!(&all[..8], b"helloyes");
        assert_eq!(all.len(), 1024, "the rest of the buffer");
        assert!(all[8..].iter().all(|&byte| byte == b'!'));
    };
    play(&wire, server, client, serve, ask);
}

#[test]
fn a_closure_that_panics_gives_the_socket_back() {
    pair!(server, client);
    let wire: Wire<64> = Wire::new(LAN);
    let serve = async {
        let mut stream = one(server).await;
        stream.readable().await.unwrap();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut cx = Context::from_waker(Waker::noop());
            let mut read = pin!(stream.read_with(|_| -> (usize, ()) { panic!("on purpose") }));
            let _ = read.as_mut().poll(&mut cx);
        }));
        assert!(caught.is_err());
        assert_eq!(read_to_end(&mut stream).await, Ok(b"hello".to_vec()));
    };
    let ask = async {
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
    };
    play(&wire, server, client, serve, ask);
}

#[test]
fn lent_bytes_are_consumed_as_far_as_asked() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<64> = Wire::new(LAN);
        let serve = async {
            let mut stream = one(server).await;
            stream.consume(5);
            assert_eq!(stream.fill_buf().await, Ok(&b"0123456789"[..]));
            stream.consume(2);
            stream.consume(5);
            assert_eq!(stream.fill_buf().await, Ok(&b"23456789"[..]));
            // Never consumed: the same bytes are there for the next operation.
            let mut buf = [0; 3];
            assert_eq!(stream.read(&mut buf).await, Ok(3));
            assert_eq!(&buf, b"234");
            assert_eq!(stream.fill_buf().await, Ok(&b"56789"[..]));
            let (mut reader, writer) = stream.into_split();
            assert_eq!(reader.fill_buf().await, Ok(&b"56789"[..]));
            drop(writer);
            reader.consume(usize::MAX);
            assert_eq!(reader.fill_buf().await, Ok(&b""[..]));
            reader.consume(1);
            assert_eq!(reader.fill_buf().await, Ok(&b""[..]));
        };
        let ask = async {
            let mut stream = client.connect(target).await.unwrap();
            stream.write_all(b"0123456789").await.unwrap();
            assert_eq!(stream.read(&mut [0; 9]).await, Ok(0));
        };
        play(&wire, server, client, serve, ask);
    }
}

#[test]
fn a_borrowed_connection_stands_still_and_recovers() {
    pair!(server, client);
    let wire: Wire<64> = Wire::new(LAN);
    let serve = async {
        let mut stream = one(server).await;
        let n = stream.fill_buf().await.unwrap().len();
        server.sleep(Duration::from_secs(5)).await;
        assert!(server.counters().dropped(DropReason::Borrowed) > 0);
        stream.consume(n);
        let mut all = n;
        let mut buf = [0; 100];
        while let Ok(n @ 1..) = stream.read(&mut buf).await {
            all += n;
        }
        assert_eq!(all, 5000);
        // Lent once more and dropped like this.
        drop(stream);
    };
    let ask = async {
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        stream.write_all(&[1; 5000]).await.unwrap();
        stream.close().await.unwrap();
    };
    play(&wire, server, client, serve, ask);
}

#[test]
fn a_stream_dropped_with_a_loan_closes() {
    for kind in 0..3 {
        pair!(server, client);
        let wire: Wire<64> = Wire::new(LAN);
        let serve = async {
            let mut stream = one(server).await;
            assert_eq!(stream.fill_buf().await.unwrap().len(), 10);
            match kind {
                0 => drop(stream),
                1 => stream.close().await.unwrap(),
                _ => {
                    let (mut reader, writer) = stream.into_split();
                    assert_eq!(reader.fill_buf().await.unwrap().len(), 10);
                    drop(writer);
                    server.sleep(Duration::from_secs(1)).await;
                    drop(reader);
                }
            }
        };
        let ask = async {
            let mut stream = client.connect(v4(1, 7)).await.unwrap();
            stream.write_all(&[1; 10]).await.unwrap();
            assert_eq!(stream.read(&mut [0; 9]).await, Ok(0));
        };
        let end = play(&wire, server, client, serve, ask);
        assert!(end < seconds(5));
    }
}

#[test]
fn a_stream_can_write_and_be_set_up_between_fill_buf_and_consume() {
    pair!(server, client);
    let wire: Wire<64> = Wire::new(LAN);
    let serve = async {
        let mut stream = one(server).await;
        let n = stream.fill_buf().await.unwrap().len();
        assert!(stream.remote_addr().is_some());
        stream.set_nagle(false);
        stream.write_all(b"answer").await.unwrap();
        stream.consume(n);
        let n = BufRead::fill_buf(&mut stream).await.unwrap().len();
        assert_eq!(n, 0, "consumed after the write as before it");
        stream.close().await.unwrap();
    };
    let ask = async {
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        stream.write_all(b"question").await.unwrap();
        stream.shutdown();
        assert_eq!(read_to_end(&mut stream).await, Ok(b"answer".to_vec()));
    };
    let end = play(&wire, server, client, serve, ask);
    assert!(end < seconds(5));
    assert!(server.counters().polls < 100, "{:?}", server.counters());
}

async fn generic_echo<S: Read + Write + BufRead + ReadReady + WriteReady>(
    mut stream: S,
) -> Result<usize, S::Error> {
    let mut copied = 0;
    assert!(stream.write_ready()?);
    assert!(!stream.read_ready()?);
    loop {
        let mut line = [0; 64];
        let bytes = stream.fill_buf().await?;
        let n = bytes.len().min(line.len());
        line[..n].copy_from_slice(&bytes[..n]);
        stream.consume(n);
        if n == 0 {
            assert!(stream.read_ready()?, "the end is ready too");
            return Ok(copied);
        }
        stream.write_all(&line[..n]).await?;
        stream.flush().await?;
        copied += n;
    }
}

async fn generic_copy<R: Read + ReadReady, W: Write + WriteReady>(
    mut reader: R,
    mut writer: W,
) -> usize {
    let (mut copied, mut buf) = (0, [0; 50]);
    assert!(writer.write_ready().unwrap());
    loop {
        match reader.read(&mut buf).await.unwrap() {
            0 => {
                assert!(reader.read_ready().unwrap());
                writer.flush().await.unwrap();
                return copied;
            }
            n => writer.write_all(&buf[..n]).await.unwrap(),
        }
        copied += buf.len().min(50);
    }
}

#[test]
fn generic_code_for_embedded_io_runs_on_streams_and_halves() {
    for kind in 0..3 {
        pair!(server, client);
        let wire: Wire<64> = Wire::new(LAN);
        let serve = async {
            let mut stream = one(server).await;
            match kind {
                0 => assert_eq!(generic_echo(&mut stream).await, Ok(3000)),
                1 => {
                    let (reader, writer) = stream.split();
                    assert!(generic_copy(reader, writer).await >= 3000);
                }
                _ => {
                    let (reader, writer) = stream.into_split();
                    assert!(generic_copy(reader, writer).await >= 3000);
                }
            }
        };
        let ask = async {
            let mut stream = client.connect(v4(1, 7)).await.unwrap();
            client.sleep(millis(50)).await;
            let (reader, writer) = stream.split();
            let write = async {
                writer.write_all(&[3; 3000]).await.unwrap();
                writer.shutdown();
            };
            let read = async {
                let (mut all, mut buf) = (0, [0; 77]);
                while let Ok(n @ 1..) = reader.read(&mut buf).await {
                    all += n;
                }
                assert_eq!(all, 3000);
            };
            join(write, read).await;
        };
        play(&wire, server, client, serve, ask);
    }
}

#[test]
fn generic_code_is_told_errors() {
    pair!(server, client);
    let wire: Wire<64> = Wire::new(LAN);
    let serve = async {
        let mut stream = one(server).await;
        let outcome = generic_echo(&mut stream).await;
        assert_eq!(outcome, Err(StreamError::Read(ReadError::Reset)));
        assert_eq!(
            ReadReady::read_ready(&mut stream),
            Err(ReadError::Reset.into())
        );
        assert_eq!(
            WriteReady::write_ready(&mut stream),
            Err(WriteError::Reset.into())
        );
    };
    let ask = async {
        let stream = client.connect(v4(1, 7)).await.unwrap();
        client.sleep(millis(100)).await;
        stream.abort();
    };
    play(&wire, server, client, serve, ask);
}

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

#[test]
fn a_turn_receives_and_sends_no_more_than_its_share() {
    use cygnet::{Turn, turns};
    host!(server, 1, slots: 1, tasks: 8, bytes: 64, rx: 65536, tx: 65536);
    host!(client, 2, slots: 1, tasks: 8, bytes: 64, rx: 65536, tx: 65536);
    let wire: Box<Wire<96>> = Box::new(Wire::new(LAN));
    let log = RefCell::new(0);
    server
        .spawn(Box::pin(async {
            let mut stream = one(server).await;
            stream.write_all(&vec![1; 300_000]).await.unwrap();
        }))
        .unwrap();
    client
        .spawn(Box::pin(async {
            let mut stream = client.connect(v4(1, 7)).await.unwrap();
            *log.borrow_mut() = read_to_end(&mut stream).await.unwrap().len();
        }))
        .unwrap();
    let (mut end_a, mut end_b) = wire.ends();
    let mut now = Instant::ZERO;
    let mut most = (0, 0, 0);
    turns(server, |turns_a| {
        turns(client, |turns_b| {
            loop {
                let before = (server.counters(), client.counters());
                let left = turns_a.turn(&mut end_a, now);
                let right = turns_b.turn(&mut end_b, now);
                let after = (server.counters(), client.counters());
                let sent = after.0.frames_out - before.0.frames_out;
                let got = after.1.frames_in - before.1.frames_in;
                most.0 = most.0.max(sent);
                most.1 = most.1.max(got);
                most.2 += u32::from(left == Turn::Ready);
                if (left, right) == (Turn::Done, Turn::Done) {
                    break;
                }
                now = next(left, right, wire.next_delivery())
                    .unwrap()
                    .max(now + Duration::from_micros(1));
                assert!(now < seconds(60));
            }
        })
    });
    assert_eq!(*log.borrow(), 300_000);
    // Sixteen from the slot, and the answers to at most 64 frames received.
    assert!(most.0 >= 16 && most.0 <= 16 + 64, "{most:?}");
    assert!(most.1 <= 64 && most.2 > 0, "{most:?}");
    // And a flood of frames that are for nobody.
    let frames_before = server.counters().frames_in;
    for _ in 0..96 {
        assert!(end_b.inject(now, &[0; 60]));
    }
    now += Duration::from_secs(1);
    turns(server, |turns| {
        assert_eq!(turns.turn(&mut end_a, now), Turn::Done);
        assert_eq!(server.counters().frames_in - frames_before, 64);
    });
}
