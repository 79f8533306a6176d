//! Slots are used again and again. Ten thousand connections on two slots, each
//! with a peer of its own kind: what the host sends to each is what a fresh
//! host sends to such a peer, so nothing of the one before is left.
//!
//! Under a sanitizer:
//! `RUSTFLAGS=-Zsanitizer=address cargo +nightly test --target
//! x86_64-unknown-linux-gnu --test reuse`
#![cfg(feature = "lab")]
mod harness;

use std::collections::HashMap;

use cygnet::{Backlog, Node, TcpStream};
use harness::host_with;
use harness::peer::{Hands, Seg, answer, by_hand, syn};
use smoltcp::time::Duration;
use smoltcp::wire::TcpControl;

/// What a peer is like: options, what it asks of the server, how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind(u32);

impl Kind {
    const COUNT: u32 = 4 * 4 * 4 * 8 * 5;

    fn part(self, place: u32, of: u32) -> u32 {
        self.0 / place % of
    }

    fn syn(self, port: u16) -> Seg {
        let options = self.part(16, 4);
        Seg {
            scale: [None, Some(0), Some(7), Some(14)][self.part(1, 4) as usize],
            mss: [None, Some(64), Some(536), Some(1460)][self.part(4, 4) as usize],
            sack: options & 1 != 0,
            timestamp: options & 2 != 0,
            window: [300, 1000, 4000, 65535][self.part(4, 4) as usize],
            ..syn(9, port, 7, port.into())
        }
    }

    /// Settings that the server makes for this connection.
    fn wish(self) -> u8 {
        let wish = self.part(64, 8) as u8;
        // Without a timeout a silent peer is waited for, and that is right.
        if self.ending() == 4 && wish & 2 == 0 {
            wish | 4
        } else {
            wish
        }
    }

    fn ending(self) -> u32 {
        self.part(512, 5)
    }
}

async fn serve(node: Node<'_>) {
    let listener = node.listen(7, Backlog(2)).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        node.spawn(Box::pin(talk(stream))).map_err(|_| ()).unwrap();
    }
}

async fn talk(mut stream: TcpStream<'_>) {
    let mut buf = [0; 200];
    let Ok(n @ 1..) = stream.read(&mut buf).await else {
        return;
    };
    let wish = buf[0];
    stream.set_nagle(wish & 1 == 0);
    if wish & 2 != 0 {
        stream.set_keep_alive(Some(Duration::from_secs(4)));
    }
    if wish & 4 != 0 {
        stream.set_read_timeout(Some(Duration::from_secs(3)));
        stream.set_write_timeout(Some(Duration::from_secs(3)));
    }
    // In two pieces, so that Nagle has something to hold back.
    if stream.write_all(&buf[..n / 2]).await.is_ok() {
        let _ = stream.write_all(&buf[n / 2..n]).await;
    }
    // Two bytes mean: close first.
    if let Ok(n) = stream.read(&mut buf).await
        && n == 2
    {
        let _ = stream.close().await;
    }
}

/// What the host said, without what must differ: ports and sequence numbers.
type Said = (
    TcpControl,
    usize,
    Option<usize>,
    u16,
    Option<u8>,
    Option<u16>,
    bool,
    bool,
);

/// One connection from SYN to its end; gives all the host said.
fn connection(hands: &mut Hands<'_>, kind: Kind, port: u16) -> Vec<Said> {
    let short = Duration::from_millis(10);
    let mut seen = Vec::new();
    let first = kind.syn(port);
    hands.send(&first);
    seen.extend(hands.pass(short));
    if !seen.iter().any(|seg: &Seg| seg.to_port == port) {
        // Both slots belong to peers that are being waited for.
        hands.pass(Duration::from_secs(40));
        hands.send(&first);
        seen.extend(hands.pass(short));
    }
    let reply = seen
        .iter()
        .find(|seg| seg.to_port == port)
        .unwrap_or_else(|| panic!("{kind:?}, port {port}: no answer"))
        .clone();
    let base = reply.seq;
    let scaled = |seg: Seg| Seg {
        window: first.window,
        timestamp: first.timestamp,
        ..seg
    };
    if kind.ending() == 0 {
        hands.send(&Seg {
            ack: None,
            ..answer(&reply, TcpControl::Rst, b"")
        });
    } else {
        hands.send(&scaled(answer(&reply, TcpControl::None, b"")));
        let mut question = [0; 200];
        question[0] = kind.wish();
        let mut next = scaled(answer(&reply, TcpControl::Psh, &question));
        hands.send(&next);
        let mut next_seq = next.seq + 200;
        let mut ack = next.ack;
        let quiet = kind.ending() == 4;
        // Acknowledges all, or nothing and never again.
        let time = Duration::from_secs(if quiet { 50 } else { 9 });
        seen.extend(hands.pass_with(time, |seg| {
            if quiet
                || seg.to_port != port
                || seg.is_rst()
                || (seg.payload.is_empty() && seg.control == TcpControl::None)
            {
                return None;
            }
            let reply = answer(seg, TcpControl::None, b"");
            if reply.ack.partial_cmp(&ack) == Some(std::cmp::Ordering::Greater) {
                ack = reply.ack;
            }
            let fin = seg.control == TcpControl::Fin;
            let control = if fin {
                TcpControl::Fin
            } else {
                TcpControl::None
            };
            Some(scaled(Seg {
                seq: next_seq,
                ack,
                control,
                ..reply
            }))
        }));
        next.seq = next_seq;
        next.ack = ack;
        match kind.ending() {
            1 => {
                next.control = TcpControl::Fin;
                next.payload.clear();
                hands.send(&next);
                seen.extend(hands.pass_with(short, |seg| {
                    (seg.control == TcpControl::Fin && seg.to_port == port).then(|| Seg {
                        seq: next_seq + 1,
                        ..answer(seg, TcpControl::None, b"")
                    })
                }));
            }
            2 => {
                next.control = TcpControl::Rst;
                next.payload.clear();
                hands.send(&next);
            }
            3 => {
                // The server closes first and goes through TIME-WAIT.
                next.payload.truncate(2);
                hands.send(&next);
                next_seq += 2;
                seen.extend(hands.pass_with(short, |seg| {
                    (seg.control == TcpControl::Fin && seg.to_port == port).then(|| Seg {
                        seq: next_seq,
                        ..answer(seg, TcpControl::Fin, b"")
                    })
                }));
            }
            _ => (),
        }
    }
    seen.extend(hands.pass(Duration::from_millis(40)));
    // One in TIME-WAIT may still speak up.
    let mine = seen.into_iter().filter(|seg| seg.to_port == port);
    let said = mine.map(|seg| {
        (
            seg.control,
            seg.payload.len(),
            (!seg.is_rst() && seg.seq >= base).then(|| seg.seq - base),
            seg.window,
            seg.scale,
            seg.mss,
            seg.sack,
            seg.timestamp,
        )
    });
    said.collect()
}

/// What a host that never served anybody says.
fn fresh(kind: Kind) -> Vec<Said> {
    let mut said = Vec::new();
    host_with(|node| {
        node.spawn(Box::pin(serve(node))).map_err(|_| ()).unwrap();
        by_hand(node, |hands| {
            hands.pass(Duration::from_millis(10));
            said = connection(hands, kind, 1000);
        });
    });
    said
}

#[test]
fn ten_thousand_peers_on_two_slots_leave_no_trace() {
    let mut expected: HashMap<Kind, Vec<Said>> = HashMap::new();
    let mut draw = 1u64;
    host_with(|node| {
        node.spawn(Box::pin(serve(node))).map_err(|_| ()).unwrap();
        by_hand(node, |hands| {
            hands.pass(Duration::from_millis(10));
            for n in 0..10_000u32 {
                draw = draw
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                let kind = Kind((draw >> 33) as u32 % Kind::COUNT);
                let said = connection(hands, kind, 1000 + n as u16);
                let wish = expected.entry(kind).or_insert_with(|| fresh(kind));
                assert_eq!(said, *wish, "connection {n}, {kind:?}");
            }
            hands.pass(Duration::from_secs(60));
            let counters = node.counters();
            assert_eq!(counters.syns_admitted, 10_000);
            assert_eq!(counters.slots_high, 2);
            assert_eq!(counters.slots_used, 0);
            assert!(
                counters.reclaimed > 500 && counters.resets > 1000,
                "{counters:?}"
            );
        });
    });
}
