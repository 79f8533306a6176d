//! The programs of a plan's hosts: a server that echoes, and visitors that check
//! every byte of the answer and come again when the network cuts them off.

use std::rc::Rc;

use cygnet::{Backlog, ConnectError, Node, TcpStream, service};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpEndpoint;

use super::draws::keyed;
use super::log::Witness;
use super::plan::{Goodbye, Server, Visitor};
use super::tally::{VisitTally, Why};

/// Where servers listen.
pub(super) const PORT: u16 = 7;

/// How many bytes move at a time.
const CHUNK: usize = 512;

/// How long a visitor waits for an answer, where it may lose patience.
const PATIENCE: Duration = Duration::from_secs(30);

/// The echo service, which asks silent peers whether they are still there: when a
/// peer is gone for good, nothing else would tell.
pub(super) fn serve(node: Node<'static>, server: Server) {
    let client = move |mut stream: TcpStream<'static>| async move {
        stream.set_keep_alive(Some(server.asks));
        service::echo_client(stream).await;
    };
    let backlog = Backlog(server.backlog);
    let task = service::serve(node, "echo", PORT, backlog, client);
    // A plan may give a host no task at all; then the world says so.
    let _ = node.spawn_named("listener", task);
}

/// What every lane of a visitor knows.
pub(super) struct Visit {
    pub(super) visitor: Visitor,
    pub(super) target: IpEndpoint,
    pub(super) honest: bool,
    /// The most that is on its way before the answer is read: more than either
    /// buffer, so that writes wait, and less than both, or both sides would wait for
    /// each other.
    pub(super) ahead: usize,
    pub(super) witness: Witness,
    pub(super) tally: Rc<VisitTally>,
}

/// Starts the lanes of a visitor.
pub(super) fn visit(node: Node<'static>, visit: &Rc<Visit>) {
    for lane in 0..visit.visitor.lanes {
        let _ = node.spawn_named("visitor", come_and_go(node, Rc::clone(visit), lane));
    }
}

async fn come_and_go(node: Node<'static>, visit: Rc<Visit>, lane: u32) {
    let Visitor {
        start,
        pause,
        visits,
        until,
        ..
    } = visit.visitor;
    sleep(node, &visit, start).await;
    for number in 0..visits {
        if number > 0 {
            sleep(node, &visit, pause).await;
        }
        if visit.witness.now() >= until {
            return;
        }
        let mut again = 0;
        let name = u64::from(number) << 32 | u64::from(lane);
        let begun = visit.witness.now();
        let answered = loop {
            let why = match converse(node, &visit, name).await {
                Ok(answered) => break answered,
                Err(why) => why,
            };
            visit.tally.cut(why);
            if visit.honest && why == Why::Reset {
                let detail = format!("visit {number} of lane {lane} was reset");
                return visit.witness.violated("honest", detail);
            }
            if let (true, Why::TimedOut, Some(patience)) =
                (visit.honest, why, visit.visitor.patience)
            {
                let detail = format!("visit {number} of lane {lane} waited for {patience}");
                return visit.witness.violated("progress", detail);
            }
            // Visitors that were cut off together must not all come again at the same
            // moment, and one that is refused must let time pass.
            again += 1;
            let more = keyed(visit.visitor.secret, u64::from(lane), 3, again) % 300;
            sleep(node, &visit, Duration::from_millis(100 + more)).await;
        };
        visit.tally.visited(answered - begun);
    }
}

/// Sleeps, and does not wake before its time.
async fn sleep(node: Node<'static>, visit: &Visit, time: Duration) {
    if time == Duration::ZERO {
        return;
    }
    let asleep = node.now();
    node.sleep(time).await;
    let slept = node.now() - asleep;
    if slept < time {
        let detail = format!("a sleep of {time} took {slept}");
        visit.witness.violated("timers", detail);
    }
}

/// Byte `at` of a conversation.
pub(super) fn word(key: u64, at: u64) -> u8 {
    (key.wrapping_add(at.wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 56) as u8
}

/// One connection. Gives the time of the first answer.
async fn converse(node: Node<'static>, visit: &Visit, number: u64) -> Result<Instant, Why> {
    let visitor = &visit.visitor;
    let mut stream = match node.connect(visit.target).await {
        Err(ConnectError::Unaddressable) => {
            let detail = format!("{} has no address", visit.target);
            visit.witness.violated("connect", detail);
            return Err(Why::Full);
        }
        connected => connected?,
    };
    match (visit.honest, visitor.patience) {
        (true, None) => (),
        (true, patience) => {
            stream.set_read_timeout(patience);
            // Who is in a hurry waits for nobody with a small piece either (RFC 896).
            stream.set_nagle(false);
        }
        (false, _) => {
            stream.set_read_timeout(Some(PATIENCE));
            stream.set_write_timeout(Some(PATIENCE));
        }
    }
    let key = keyed(visitor.secret, number, 1, 0);
    let (mut sent, mut heard) = (0, 0);
    let mut chunk = [0; CHUNK];
    let mut answered = None;
    for request in 0..visitor.requests {
        if request > 0 {
            sleep(node, visit, visitor.gap).await;
        }
        let length = keyed(visitor.secret, number, 2, request.into()) % u64::from(visitor.bytes);
        let end = sent + 1 + length;
        while heard < end {
            let due = end.min(heard + visit.ahead as u64);
            while sent < due {
                let piece = (due - sent).min(CHUNK as u64) as usize;
                for (at, byte) in (sent..).zip(&mut chunk[..piece]) {
                    *byte = word(key, at);
                }
                stream.write_all(&chunk[..piece]).await?;
                sent += piece as u64;
                // The end of the stream comes right behind the last bytes, both ways.
                let last = sent == end && request + 1 == visitor.requests;
                if last && visitor.goodbye == Goodbye::Half {
                    stream.shutdown();
                }
            }
            let count = stream.read(&mut chunk).await?;
            if count == 0 {
                return Err(Why::Reset);
            }
            answered.get_or_insert_with(|| visit.witness.now());
            for &byte in &chunk[..count] {
                if byte != word(key, heard) || heard >= sent {
                    let detail = format!("byte {heard} of an answer is not what was said");
                    visit.witness.violated("bytes", detail);
                }
                heard += 1;
            }
        }
    }
    let answered = answered.unwrap_or_else(|| visit.witness.now());
    match visitor.goodbye {
        // All is said and heard; how the connection ends is the network's business.
        Goodbye::Close => drop(stream.close().await),
        Goodbye::Drop => drop(stream),
        Goodbye::Abort => stream.abort(),
        Goodbye::Half => {
            stream.shutdown();
            if stream.read(&mut chunk).await? != 0 {
                let detail = "bytes after the last answer".into();
                visit.witness.violated("bytes", detail);
            }
        }
    }
    Ok(answered)
}
