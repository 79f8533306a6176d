//! A connection to a name.

use super::*;
use cygnet::{Backlog, ConnectError, ConnectToError};

/// What came of a connection to a name, and how long it took; the host that answers to
/// `10.0.0.2` serves, those in `silent` do not exist.
fn connects(name: &'static str) -> (Result<String, ConnectToError>, Duration) {
    named_host!(node, 1, [Ipv4Address::new(10, 0, 0, 1)]);
    named_host!(other, 2, [ONE]);
    let listen = async move {
        let listener = other.listen(80, Backlog(2)).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            other.sleep(SEC * 60).await;
            drop(stream);
        }
    };
    other.spawn(Box::pin(listen)).unwrap();
    let names = async move {
        let socket = other.bind(53).unwrap();
        loop {
            let mut buf = [0; 512];
            let (len, peer) = socket.recv_from(&mut buf).await.unwrap();
            let asked = &buf[..len];
            let is = |name: &[u8]| asked[12..].starts_with(name);
            // The second is nobody's; 10.0.0.2 refuses at no port but 80.
            let lasts: &[u8] = match () {
                _ if is(b"\x04both") => &[200, 2],
                _ if is(b"\x04gone") => &[200, 201, 202],
                _ if is(b"\x04four") => &[200, 201, 202, 2],
                _ => &[2],
            };
            let is_v4 = asked[len - 3] == 1;
            let mut answer = asked.to_vec();
            answer[2..4].copy_from_slice(&[0x81, 0x80]);
            if is_v4 {
                answer[7] = lasts.len() as u8;
                for last in lasts {
                    let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, *last];
                    answer.extend_from_slice(&record);
                }
            }
            socket.send_to(&answer, peer).await.unwrap();
        }
    };
    other.spawn(Box::pin(names)).unwrap();
    node.set_dns_servers(&[ONE.into()]);
    node.spawn(Box::pin(service::dns(node))).unwrap();
    let result = Rc::new(RefCell::new(None));
    let theirs = result.clone();
    let connect = async move {
        let stream = node.connect_to(name, 80).await;
        let peer = stream.map(|stream| stream.remote_addr().unwrap().to_string());
        *theirs.borrow_mut() = Some((peer, node.now() - Instant::ZERO));
    };
    node.spawn(Box::pin(connect)).unwrap();
    let wire: Wire<64> = Wire::new(LAN);
    let (mut end_a, mut end_b) = wire.ends();
    let mut now = Instant::ZERO;
    turns(node, |node_turns| {
        turns(other, |other_turns| {
            while result.borrow().is_none() && now < seconds(1000) {
                let left = node_turns.turn(&mut end_a, now);
                harness::audit(node);
                let right = other_turns.turn(&mut end_b, now);
                let at = next(left, right, wire.next_delivery()).unwrap_or(seconds(1000));
                now = at.max(now + Duration::from_micros(1));
            }
        })
    });
    result.take().expect("an answer")
}

#[test]
fn a_name_is_connected_to() {
    let (peer, took) = connects("one.example");
    assert_eq!(peer.unwrap(), "10.0.0.2:80");
    assert!(took < SEC / 10, "{took}");
}

/// RFC 8305, 5: the next address is tried before the first has failed.
#[test]
fn an_address_that_is_silent_holds_nobody_up() {
    let (peer, took) = connects("both.example");
    assert_eq!(peer.unwrap(), "10.0.0.2:80");
    assert!(took > SEC / 4 && took < SEC, "{took}");
}

/// Two are tried at a time; the fourth begins when one of the first has failed.
#[test]
fn the_last_of_four_addresses_is_tried_too() {
    let (peer, _) = connects("four.example");
    assert_eq!(peer.unwrap(), "10.0.0.2:80");
}

#[test]
fn when_no_address_answers_it_is_said() {
    let (peer, took) = connects("gone.example");
    assert_eq!(peer, Err(ConnectToError::Connect(ConnectError::TimedOut)));
    assert!(took < SEC * 300, "{took}");
}

#[test]
fn an_address_is_a_name_too() {
    let (peer, _) = connects("10.0.0.2");
    assert_eq!(peer.unwrap(), "10.0.0.2:80");
}
