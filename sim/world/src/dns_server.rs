//! A DNS server: a program on a host of ours, with another codec than the client's. It may be
//! of no use, or say things besides that nobody must believe.
//!
//! Not here: names (`names`) and messages (`dns_message`).

use std::cell::RefCell;
use std::rc::Rc;

use cygnet::{Backlog, Node, UdpSocket};
use smoltcp::time::Duration;
use smoltcp::wire::IpEndpoint;

use super::dns_client::SIZE;
use super::dns_message::{Answer, FAILED, FINE, NO_NAME, Question, Record, read};
use super::effects::Effects;
use super::ids::HostId;
use super::lie::DnsQuirk;
use super::log::Witness;
use super::names::{Known, Names, forged};
use super::network::World;
use super::plan::DnsServer;

/// Where servers listen.
const PORT: u16 = 53;

/// How long a client by TCP may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every part of a server knows.
pub(super) struct DnsHost {
    pub(super) server: DnsServer,
    pub(super) names: Rc<RefCell<Names>>,
    pub(super) witness: Witness,
    pub(super) effects: Rc<RefCell<Effects>>,
}

/// Adds a server to a world.
pub(super) fn add(world: &mut World, name: &str, host: DnsHost) -> HostId {
    let (secret, host) = (host.server.secret, Rc::new(host));
    for quirk in host.server.quirks.iter() {
        *quirk.row(&mut world.planned) += 1;
    }
    world.host_with_secret(name, SIZE, secret, move |node| serve(node, &host))
}

/// Serves, by datagrams and by TCP.
fn serve(node: Node<'static>, host: &Rc<DnsHost>) {
    let (udp, tcp) = (Rc::clone(host), Rc::clone(host));
    let _ = node.spawn_named(
        "dns",
        Box::pin(async move { by_datagrams(node, &udp).await }),
    );
    let _ = node.spawn_named("dns/tcp", Box::pin(async move { by_tcp(node, &tcp).await }));
}

async fn by_datagrams(node: Node<'static>, host: &DnsHost) {
    let (Ok(socket), Ok(elsewhere)) = (node.bind(PORT), node.bind(0)) else {
        return;
    };
    let mut bytes = [0; 512];
    while let Ok((length, peer)) = socket.recv_from(&mut bytes).await {
        let Some(question) = bytes.get(..length).and_then(read) else {
            continue;
        };
        host.forge(&question, &socket, &elsewhere, peer.endpoint)
            .await;
        if host.is(DnsQuirk::Mute) {
            continue;
        }
        let truncated = host.is(DnsQuirk::Truncates);
        let answer = host.answer(&question, truncated);
        let _ = socket.send_to(&answer, peer.endpoint).await;
    }
}

async fn by_tcp(node: Node<'static>, host: &DnsHost) {
    let Ok(listener) = node.listen(PORT, Backlog(4)) else {
        return;
    };
    while let Ok((mut stream, _)) = listener.accept().await {
        stream.set_read_timeout(Some(PATIENCE));
        stream.set_write_timeout(Some(PATIENCE));
        let mut bytes = [0; 514];
        let mut length = 0;
        let asked = loop {
            match stream.read(&mut bytes[length..]).await {
                Ok(count @ 1..) => length += count,
                _ => break None,
            }
            let message = bytes.get(2..length).unwrap_or_default();
            if message.len() >= usize::from(u16::from_be_bytes([bytes[0], bytes[1]])) {
                break read(message);
            }
        };
        if let Some(question) = asked.filter(|_| !host.is(DnsQuirk::Mute)) {
            let answer = host.answer(&question, false);
            let length = (answer.len() as u16).to_be_bytes();
            let _ = stream.write_all(&[&length[..], &answer].concat()).await;
        }
        // The client ends it; dropped here, it closes in order.
    }
}

impl DnsHost {
    /// Whether it is odd in this way; that is counted.
    fn is(&self, quirk: DnsQuirk) -> bool {
        let is = self.server.quirks.has(quirk);
        if is {
            *quirk.row(&mut self.effects.borrow_mut()) += 1;
        }
        is
    }

    fn answer(&self, question: &Question, truncated: bool) -> Vec<u8> {
        let now = self.witness.now();
        let (code, records) = match () {
            () if self.is(DnsQuirk::Fails) => (FAILED, Vec::new()),
            () if truncated => (FINE, Vec::new()),
            () => match self
                .names
                .borrow_mut()
                .ask(&question.name, question.kind, now)
            {
                Known::Records(records) => (FINE, records),
                Known::Nothing => (FINE, Vec::new()),
                Known::NoName => (NO_NAME, Vec::new()),
            },
        };
        let answer = Answer {
            question,
            id: question.id,
            code,
            truncated,
            capitals: self.is(DnsQuirk::Capitals),
            records,
        };
        answer.bytes()
    }

    /// Says what nobody must believe.
    async fn forge(
        &self,
        question: &Question,
        socket: &UdpSocket<'static>,
        elsewhere: &UdpSocket<'static>,
        to: IpEndpoint,
    ) {
        let lie = |question: &Question, id: u16| {
            Answer {
                question,
                id,
                code: FINE,
                truncated: false,
                capitals: false,
                records: vec![Record {
                    name: question.name.clone(),
                    kind: question.kind,
                    seconds: 1000,
                    data: forged(question.kind),
                }],
            }
            .bytes()
        };
        if self.is(DnsQuirk::Misnumbers) {
            let other = question.id ^ 1;
            let _ = socket.send_to(&lie(question, other), to).await;
        }
        if self.is(DnsQuirk::Misnames) {
            let other = question.named("n9.test");
            let _ = socket.send_to(&lie(&other, other.id), to).await;
        }
        if self.is(DnsQuirk::Elsewhere) {
            let _ = elsewhere.send_to(&lie(question, question.id), to).await;
        }
    }
}
