//! An echo over the in-memory link of the bench, with a mark where a frame comes
//! from the device and where a task has it.

use ::cygnet;
use contest::REQUEST;
use contest::host::Host;
use contest::link::{End, Receive, Send, capabilities, link};
use contest::plan::Plan;
use contest::world::{self, World};
use cygnet::{Backlog, Node, TcpStream, Turn, Turns, turns};
use smoltcp::phy::{Device, DeviceCapabilities};
use smoltcp::time::Instant;
use smoltcp::wire::{Ipv4Packet, TcpPacket};

use crate::cygnet::{config, host};
use crate::marks;

/// Does so many echoes, or connections with an echo each.
pub fn run(mode: &str, units: u64) {
    let mode = if mode == "echo" { "active" } else { mode };
    let plan = Plan::parse(mode, "1", "256").expect("a plan");
    let node = host(&config(), (1, 256), (2, 2048)).expect("memory");
    assert!(node.spawn(serve(node)).is_ok(), "a server");
    let (here, there) = link();
    turns(node, |server| {
        let mut world = World::new(plan, (Server(server), here), there);
        world::count(&mut world, plan, units)
    });
}

async fn serve(node: Node<'static>) {
    let listener = node.listen(7, Backlog(1)).expect("port 7");
    while let Ok((stream, _)) = listener.accept().await {
        marks::accepted();
        assert!(node.spawn(echo(stream)).is_ok(), "too few tasks");
    }
}

async fn echo(mut stream: TcpStream<'static>) {
    let mut chunk = [0; REQUEST];
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        marks::bytes_read();
        if stream.write_all(&chunk[..count]).await.is_err() {
            break;
        }
    }
}

struct Server<'s, 't, 'a>(&'s mut Turns<'t, 'a>);

impl Host for Server<'_, '_, '_> {
    fn turn(&mut self, end: &mut End, now: Instant) -> Option<Instant> {
        match self.0.turn(&mut Marked(end), now) {
            Turn::Ready => Some(Instant::ZERO),
            Turn::Idle(at) => at,
            Turn::Done => None,
        }
    }
}

/// A device that says what it gives.
struct Marked<'e>(&'e mut End);

impl Device for Marked<'_> {
    type RxToken<'a>
        = Receive<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Send<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Receive<'_>, Send<'_>)> {
        self.0.peek(mark);
        self.0.tokens()
    }

    fn transmit(&mut self, _: Instant) -> Option<Send<'_>> {
        Some(self.0.sender())
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities()
    }
}

fn mark(frame: &[u8]) {
    // An Ethernet header, then IPv4 or ARP.
    let (header, packet) = frame.split_at(14);
    if header[12..] == [0x08, 0x00] {
        let packet = Ipv4Packet::new_unchecked(packet);
        let segment = TcpPacket::new_unchecked(packet.payload());
        if segment.syn() {
            marks::syn_given();
        } else if packet.payload().len() > usize::from(segment.header_len()) {
            marks::bytes_given();
        }
    }
}
