//! A DNS client (RFC 1035): a task that answers what programs ask with
//! [`Node::resolve`](crate::Node::resolve).
//!
//! Each question goes from a port and with a number of its own, which nobody foresees (RFC
//! 5452), to one server after the other: one that is silent or does not know is no answer.
//!
//! Not here: the messages (`frame/dns.rs`), and what is remembered (`table/names.rs`).

use embedded_io_async::Read as _;
use scopeguard::guard;
use smoltcp::time::Duration;
use smoltcp::wire::{DnsQueryType, IpAddress};

use crate::frame::dns::{ALIASES, Addresses, Answer, LONGEST, Name, SERVER_PORT, read, write};
use crate::node::Node;
use crate::socket::{What, watch};
use crate::table::names::{Family, Found};

/// How long a server's answer is waited for; the second time twice as long.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often every server is asked.
const ROUNDS: u32 = 2;

/// How long it waits before it asks all of them again.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a server may take that is asked by TCP.
const TCP_PATIENCE: Duration = Duration::from_secs(5);

/// Answers the questions of this node's programs, one at a time: spawn it several times for
/// as many questions at once. It asks the servers in [`Node::config`]; DHCP sets them, and
/// [`Node::set_dns_servers`] does.
///
/// It never ends.
///
/// # Cancel safety
/// **Safe.** The question it works on is another such task's, or is given up if there is none.
pub async fn dns(node: Node<'_>) {
    node.stack.with(|core| core.beside.names.resolvers += 1);
    let _ends = guard((), |()| {
        node.stack.with_unless_hurt(|core| {
            core.beside.names.resolvers -= 1;
            core.beside.watchers.wake();
        });
    });
    loop {
        watch(node.stack, What::Question).await;
        let Some((place, name, family)) = node.stack.with(|core| core.beside.names.take()) else {
            continue;
        };
        let given_up = guard(place, |place| {
            node.stack.with_unless_hurt(|core| {
                core.beside.names.give_back(place);
                core.beside.watchers.wake();
            });
        });
        let resolver = Resolver { node, place };
        let (found, seconds) = resolver.find(&name, family).await;
        core::mem::forget(given_up);
        node.stack.with(|core| {
            let now = core.host.now;
            core.beside.names.answer(place, found, seconds, now);
            core.beside.watchers.wake();
        });
    }
}

/// One question, on its way from server to server.
struct Resolver<'a> {
    node: Node<'a>,
    place: u32,
}

impl Resolver<'_> {
    /// The addresses of a name, and for how long they are good.
    async fn find(&self, name: &Name, family: Family) -> ((Found, Addresses), u32) {
        let (mut found, mut ttl) = (Addresses::new(), u32::MAX);
        let mut nothing = Found::NoServer;
        let kinds = [
            #[cfg(feature = "ipv6")]
            (DnsQueryType::Aaaa, family != Family::V4),
            (DnsQueryType::A, family != Family::V6),
        ];
        for (kind, _) in kinds.into_iter().filter(|(_, wanted)| *wanted) {
            match self.follow(name, kind).await {
                Ok((Answer::Addresses(addresses, seconds), alias)) => {
                    ttl = ttl.min(seconds).min(alias);
                    // Half of the places for each version, and what is left over.
                    let is_last = kind == DnsQueryType::A;
                    let most = if is_last || family != Family::Any {
                        4
                    } else {
                        2
                    };
                    let mut addresses = addresses.into_iter().take(most);
                    while let Some(addr) = addresses.next().filter(|_| !found.is_full()) {
                        let _ = found.push(addr);
                    }
                }
                Ok((Answer::NoName, _)) => return ((Found::NoName, Addresses::new()), 0),
                Ok((Answer::NoAddress, _)) => nothing = Found::NoAddress,
                Ok(_) => nothing = Found::Failed,
                Err(why) => nothing = why,
            }
        }
        match found.is_empty() {
            true => ((nothing, found), 0),
            false => ((Found::Addresses, self.in_reach_first(&found)), ttl),
        }
    }

    /// Addresses that the host cannot speak to are the last to be tried (RFC 6724, 6, rule 1).
    fn in_reach_first(&self, found: &Addresses) -> Addresses {
        self.node.stack.with_quiet(|core| {
            let ours = &core.host.addresses;
            let reach = |addr: &&IpAddress| ours.source(**addr).is_some();
            let near = found.iter().filter(|addr| reach(addr));
            near.chain(found.iter().filter(|addr| !reach(addr)))
                .copied()
                .collect()
        })
    }

    /// An answer about a name, or about what it is an alias for; and for how long the aliases
    /// are good.
    async fn follow(&self, name: &Name, kind: DnsQueryType) -> Result<(Answer, u32), Found> {
        let (mut name, mut ttl) = (name.clone(), u32::MAX);
        for _ in 0..=ALIASES {
            match self.ask(&name, kind).await? {
                Answer::Alias(to, seconds) => (name, ttl) = (to, ttl.min(seconds)),
                answer => return Ok((answer, ttl)),
            }
        }
        Err(Found::Failed)
    }

    /// What the servers say, one asked after the other.
    async fn ask(&self, name: &Name, kind: DnsQueryType) -> Result<Answer, Found> {
        let mut nothing = Found::NoServer;
        for round in 0..ROUNDS {
            if nothing != Found::NoServer {
                // What was refused at once may be there in a moment.
                self.node.sleep(PAUSE).await;
            }
            for number in 0.. {
                // They may be others meanwhile.
                let server = self.node.stack.with_quiet(|core| {
                    let servers = &core.host.addresses.change.dns;
                    servers
                        .get(number)
                        .copied()
                        .filter(|_| core.beside.names.is_wanted(self.place))
                });
                let Some(server) = server else {
                    break;
                };
                match self
                    .ask_one(server, name, kind, PATIENCE * (1 << round))
                    .await
                {
                    None if nothing == Found::NoServer => nothing = Found::Silence,
                    None => (),
                    Some(Answer::Failed | Answer::Truncated) => nothing = Found::Failed,
                    Some(answer) => return Ok(answer),
                }
            }
        }
        Err(nothing)
    }

    /// What one server says; `None`: nothing.
    async fn ask_one(
        &self,
        server: IpAddress,
        name: &Name,
        kind: DnsQueryType,
        patience: Duration,
    ) -> Option<Answer> {
        let node = self.node;
        let id = node.stack.with_quiet(|core| core.host.secrets.draw()) as u16;
        let mut bytes = [0; LONGEST];
        let length = write(&mut bytes, id, name, kind);
        let answer = {
            // A port of its own, from which nobody but the server is heard.
            let socket = node.bind(0).ok()?;
            socket.connect((server, SERVER_PORT)).ok()?;
            socket.send(bytes.get(..length)?).await.ok()?;
            let heard = async {
                loop {
                    // What is longer than it may be is cut, and so is no answer.
                    let Some(length) = socket.recv(&mut bytes).await.ok()? else {
                        continue;
                    };
                    let answer = read(bytes.get(..length)?, id, name, kind);
                    if answer.is_some() {
                        return answer;
                    }
                }
            };
            node.timeout(patience, heard).await.ok()??
        };
        if answer != Answer::Truncated {
            return Some(answer);
        }
        let length = write(&mut bytes, id, name, kind);
        let heard = self.ask_by_tcp(server, &mut bytes, length);
        let length = node.timeout(TCP_PATIENCE, heard).await.ok()??;
        read(bytes.get(..length)?, id, name, kind)
    }

    /// Asks by TCP what is in `bytes` (RFC 7766), and reads as much of the answer as fits.
    async fn ask_by_tcp(
        &self,
        server: IpAddress,
        bytes: &mut [u8; LONGEST],
        length: usize,
    ) -> Option<usize> {
        let mut stream = self.node.connect((server, SERVER_PORT)).await.ok()?;
        stream
            .write_all(&(length as u16).to_be_bytes())
            .await
            .ok()?;
        stream.write_all(bytes.get(..length)?).await.ok()?;
        let mut head = [0; 2];
        stream.read_exact(&mut head).await.ok()?;
        let length = usize::from(u16::from_be_bytes(head)).min(LONGEST);
        stream.read_exact(bytes.get_mut(..length)?).await.ok()?;
        stream.abort();
        // Of a longer one the end is missing, and nobody looks for it.
        bytes[2] &= !TRUNCATED;
        Some(length)
    }
}

/// The bit of the header that says so, in its third byte.
const TRUNCATED: u8 = 2;
