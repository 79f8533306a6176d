//! What TCP owes a peer that means no harm, or lies about a number: one file for
//! each kind. Every test is a claim, with the sentence of the RFC that it follows
//! from. What does not hold yet is ignored, and says so; `cargo test --test
//! conformance -- --ignored` shows how far it is.
//!
//! Not here: the edge of what we offered to take and the peer's FIN beyond it
//! (`edges.rs`), peers that mean harm (`hostile.rs`, `peers.rs`, `limits.rs`).
#![cfg(feature = "lab")]
#[path = "conformance/acknowledgements.rs"]
mod acknowledgements;
#[path = "conformance/answers.rs"]
mod answers;
#[path = "conformance/closing.rs"]
mod closing;
#[path = "conformance/early_ends.rs"]
mod early_ends;
#[path = "conformance/errors.rs"]
mod errors;
#[path = "conformance/giving_up.rs"]
mod giving_up;
#[cfg(feature = "ipv6")]
#[path = "conformance/groups.rs"]
mod groups;
mod harness;
#[path = "conformance/late.rs"]
mod late;
#[path = "conformance/musts.rs"]
mod musts;
#[path = "conformance/neighbors.rs"]
mod neighbors;
#[path = "conformance/numbers.rs"]
mod numbers;
#[path = "conformance/offers.rs"]
mod offers;
#[path = "conformance/options.rs"]
mod options;
#[path = "conformance/packets.rs"]
mod packets;
#[path = "conformance/paths.rs"]
mod paths;
#[path = "conformance/rates.rs"]
mod rates;
#[cfg(feature = "ipv6")]
#[path = "conformance/six.rs"]
mod six;
#[cfg(feature = "observer")]
#[path = "conformance/slow_ends.rs"]
mod slow_ends;
#[path = "conformance/timers.rs"]
mod timers;
#[path = "conformance/windows.rs"]
mod windows;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cygnet::lab::wire::{Faults, Wire};
use cygnet::{Backlog, Node, TcpStream, Turn, turns};
use harness::peer::{HOST, HOST_MAC, Hands, Seg, answer, arp, by_hand, mac, mend, syn};
use harness::*;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{ArpOperation, EthernetAddress, IpCidr, Ipv4Address, TcpControl, TcpSeqNumber};

const TICK: Duration = Duration::from_millis(10);
const SEC: Duration = Duration::from_secs(1);

/// Serves one connection of port 7 with `f`; the listener stays.
fn serve<'a, F: Future<Output = ()> + 'a>(node: Node<'a>, f: impl FnOnce(TcpStream<'a>) -> F + 'a) {
    let task = async move {
        let listener = node.listen(7, Backlog(2)).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        f(stream).await;
        node.sleep(SEC * 100_000).await;
    };
    node.spawn(Box::pin(task)).unwrap();
}

/// What a program saw, one entry for each answer.
type Log = Rc<RefCell<Vec<String>>>;

/// What `connect` to 10.0.0.9 says, in time.
fn connects(node: Node<'_>) -> Log {
    let log = Log::default();
    let theirs = log.clone();
    let part = async move {
        let got = node.connect(v4(9, 80)).await;
        theirs.borrow_mut().push(format!("{:?}", got.map(|_| ())));
    };
    node.spawn(Box::pin(part)).unwrap();
    log
}

/// Reads to the end and logs every answer, bytes as text; the last is empty or an
/// error.
async fn read_all(stream: &mut TcpStream<'_>, log: &Log) {
    loop {
        let mut buf = [0; 256];
        let got = stream.read(&mut buf).await;
        let text = match got {
            Ok(n) => String::from_utf8_lossy(&buf[..n]).into_owned(),
            Err(error) => format!("{error:?}"),
        };
        log.borrow_mut().push(text);
        if !matches!(got, Ok(1..)) {
            break;
        }
    }
}

/// A server that reads everything into a log.
fn reads_all(node: Node<'_>) -> Log {
    let log = Log::default();
    let theirs = log.clone();
    serve(node, move |mut stream| async move {
        read_all(&mut stream, &theirs).await;
        // What is dropped would be closed.
        node.sleep(SEC * 100_000).await;
    });
    log
}

/// What was read, and that the stream then ended in order.
#[track_caller]
fn assert_ended_after(log: &Log, text: &str) {
    let log = log.borrow();
    assert_eq!(log.concat(), text);
    assert_eq!(log.last().map(String::as_str), Some(""), "no end: {log:?}");
}

/// Segments in a line for a message: their numbers count from `base`.
fn show(seen: &[Seg], base: TcpSeqNumber) -> String {
    let one = |seg: &Seg| {
        let at = seg.seq.0.wrapping_sub(base.0);
        format!("{:?}+{at}x{} ", seg.control, seg.payload.len())
    };
    seen.iter().map(one).collect()
}

/// A handshake with these options, and what the host says at once: its SYN-ACK,
/// and what follows the last acknowledgement, which offers `window`.
fn open_with(hands: &mut Hands<'_>, first: &Seg, window: u16) -> (Seg, Vec<Seg>) {
    hands.send(first);
    let seen = hands.pass(TICK);
    let reply = seen.into_iter().find(Seg::is_answer).unwrap();
    let third = Seg {
        window,
        ..answer(&reply, TcpControl::None, b"")
    };
    hands.send(&third);
    (reply, hands.pass(TICK))
}

/// A SYN of 10.0.0.9 to port 7 that takes segments as long as Ethernet's.
fn ethernet_syn() -> Seg {
    Seg {
        mss: Some(1460),
        ..syn(9, 1000, 7, 1)
    }
}

/// A segment of `reply`'s connection that begins `at` bytes into the peer's stream
/// and acknowledges `acked` bytes of the host's.
fn piece(reply: &Seg, control: TcpControl, at: i32, text: &[u8], acked: usize) -> Seg {
    let exact = answer(reply, control, text);
    Seg {
        seq: TcpSeqNumber(exact.seq.0.wrapping_add(at)),
        ack: exact.ack.map(|ack| ack + acked),
        ..exact
    }
}

/// How many bytes of the host's stream were sent up to the end of `seen`.
fn sent_up_to(seen: &[Seg], reply: &Seg) -> usize {
    let ends = seen.iter().filter(|seg| !seg.payload.is_empty());
    let ends = ends.map(|seg| seg.seq.0.wrapping_sub(reply.seq.0 + 1) + seg.payload.len() as i32);
    ends.max().unwrap_or(0).max(0) as usize
}

/// How many bytes these segments carry.
fn bytes_of(seen: &[Seg]) -> usize {
    seen.iter().map(|seg| seg.payload.len()).sum()
}
