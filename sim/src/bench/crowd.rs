//! A crowd: so many clients that a socket each would cost more than the server
//! that is measured. A client here is eight bytes, the next sequence number of
//! either side; on a cable that loses nothing that is all a client needs. It
//! opens, asks, acknowledges, and looks at every byte of an answer.
//!
//! Not here: closing, and anything that goes wrong on a wire. A frame that should
//! not come is an error.

use std::cell::RefCell;
use std::collections::VecDeque;

use smoltcp::phy::{self, ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress,
    IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

/// Bytes of a request and of its answer.
pub const REQUEST: usize = 64;
/// Clients on one address, and the first of their ports.
const PORTS: usize = 50_000;
const FIRST_PORT: u16 = 10_000;
const MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 2]);
const ETHERNET: usize = 14;
/// What a client would take at once.
const WINDOW: u16 = 4096;

/// Frames on their way, and buffers to reuse. It is the server's device.
#[derive(Default)]
pub struct Cable {
    to_server: VecDeque<Vec<u8>>,
    from_server: RefCell<VecDeque<Vec<u8>>>,
    spare: RefCell<Vec<Vec<u8>>>,
}

impl Cable {
    fn blank(&self, len: usize) -> Vec<u8> {
        let mut frame = self.spare.borrow_mut().pop().unwrap_or_default();
        frame.resize(len, 0);
        frame
    }

    /// Whether the server has received everything.
    pub fn is_empty(&self) -> bool {
        self.to_server.is_empty()
    }
}

/// A frame that arrived at the server.
pub struct Receive<'c>(Vec<u8>, &'c Cable);

/// Leave for the server to send a frame.
pub struct Send<'c>(&'c Cable);

impl phy::RxToken for Receive<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let Receive(frame, cable) = self;
        let result = f(&frame);
        cable.spare.borrow_mut().push(frame);
        result
    }
}

impl phy::TxToken for Send<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = self.0.blank(len);
        let result = f(&mut frame);
        self.0.from_server.borrow_mut().push_back(frame);
        result
    }
}

impl Device for Cable {
    type RxToken<'a> = Receive<'a>;
    type TxToken<'a> = Send<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Receive<'_>, Send<'_>)> {
        let frame = self.to_server.pop_front()?;
        Some((Receive(frame, self), Send(self)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Send<'_>> {
        Some(Send(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = crate::frame::MTU;
        capabilities
    }
}

/// What a client sends next, and what it wants next.
#[derive(Clone, Copy, Default)]
struct Client {
    seq: TcpSeqNumber,
    ack: TcpSeqNumber,
}

/// All of them.
pub struct Crowd {
    server: (Ipv4Address, u16, EthernetAddress),
    clients: Vec<Client>,
    /// Connections that are open.
    pub open: usize,
    /// Requests that were answered with the right bytes.
    pub answered: u64,
}

impl Crowd {
    /// `count` clients of a server.
    pub fn new(server: (Ipv4Address, u16, EthernetAddress), count: usize) -> Crowd {
        Crowd {
            server,
            clients: vec![Client::default(); count],
            open: 0,
            answered: 0,
        }
    }

    /// Shows the server where all the addresses are.
    pub fn announce(&self, cable: &mut Cable) {
        for number in 0..self.clients.len().div_ceil(PORTS) {
            self.arp(cable, ArpOperation::Request, source(number * PORTS).0);
        }
    }

    fn arp(&self, cable: &mut Cable, operation: ArpOperation, ours: Ipv4Address) {
        let (server, _, server_mac) = self.server;
        let arp = ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: MAC,
            source_protocol_addr: ours,
            target_hardware_addr: server_mac,
            target_protocol_addr: server,
        };
        let mut frame = cable.blank(ETHERNET + arp.buffer_len());
        self.link(&mut frame, EthernetProtocol::Arp);
        arp.emit(&mut ArpPacket::new_unchecked(&mut frame[ETHERNET..]));
        cable.to_server.push_back(frame);
    }

    fn link(&self, frame: &mut [u8], protocol: EthernetProtocol) {
        let mut ethernet = EthernetFrame::new_unchecked(frame);
        ethernet.set_src_addr(MAC);
        ethernet.set_dst_addr(self.server.2);
        ethernet.set_ethertype(protocol);
    }

    /// Client `index` wants a connection.
    pub fn open(&mut self, cable: &mut Cable, index: usize) {
        // Any initial sequence number will do; each client has another.
        self.clients[index].seq = TcpSeqNumber(index as i32 * 7919);
        self.segment(cable, index, TcpControl::Syn, &[]);
        self.clients[index].seq += 1;
    }

    /// Client `index` asks.
    pub fn ask(&mut self, cable: &mut Cable, index: usize) {
        let request = request(index, self.clients[index].seq);
        self.segment(cable, index, TcpControl::Psh, &request);
        self.clients[index].seq += REQUEST;
    }

    fn segment(&self, cable: &mut Cable, index: usize, control: TcpControl, payload: &[u8]) {
        let (server, port, _) = self.server;
        let (address, src_port) = source(index);
        let Client { seq, ack } = self.clients[index];
        let syn = control == TcpControl::Syn;
        let tcp = TcpRepr {
            src_port,
            dst_port: port,
            control,
            seq_number: seq,
            ack_number: (!syn).then_some(ack),
            window_len: WINDOW,
            window_scale: None,
            max_seg_size: syn.then_some(1460),
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let ip = Ipv4Repr {
            src_addr: address,
            dst_addr: server,
            next_header: IpProtocol::Tcp,
            payload_len: tcp.buffer_len(),
            hop_limit: 64,
        };
        let mut frame = cable.blank(ETHERNET + ip.buffer_len() + tcp.buffer_len());
        self.link(&mut frame, EthernetProtocol::Ipv4);
        let sums = ChecksumCapabilities::default();
        ip.emit(
            &mut Ipv4Packet::new_unchecked(&mut frame[ETHERNET..]),
            &sums,
        );
        let mut segment = TcpPacket::new_unchecked(&mut frame[ETHERNET + ip.buffer_len()..]);
        tcp.emit(&mut segment, &address.into(), &server.into(), &sums);
        cable.to_server.push_back(frame);
    }

    /// Takes what the server sent.
    ///
    /// # Errors
    /// What came that should not: a reset, a wrong byte, a wrong checksum.
    pub fn receive(&mut self, cable: &mut Cable) -> Result<(), String> {
        loop {
            let Some(frame) = cable.from_server.get_mut().pop_front() else {
                return Ok(());
            };
            self.frame(cable, &frame)
                .map_err(|what| format!("{what} came from the server"))?;
            cable.spare.get_mut().push(frame);
        }
    }

    fn frame(&mut self, cable: &mut Cable, frame: &[u8]) -> Result<(), &'static str> {
        let malformed = |_| "a malformed frame";
        let ethernet = EthernetFrame::new_checked(frame).map_err(malformed)?;
        if ethernet.ethertype() == EthernetProtocol::Arp {
            let arp = ArpPacket::new_checked(ethernet.payload()).map_err(malformed)?;
            if arp.operation() == ArpOperation::Request {
                let asked = arp.target_protocol_addr();
                let [a, b, c, d] = asked else {
                    return Err("a malformed frame");
                };
                self.arp(cable, ArpOperation::Reply, Ipv4Address::new(*a, *b, *c, *d));
            }
            return Ok(());
        }
        let ip = Ipv4Packet::new_checked(ethernet.payload()).map_err(malformed)?;
        let tcp = TcpPacket::new_checked(ip.payload()).map_err(malformed)?;
        let (from, to): (IpAddress, IpAddress) = (ip.src_addr().into(), ip.dst_addr().into());
        if !tcp.verify_checksum(&from, &to) {
            return Err("a wrong checksum");
        }
        let index = index(ip.dst_addr(), tcp.dst_port());
        let client = index.and_then(|index| self.clients.get_mut(index));
        let (Some(index), Some(client)) = (index, client) else {
            return Err("a segment for nobody");
        };
        if tcp.rst() || tcp.fin() {
            return Err("the end of a connection");
        }
        if tcp.ack_number() != client.seq {
            return Err("a wrong acknowledgement");
        }
        if tcp.syn() {
            client.ack = tcp.seq_number() + 1;
            self.open += 1;
            self.segment(cable, index, TcpControl::None, &[]);
            return Ok(());
        }
        let payload = tcp.payload();
        if payload.is_empty() {
            return Ok(()); // an acknowledgement by itself
        }
        // The server answers a request in one segment: it has room for it.
        let asked = request(index, client.seq - REQUEST);
        if tcp.seq_number() != client.ack || payload != asked {
            return Err("a wrong byte");
        }
        client.ack += REQUEST;
        self.answered += 1;
        self.segment(cable, index, TcpControl::None, &[]);
        Ok(())
    }
}

/// A request unlike any other: whose it is, and how many came before.
fn request(index: usize, seq: TcpSeqNumber) -> [u8; REQUEST] {
    let mut request = [0x5a; REQUEST];
    request[..8].copy_from_slice(&(index as u64).to_be_bytes());
    request[8..12].copy_from_slice(&seq.0.to_be_bytes());
    request
}

/// The address and the port of a client.
fn source(index: usize) -> (Ipv4Address, u16) {
    let address = Ipv4Address::new(10, 0, 0, 2 + (index / PORTS) as u8);
    (address, FIRST_PORT + (index % PORTS) as u16)
}

fn index(address: Ipv4Address, port: u16) -> Option<usize> {
    let address = usize::from(address.octets()[3].checked_sub(2)?);
    let port = usize::from(port.checked_sub(FIRST_PORT)?);
    Some(address * PORTS + port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_has_a_place_of_its_own() {
        for at in [0, 1, PORTS - 1, PORTS, 131_071] {
            let (address, port) = source(at);
            assert_eq!(index(address, port), Some(at));
        }
        assert_eq!(index(Ipv4Address::new(10, 0, 0, 1), 20_000), None);
        assert_eq!(index(Ipv4Address::new(10, 0, 0, 2), 9_999), None);
    }
}
