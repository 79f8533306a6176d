//! The clients of a loopback run. Each one connects, asks, compares every byte
//! of the answer with what it must be, and asks again. A server with fewer
//! places than clients drops connections it has no place for, so a client
//! tries again after a while that grows, is different for each client, and is
//! the same in every run: no luck, no synchronized crowds.
//!
//! It refuses to accept a wrong answer: that ends the client, counted, and its
//! first words are reported.

use std::cell::{Cell, RefCell};

use cygnet::{ConnectError, Node, ReadError, TcpStream, WriteError};
use hdrhistogram::Histogram;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpEndpoint;

use crate::cli::Service;

/// Tries without an answer before a client gives up.
const PATIENCE: u32 = 1_000;
/// The longest pause between two tries, in microseconds, before jitter.
const PAUSE_MAX: u64 = 8_000_000;
/// An answer that takes longer is given up: the connection is broken.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest echo. A client's buffers must hold it, so that a write never
/// waits for the answer to be read.
pub(super) const ECHO_MAX: usize = 2048;
/// What is sent or compared at a time; it lives in the task.
const CHUNK: usize = 256;

/// What all clients of a run share.
pub(super) struct Job {
    pub node: Node<'static>,
    pub server: IpEndpoint,
    pub service: Service,
    pub requests: usize,
    pub seed: u64,
    pub counts: Counts,
}

/// What the clients did.
pub(super) struct Counts {
    pub connections: Cell<u64>,
    pub answered: Cell<u64>,
    pub sent: Cell<u64>,
    pub received: Cell<u64>,
    pub retries: Cell<u64>,
    /// Clients that ended without all their answers.
    pub failures: Cell<u64>,
    /// Clients that ended.
    pub ended: Cell<usize>,
    /// Grows whenever something moves: what a run that is stuck does not do.
    pub progress: Cell<u64>,
    /// Virtual nanoseconds from a request to its whole answer.
    pub latency: RefCell<Histogram<u64>>,
    /// What went wrong first.
    pub first: RefCell<Option<String>>,
}

impl Counts {
    pub(super) fn new() -> Counts {
        Counts {
            connections: Cell::new(0),
            answered: Cell::new(0),
            sent: Cell::new(0),
            received: Cell::new(0),
            retries: Cell::new(0),
            failures: Cell::new(0),
            ended: Cell::new(0),
            progress: Cell::new(0),
            latency: RefCell::new(Histogram::new(3).expect("three digits are allowed")),
            first: RefCell::new(None),
        }
    }

    fn add(&self, counter: &Cell<u64>, count: usize) {
        counter.set(counter.get() + count as u64);
        self.progress.set(self.progress.get() + 1);
    }
}

/// Why a conversation ended before its time.
enum Trouble {
    /// Worth another try.
    Broken(String),
    /// The answer was not the right one. No try makes up for that.
    Wrong(String),
}

impl From<ConnectError> for Trouble {
    fn from(error: ConnectError) -> Trouble {
        match error {
            ConnectError::Unaddressable => Trouble::Wrong(error.to_string()),
            error => Trouble::Broken(error.to_string()),
        }
    }
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Trouble {
        Trouble::Broken(error.to_string())
    }
}

impl From<WriteError> for Trouble {
    fn from(error: WriteError) -> Trouble {
        Trouble::Broken(error.to_string())
    }
}

/// Client `number`: makes all its requests, however many connections it takes.
pub(super) async fn client(job: &'static Job, number: usize) -> Result<(), ()> {
    let counts = &job.counts;
    let outcome = requests(job, number).await;
    counts.ended.set(counts.ended.get() + 1);
    outcome.map_err(|why| {
        counts.add(&counts.failures, 1);
        let first = || format!("client {number}: {why}");
        counts.first.borrow_mut().get_or_insert_with(first);
    })
}

async fn requests(job: &Job, number: usize) -> Result<(), String> {
    let (mut answered, mut tries) = (0, 0);
    while answered < job.requests {
        let before = answered;
        let trouble = match conversation(job, number, &mut answered).await {
            Ok(()) => continue,
            Err(Trouble::Wrong(why)) => return Err(why),
            Err(Trouble::Broken(why)) => why,
        };
        tries = if answered > before { 0 } else { tries + 1 };
        if tries == PATIENCE {
            return Err(format!("gave up after {tries} tries: {trouble}"));
        }
        job.counts.add(&job.counts.retries, 1);
        job.node.sleep(pause(job.seed, number, tries)).await;
    }
    Ok(())
}

/// One connection, and as many requests as it lasts.
async fn conversation(job: &Job, number: usize, answered: &mut usize) -> Result<(), Trouble> {
    let (node, counts) = (job.node, &job.counts);
    let mut stream = node.connect(job.server).await?;
    let connected = node.now();
    counts.add(&counts.connections, 1);
    stream.set_read_timeout(Some(ANSWER_TIMEOUT));
    stream.set_write_timeout(Some(ANSWER_TIMEOUT));
    while *answered < job.requests {
        let asked = node.now();
        exchange(job, &mut stream, (number, *answered), connected).await?;
        let nanos = (node.now() - asked).total_micros() * 1_000;
        // It grows as needed, and no run lasts 584 years.
        let _ = counts.latency.borrow_mut().record(nanos);
        *answered += 1;
        counts.add(&counts.answered, 1);
        if job.service == Service::Daytime {
            break; // one answer per connection
        }
    }
    if matches!(job.service, Service::Hello | Service::Echo) {
        stream.shutdown();
        end(job, &mut stream).await?;
    }
    // Everything was answered; how the close goes is the stack's to count.
    let _ = stream.close().await;
    Ok(())
}

/// One request and its whole answer.
async fn exchange(
    job: &Job,
    stream: &mut TcpStream<'_>,
    (client, request): (usize, usize),
    connected: Instant,
) -> Result<(), Trouble> {
    match job.service {
        Service::Hello => {
            send(job, stream, b"Hello?\n").await?;
            let answer = b"Hello World\n";
            receive(job, stream, answer.len(), |at| answer[at]).await
        }
        Service::Echo => {
            let draw = draw(job.seed, client, request as u32);
            let length = 1 + (draw % ECHO_MAX as u64) as usize;
            let byte = |at: usize| (draw >> (at % 8 * 8)) as u8 ^ at as u8;
            let mut at = 0;
            let mut chunk = [0; CHUNK];
            while at < length {
                let part = CHUNK.min(length - at);
                for (index, place) in chunk[..part].iter_mut().enumerate() {
                    *place = byte(at + index);
                }
                send(job, stream, &chunk[..part]).await?;
                at += part;
            }
            receive(job, stream, length, byte).await
        }
        Service::Discard => {
            send(job, stream, &[b'.'; CHUNK]).await?;
            Ok(stream.acknowledged().await?) // its answer is the acknowledgement
        }
        Service::Chargen => {
            // RFC 864: a line has 72 of the 95 printable characters and begins one
            // character further on than the line before.
            let byte = |at: usize| match at {
                72 => b'\r',
                73 => b'\n',
                at => b' ' + ((request + at) % 95) as u8,
            };
            receive(job, stream, 74, byte).await
        }
        Service::Http => unreachable!("the options refuse it"),
        Service::Daytime => {
            let mut line = [0; 25];
            for place in &mut line {
                *place = one(job, stream).await?;
            }
            end(job, stream).await?;
            check_time(&line, connected, job.node.now())
        }
    }
}

async fn send(job: &Job, stream: &mut TcpStream<'_>, bytes: &[u8]) -> Result<(), Trouble> {
    stream.write_all(bytes).await?;
    job.counts.add(&job.counts.sent, bytes.len());
    Ok(())
}

/// Reads `length` bytes, the one at `at` being `byte(at)`.
async fn receive(
    job: &Job,
    stream: &mut TcpStream<'_>,
    length: usize,
    byte: impl Fn(usize) -> u8,
) -> Result<(), Trouble> {
    let mut at = 0;
    while at < length {
        let compared = stream.read_with(|bytes| {
            let part = &bytes[..bytes.len().min(length - at)];
            let wrong = part.iter().zip(at..).find(|&(is, at)| *is != byte(at));
            let wrong = wrong.map(|(is, at)| format!("byte {at} of an answer is {is:#04x}"));
            (part.len(), (part.len(), wrong))
        });
        match compared.await? {
            (_, Some(wrong)) => return Err(Trouble::Wrong(wrong)),
            (0, None) => return Err(Trouble::Broken("the server closed early".into())),
            (count, None) => at += count,
        }
    }
    job.counts.add(&job.counts.received, length);
    Ok(())
}

async fn one(job: &Job, stream: &mut TcpStream<'_>) -> Result<u8, Trouble> {
    let mut byte = [0];
    if stream.read(&mut byte).await? == 0 {
        return Err(Trouble::Broken("the server closed early".into()));
    }
    job.counts.add(&job.counts.received, 1);
    Ok(byte[0])
}

/// Nothing but the end must follow.
async fn end(job: &Job, stream: &mut TcpStream<'_>) -> Result<(), Trouble> {
    let mut more = [0; 32];
    match stream.read(&mut more).await? {
        0 => Ok(()),
        count => {
            job.counts.add(&job.counts.received, count);
            let more = more[..count].escape_ascii();
            Err(Trouble::Wrong(format!("more than the answer came: {more}")))
        }
    }
}

/// `1970-01-01 00:00:12 UTC`, a second between those two; days are not looked at.
fn check_time(line: &[u8; 25], from: Instant, to: Instant) -> Result<(), Trouble> {
    let wrong = || Trouble::Wrong(format!("no time: {}", line.escape_ascii()));
    let text = std::str::from_utf8(line).map_err(|_| wrong())?;
    let time = text
        .get(11..)
        .and_then(|rest| rest.strip_suffix(" UTC\r\n"))
        .ok_or_else(wrong)?;
    let mut seconds = 0;
    for part in time.split(':') {
        let part: i64 = part.parse().map_err(|_| wrong())?;
        seconds = seconds * 60 + part;
    }
    let (from, to) = (from.secs(), to.secs());
    // The connection was open from `from` to `to`; the server said it in between.
    match (seconds - from).rem_euclid(86_400) <= to - from {
        true => Ok(()),
        false => Err(wrong()),
    }
}

/// How long a client waits before try `tries`: up to 100 ms, twice as long
/// after each one, and anywhere in the upper half of that.
fn pause(seed: u64, client: usize, tries: u32) -> Duration {
    let full = PAUSE_MAX.min(100_000 << tries.min(10));
    let part = draw(!seed, client, tries) % (full / 2);
    Duration::from_micros(full / 2 + part)
}

/// A number that depends on all three (SplitMix64).
fn draw(seed: u64, client: usize, number: u32) -> u64 {
    let mix = |state: u64| {
        let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    mix(mix(mix(seed) ^ client as u64) ^ u64::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_repeat_and_differ() {
        let all: Vec<u64> = (0..20).map(|n| pause(1, n, 3).total_micros()).collect();
        let again: Vec<u64> = (0..20).map(|n| pause(1, n, 3).total_micros()).collect();
        assert_eq!(all, again);
        assert!(all.iter().all(|micros| (400_000..800_000).contains(micros)));
        assert!(all.windows(2).all(|two| two[0] != two[1]));
        assert!(pause(1, 0, 900).total_micros() <= PAUSE_MAX);
    }

    #[test]
    fn a_time_must_lie_within_the_connection() {
        let at = Instant::from_secs;
        let good = |from, to| check_time(b"1970-01-02 00:00:10 UTC\r\n", at(from), at(to)).is_ok();
        assert!(good(10, 10) && good(8, 11) && good(86_400 + 9, 86_400 + 10));
        assert!(!good(11, 12) && !good(8, 9));
        assert!(check_time(b"1970-01-02 00:00:1x UTC\r\n", at(0), at(60)).is_err());
    }
}
