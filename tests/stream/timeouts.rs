//! Timeouts of reads and writes, and keep-alive.

use super::*;

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
            assert_eq!(stream.acknowledged().await, Err(WriteError::TimedOut));
            assert_eq!(stream.writable().await, Err(WriteError::TimedOut));
            stream.set_read_timeout(None);
            stream.set_write_timeout(None);
            assert_eq!(stream.read(&mut buf).await, Ok(2));
            stream.acknowledged().await.unwrap();
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

/// A read or a write that is made and not awaited at once has its time from then on.
#[test]
fn a_timeout_counts_from_the_call() {
    pair!(server, client);
    let wire: Wire<32> = Wire::new(LAN);
    let serve = async {
        let mut stream = one(server).await;
        stream.set_read_timeout(Some(millis(500)));
        stream.set_write_timeout(Some(millis(500)));
        let (mut buf, mut began) = ([0; 64], server.now());
        let read = stream.read(&mut buf);
        server.sleep(millis(400)).await;
        assert_eq!(read.await, Err(ReadError::TimedOut));
        let waited = server.now() - began;
        assert!((millis(500)..millis(502)).contains(&waited), "{waited}");
        while stream.write(&[1; 1024]).await.is_ok() {}
        began = server.now();
        let write = stream.write_all(b"x");
        server.sleep(millis(400)).await;
        assert_eq!(write.await, Err(WriteError::TimedOut));
        let waited = server.now() - began;
        assert!((millis(500)..millis(502)).contains(&waited), "{waited}");
    };
    let ask = async {
        let _stream = client.connect(v4(1, 7)).await.unwrap();
        client.sleep(Duration::from_secs(10)).await;
    };
    play(&wire, server, client, serve, ask);
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
        assert_eq!(stream.acknowledged().await, Err(WriteError::TimedOut));
        assert!(server.now() - began <= Duration::from_secs(41));
        wire.set_faults(LAN);
    };
    let ask = async {
        let _stream = client.connect(v4(1, 7)).await.unwrap();
        client.sleep(Duration::from_secs(200)).await;
    };
    play(&wire, server, client, serve, ask);
}
