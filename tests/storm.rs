//! A peer that sends anything at all: segments of every kind, in and out of
//! every window, damaged ones, and long silences. Nothing panics, no turn works
//! without bound, and afterwards every slot is free.
//!
//! `CYGNET_SEEDS=A..B cargo test --release --test storm` runs more seeds.
mod harness;

use cygnet::{Backlog, Node, TcpStream, service};
use harness::peer::{Hands, Seg, by_hand, syn};
use smoltcp::time::Duration;
use smoltcp::wire::{TcpControl, TcpSeqNumber};

/// SplitMix64: enough to choose what to send.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(mixed ^ (mixed >> 31)) * u128::from(sides)) >> 64) as u64
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize]
    }

    /// Mostly right, sometimes near, seldom anywhere.
    fn near(&mut self, right: TcpSeqNumber) -> TcpSeqNumber {
        let off = match self.roll(10) {
            0..6 => 0,
            6 => self.roll(3) as i32 - 1,
            7 => self.roll(2000) as i32 - 1000,
            8 => self.roll(200_000) as i32 - 100_000,
            _ => self.roll(1 << 32) as i32,
        };
        TcpSeqNumber(right.0.wrapping_add(off))
    }
}

/// What the peer believes of one of its connections.
#[derive(Clone, Copy)]
struct Belief {
    port: u16,
    next: TcpSeqNumber,
    expects: TcpSeqNumber,
}

async fn patient(mut stream: TcpStream<'_>) {
    stream.set_read_timeout(Some(Duration::from_secs(20)));
    stream.set_write_timeout(Some(Duration::from_secs(20)));
    service::echo_client(stream).await;
}

async fn talkative(mut stream: TcpStream<'_>) {
    stream.set_write_timeout(Some(Duration::from_secs(20)));
    for _ in 0..20 {
        if stream.write_all(&[b'x'; 300]).await.is_err() {
            return;
        }
    }
    let _ = stream.close().await;
}

async fn serve(node: Node<'_>, talks: bool) {
    let listener = node.listen(7, Backlog(2)).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let spawned = match talks {
            true => node.spawn(talkative(stream)).is_ok(),
            false => node.spawn(patient(stream)).is_ok(),
        };
        assert!(spawned, "one task per slot");
    }
}

fn random_segment(dice: &mut Dice, belief: &Belief) -> Seg {
    let payload = vec![7; dice.pick(&[0, 0, 1, 10, 100, 600])];
    Seg {
        control: dice.pick(&[
            TcpControl::None,
            TcpControl::None,
            TcpControl::Psh,
            TcpControl::Fin,
            TcpControl::Syn,
            TcpControl::Rst,
        ]),
        seq: dice.near(belief.next),
        ack: (dice.roll(12) > 0).then(|| dice.near(belief.expects)),
        window: dice.pick(&[0, 1, 100, 2000, 65_535]),
        scale: dice.pick(&[None, Some(0), Some(3), Some(14), Some(200)]),
        mss: dice.pick(&[None, Some(0), Some(1), Some(500), Some(1460), Some(65_535)]),
        sack: dice.roll(2) == 0,
        timestamp: dice.roll(4) == 0,
        payload,
        ..syn(9, belief.port, 7, 0)
    }
}

fn storm(hands: &mut Hands<'_>, dice: &mut Dice) {
    let mut beliefs: Vec<Belief> = (0..5)
        .map(|index| Belief {
            port: 1000 + index,
            next: TcpSeqNumber(dice.roll(1 << 32) as i32),
            expects: TcpSeqNumber(0),
        })
        .collect();
    for _ in 0..60 {
        let index = dice.roll(5) as usize;
        let belief = beliefs[index];
        let segment = match dice.roll(5) {
            0 => Seg {
                seq: belief.next,
                ..syn(9, belief.port, 7, 0)
            },
            _ => random_segment(dice, &belief),
        };
        let mut frame = segment.frame();
        if dice.roll(10) == 0 {
            let at = dice.roll(frame.len() as u64) as usize;
            frame[at] ^= 1 << dice.roll(8);
        }
        hands.send_frame(&frame);
        let occupied = segment.payload.len() + segment.control.len();
        beliefs[index].next = belief.next + occupied;
        let pause = match dice.roll(20) {
            0 => Duration::from_secs(dice.roll(40)),
            1..5 => Duration::from_millis(dice.roll(2000)),
            _ => Duration::from_micros(dice.roll(500)),
        };
        let before = hands.turns;
        for seen in hands.pass(pause) {
            if let Some(belief) = beliefs.iter_mut().find(|one| one.port == seen.to_port) {
                belief.expects = seen.seq + seen.payload.len() + seen.control.len();
                if let Some(ack) = seen.ack {
                    belief.next = ack; // so that the next one is in the window again
                }
            }
        }
        let turns = hands.turns - before;
        assert!(turns < 5000, "{turns} turns in {pause}");
    }
}

#[test]
fn nothing_a_peer_sends_panics_spins_or_leaks() {
    let asked = std::env::var("CYGNET_SEEDS").ok();
    let range = asked.as_deref().and_then(|text| text.split_once(".."));
    let (from, to) = match range.map(|(a, b)| (a.parse(), b.parse())) {
        Some((Ok(a), Ok(b))) => (a, b),
        _ => (0, 200),
    };
    for seed in from..to {
        println!("seed {seed}");
        host!(server, 1, slots: 3, tasks: 4, bytes: 2048, rx: 512, tx: 512, parked: 2);
        server.spawn(serve(server, seed % 2 == 0)).unwrap();
        by_hand(server, |hands| {
            hands.pass(Duration::from_millis(1));
            storm(hands, &mut Dice(seed));
            // Timeouts of 20 s, a close of 30 s, a last word, TIME-WAIT, and
            // again for what was parked.
            hands.pass(Duration::from_secs(300));
            let used = server.counters().slots_used;
            let waiting: Vec<_> = server.waiting().map(|task| task.to_string()).collect();
            assert_eq!(used, 0, "seed {seed}: {waiting:?}");
        });
    }
}
