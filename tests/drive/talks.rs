//! Streams in tasks of the executor.

use super::*;

async fn echo_once(node: Node<'static>) {
    let listener = node.listen(7, Backlog(2)).unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut buf = [0; 512];
    while let Ok(count @ 1..) = stream.read(&mut buf).await {
        stream.write_all(&buf[..count]).await.unwrap();
    }
}

/// A kick that was not given would leave each of them to the next timer.
#[test]
fn each_echo_is_answered_in_the_turn_that_its_wake_caused() {
    let wire = wire();
    let mut pair = pair(&wire);
    let (server, client) = (pair.server, pair.client);
    pair.spawn(echo_once(server));
    pair.run(async move {
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        let mut back = [0; 64];
        for number in 0..200_u32 {
            let (asked, word) = (now(), [number as u8; 64]);
            let echo = async {
                stream.write_all(&word).await.unwrap();
                let mut got = 0;
                while got < 64 {
                    got += stream.read(&mut back[got..]).await.unwrap();
                }
            };
            let (turns, ()) = turns_of(server, echo).await;
            assert_eq!(back, word);
            assert_eq!(now() - asked, LATENCY + LATENCY, "a timer was between");
            // The frame is heard, and its answer leaves.
            assert!(turns <= 4, "{number}: {turns} turns");
        }
    });
}

#[test]
fn two_megabytes_come_back_whole() {
    const ALL: usize = 2_000_000;
    let wire = wire();
    let mut pair = pair(&wire);
    let (server, client) = (pair.server, pair.client);
    pair.spawn(echo_once(server));
    pair.run(async move {
        let stream = client.connect(v4(1, 7)).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let write = async {
            let mut piece = [0; 700];
            let mut sent = 0;
            while sent < ALL {
                let length = piece.len().min(ALL - sent);
                pattern(sent, &mut piece[..length]);
                writer.write_all(&piece[..length]).await.unwrap();
                sent += length;
            }
            writer.finish().await.unwrap();
        };
        let read = async {
            let (mut piece, mut expected, mut got) = ([0; 600], [0; 600], 0);
            while let Ok(count @ 1..) = reader.read(&mut piece).await {
                pattern(got, &mut expected[..count]);
                assert_eq!(piece[..count], expected[..count], "byte {got}");
                got += count;
            }
            assert_eq!(got, ALL);
        };
        futures_util::future::join(write, read).await;
    });
}

/// Dropping, shutting down and resetting send something, and a read may.
#[test]
fn what_is_done_between_turns_leaves_at_once() {
    let wire = wire();
    let mut pair = pair(&wire);
    let (server, client) = (pair.server, pair.client);
    let told = leak(Cell::new(Instant::ZERO));
    pair.spawn(async move {
        let listener = server.listen(7, Backlog(2)).unwrap();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(matches!(stream.read(&mut [0; 8]).await, Ok(0) | Err(_)));
            told.set(now());
        }
    });
    pair.run(async move {
        for how in 0..3 {
            let mut stream = client.connect(v4(1, 7)).await.unwrap();
            // Nobody has anything to do for a long time.
            Timer::after(Duration::from_secs(1_000)).await;
            let at = now();
            match how {
                0 => drop(stream),
                1 => {
                    stream.shutdown();
                    std::mem::forget(stream);
                }
                _ => stream.abort(),
            }
            Timer::after(LATENCY + LATENCY).await;
            assert_eq!(told.get(), at + LATENCY, "{how}");
        }
    });
}

/// Tasks of the node and of the executor hold the same sockets.
#[test]
fn tasks_of_ours_and_of_theirs_mix() {
    let wire = wire();
    let mut pair = pair(&wire);
    let (server, client) = (pair.server, pair.client);
    pair.spawn(async move {
        let listener = server.listen(7, Backlog(2)).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // One of theirs accepts, and one of the node's answers: from the next turn on.
            let answers = cygnet::service::echo_client(stream);
            server.spawn(answers).unwrap();
        }
    });
    pair.run(async move {
        for _ in 0..3 {
            let asked = now();
            let mut stream = client.connect(v4(1, 7)).await.unwrap();
            stream.write_all(b"swan").await.unwrap();
            let mut word = [0; 4];
            assert_eq!(stream.read(&mut word).await, Ok(4));
            assert_eq!(&word, b"swan");
            let trips = (now() - asked).total_micros() / LATENCY.total_micros();
            // To find each other (the first time), to shake hands, and to ask.
            assert!(trips <= 6, "{trips}");
        }
    });
}
