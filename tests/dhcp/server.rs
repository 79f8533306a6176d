//! A server, written with another's codec than the client's.

use super::*;
use cygnet::Hears;
use cygnet::Target;
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress};

pub const SERVER: Ipv4Address = Ipv4Address::new(10, 0, 0, 2);

/// What a server was asked.
#[derive(Clone, Debug)]
pub struct Served {
    pub at: Instant,
    pub kind: DhcpMessageType,
    pub xid: u32,
    pub secs: u16,
    pub has: Option<Ipv4Address>,
    pub wants: Option<Ipv4Address>,
    pub server: Option<Ipv4Address>,
    pub broadcast: bool,
    pub from: Ipv4Address,
    pub to_all: bool,
    pub hardware: EthernetAddress,
    /// Until when it was given an address.
    pub until: Option<Instant>,
}

/// How a server behaves.
#[derive(Clone, Copy, Default)]
pub struct Server {
    pub seconds: u32,
    /// It answers nothing from then on.
    pub silent_after: Option<Instant>,
    /// It answers again from then on.
    pub back_at: Option<Instant>,
    /// So many requests are refused.
    pub refuses: u32,
    /// It refuses whatever is renewed or confirmed from then on.
    pub refuses_after: Option<Instant>,
    /// What it says besides, to a request.
    pub also: Option<fn(&Served) -> DhcpRepr<'static>>,
    /// An address that this host has itself.
    pub owned: Option<Ipv4Address>,
    /// What it gives after an address was declined.
    pub after_decline: Option<Ipv4Address>,
    /// It answers from a port that is not a server's.
    pub elsewhere: bool,
    /// Changes every answer.
    pub lies: Option<fn(&mut DhcpRepr<'static>)>,
}

impl Server {
    pub fn honest(seconds: u32) -> Self {
        Server {
            seconds,
            ..Server::default()
        }
    }

    /// Serves on `node`, and logs what it is asked.
    pub fn start<'a>(mut self, node: Node<'a>, log: &'a RefCell<Vec<Served>>) {
        let serve = async move {
            let socket = node.bind(67).unwrap();
            socket.hear(Hears::Anything).unwrap();
            let elsewhere = node.bind(6767).unwrap();
            let mut gives = GIVEN;
            loop {
                let mut buf = [0; 600];
                let (len, peer) = socket.recv_from(&mut buf).await.unwrap();
                let packet = DhcpPacket::new_checked(&buf[..len]).unwrap();
                let asked = DhcpRepr::parse(&packet).unwrap();
                assert_eq!(peer.endpoint.port, 68);
                assert!(len >= 300, "RFC 1542, 2.1");
                let from: Ipv4Address = peer.endpoint.addr.to_string().parse().unwrap();
                let served = Served {
                    at: node.now(),
                    kind: asked.message_type,
                    xid: asked.transaction_id,
                    secs: asked.secs,
                    has: Some(asked.client_ip).filter(|addr| !addr.is_unspecified()),
                    wants: asked.requested_ip,
                    server: asked.server_identifier,
                    broadcast: asked.broadcast,
                    from,
                    to_all: peer.local == Ipv4Address::BROADCAST.into(),
                    hardware: asked.client_hardware_address,
                    until: None,
                };
                log.borrow_mut().push(served.clone());
                let now = node.now();
                let silent = self.silent_after.is_some_and(|at| now >= at)
                    && self.back_at.is_none_or(|at| now < at);
                if silent {
                    continue;
                }
                let refuses = self.refuses_after.is_some_and(|at| now >= at);
                let mut answers = Vec::new();
                match served.kind {
                    DhcpMessageType::Discover => answers.push(offer(&served, gives, self.seconds)),
                    DhcpMessageType::Request if self.refuses > 0 || refuses => {
                        self.refuses = self.refuses.saturating_sub(1);
                        let mut nak = ack(&served, self.seconds);
                        nak.message_type = DhcpMessageType::Nak;
                        nak.your_ip = Ipv4Address::UNSPECIFIED;
                        answers.push(nak);
                    }
                    DhcpMessageType::Request => {
                        answers.extend(self.also.map(|also| also(&served)));
                        answers.push(ack(&served, self.seconds));
                    }
                    DhcpMessageType::Decline => gives = self.after_decline.unwrap_or(gives),
                    _ => (),
                }
                for mut answer in answers {
                    if answer.message_type == DhcpMessageType::Ack {
                        let until = node.now() + SEC * self.seconds;
                        log.borrow_mut().last_mut().unwrap().until = Some(until);
                    }
                    if let Some(lies) = self.lies {
                        lies(&mut answer);
                    }
                    let mut bytes = [0; 600];
                    let len = answer.buffer_len();
                    let mut packet = DhcpPacket::new_unchecked(&mut bytes[..len]);
                    answer.emit(&mut packet).unwrap();
                    let to = match served.has {
                        Some(has) => has,
                        None => Ipv4Address::BROADCAST,
                    };
                    let to = Target::from((IpAddress::from(to), 68)).from_local(SERVER.into());
                    let from = if self.elsewhere { &elsewhere } else { &socket };
                    from.send_to(&bytes[..len], to).await.unwrap();
                }
            }
        };
        node.spawn(Box::pin(serve)).unwrap();
    }
}

/// The acknowledgement of a request.
pub fn ack(asked: &Served, seconds: u32) -> DhcpRepr<'static> {
    let yours = asked.has.or(asked.wants).unwrap_or(GIVEN);
    DhcpRepr {
        message_type: DhcpMessageType::Ack,
        transaction_id: asked.xid,
        secs: 0,
        client_hardware_address: asked.hardware,
        client_ip: Ipv4Address::UNSPECIFIED,
        your_ip: yours,
        server_ip: Ipv4Address::UNSPECIFIED,
        router: Some(Ipv4Address::new(10, 0, 0, 1)),
        subnet_mask: Some(Ipv4Address::new(255, 255, 255, 0)),
        relay_agent_ip: Ipv4Address::UNSPECIFIED,
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(SERVER),
        parameter_request_list: None,
        dns_servers: Some(
            [[10, 0, 0, 3], [0, 0, 0, 0], [10, 0, 0, 4]]
                .into_iter()
                .map(Ipv4Address::from)
                .collect(),
        ),
        max_size: None,
        lease_duration: Some(seconds),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    }
}

pub fn offer(asked: &Served, gives: Ipv4Address, seconds: u32) -> DhcpRepr<'static> {
    DhcpRepr {
        message_type: DhcpMessageType::Offer,
        your_ip: gives,
        ..ack(asked, seconds)
    }
}
