//! Sixty-four clients with addresses of their own send requests, one after the
//! other, to an echo server on one link: cygnet, and bare smoltcp, each in a quiet
//! network and while strangers ask for the server a thousand times a second.
//! Prints the answers per virtual second, in a line each: the stack, what its
//! cache of neighbors holds, the network, the number. See `run`.

mod lan;
mod meeting;
mod peers;

use cygnet::{Backlog, ReadySet, Stack, Storage, TaskStorage, Tasks, Turn, Turns, service, turns};
use lan::{Card, Host};
use meeting::{PORT, REQUEST, SERVER, cidr, hardware};
use peers::{Client, Strangers};
use smoltcp::config::IFACE_NEIGHBOR_CACHE_COUNT;
use smoltcp::iface::{Interface, SocketSet};
use smoltcp::phy::Device;
use smoltcp::socket::{Socket, tcp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Address};

const CLIENTS: u16 = 64;
const STORM: u64 = 1000;

fn main() {
    let seconds = std::env::args()
        .nth(1)
        .map_or(90, |text| text.parse().expect("seconds"));
    for (network, storm) in [("quiet", 0), ("storm", STORM)] {
        let print = |stack, answers| {
            println!(
                "{stack} {IFACE_NEIGHBOR_CACHE_COUNT} {network} {}",
                answers / seconds
            );
        };
        print(
            "cygnet",
            with_cygnet(|server, card| answers(server, card, storm, seconds)),
        );
        let mut card = Card::new(hardware(SERVER));
        let mut bare = Bare::new(&mut card);
        print("smoltcp", answers(&mut bare, card, storm, seconds));
    }
}

/// How many requests of all clients were answered in so many seconds.
fn answers(server: &mut dyn Host, card: Card, storm: u64, seconds: u64) -> u64 {
    let mut strangers = Strangers::new(storm);
    let mut clients: Vec<(Client, Card)> = (0..CLIENTS)
        .map(|n| {
            let address = Ipv4Address::from_bits(SERVER.to_bits() + 0x100 + u32::from(n));
            let mut card = Card::new(hardware(address));
            (Client::new(n, address, &mut card), card)
        })
        .collect();
    let mut hosts: Vec<(&mut dyn Host, Card)> = vec![(server, card)];
    let nobody = Card::new(EthernetAddress([2, 9, 9, 9, 9, 9]));
    hosts.push((&mut strangers, nobody));
    for (client, card) in &mut clients {
        let card = std::mem::replace(card, Card::new(EthernetAddress([0; 6])));
        hosts.push((client, card));
    }
    lan::run(&mut hosts, Instant::from_secs(seconds as i64));
    clients.iter().map(|(client, _)| client.answers).sum()
}

/// Runs `f` with an echo server of cygnet.
fn with_cygnet<R>(f: impl FnOnce(&mut dyn Host, Card) -> R) -> R {
    let card = Card::new(hardware(SERVER));
    let mut storage = Box::new(Storage::<64, 256, 256>::new());
    let mut task_storage = Box::new(TaskStorage::<80, 1024>::new());
    let config = cygnet::Config::new(hardware(SERVER).0, [7; 16]);
    let stack = Stack::new(&mut *storage, &config, card.capabilities()).expect("a stack");
    stack
        .add_address(IpCidr::Ipv4(cidr(SERVER)))
        .expect("an address");
    let ready: &'static ReadySet<80> = Box::leak(Box::new(ReadySet::new()));
    let tasks = Tasks::new(&mut *task_storage, ready);
    let node = cygnet::Node::new(&stack, &tasks);
    assert!(node.spawn(service::echo(node, PORT, Backlog(64))).is_ok());
    turns(node, |mut turns| f(&mut turns, card))
}

impl Host for &mut Turns<'_, '_> {
    fn turn(&mut self, card: &mut Card, now: Instant) -> Option<Instant> {
        match Turns::turn(self, card, now) {
            Turn::Ready => Some(now),
            Turn::Idle(at) => at,
            Turn::Done => None,
        }
    }
}

/// smoltcp's own loop over one socket for each client.
struct Bare {
    iface: Interface,
    sockets: SocketSet<'static>,
}

impl Bare {
    fn new(card: &mut Card) -> Self {
        let config = smoltcp::iface::Config::new(hardware(SERVER).into());
        let mut iface = Interface::new(config, card, Instant::ZERO);
        iface.update_ip_addrs(|ips| ips.push(IpCidr::Ipv4(cidr(SERVER))).expect("room"));
        let mut sockets = SocketSet::new(Vec::new());
        for _ in 0..CLIENTS {
            let buffer = || tcp::SocketBuffer::new(vec![0; 256]);
            sockets.add(tcp::Socket::new(buffer(), buffer()));
        }
        Bare { iface, sockets }
    }
}

impl Host for Bare {
    fn turn(&mut self, card: &mut Card, now: Instant) -> Option<Instant> {
        self.iface.poll(now, card, &mut self.sockets);
        let mut moved = false;
        for (_, socket) in self.sockets.iter_mut() {
            let Socket::Tcp(socket) = socket;
            if !socket.is_open() {
                socket.listen(PORT).expect("a port");
            }
            if socket.can_recv() && socket.can_send() {
                let mut chunk = [0; REQUEST];
                let count = socket.recv_slice(&mut chunk).expect("bytes");
                socket.send_slice(&chunk[..count]).expect("room");
                moved = true;
            }
        }
        if moved {
            self.iface.poll(now, card, &mut self.sockets);
        }
        self.iface.poll_at(now, &self.sockets)
    }
}
