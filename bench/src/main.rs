//! What one request costs a server: a 64-byte echo on one of `N` open
//! connections, everything the server does for it and nothing else.
//!
//! `cygnet-bench STACK N REQUESTS MODE` opens N connections and then makes the
//! requests: on one connection (`active`), on all in turn (`round`). Under
//! callgrind with `--toggle-collect=*server_turn*` only the server's turns are
//! counted; two runs that differ in REQUESTS give the cost of one by
//! subtraction. See `bench/run`.

mod bare;
mod cygnet;
mod link;

use std::cell::Cell;

use ::cygnet::{Node, turns};
use link::End;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};

/// Receive and transmit buffer of every connection.
pub const BUFFER: usize = 256;

/// A contender.
pub trait Server {
    /// Does everything there is to do now; returns when it wants to be called
    /// again without a frame.
    fn turn(&mut self, end: &mut End, now: Instant) -> Option<Instant>;
}

/// The measured function.
#[inline(never)]
fn server_turn<S: Server>(server: &mut S, end: &mut End, now: Instant) -> Option<Instant> {
    server.turn(end, now)
}

pub fn address(number: u8) -> IpCidr {
    IpCidr::new(IpAddress::v4(10, 0, 0, number), 24)
}

/// Opens every connection, then makes the requests one after another.
async fn ask(node: Node<'static>, plan: Plan, done: &Cell<u64>) {
    let mut streams = Vec::new();
    for _ in 0..plan.connections {
        let remote = IpEndpoint::new(address(1).address(), 7);
        streams.push(node.connect(remote).await.expect("a connection"));
    }
    let (request, mut answer) = ([b'x'; 64], [0; 64]);
    for number in 0..plan.requests {
        let turn = if plan.round { number as usize } else { 0 };
        let index = turn % streams.len();
        let stream = &mut streams[index];
        stream.write_all(&request).await.expect("a request");
        let mut got = 0;
        while got < answer.len() {
            got += stream.read(&mut answer[got..]).await.expect("an answer");
        }
        done.set(done.get() + 1);
    }
    std::mem::forget(streams);
}

#[derive(Clone, Copy)]
struct Plan {
    connections: usize,
    requests: u64,
    round: bool,
}

/// Lets client and server talk until every request was answered. A turn of
/// either takes 50 virtual microseconds.
fn drive<S: Server>(plan: Plan, server: &mut S, server_end: &mut End, client_end: &mut End) {
    let done: &'static Cell<u64> = Box::leak(Box::default());
    let client = cygnet::host(2);
    client.spawn(ask(client, plan, done)).expect("a client");
    let mut now = Instant::ZERO;
    turns(client, |client| {
        while done.get() < plan.requests {
            let step = Duration::from_micros(50);
            let left = Server::turn(client, client_end, now);
            let right = match server_end.has_frame() {
                true => server_turn(server, server_end, now),
                false => None,
            };
            let idle = !server_end.has_frame() && !client_end.has_frame();
            let next = left.into_iter().chain(right).min();
            now += step;
            if let (true, Some(next)) = (idle, next) {
                now = now.max(next);
                server_turn(server, server_end, now);
            }
        }
    });
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let text = |index: usize| arguments.get(index).map(String::as_str);
    let number = |index| text(index).and_then(|text| text.parse::<u64>().ok());
    let (Some(stack), Some(connections), Some(requests)) = (text(1), number(2), number(3)) else {
        eprintln!("usage: cygnet-bench cygnet|bare CONNECTIONS REQUESTS [active|round]");
        std::process::exit(2);
    };
    let plan = Plan {
        connections: connections as usize,
        requests,
        round: text(4) == Some("round"),
    };
    let (mut server_end, mut client_end) = link::link();
    match stack {
        "bare" => {
            let mut server = bare::Bare::new(plan.connections, &mut server_end);
            drive(plan, &mut server, &mut server_end, &mut client_end);
        }
        _ => {
            let node = cygnet::host(1);
            node.spawn(cygnet::serve(node)).expect("a server");
            turns(node, |server| {
                server_turn(server, &mut server_end, Instant::ZERO);
                drive(plan, server, &mut server_end, &mut client_end);
            });
        }
    }
    println!("{requests} requests answered");
}
