//! Closures and borrowed bytes: who may do what while a socket is lent.

use super::*;

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
