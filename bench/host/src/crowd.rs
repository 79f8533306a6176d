//! A crowd: so many clients that a socket each would cost more than the server
//! that is measured. A client here is eight bytes, the next sequence number of
//! either side; on a link that loses nothing that is all a client needs. It
//! opens, asks, acknowledges, and looks at every byte of an answer.
//!
//! Not here: closing, and anything that goes wrong on a wire. A frame that should
//! not come is an error.

use contest::REQUEST;
use contest::link::End;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress,
    IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

/// Clients on one address, and the first of their ports.
const PORTS: usize = 50_000;
const FIRST_PORT: u16 = 10_000;
const MAC: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 2]);
const ETHERNET: usize = 14;
/// What a client would take at once.
const WINDOW: u16 = 4096;

/// What a client sends next, and what it wants next.
#[derive(Clone, Copy, Default)]
struct Client {
    seq: TcpSeqNumber,
    ack: TcpSeqNumber,
}

/// All of them.
pub struct Crowd {
    end: End,
    server: (Ipv4Address, u16, EthernetAddress),
    clients: Vec<Client>,
    /// Connections that are open.
    pub open: usize,
    /// Requests that were answered with the right bytes.
    pub answered: u64,
}

impl Crowd {
    /// `count` clients of a server, at this end of a link to it.
    pub fn new(end: End, server: (Ipv4Address, u16, EthernetAddress), count: usize) -> Crowd {
        Crowd {
            end,
            server,
            clients: vec![Client::default(); count],
            open: 0,
            answered: 0,
        }
    }

    /// Shows the server where all the addresses are.
    pub fn announce(&mut self) {
        for number in 0..self.clients.len().div_ceil(PORTS) {
            self.arp(ArpOperation::Request, source(number * PORTS).0);
        }
    }

    fn arp(&mut self, operation: ArpOperation, ours: Ipv4Address) {
        let (server, _, server_mac) = self.server;
        let arp = ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr: MAC,
            source_protocol_addr: ours,
            target_hardware_addr: server_mac,
            target_protocol_addr: server,
        };
        self.send(arp.buffer_len(), EthernetProtocol::Arp, |packet| {
            arp.emit(&mut ArpPacket::new_unchecked(packet));
        });
    }

    /// Puts a packet of so many bytes on the link, once `write` wrote it.
    fn send(&mut self, len: usize, protocol: EthernetProtocol, write: impl FnOnce(&mut [u8])) {
        let server = self.server.2;
        self.end.sender().fill(ETHERNET + len, |frame| {
            let mut ethernet = EthernetFrame::new_unchecked(&mut *frame);
            ethernet.set_src_addr(MAC);
            ethernet.set_dst_addr(server);
            ethernet.set_ethertype(protocol);
            write(&mut frame[ETHERNET..]);
        });
    }

    /// Client `index` wants a connection.
    pub fn open(&mut self, index: usize) {
        // Any initial sequence number will do; each client has another.
        self.clients[index].seq = TcpSeqNumber(index as i32 * 7919);
        self.segment(index, TcpControl::Syn, &[]);
        self.clients[index].seq += 1;
    }

    /// Client `index` asks.
    pub fn ask(&mut self, index: usize) {
        let request = request(index, self.clients[index].seq);
        self.segment(index, TcpControl::Psh, &request);
        self.clients[index].seq += REQUEST;
    }

    fn segment(&mut self, index: usize, control: TcpControl, payload: &[u8]) {
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
        let len = ip.buffer_len() + tcp.buffer_len();
        self.send(len, EthernetProtocol::Ipv4, |packet| {
            let sums = ChecksumCapabilities::default();
            let (head, segment) = packet.split_at_mut(ip.buffer_len());
            ip.emit(&mut Ipv4Packet::new_unchecked(head), &sums);
            let mut segment = TcpPacket::new_unchecked(segment);
            tcp.emit(&mut segment, &address.into(), &server.into(), &sums);
        });
    }

    /// Takes what the server sent.
    ///
    /// # Errors
    /// What came that should not: a reset, a wrong byte, a wrong checksum.
    pub fn receive(&mut self) -> Result<(), String> {
        let mut end = self.end.clone();
        while let Some((frame, _)) = end.tokens() {
            let taken = frame.take(|frame| self.frame(frame));
            taken.map_err(|what| format!("{what} came from the server"))?;
        }
        Ok(())
    }

    fn frame(&mut self, frame: &[u8]) -> Result<(), &'static str> {
        let malformed = |_| "a malformed frame";
        let ethernet = EthernetFrame::new_checked(frame).map_err(malformed)?;
        if ethernet.ethertype() == EthernetProtocol::Arp {
            let arp = ArpPacket::new_checked(ethernet.payload()).map_err(malformed)?;
            if arp.operation() == ArpOperation::Request {
                let asked = arp.target_protocol_addr();
                let [a, b, c, d] = asked else {
                    return Err("a malformed frame");
                };
                self.arp(ArpOperation::Reply, Ipv4Address::new(*a, *b, *c, *d));
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
            self.segment(index, TcpControl::None, &[]);
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
        self.segment(index, TcpControl::None, &[]);
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
