//! Where a stream ends, on the way in: the edge of what we offered to take, and
//! the peer's FIN. Nothing past the receive buffer reaches TCP, no end is taken
//! whose bytes were not, and nothing comes after it.
#![cfg(feature = "lab")]
#[path = "edges/buffer.rs"]
mod buffer;
#[path = "edges/ends.rs"]
mod ends;
mod harness;

use std::cell::RefCell;
use std::rc::Rc;

use cygnet::event::DropReason;
use cygnet::lab::wire::Wire;
use cygnet::{Backlog, Node, TcpStream};
use harness::peer::{Hands, Seg, answer, by_hand, syn};
use harness::*;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpEndpoint, TcpControl, TcpSeqNumber};

const TICK: Duration = Duration::from_millis(10);
const SEC: Duration = Duration::from_secs(1);

/// What a program read, and how that ended.
#[derive(Clone, Debug, Default)]
struct Got {
    bytes: Vec<u8>,
    /// What each `read` gave that gave no bytes.
    ends: Vec<String>,
}

type Log = Rc<RefCell<Got>>;

/// Reads until the end, at most `most` bytes at a time, and notes everything.
async fn read_all(stream: &mut TcpStream<'_>, most: usize, log: &Log) {
    let mut buf = vec![0; most];
    loop {
        match stream.read(&mut buf).await {
            Ok(n @ 1..) => {
                let mut log = log.borrow_mut();
                assert!(log.ends.is_empty(), "{n} bytes after an end");
                log.bytes.extend_from_slice(&buf[..n]);
            }
            end => return log.borrow_mut().ends.push(format!("{end:?}")),
        }
    }
}

/// Serves every connection of port 7 with `f`, one after the other.
fn serve<'a, F: Future<Output = ()> + 'a>(
    node: Node<'a>,
    f: impl Fn(TcpStream<'a>) -> F + Clone + 'a,
) {
    node.spawn(Box::pin(async move {
        let listener = node.listen(7, Backlog(4)).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            let f = f.clone();
            let _ = node.spawn(Box::pin(async move { f(stream).await }));
        }
    }))
    .unwrap();
}

/// A megabyte of buffer is more than the stack of a test.
fn with_a_deep_stack(f: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let deep = std::thread::Builder::new().stack_size(64 << 20);
        let done = deep.spawn_scoped(scope, f).unwrap().join();
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Bytes of the stream from `at` on.
fn text(at: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    pattern(at, &mut bytes);
    bytes
}

/// A segment of `reply`'s connection whose text begins `at` bytes into the stream.
fn piece(reply: &Seg, control: TcpControl, at: usize, bytes: &[u8]) -> Seg {
    let mut seg = answer(reply, control, bytes);
    seg.seq += at;
    seg
}

fn close_by_reset(hands: &mut Hands<'_>, reply: &Seg, at: usize) {
    hands.send(&piece(reply, TcpControl::Rst, at, b""));
    hands.pass(TICK);
}

/// A connection that a program of `node` begins to port 7 of number 9.
fn connects(node: Node<'_>, log: &Log) {
    let log = log.clone();
    let part = async move {
        let mut stream = node.connect(v4(9, 7)).await.unwrap();
        node.sleep(TICK * 10).await;
        read_all(&mut stream, 4_000, &log).await;
        stream.write_all(b"read").await.unwrap();
    };
    node.spawn(Box::pin(part)).unwrap();
}

/// What the peer of [`connects`] answers: a SYN-ACK with this window scale.
fn syn_ack(hands: &mut Hands<'_>, scale: Option<u8>) -> Seg {
    let seen = hands.pass(TICK);
    let [first] = &seen[..] else {
        panic!("one SYN: {seen:?}");
    };
    let mut reply = answer(first, TcpControl::Syn, b"");
    (reply.seq, reply.scale) = (TcpSeqNumber(777), scale);
    reply
}

/// The next of the peer after its SYN-ACK, `at` bytes into its stream.
fn after(reply: &Seg, control: TcpControl, at: usize, bytes: &[u8]) -> Seg {
    Seg {
        control,
        seq: reply.seq + 1 + at,
        scale: None,
        payload: bytes.to_vec(),
        ..reply.clone()
    }
}
