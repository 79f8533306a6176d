//! Echo requests of ours.

use cygnet::Node;
use cygnet::event::DropReason;
use smoltcp::time::Duration;
use smoltcp::wire::IpAddress;
use std::cell::Cell;
use std::rc::Rc;

use crate::hands::{Said, by_hand, hardware};
use crate::harness::{play, targets};

const MILLI: Duration = Duration::from_millis(1);

/// Two hosts of ours, five milliseconds apart.
#[test]
fn a_host_that_is_there_answers_and_says_how_far_it_is() {
    use cygnet::lab::wire::{Faults, Wire};
    for target in targets(1, 0) {
        udp_host!(server, 1);
        udp_host!(client, 2);
        let wire: Wire<64> = Wire::new(Faults {
            latency: MILLI * 5,
            ..Faults::NONE
        });
        play(&wire, server, client, async {}, async move {
            let pings = client.pings().unwrap();
            // The first finds the neighbor, too.
            let first = pings.ping(target.addr, b"swan").await.unwrap();
            let second = pings.ping(target.addr, &[7; 1000]).await.unwrap();
            assert!((20..22).contains(&first.total_millis()), "{first}");
            assert!((10..11).contains(&second.total_millis()), "{second}");
            let sequence = pings.send(target.addr, b"swan").await.unwrap();
            let mut buf = [0; 9];
            let (len, from, number) = pings.recv(&mut buf).await.unwrap();
            assert_eq!(
                (&buf[..len], from, number),
                (&b"swan"[..], target.addr, sequence)
            );
        });
    }
}

/// The echo request in a frame, and where in the frame it begins.
fn request(said: &[Said]) -> (Vec<u8>, usize) {
    let mut frames = said.iter().filter_map(|one| match one {
        Said::Other(frame) => Some(frame.clone()),
        _ => None,
    });
    let is_request = |frame: &Vec<u8>| match frame[12] {
        8 => frame[23] == 1 && frame[34] == 8,
        _ => frame[20] == 58 && frame[54] == 128,
    };
    let frame = frames.find(is_request).expect("a request");
    let start = if frame[12] == 8 { 34 } else { 54 };
    (frame, start)
}

/// The answer to it, with its checksum.
fn answer(frame: &[u8], start: usize, change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut back = frame.to_vec();
    back[..6].copy_from_slice(&hardware(1));
    back[6..12].copy_from_slice(&hardware(9));
    let (ends, size, kind) = match start {
        34 => (26, 4, 0),
        _ => (22, 16, 129),
    };
    for at in 0..size {
        back.swap(ends + at, ends + size + at);
    }
    back[start] = kind;
    change(&mut back[start..]);
    back[start + 2..start + 4].fill(0);
    let mut sum = match start {
        34 => 0,
        _ => {
            let length = (back.len() - start) as u32;
            add(&back[22..54]) + length + 58
        }
    };
    sum += add(&back[start..]);
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    back[start + 2..start + 4].copy_from_slice(&(!sum as u16).to_be_bytes());
    back
}

fn add(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    bytes.chunks(2).map(word).sum()
}

fn asks<'a>(node: Node<'a>, to: IpAddress) -> Rc<Cell<Option<Duration>>> {
    let took = Rc::new(Cell::new(None));
    let (out, pings) = (took.clone(), node.pings().unwrap());
    node.spawn(Box::pin(async move {
        out.set(pings.ping(to, b"swan").await.ok());
        std::future::pending::<()>().await;
        drop(pings);
    }))
    .unwrap();
    took
}

/// An answer is one to this request: of whoever was asked, whole, and to us.
#[test]
fn only_the_answer_to_the_request_counts() {
    for target in targets(9, 0) {
        udp_host!(node, 1);
        let took = asks(node, target.addr);
        by_hand(node, |hands| {
            let mut said = hands.turn();
            said.append(&mut hands.turn());
            let (frame, start) = request(&said);
            // Another identifier, another number, another host, damaged, to everybody.
            hands.send(&answer(&frame, start, |icmp| icmp[4] ^= 1));
            hands.send(&answer(&frame, start, |icmp| icmp[7] ^= 1));
            let mut other = answer(&frame, start, |_| ());
            other[if start == 34 { 29 } else { 37 }] ^= 3;
            hands.send(&other);
            let mut damaged = answer(&frame, start, |_| ());
            *damaged.last_mut().unwrap() ^= 1;
            hands.send(&damaged);
            let mut shouted = answer(&frame, start, |_| ());
            shouted[..6].fill(0xff);
            hands.send(&shouted);
            hands.now += MILLI * 7;
            for _ in 0..3 {
                hands.turn();
            }
            assert_eq!(took.get(), None);
            assert_eq!(hands.dropped(DropReason::Unsolicited), 2);
            assert!(hands.dropped(DropReason::Checksum) >= 1);
            hands.send(&answer(&frame, start, |_| ()));
            hands.turn();
            assert_eq!(took.get(), Some(MILLI * 7));
        });
    }
}

/// Its identifier is no port: datagrams that come there find nobody.
#[test]
fn a_ping_socket_hears_no_datagrams() {
    udp_host!(node, 1, sockets: 1, datagrams: 2, bytes: 16, waiters: 2);
    let pings = node.pings().unwrap();
    assert_eq!(node.pings().err(), Some(cygnet::BindError::TooMany));
    by_hand(node, |hands| {
        for port in [49152, 65535] {
            hands.say(&crate::hands::Packet::to_port(port, b"swan"));
        }
        let said = hands.settle();
        assert!(
            said.iter().all(|one| matches!(one, Said::Unreachable(..))),
            "{said:?}"
        );
        assert_eq!(said.len(), 2);
    });
    drop(pings);
    assert!(node.pings().is_ok());
}
