//! The client over TLS, in virtual time, and servers that do not speak it: each is an error, and
//! none is waited for longer than the client says.

use std::cell::RefCell;
use std::rc::Rc;

use cygnet::{Backlog, FuturePlaces, Node};
use cygnet_world::{Link, World, millis, secs};
use net_examples::https;
use rand_core::{CryptoRng, RngCore};
use smoltcp::time::{Duration, Instant};

/// The same chance in every run (SplitMix64): good enough for whoever keeps no secret.
#[derive(Clone)]
struct Chance(u64);

impl CryptoRng for Chance {}

impl RngCore for Chance {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next_u64() as u8);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// Says this so often, whatever it hears, and waits.
async fn server(node: Node<'static>, says: Vec<u8>, times: u32) {
    let listener = node.listen(443, Backlog(1)).expect("a free port");
    let (mut stream, _) = listener.accept().await.expect("a client");
    for _ in 0..times {
        if stream.write_all(&says).await.is_err() {
            return;
        }
    }
    node.sleep(secs(100)).await;
}

/// What the client makes of it, and when.
fn told(says: Vec<u8>, times: u32) -> (String, Duration) {
    let mut world = World::new(1);
    let liar = world.host("liar", move |node| {
        let task = server(node, says.clone(), times);
        node.spawn(task).expect("a free task");
    });
    let target = world.address(liar).to_string();
    let end = Rc::new(RefCell::new(String::new()));
    let end_there = Rc::clone(&end);
    let client = world.host("client", move |node| {
        let (target, end) = (target.clone(), Rc::clone(&end_there));
        let task = async move {
            let show = |_: &[u8]| panic!("no page");
            let got = https::get(node, (&target, 443), "/", &[], Chance(1), show);
            *end.borrow_mut() = format!("{:?}", got.await.expect_err("no page"));
        };
        let place = Box::leak(Box::new(FuturePlaces::<1, { https::BYTES }>::new()));
        node.spawn_in(place, task).expect("a free task");
    });
    world.connect(liar, client, Link::LAN);
    world.run_until(Instant::from_secs(60), |world| world.is_done(client));
    assert!(world.is_done(client), "it waits for ever");
    let at = world.now() - Instant::ZERO;
    // The liar does not close its side; ours is given up after 30 s.
    world.run_for(secs(31));
    assert_eq!(world.counters(client).slots_used, 0, "a slot is held");
    (end.take(), at)
}

/// A record of this kind (RFC 8446, 5.1).
fn record(kind: u8, length: u16, bytes: &[u8]) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    [&[kind, 3, 3, high, low], bytes].concat()
}

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

#[test]
fn servers_that_do_not_speak_tls_are_errors_and_nobody_is_waited_for() {
    let at_once = secs(1);
    let patience = millis(10_100);
    let http = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    for (name, says, times, most) in [
        ("silence", vec![], 0, patience),
        ("HTTP", http, 1, at_once),
        ("an alert", record(ALERT, 2, &[2, 40]), 1, at_once),
        ("half an alert", record(ALERT, 2, &[2]), 1, patience),
        ("too long", record(HANDSHAKE, 0xffff, b"x"), 1, at_once),
        ("data first", record(DATA, 3, b"abc"), 1, at_once),
        ("empty", record(HANDSHAKE, 0, &[]), 100_000, at_once),
        ("zeros", vec![0; 1000], 1000, at_once),
    ] {
        let (end, at) = told(says, times);
        let named = end.starts_with("Tls(") || end.starts_with("Late(");
        assert!(named && at <= most, "{name}: {end} after {at}");
    }
}

/// What a server says first (RFC 8446, 4.1.3), with a point that is on no curve.
fn server_hello(chance: &mut Chance) -> Vec<u8> {
    let mut hello = vec![3, 3];
    let mut random = [0; 32 + 65];
    chance.fill_bytes(&mut random);
    hello.extend(&random[..32]);
    // No session, TLS_AES_128_GCM_SHA256, no compression, 79 bytes of extensions: TLS 1.3, and
    // a point of secp256r1.
    hello.extend([0, 0x13, 1, 0, 0, 79, 0, 43, 0, 2, 3, 4]);
    hello.extend([0, 51, 0, 69, 0, 23, 0, 65, 4]);
    hello.extend(&random[33..]);
    let length = hello.len() as u8;
    [&[2, 0, 0, length][..], &hello].concat()
}

#[test]
fn a_first_word_that_is_none_is_an_error_whatever_it_is() {
    for seed in 0..300 {
        let mut chance = Chance(seed);
        let mut hello = server_hello(&mut chance);
        // As it is, or with some bytes that are others, or with an end of its own.
        for _ in 0..seed % 5 {
            let at = chance.next_u32() as usize % hello.len();
            hello[at] = chance.next_u32() as u8;
        }
        if seed % 3 == 0 {
            hello.truncate(chance.next_u32() as usize % hello.len());
        }
        let says = record(HANDSHAKE, hello.len() as u16, &hello);
        let (end, at) = told(says, 1);
        let named = end.starts_with("Tls(") || end.starts_with("Late(");
        assert!(named && at <= millis(10_100), "{seed}: {end} after {at}");
    }
}
