//! The sensor in a world where 5 % of all frames are lost and its broker is switched off for a
//! while; and brokers that are none. The broker is a small one of the test's own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cygnet::{Backlog, Node, StreamError, TcpStream};
use cygnet_world::{Fault, Link, Size, World, millis, secs};
use net_examples::{TASK_BYTES, mqtt};
use smoltcp::time::{Duration, Instant};

const SIZE: Size = Size {
    task_bytes: TASK_BYTES,
    ..Size::SMALL
};
/// The first byte of a packet (MQTT 5.0, 2.1).
const CONNECT: u8 = 0x10;
const CONNACK: [u8; 5] = [0x20, 3, 0, 0, 0];
const PUBLISH_ONCE_AT_LEAST: u8 = 0x32;
const PUBACK: u8 = 0x40;
const DISCONNECT: u8 = 0xe0;

/// The next packet.
async fn packet(stream: &mut TcpStream<'_>) -> Result<(u8, Vec<u8>), StreamError> {
    let mut byte = [0];
    let (mut kind, mut length, mut shift) = (None, 0, 0);
    loop {
        if stream.read(&mut byte).await? == 0 {
            return Err(StreamError::Closed);
        }
        let [value] = byte;
        if kind.is_none() {
            kind = Some(value);
            continue;
        }
        length |= usize::from(value & 0x7f) << shift;
        shift += 7;
        if value & 0x80 == 0 {
            break;
        }
    }
    let (mut body, mut have) = (vec![0; length], 0);
    while have < length {
        match stream.read(&mut body[have..]).await? {
            0 => return Err(StreamError::Closed),
            count => have += count,
        }
    }
    Ok((kind.expect("a first byte"), body))
}

/// Keeps what it is told, and says so.
async fn client(mut stream: TcpStream<'_>, kept: &RefCell<Vec<u32>>) -> Result<(), StreamError> {
    loop {
        let (kind, body) = packet(&mut stream).await?;
        match kind {
            CONNECT => stream.write_all(&CONNACK).await?,
            PUBLISH_ONCE_AT_LEAST => {
                let topic = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                // A number, no properties, and the reading.
                let (number, rest) = body[topic..].split_at(2);
                let reading = std::str::from_utf8(&rest[1..]).expect("text");
                kept.borrow_mut().push(reading.parse().expect("a number"));
                stream.write_all(&[PUBACK, 2, number[0], number[1]]).await?;
            }
            DISCONNECT => return Ok(()),
            kind => panic!("{kind:#x}"),
        }
    }
}

async fn broker(node: Node<'static>, kept: Rc<RefCell<Vec<u32>>>) {
    let listener = node.listen(1883, Backlog(2)).expect("a free port");
    while let Ok((stream, _)) = listener.accept().await {
        let kept = Rc::clone(&kept);
        let task = async move { client(stream, &kept).await };
        node.spawn(task).expect("a free task");
    }
}

const READINGS: u32 = 200;

fn run(seed: u64) -> u128 {
    let mut world = World::new(seed);
    let kept = Rc::new(RefCell::new(Vec::new()));
    let kept_there = Rc::clone(&kept);
    let server = world.host_of("broker", SIZE, move |node| {
        let task = broker(node, Rc::clone(&kept_there));
        node.spawn(task).expect("a free task");
    });
    let target = world.address(server).to_string();
    let sensor = world.host_of("sensor", SIZE, move |node| {
        let target = target.clone();
        let task = async move { mqtt::run(node, &target, 0..READINGS, millis(2)).await };
        node.spawn(task).expect("a free task");
    });
    let lossy = Link {
        loss: 50_000,
        ..Link::LAN
    };
    world.connect(server, sensor, lossy);
    world.at(Instant::from_millis(300), Fault::Crash(server));
    world.at(Instant::from_secs(20), Fault::Boot(server));
    world.run_until(Instant::from_secs(900), |world| world.is_done(sensor));
    assert!(
        world.is_done(sensor),
        "seed {seed}: a reading is told for ever"
    );
    // In order, each once or, where its acknowledgement was lost, more often.
    let mut kept = kept.take();
    assert!(kept.is_sorted(), "seed {seed}: {kept:?}");
    kept.dedup();
    assert!(kept.into_iter().eq(0..READINGS), "seed {seed}");
    let untouched = world.untouched();
    assert!(untouched.is_empty(), "seed {seed}: {untouched:?}");
    world.digest()
}

#[test]
fn every_reading_is_kept_although_the_broker_vanishes() {
    for seed in 0..100 {
        assert_eq!(run(seed), run(seed), "seed {seed}: not the same run twice");
    }
}

/// How the sensor's connection to a broker ends that says this to whatever it is told, and when.
fn told(says: &'static [&'static [u8]]) -> (String, Duration) {
    let mut world = World::new(1);
    let server = world.host("liar", move |node| {
        let task = async move {
            let listener = node.listen(1883, Backlog(1)).expect("a free port");
            let (mut stream, _) = listener.accept().await.expect("a client");
            for words in says {
                let _ = packet(&mut stream).await;
                let _ = stream.write_all(words).await;
            }
            node.sleep(secs(100)).await;
        };
        node.spawn(task).expect("a free task");
    });
    let target = world.address(server).to_string();
    let (end, acknowledged) = (Rc::new(RefCell::new(String::new())), Rc::new(Cell::new(0)));
    let (end_there, acknowledged_there) = (Rc::clone(&end), Rc::clone(&acknowledged));
    let sensor = world.host_of("sensor", SIZE, move |node| {
        let (target, end) = (target.clone(), Rc::clone(&end_there));
        let acknowledged = Rc::clone(&acknowledged_there);
        let task = async move {
            let mut left = 0..3;
            let result = mqtt::tell(node, &target, &mut left, millis(2)).await;
            *end.borrow_mut() = format!("{:?}", result.expect_err("no broker"));
            acknowledged.set(left.start);
        };
        node.spawn(task).expect("a free task");
    });
    world.connect(server, sensor, Link::LAN);
    world.run_until(Instant::from_secs(60), |world| world.is_done(sensor));
    assert!(world.is_done(sensor), "it waits for ever");
    let at = world.now() - Instant::ZERO;
    assert_eq!(acknowledged.get(), 0);
    // The liar does not close its side; ours is given up after 30 s.
    world.run_for(secs(31));
    assert_eq!(world.counters(sensor).slots_used, 0, "a slot is held");
    (end.take(), at)
}

#[test]
fn brokers_that_are_none_are_errors_and_nobody_is_waited_for() {
    let silent = ("TimedOut", millis(10_100));
    let nonsense = ("Mqtt(\"Server\")", secs(1));
    let cases: [(&str, &[&[u8]], _); 7] = [
        ("silence", &[], silent),
        ("garbage", &[b"HTTP/1.1 400 Bad Request\r\n\r\n"], nonsense),
        (
            "a refusal",
            &[&[0x20, 3, 0, 0x87, 0]],
            ("NotAuthorized", secs(1)),
        ),
        ("silence then", &[&CONNACK], silent),
        (
            "garbage then",
            &[&CONNACK, b"\xff\xff\xff\xff\xff\xff"],
            nonsense,
        ),
        (
            "256 MB",
            &[&CONNACK, b"\x30\xff\xff\xff\x7f\0\x01x\0"],
            nonsense,
        ),
        (
            "another's acknowledgement",
            &[&CONNACK, &[PUBACK, 2, 9, 9]],
            silent,
        ),
    ];
    for (name, says, (error, most)) in cases {
        let (end, at) = told(says);
        assert!(
            end.contains(error) && at <= most,
            "{name}: {end} after {at}"
        );
    }
}
