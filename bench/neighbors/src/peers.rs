//! Who is on the link besides the server: honest clients, each a smoltcp of its
//! own, and strangers that only ask who the server is.

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, IpCidr,
    Ipv4Address,
};

use crate::lan::{Card, Host};
use crate::meeting::{PORT, REQUEST, SERVER, cidr, hardware};

/// Sends a request, waits for the answer, and so on.
pub struct Client {
    iface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    starts: Instant,
    port: u16,
    /// Bytes of the answer that are still to come.
    awaits: usize,
    /// Answers that came whole.
    pub answers: u64,
}

impl Client {
    /// Number `n`, who starts a millisecond after the one before.
    pub fn new(n: u16, address: Ipv4Address, card: &mut Card) -> Client {
        let mut config = Config::new(hardware(address).into());
        config.random_seed = n.into();
        let mut iface = Interface::new(config, card, Instant::ZERO);
        iface.update_ip_addrs(|ips| ips.push(IpCidr::Ipv4(cidr(address))).expect("room"));
        let buffer = || tcp::SocketBuffer::new(vec![0; 256]);
        let mut sockets = SocketSet::new(Vec::new());
        let socket = sockets.add(tcp::Socket::new(buffer(), buffer()));
        Client {
            iface,
            sockets,
            socket,
            starts: Instant::from_millis(n),
            port: 50_000 + n,
            awaits: 0,
            answers: 0,
        }
    }
}

impl Host for Client {
    fn turn(&mut self, card: &mut Card, now: Instant) -> Option<Instant> {
        if now < self.starts {
            while card.receive(now).is_some() {}
            return Some(self.starts);
        }
        self.iface.poll(now, card, &mut self.sockets);
        let socket = self.sockets.get_mut::<tcp::Socket>(self.socket);
        if !socket.is_open() {
            let context = self.iface.context();
            socket
                .connect(context, (SERVER, PORT), self.port)
                .expect("a connection");
        }
        let mut answer = [0; REQUEST];
        while socket.can_recv() {
            self.awaits -= socket.recv_slice(&mut answer).expect("bytes");
            self.answers += u64::from(self.awaits == 0);
        }
        if self.awaits == 0 && socket.can_send() {
            self.awaits = socket.send_slice(&[7; REQUEST]).expect("room");
        }
        self.iface.poll(now, card, &mut self.sockets);
        self.iface.poll_at(now, &self.sockets)
    }
}

/// As many hosts as it likes to be, each asking for the server's hardware address.
pub struct Strangers {
    every: Option<Duration>,
    next: Instant,
    asked: u32,
}

impl Strangers {
    pub fn new(per_second: u64) -> Strangers {
        Strangers {
            every: (per_second > 0).then(|| Duration::from_micros(1_000_000 / per_second)),
            next: Instant::ZERO,
            asked: 0,
        }
    }
}

impl Host for Strangers {
    fn turn(&mut self, card: &mut Card, now: Instant) -> Option<Instant> {
        while let Some((_answer, _)) = card.receive(now) {}
        let every = self.every?;
        while self.next <= now {
            self.next += every;
            self.asked += 1;
            let stranger = Ipv4Address::from_bits(SERVER.to_bits() + 0x1000 + self.asked % 1000);
            ask(card, now, stranger);
        }
        Some(self.next)
    }
}

fn ask(card: &mut Card, now: Instant, from: Ipv4Address) {
    let question = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: hardware(from),
        source_protocol_addr: from,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: SERVER,
    };
    let token = card.transmit(now).expect("leave");
    token.consume(14 + question.buffer_len(), |bytes| {
        let mut frame = EthernetFrame::new_unchecked(bytes);
        frame.set_src_addr(hardware(from));
        frame.set_dst_addr(EthernetAddress::BROADCAST);
        frame.set_ethertype(EthernetProtocol::Arp);
        question.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    });
}
