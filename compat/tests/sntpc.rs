//! A client of sntpc and a small server, over a wire in memory and in virtual time.

#[macro_use]
mod hosts;

use std::cell::Cell;

use ::sntpc::{Error, NtpContext, NtpUdpSocket, get_time};
use cygnet::lab::pair;
use cygnet::{Node, UdpSocket};
use cygnet_compat::sntpc::{Socket, Timestamps};
use hosts::wire;
use smoltcp::time::{Duration, Instant};

/// When the server's time begins, in seconds since 1970.
const BEGAN: u64 = 1_800_000_000;

/// From 1900 to 1970.
const EPOCH: u64 = 2_208_988_800;

/// The server's time, as it is in an answer.
fn now(node: Node<'_>) -> [u8; 8] {
    let micros = node.now().total_micros() as u64;
    let seconds = EPOCH + BEGAN + micros / 1_000_000;
    let fraction = ((micros % 1_000_000) << 32) / 1_000_000;
    ((seconds << 32) | fraction).to_be_bytes()
}

/// A server of stratum 1 (RFC 5905, 7.3) that does not answer at once; and before it does,
/// somebody else answers from another port.
async fn serve(node: Node<'_>, socket: UdpSocket<'_>) {
    let stranger = node.bind(124).unwrap();
    let mut asked = [0; 48];
    loop {
        let (count, peer) = socket.recv_from(&mut asked).await.unwrap();
        let received = now(node);
        assert_eq!((count, asked[0]), (48, 0x23));
        stranger.send_to(b"it is late", peer).await.unwrap();
        node.sleep(Duration::from_millis(70)).await;
        let mut said = [0; 48];
        // Version 4, a server's answer, precise to a microsecond.
        said[..4].copy_from_slice(&[0x24, 1, 0, 0xec]);
        said[24..32].copy_from_slice(&asked[40..]);
        for (at, time) in [(16, received), (32, received), (40, now(node))] {
            said[at..at + 8].copy_from_slice(&time);
        }
        socket.send_to(&said, peer).await.unwrap();
    }
}

#[test]
fn a_client_of_sntpc_learns_the_time() {
    hosts!(server, client);
    let done = Cell::new(false);
    server
        .spawn(serve(server, server.bind(123).unwrap()))
        .unwrap();
    client
        .spawn(async {
            client.sleep(Duration::from_secs(1)).await;
            let socket = Socket::new(client).unwrap();
            let at = "10.0.0.1:123".parse().unwrap();
            let mut began = 0;
            // The first request waits for a neighbor to be found: there and back, so that it
            // is one way longer under way than its answer, and half of that is an error.
            let way = hosts::LATENCY.total_micros() as i64;
            let first = (4 * way, BEGAN as i64 * 1_000_000 + way);
            for (trip, offset) in [first, (2 * way, -way), (2 * way, 0)] {
                let context = NtpContext::new(Timestamps::since(client, began));
                let got = get_time(at, &socket, context).await.unwrap();
                let near = |a: i64, b: i64| (a - b).abs() <= 3;
                assert!(near(got.roundtrip as i64, trip), "{got:?}");
                assert!(near(got.offset, offset), "{got:?}");
                assert_eq!((got.stratum, got.seconds), (1, BEGAN + 1));
                began = began.saturating_add_signed(got.offset);
            }
            // Nobody is there: the socket is told.
            let nobody = "10.0.0.1:9".parse().unwrap();
            let context = NtpContext::new(Timestamps::new(client));
            let got = get_time(nobody, &socket, context).await;
            assert_eq!(got.err(), Some(Error::Network));
            // Built without IPv6.
            let six = "[fd00::1]:123".parse().unwrap();
            let sent = socket.send_to(&[], six).await;
            assert_eq!(sent.err(), Some(Error::Network));
            // Nobody answers.
            let silent = "10.0.0.9:123".parse().unwrap();
            let asked = get_time(silent, &socket, context);
            let limit = Duration::from_secs(3);
            assert!(client.timeout(limit, asked).await.is_err());
            done.set(true);
        })
        .unwrap();
    let end = Instant::from_secs(60);
    pair::run(&wire(), server, client, end, |_| done.get());
    assert!(done.get());
}
