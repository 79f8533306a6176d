//! A bare smoltcp loop: one `SocketSet` for everything, `Interface::poll`, and
//! then a look at every socket, as smoltcp's own server example does it.

use contest::host::Host;
use contest::link::End;
use contest::plan::{Plan, Service};
use contest::{CHUNK, REQUEST, address};
use smoltcp::iface::{Config, Interface, SocketSet, SocketStorage};
use smoltcp::socket::{Socket, tcp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress};

pub struct Bare {
    iface: Interface,
    sockets: SocketSet<'static>,
    service: Service,
}

impl Bare {
    pub fn new(plan: Plan, end: &mut End) -> Self {
        let hardware = HardwareAddress::Ethernet(EthernetAddress([2, 0, 0, 0, 0, 1]));
        let mut iface = Interface::new(Config::new(hardware), end, Instant::ZERO);
        iface.update_ip_addrs(|addresses| addresses.push(address(1)).expect("room"));
        let places = (0..plan.connections).map(|_| SocketStorage::EMPTY);
        let mut sockets = SocketSet::new(places.collect::<Vec<_>>().leak());
        for _ in 0..plan.connections {
            let buffer = || tcp::SocketBuffer::new(vec![0; plan.buffer].leak());
            sockets.add(tcp::Socket::new(buffer(), buffer()));
        }
        Bare {
            iface,
            sockets,
            service: plan.service(),
        }
    }
}

impl Host for Bare {
    fn turn(&mut self, end: &mut End, now: Instant) -> Option<Instant> {
        self.iface.poll(now, end, &mut self.sockets);
        let mut moved = false;
        for (_, socket) in self.sockets.iter_mut() {
            let Socket::Tcp(socket) = socket;
            if !socket.is_open() {
                socket.listen(7).expect("port 7");
            }
            moved |= match self.service {
                Service::Echo => echo(socket),
                Service::Source => source(socket),
                Service::Sink => sink(socket),
            };
            if socket.may_send() && !socket.may_recv() {
                socket.close();
                moved = true;
            }
        }
        if moved {
            self.iface.poll(now, end, &mut self.sockets);
        }
        self.iface.poll_at(now, &self.sockets)
    }
}

fn echo(socket: &mut tcp::Socket) -> bool {
    if !socket.can_recv() || !socket.can_send() {
        return false;
    }
    let mut chunk = [0; REQUEST];
    let count = socket.recv_slice(&mut chunk).expect("bytes");
    socket.send_slice(&chunk[..count]).expect("room");
    true
}

fn source(socket: &mut tcp::Socket) -> bool {
    let before = socket.send_queue();
    while socket.can_send() {
        socket.send_slice(&[b'x'; CHUNK]).expect("room");
    }
    socket.send_queue() > before
}

fn sink(socket: &mut tcp::Socket) -> bool {
    let moved = socket.can_recv();
    while socket.can_recv() {
        socket.recv_slice(&mut [0; CHUNK]).expect("bytes");
    }
    moved
}
