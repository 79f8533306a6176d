//! `accept`, `connect`, and two halves in two tasks: bytes go both ways at
//! their own pace, and the end of one direction is passed on without ending
//! the other.

mod hosts;

use cygnet::{Backlog, Node, OwnedReadHalf, OwnedWriteHalf, service};
use hosts::at;
use smoltcp::wire::IpEndpoint;

async fn proxy(node: Node<'_>, port: u16, upstream: IpEndpoint) {
    let listener = node.listen(port, Backlog(4)).expect("a free port");
    while let Ok((near, peer)) = listener.accept().await {
        let Ok(far) = node.connect(upstream).await else {
            near.abort(); // tell the peer at once that there is nobody behind us
            continue;
        };
        println!("{peer} goes to {upstream}");
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        // A future that finds no task is dropped, its halves with it: both
        // connections close.
        let _ = node.spawn_named("proxy out", copy(near_in, far_out));
        let _ = node.spawn_named("proxy back", copy(far_in, near_out));
    }
}

/// Copies until the end of `from`; dropping `to` passes the end on.
async fn copy(mut from: OwnedReadHalf<'_>, mut to: OwnedWriteHalf<'_>) {
    let mut buf = [0; 256];
    while let Ok(count @ 1..) = from.read(&mut buf).await {
        if to.write_all(&buf[..count]).await.is_err() {
            return;
        }
    }
}

async fn visitor(node: Node<'_>, others: [Node<'_>; 2]) {
    let mut stream = node.connect(at(1, 8080)).await.expect("a connection");
    static QUESTION: [u8; 2000] = [b'?'; 2000];
    let (from, to) = stream.split();
    let ask = async {
        to.write_all(&QUESTION).await.expect("room");
        to.shutdown(); // no more questions, but go on answering
    };
    let hear = async {
        let (mut buf, mut heard) = ([0; 128], 0);
        while let count @ 1.. = from.read(&mut buf).await.expect("an answer") {
            assert!(buf[..count].iter().all(|&byte| byte == b'?'));
            heard += count;
        }
        heard
    };
    let ((), heard) = futures_util::join!(ask, hear);
    assert_eq!(heard, QUESTION.len());
    for node in others {
        node.close_listeners();
    }
}

/// A visitor on host 2 asks host 1, which asks the echo service on host 2.
pub fn main() {
    hosts::run(|middle, outside| {
        middle
            .spawn(proxy(middle, 8080, at(2, 7)))
            .expect("a free task");
        let echo = service::echo(outside, 7, Backlog(4));
        outside.spawn(echo).expect("a free task");
        outside
            .spawn(visitor(outside, [middle, outside]))
            .expect("a free task");
    });
}
