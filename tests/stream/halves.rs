//! Halves, and code that is generic over streams.

use super::*;

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
                writer.acknowledged().await.unwrap();
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
                writer.acknowledged().await.unwrap();
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
        assert_eq!(outcome, Err(StreamError::Reset));
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
