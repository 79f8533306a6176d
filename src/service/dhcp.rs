//! An address from the network: a DHCP client (RFC 2131), which is a task as any other is.
//!
//! It is always in one of the states of figure 5 of that RFC: it asks what there is to ask in
//! it, waits for an answer, and goes where that leads.
//!
//! Not here: the messages (`frame/dhcp.rs`), what makes a lease and what an answer means
//! (`rules/lease.rs`), and how it is seen that somebody else has an address (`stack/addressing.rs`).

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::Poll;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr, Ipv4Address};

use crate::event::Event;
use crate::frame::dhcp::{
    CLIENT_PORT, Kind, LONGEST_NAME, LONGEST_REPLY, Reply, SERVER_PORT, Say, read,
};
use crate::frame::link::Hardware;
use crate::node::Node;
use crate::rules::lease::{Lease, State, Verdict, ask_again, heard, patience};
use crate::rules::peers::{Hears, Peer, Target};
use crate::service::dhcp_config::{DhcpConfig, DhcpError};
use crate::service::standby::Standby;
use crate::socket::{BindError, ClaimError, RecvError, UdpSocket, Watch, What};
use crate::stack::core::Core;
use crate::time::{FAR, after};

/// Gets an address for the host from a DHCP server, and keeps it: renews it in time, asks
/// any server when the one that gave it is gone, gives it up when its time is over, and asks
/// again when the link comes up. Router, DNS and NTP servers are in
/// [`Node::config`]; [`Node::wait_config_up`] waits for the first address.
///
/// What is open from a fallback goes on to its end when a server answers; what is open from a
/// lease that has ended, or that a server has refused to renew, is reset (RFC 5227, 2.4).
///
/// It ends with an error alone.
///
/// ```
/// use cygnet::{Node, SpawnError, service};
/// use cygnet::service::DhcpConfig;
///
/// fn start(node: Node<'_>) {
///     let config = DhcpConfig::new().host_name("kettle").link_local();
///     // Full: no task is free.
///     let _ = node.spawn_named("dhcp", service::dhcp(node, config));
/// }
/// # let _ = start;
/// ```
///
/// # Errors
/// [`DhcpError`] says what to change.
///
/// # Cancel safety
/// **Safe.** What it has set stays set, and nobody renews it.
pub async fn dhcp<'a>(node: Node<'a>, config: DhcpConfig<'a>) -> Result<(), DhcpError> {
    let name = config.host_name.as_bytes();
    let is_label = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    if name.len() > LONGEST_NAME || !name.iter().all(is_label) {
        return Err(DhcpError::HostName);
    }
    let socket = node
        .bind(CLIENT_PORT)
        .map_err(|_: BindError| DhcpError::Bind)?;
    if node.stack.with_quiet(|core| core.beside.binds.room()) < LONGEST_REPLY {
        return Err(DhcpError::Storage);
    }
    // Answers are sent to everybody, or to an address that is not taken yet.
    let _ = socket.hear(Hears::Anything);
    let mut client = Client {
        node,
        socket,
        config,
        standby: Standby::Off,
        hardware: node.stack.with_quiet(|core| core.host.config.hardware_addr),
        state: State::Selecting,
        lease: None,
        claim: None,
        xid: 0,
        tried: 0,
        asked: node.now(),
        began: node.now(),
        bytes: [0; LONGEST_REPLY],
    };
    loop {
        // A lease ends also while there is no link.
        let end = client.lease.as_ref().map_or(FAR, |lease| lease.end);
        let left = end.max(node.now()) - node.now();
        if node.timeout(left, node.wait_link_up()).await.is_err() {
            client.lose();
            continue;
        }
        client.link_is_up();
        while !client.gets_on().await? {}
    }
}

/// A client: where it is, and what it has.
struct Client<'a> {
    node: Node<'a>,
    socket: UdpSocket<'a>,
    config: DhcpConfig<'a>,
    standby: Standby<'a>,
    hardware: Hardware,
    state: State,
    lease: Option<Lease>,
    /// Whether somebody else has the address of the lease, as long as that is not known.
    claim: Option<Watch<'a>>,
    /// By which the answer to its last question is known.
    xid: u32,
    /// How often it has asked in this state.
    tried: u8,
    /// When it began to.
    asked: Instant,
    /// When it began to ask for an address.
    began: Instant,
    /// A message, on its way in or out.
    bytes: [u8; LONGEST_REPLY],
}

/// What woke a client.
enum Woken {
    Heard(Result<(usize, Peer), RecvError>),
    Claimed(Result<(), ClaimError>),
    LinkDown,
    Late,
}

/// How long a client waits that found out that somebody else has the address it was given, or
/// was refused one: "a minimum of ten seconds" (RFC 2131, 3.1.5).
const PAUSE: Duration = Duration::from_secs(10);

/// How often one server is asked for what it offered.
const REQUESTS: u8 = 4;

/// How often it is asked whether an old lease still holds.
const CONFIRMS: u8 = 2;

impl<'a> Client<'a> {
    fn enter(&mut self, state: State) {
        (self.state, self.tried) = (state, 0);
        if let State::Selecting = state {
            self.standby.begin(self.node, &self.config);
        }
    }

    /// The link is up, for the first time or again. A lease that has not ended may still hold
    /// (RFC 2131, 3.2).
    fn link_is_up(&mut self) {
        self.began = self.node.now();
        let state = match &self.lease {
            Some(lease) if self.claim.is_none() && self.began < lease.end => State::Rebooting,
            Some(_) => return self.lose(),
            None => State::Selecting,
        };
        self.enter(state);
    }

    /// Asks what there is to ask, and takes one answer, or goes on without. True: the link
    /// went down.
    async fn gets_on(&mut self) -> Result<bool, DhcpError> {
        let until = self.ask().await;
        loop {
            match self.wake(until).await {
                Woken::LinkDown => return Ok(true),
                Woken::Late => self.goes_on_alone(),
                Woken::Claimed(result) => self.claimed(result).await,
                Woken::Heard(heard) => {
                    let (length, peer) = heard.map_err(|_| DhcpError::Socket)?;
                    let message = self.bytes.get(..length).unwrap_or_default();
                    let reply = read(message, self.hardware)
                        .filter(|reply| reply.xid == self.xid && peer.endpoint.port == SERVER_PORT);
                    if !reply.is_some_and(|reply| self.heard(&reply)) {
                        continue;
                    }
                }
            }
            return Ok(false);
        }
    }

    /// Sends what is to be asked in this state, and says until when the answer is waited for.
    async fn ask(&mut self) -> Instant {
        let now = self.node.now();
        let lease = self.lease.as_ref();
        let held = lease.map(|lease| lease.cidr.address());
        let end = |at: fn(&Lease) -> Instant| lease.map_or(now, at);
        let nobody = Ipv4Address::UNSPECIFIED;
        let (everybody, mut parts) = (Ipv4Address::BROADCAST, Parts::NONE);
        let mut kind = Kind::Request;
        let (to, from) = match self.state {
            State::Selecting => {
                kind = Kind::Discover;
                (everybody, nobody)
            }
            State::Requesting { yours, server } => {
                (parts.wants, parts.server) = (Some(yours), Some(server));
                (everybody, nobody)
            }
            State::Rebooting => {
                parts.wants = held;
                (everybody, nobody)
            }
            State::Renewing | State::Rebinding => {
                parts.has = held;
                let server = lease.map(|lease| lease.server);
                let to = server.filter(|_| self.state == State::Renewing);
                (to.unwrap_or(everybody), held.unwrap_or(nobody))
            }
            // An address that a server gives with another mask may be the host's already.
            State::Checking => return end(|lease| lease.end),
            State::Bound => return end(|lease| lease.renew),
            State::Pausing => return after(now, PAUSE),
        };
        let until = match self.state {
            State::Renewing => ask_again(now, end(|lease| lease.rebind)),
            State::Rebinding => ask_again(now, end(|lease| lease.end)),
            _ => after(now, patience(self.tried, draw(self.node))),
        };
        // Whatever is asked, a lease is given up when it ends.
        let until = until.min(lease.map_or(FAR, |lease| lease.end));
        // An answer to what is asked once in a minute counts from that question, and one to
        // what is said again from the first time.
        let is_one = matches!(self.state, State::Renewing | State::Rebinding);
        if self.tried == 0 || is_one {
            self.asked = now;
            // What is asked for is what was offered, by the same number.
            if !matches!(self.state, State::Requesting { .. }) {
                self.xid = draw(self.node);
            }
        }
        self.send(kind, parts, to, from).await;
        until
    }

    #[inline(never)]
    async fn send(&mut self, kind: Kind, parts: Parts, to: Ipv4Address, from: Ipv4Address) {
        let secs = (self.node.now() - self.began).secs();
        let say = Say {
            kind,
            xid: self.xid,
            secs: secs.min(u16::MAX.into()) as u16,
            hardware: self.hardware,
            has: parts.has,
            wants: parts.wants,
            server: parts.server,
            host_name: self.config.host_name,
        };
        let length = say.write(&mut self.bytes);
        let target = Target::from((IpAddress::from(to), SERVER_PORT)).from_local(from.into());
        let message = self.bytes.get(..length).unwrap_or_default();
        // What cannot be sent is asked again, as what is lost is.
        let _ = self.socket.send_to(message, target).await;
    }

    /// Waits for a datagram, and for what else there is. Meanwhile the fallback gets on.
    async fn wake(&mut self, until: Instant) -> Woken {
        let (node, config, standby) = (self.node, &self.config, &mut self.standby);
        let leased = self.lease.as_ref().map(|lease| lease.address().address());
        let mut heard = pin!(self.socket.recv_from(&mut self.bytes));
        let mut late = node.sleep_until(until);
        let down = Watch::new(node.stack, What::Link { up: false });
        poll_fn(|cx| {
            standby.poll(node, config, cx);
            if let Poll::Ready(heard) = heard.as_mut().poll(cx) {
                return Poll::Ready(Woken::Heard(heard));
            }
            if let Some(claim) = &self.claim
                && let Poll::Ready(result) = claim.poll(cx)
            {
                return Poll::Ready(Woken::Claimed(result));
            }
            let disputed = |core: &mut Core<'_>| {
                let disputed = &mut core.neighbors.claims.disputed;
                disputed.take_if(|addr| leased == Some(*addr))
            };
            if node.stack.with_quiet(disputed).is_some() {
                return Poll::Ready(Woken::Claimed(Err(ClaimError::InUse)));
            }
            if down.poll(cx).is_ready() {
                return Poll::Ready(Woken::LinkDown);
            }
            Pin::new(&mut late).poll(cx).map(|()| Woken::Late)
        })
        .await
    }

    /// Nobody has answered in time.
    fn goes_on_alone(&mut self) {
        self.tried = self.tried.saturating_add(1);
        let now = self.node.now();
        let is_over =
            |at: fn(&Lease) -> Instant| self.lease.as_ref().is_none_or(|it| at(it) <= now);
        match self.state {
            State::Requesting { .. } if self.tried >= REQUESTS => self.enter(State::Selecting),
            State::Pausing => self.enter(State::Selecting),
            State::Selecting | State::Requesting { .. } => (),
            _ if is_over(|lease| lease.end) => self.lose(),
            // The lease holds, to its end.
            State::Rebooting if self.tried >= CONFIRMS => self.enter(State::Bound),
            State::Rebooting | State::Checking => (),
            _ if is_over(|lease| lease.rebind) => self.state = State::Rebinding,
            _ if is_over(|lease| lease.renew) => self.state = State::Renewing,
            _ => (),
        }
    }

    /// A server's word. True: something follows from it.
    fn heard(&mut self, reply: &Reply) -> bool {
        let held = self.lease.as_ref();
        let held = held.map(|lease| (lease.cidr.address(), lease.server));
        match heard(self.state, held, reply) {
            Verdict::Nothing => return false,
            Verdict::Offered { yours, server } => {
                self.enter(State::Requesting { yours, server });
            }
            Verdict::Refused if held.is_none() => self.enter(State::Pausing),
            Verdict::Refused => self.lose(),
            Verdict::Given => {
                let server = reply.server.or(held.map(|(_, server)| server));
                let server = server.unwrap_or(Ipv4Address::BROADCAST);
                self.lease = Lease::of(reply, server, self.asked);
                self.check();
            }
        }
        true
    }

    /// Uses a lease if the host has its address, or asks whether somebody else does.
    fn check(&mut self) {
        let Some(lease) = &self.lease else {
            return;
        };
        if has(self.node, lease.address()) {
            self.adopt();
            return;
        }
        if !matches!(self.standby, Standby::Used(..)) {
            // Whoever waits for an address finds them with it.
            set_servers(self.node, lease);
        }
        self.claim = Some(Watch::claim(self.node.stack, lease.address()));
        self.enter(State::Checking);
    }

    /// Whether somebody else has the address is known.
    async fn claimed(&mut self, result: Result<(), ClaimError>) {
        self.claim = None;
        match result {
            Ok(()) => self.adopt(),
            // The fallback makes room.
            Err(ClaimError::TooMany) if self.standby.remove(self.node) => self.check(),
            Err(_) => {
                let Some(lease) = self.give_up() else {
                    return;
                };
                let parts = Parts {
                    wants: Some(lease.cidr.address()),
                    server: Some(lease.server),
                    ..Parts::NONE
                };
                self.xid = draw(self.node);
                let (to, from) = (Ipv4Address::BROADCAST, Ipv4Address::UNSPECIFIED);
                self.send(Kind::Decline, parts, to, from).await;
                self.enter(State::Pausing);
            }
        }
    }

    /// Uses what a lease gives, whose address the host has.
    fn adopt(&mut self) {
        if let Some(lease) = &self.lease {
            self.standby.retire(self.node, lease.address());
            set_servers(self.node, lease);
            let event = Event::Leased {
                addr: lease.address().address(),
                until: lease.end,
            };
            self.node.stack.with(|core| core.host.tell(&event));
        }
        self.enter(State::Bound);
    }

    /// Gives up what a lease gave, and begins anew.
    fn lose(&mut self) {
        self.give_up();
        self.enter(State::Selecting);
    }

    /// Gives up what a lease gave.
    fn give_up(&mut self) -> Option<Lease> {
        self.claim = None;
        let lease = self.lease.take()?;
        let addr = lease.address().address();
        clear_servers(self.node, &lease);
        if self.node.remove_address(addr) {
            let event = Event::LeaseLost { addr };
            self.node.stack.with(|core| core.host.tell(&event));
        }
        Some(lease)
    }
}

/// The parts of a message that are not the same in all of them.
#[derive(Clone, Copy)]
struct Parts {
    has: Option<Ipv4Address>,
    wants: Option<Ipv4Address>,
    server: Option<Ipv4Address>,
}

impl Parts {
    const NONE: Parts = Parts {
        has: None,
        wants: None,
        server: None,
    };
}

/// The host's router, and whom it asks for names and for the time.
fn set_servers(node: Node<'_>, lease: &Lease) {
    node.stack.with(|core| {
        let addresses = &mut core.host.addresses;
        if let Some(router) = lease.routers.first() {
            addresses.set_gateway((*router).into());
        }
        addresses.change.dns = lease.dns.iter().map(|addr| (*addr).into()).collect();
        addresses.change.ntp = lease.ntp.iter().map(|addr| (*addr).into()).collect();
        core.has_changed();
    });
}

fn clear_servers(node: Node<'_>, lease: &Lease) {
    if let Some(router) = lease.routers.first() {
        node.remove_gateway((*router).into());
    }
    node.stack.with(|core| {
        core.host.addresses.change.dns.clear();
        core.host.addresses.change.ntp.clear();
    });
}

fn has(node: Node<'_>, address: IpCidr) -> bool {
    let of = |core: &mut Core<'_>| core.host.addresses.own.contains(&address);
    node.stack.with_quiet(of)
}

fn draw(node: Node<'_>) -> u32 {
    node.stack
        .with_quiet(|core| core.host.secrets.draw() as u32)
}
