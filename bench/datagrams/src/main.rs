//! What a 64-byte echo of a datagram costs a server that has N sockets bound, a task at
//! each. `datagrams N ECHOES` does so many, over all of them in turn; under callgrind with
//! `--toggle-collect=*server_turn*` only the server's turns are counted. See `bench/run`.

use cygnet::{
    HeapStorage, HeapTaskStorage, Node, Stack, StorageSizes, Tasks, Turn, Turns, UdpStorage, turns,
};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr};

use contest::host::Host;
use contest::link::{End, capabilities, link};
use contest::{REQUEST, address, world};

/// Most sockets that can be bound.
const MOST: usize = 1024;

/// Of the first socket.
const FIRST_PORT: u16 = 2000;

async fn echo(node: Node<'static>, port: u16) {
    let socket = node.bind(port).expect("a port");
    let mut buf = [0; REQUEST];
    while let Ok((len, peer)) = socket.recv_from(&mut buf).await {
        socket.send_to(&buf[..len], peer).await.expect("an echo");
    }
}

fn server(sockets: u16) -> Node<'static> {
    fn bytes<F>(_: fn(Node<'static>, u16) -> F) -> usize {
        size_of::<F>()
    }
    let memory = HeapStorage::new(StorageSizes::new(1, 256, 256)).expect("memory");
    let tasks = HeapTaskStorage::new(sockets.into(), bytes(echo)).expect("memory");
    let ready = tasks.leak_flags(None).expect("memory");
    let datagrams: Box<UdpStorage<MOST, 2, REQUEST, MOST>> = Box::default();
    let config = cygnet::Config::new([2, 0, 0, 0, 0, 1], [1; 16]);
    let stack = Stack::new(Box::leak(Box::new(memory)), &config, capabilities()).expect("a stack");
    stack.add_address(address(1)).expect("an address");
    stack.add_datagrams(Box::leak(datagrams)).expect("once");
    let tasks = Tasks::new(Box::leak(Box::new(tasks)), ready);
    let node = Node::new(Box::leak(Box::new(stack)), Box::leak(Box::new(tasks)));
    for number in 0..sockets {
        assert!(
            node.spawn(echo(node, FIRST_PORT + number)).is_ok(),
            "a task"
        );
    }
    node
}

struct Server<'s, 't, 'a>(&'s mut Turns<'t, 'a>);

impl Host for Server<'_, '_, '_> {
    fn turn(&mut self, end: &mut End, now: Instant) -> Option<Instant> {
        match self.0.turn(end, now) {
            Turn::Ready => Some(Instant::ZERO),
            Turn::Idle(at) => at,
            Turn::Done => None,
        }
    }
}

/// A request from host 9 to this port.
fn request(port: u16) -> Vec<u8> {
    let (source, destination) = (Ipv4Address::new(10, 0, 0, 9), Ipv4Address::new(10, 0, 0, 1));
    let sums = ChecksumCapabilities::default();
    let mut frame = vec![0; 14 + 20 + 8 + REQUEST];
    frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0]);
    let ip = Ipv4Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: IpProtocol::Udp,
        payload_len: 8 + REQUEST,
        hop_limit: 64,
    };
    ip.emit(&mut Ipv4Packet::new_unchecked(&mut frame[14..]), &sums);
    let udp = UdpRepr {
        src_port: 4000,
        dst_port: port,
    };
    udp.emit(
        &mut UdpPacket::new_unchecked(&mut frame[34..]),
        &IpAddress::from(source),
        &IpAddress::from(destination),
        REQUEST,
        |payload| payload.fill(b's'),
        &sums,
    );
    frame
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<u16> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let [sockets @ 1..=1024, echoes] = numbers[..] else {
        eprintln!("usage: datagrams N ECHOES, with N from 1 to {MOST}");
        std::process::exit(2);
    };
    let (mut here, mut there) = link();
    turns(server(sockets), |server| {
        let mut server = Server(server);
        let mut now = Instant::ZERO;
        server.turn(&mut here, now);
        // Each socket once, so that all is warm.
        for number in 0..sockets + echoes {
            now += Duration::from_micros(1);
            let frame = request(FIRST_PORT + number % sockets);
            there
                .sender()
                .fill(frame.len(), |room| room.copy_from_slice(&frame));
            match number < sockets {
                true => server.turn(&mut here, now),
                false => world::server_turn(&mut server, &mut here, now),
            };
            let (answer, _) = there.tokens().expect("an answer in the same turn");
            answer.take(|answer| assert_eq!(answer[42..], frame[42..]));
        }
    });
    println!("{echoes}");
}
