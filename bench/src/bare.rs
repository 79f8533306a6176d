//! A bare smoltcp loop: one `SocketSet` for everything, `Interface::poll`, and
//! then a look at every socket, as smoltcp's own server example does it.

use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress};

use crate::link::End;
use crate::{BUFFER, Server, address};

pub struct Bare {
    iface: Interface,
    sockets: SocketSet<'static>,
}

impl Bare {
    pub fn new(connections: usize, end: &mut End) -> Self {
        let hardware = HardwareAddress::Ethernet(EthernetAddress([2, 0, 0, 0, 0, 1]));
        let mut iface = Interface::new(Config::new(hardware), end, Instant::ZERO);
        iface.update_ip_addrs(|addresses| addresses.push(address(1)).expect("room"));
        let mut sockets = SocketSet::new(Vec::new());
        for _ in 0..connections {
            let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
            sockets.add(tcp::Socket::new(buffer(), buffer()));
        }
        Bare { iface, sockets }
    }
}

impl Server for Bare {
    fn turn(&mut self, end: &mut End, now: Instant) -> Option<Instant> {
        self.iface.poll(now, end, &mut self.sockets);
        let mut sent = false;
        for (_, socket) in self.sockets.iter_mut() {
            let smoltcp::socket::Socket::Tcp(socket) = socket;
            if !socket.is_open() {
                socket.listen(7).expect("port 7");
            }
            if socket.can_recv() && socket.can_send() {
                let mut chunk = [0; 64];
                let count = socket.recv_slice(&mut chunk).expect("bytes");
                socket.send_slice(&chunk[..count]).expect("room");
                sent = true;
            } else if socket.may_send() && !socket.may_recv() {
                socket.close();
                sent = true;
            }
        }
        if sent {
            self.iface.poll(now, end, &mut self.sockets);
        }
        self.iface.poll_at(now, &self.sockets)
    }
}
