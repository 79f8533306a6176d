//! The client, the same for every contender: opens all connections, warms each
//! up with one request, and then does what the plan says until nobody lets it
//! run any more. It counts what was done; its own cost is not looked at.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use smoltcp::time::Instant;

use crate::host::Host;
use crate::link::End;
use crate::plan::{Mode, Plan};
use crate::sockets::{Sockets, Stream};
use crate::{CHUNK, REQUEST};

/// Handshakes in flight at a time.
pub const OPEN_AT_ONCE: usize = 256;

/// How far a client came.
#[derive(Default)]
pub struct Progress {
    /// Every connection is open and was used once.
    pub ready: Cell<bool>,
    /// Bytes moved in bulk, otherwise requests.
    pub done: Cell<u64>,
}

impl Progress {
    fn add(&self, count: u64) {
        self.done.set(self.done.get() + count);
    }
}

type Opening<'s> = Pin<Box<dyn Future<Output = Stream> + 's>>;

pub struct Client {
    sockets: Sockets,
    /// What it does. It is asked to go on in every turn.
    run: Pin<Box<dyn Future<Output = ()>>>,
}

impl Client {
    pub fn new(plan: Plan, end: &mut End, progress: &'static Progress) -> Self {
        let sockets = Sockets::new(end, plan.buffer);
        let run = Box::pin(run(sockets.clone(), plan, progress));
        Client { sockets, run }
    }
}

impl Host for Client {
    fn turn(&mut self, end: &mut End, now: Instant) -> Option<Instant> {
        self.sockets.receive(end, now.total_micros());
        let mut cx = Context::from_waker(Waker::noop());
        let ended = self.run.as_mut().poll(&mut cx).is_ready();
        assert!(!ended, "the client goes on for ever");
        self.sockets.send(end).map(Instant::from_micros)
    }
}

async fn run(sockets: Sockets, plan: Plan, progress: &'static Progress) {
    let mut streams = open(&sockets, plan.connections).await;
    match plan.mode {
        Mode::BulkDown => drain(&mut streams[0], progress).await,
        Mode::BulkUp => fill(&mut streams[0], progress).await,
        _ => ask_all(&mut streams).await,
    }
    progress.ready.set(true);
    match plan.mode {
        Mode::Active => loop {
            ask(&mut streams[0]).await;
            progress.add(1);
        },
        Mode::Round => {
            let (stride, mut index) = (stride(streams.len()), 0);
            loop {
                ask(&mut streams[index]).await;
                progress.add(1);
                index = (index + stride) % streams.len();
            }
        }
        Mode::All => loop {
            ask_all(&mut streams).await;
            progress.add(streams.len() as u64);
        },
        Mode::Churn => {
            end(streams.pop().expect("a connection"), &sockets).await;
            loop {
                let mut stream = open(&sockets, 1).await.pop().expect("a connection");
                ask(&mut stream).await;
                end(stream, &sockets).await;
                progress.add(1);
            }
        }
        Mode::BulkDown | Mode::BulkUp => (),
    }
}

/// A step that visits every connection once in `count` steps, and that spreads
/// the first few over all of them: a contender that searches from the front is
/// not measured at the front only.
pub fn stride(count: usize) -> usize {
    fn gcd(a: usize, b: usize) -> usize {
        if b == 0 { a } else { gcd(b, a % b) }
    }
    let golden = count * 618 / 1000;
    (golden.max(1)..)
        .find(|&step| gcd(step, count) == 1)
        .expect("one step fits every count")
}

async fn open(sockets: &Sockets, count: usize) -> Vec<Stream> {
    let mut streams = Vec::new();
    while streams.len() < count {
        let batch = OPEN_AT_ONCE.min(count - streams.len());
        let connect = || -> Opening<'_> { Box::pin(sockets.connect()) };
        let mut opening: Vec<Opening> = std::iter::repeat_with(connect).take(batch).collect();
        poll_fn(|cx| {
            opening.retain_mut(|opening| match opening.as_mut().poll(cx) {
                Poll::Ready(stream) => {
                    streams.push(stream);
                    false
                }
                Poll::Pending => true,
            });
            match opening.is_empty() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
    streams
}

async fn ask(stream: &mut Stream) {
    stream.write_all(&[b'x'; REQUEST]).await;
    answer(stream).await;
}

async fn ask_all(streams: &mut [Stream]) {
    for stream in streams.iter_mut() {
        stream.write_all(&[b'x'; REQUEST]).await;
    }
    for stream in streams {
        answer(stream).await;
    }
}

async fn answer(stream: &mut Stream) {
    let (mut answer, mut got) = ([0; REQUEST], 0);
    while got < REQUEST {
        let count = stream.read(&mut answer[got..]).await;
        assert!(count > 0, "the server hung up");
        got += count;
    }
    assert_eq!(answer, [b'x'; REQUEST]);
}

/// Closes, waits for the server to do so too, and lets the last
/// acknowledgement arrive before anything else happens.
async fn end(mut stream: Stream, sockets: &Sockets) {
    stream.shutdown().await;
    assert_eq!(stream.read(&mut [0]).await, 0);
    sockets.sleep(20).await;
}

async fn drain(stream: &mut Stream, progress: &Progress) {
    let mut chunk = vec![0; 64 << 10];
    loop {
        let count = stream.read(&mut chunk).await;
        assert!(count > 0, "the server hung up");
        progress.ready.set(true);
        progress.add(count as u64);
    }
}

async fn fill(stream: &mut Stream, progress: &Progress) {
    loop {
        let count = stream.write(&[b'x'; CHUNK]).await;
        progress.ready.set(true);
        progress.add(count as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stride_visits_everybody() {
        for count in [1, 2, 3, 1000, 4096] {
            let mut seen = vec![false; count];
            let mut at = 0;
            for _ in 0..count {
                seen[at] = true;
                at = (at + stride(count)) % count;
            }
            assert!(seen.into_iter().all(|seen| seen), "{count}");
        }
    }
}
