//! The sequence numbers of what carries no text: the highest that was used, and
//! never one before it, or a peer takes it for old and throws it away.

use super::*;

/// Opens a connection that sends two segments at once, and after a timeout one.
fn two_segments(hands: &mut Hands<'_>) -> (Seg, Vec<Seg>) {
    let first = Seg {
        mss: Some(1024),
        ..ethernet_syn()
    };
    let (reply, seen) = open_with(hands, &first, 2048);
    assert_eq!((seen.len(), bytes_of(&seen)), (2, 2048));
    (reply, seen)
}

/// RFC 9293, 3.10.7.4: an acknowledgement is "<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>",
/// after a timeout too.
#[test]
fn an_acknowledgement_after_a_timeout_carries_the_highest_number() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
    serve(server, move |mut stream| async move {
        stream.write_all(&[b'y'; 2048]).await.unwrap();
        while stream.read(&mut [0; 64]).await.is_ok() {}
    });
    by_hand(server, |hands| {
        let (reply, seen) = two_segments(hands);
        let sent = sent_up_to(&seen, &reply);
        // All of it is lost, and comes again, one segment at a time.
        let seen = hands.pass(TICK * 150);
        assert!(bytes_of(&seen) < sent, "{}", show(&seen, reply.seq));
        hands.send(&Seg {
            window: 2048,
            ..piece(&reply, TcpControl::Psh, 0, b"text", 0)
        });
        let seen = hands.pass(TICK * 10);
        let bare: Vec<_> = seen.iter().filter(|seg| seg.payload.is_empty()).collect();
        assert!(!bare.is_empty());
        for seg in bare {
            assert_eq!(seg.seq, reply.seq + 1 + sent, "{}", show(&seen, reply.seq));
        }
    });
}

/// The same of a reset: RFC 9293, 3.10.5: "<SEQ=SND.NXT><CTL=RST>". A peer takes one that
/// is not exactly where it expects the next byte for a stranger's (RFC 5961, 3.2).
#[test]
fn a_reset_after_a_timeout_carries_the_highest_number() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096);
    serve(server, move |mut stream| async move {
        stream.write_all(&[b'y'; 2048]).await.unwrap();
        server.sleep(TICK * 150).await;
        stream.abort();
    });
    by_hand(server, |hands| {
        let (reply, seen) = two_segments(hands);
        let sent = sent_up_to(&seen, &reply);
        let seen = hands.pass(SEC * 2);
        let reset = seen.iter().find(|seg| seg.is_rst()).unwrap();
        assert_eq!(reset.seq, reply.seq + 1 + sent);
    });
}

/// A reset that answers a segment takes its number from there (RFC 9293, 3.5.2), and is
/// not raised.
#[test]
fn a_reset_that_answers_a_segment_carries_that_ones_number() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    serve(server, move |stream| async move { drop(stream) });
    by_hand(server, |hands| {
        hands.send(&syn(9, 1000, 7, 1));
        let reply = hands.pass(TICK).pop().unwrap();
        for wrong in [-100_000, -1, 1, 7, 100_000] {
            let mut third = piece(&reply, TcpControl::None, 0, b"", 0);
            let ack = third.ack.unwrap().0.wrapping_add(wrong);
            third.ack = Some(TcpSeqNumber(ack));
            hands.send(&third);
            let seen = hands.pass(TICK);
            let resets: Vec<_> = seen.iter().filter(|seg| seg.is_rst()).collect();
            assert_eq!(resets.len(), 1, "{wrong}");
            assert_eq!(resets[0].seq.0, ack, "{wrong}");
        }
    });
}

/// Runs two hosts; while `cut` is set, frames without payload are lost.
fn run_cut<const F: usize>(
    wire: &Wire<F>,
    (a, b): (Node<'_>, Node<'_>),
    limit: Instant,
    cut: &Cell<bool>,
    stop: &Cell<u32>,
) -> Instant {
    let (end_a, end_b) = wire.ends();
    let passes =
        |frame: &[u8]| !cut.get() || Seg::read(frame).is_none_or(|seg| !seg.payload.is_empty());
    let (mut end_a, mut end_b) = (end_a.with_filter(&passes), end_b.with_filter(&passes));
    let mut now = Instant::ZERO;
    turns(a, |left| {
        turns(b, |right| {
            loop {
                let both = (left.turn(&mut end_a, now), right.turn(&mut end_b, now));
                if stop.get() == 2 || now >= limit || both == (Turn::Done, Turn::Done) {
                    return now;
                }
                match next(both.0, both.1, wire.next_delivery()) {
                    Some(at) => now = at.max(now + Duration::from_micros(1)),
                    None => return now,
                }
            }
        })
    })
}

/// Both send 7,300 bytes, no acknowledgement comes for a while, and both begin again at
/// once. Each says what it has in a segment whose number the other takes for old.
#[test]
fn c017_two_that_time_out_at_once_go_on() {
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 8192, tx: 8192);
    host!(client, 2, slots: 2, tasks: 8, bytes: 64, rx: 8192, tx: 8192);
    let far = Faults {
        latency: Duration::from_millis(20),
        ..Faults::NONE
    };
    let wire: Wire<64> = Wire::new(far);
    let (cut, log, done) = (Cell::new(false), Log::default(), Cell::new(0));
    let part = async |node: Node<'_>, mut stream: TcpStream<'_>| {
        let mut buf = vec![0; 8192];
        // Both warm up, so that more than one segment may be in flight.
        for _ in 0..20 {
            stream.write_all(&[1; 8000]).await.unwrap();
            let mut read = 0;
            while read < 8000 {
                read += stream.read(&mut buf[..8000 - read]).await.unwrap();
            }
        }
        stream.acknowledged().await.unwrap();
        node.sleep_until(seconds(10)).await;
        stream.write_all(&[2; 7300]).await.unwrap();
        let flushed = stream.acknowledged().await;
        log.borrow_mut().push(format!("{flushed:?}"));
        assert!(node.now() < seconds(20), "at {}", node.now());
        done.set(done.get() + 1);
    };
    let served = async {
        let listener = server.listen(7, Backlog(2)).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        part(server, stream).await;
    };
    let asked = async {
        let stream = client.connect(v4(1, 7)).await.unwrap();
        part(client, stream).await;
    };
    let cuts = async {
        client.sleep_until(seconds(9)).await;
        cut.set(true); // acknowledgements are lost for a moment, and nothing else
        client.sleep_until(ms(10_500)).await;
        cut.set(false);
    };
    server.spawn(Box::pin(served)).unwrap();
    client.spawn(Box::pin(asked)).unwrap();
    client.spawn(Box::pin(cuts)).unwrap();
    let end = run_cut(&wire, (server, client), seconds(1000), &cut, &done);
    assert_eq!(*log.borrow(), ["Ok(())", "Ok(())"], "ended at {end}");
}

/// Nothing is lost, both buffers are full, both probe, and both programs begin to read while
/// the probes are under way: each takes the other's byte, and says so in a segment whose
/// number is one too low. Whenever they read, all bytes get there soon.
#[test]
fn two_that_probe_each_other_get_on_whenever_they_read() {
    let mut late = Vec::new();
    for read_at in (1000..1300).step_by(5) {
        let took = both_probe(read_at);
        if took > SEC * 5 {
            late.push((read_at, took.secs()));
        }
    }
    assert!(late.is_empty(), "{} of 60: {late:?}", late.len());
}

fn both_probe(read_at: i64) -> Duration {
    const ALL: usize = 4000;
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    host!(client, 2, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 1024);
    let far = Faults {
        latency: Duration::from_millis(50),
        ..LAN
    };
    let wire: Wire<64> = Wire::new(far);
    let part = async |node: Node<'_>, mut stream: TcpStream<'_>| {
        let (r, w) = stream.split();
        let writes = async {
            // After two minutes without progress it fails: late enough.
            let _ = w.write_all(&[7; ALL]).await;
            let _ = w.acknowledged().await;
        };
        let reads = async {
            node.sleep_until(ms(read_at)).await;
            let (mut buf, mut read) = ([0; 64], 0);
            while read < ALL
                && let Ok(n @ 1..) = r.read(&mut buf).await
            {
                read += n;
            }
        };
        futures_util::future::join(writes, reads).await;
    };
    let served = async {
        let listener = server.listen(7, Backlog(2)).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        part(server, stream).await;
    };
    let asked = async {
        let stream = client.connect(v4(1, 7)).await.unwrap();
        part(client, stream).await;
    };
    play(&wire, server, client, served, asked) - ms(read_at)
}
