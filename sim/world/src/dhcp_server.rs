//! A DHCP server (RFC 2131) as a machine. It keeps its leases in a book that outlives a
//! boot, unless it forgets them, by a clock that no fault touches; it tells `leases` what it
//! gives, so that what a client makes of it can be judged.
//!
//! Not here: messages (`dhcp_message`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{DhcpMessageType, EthernetAddress, IpAddress, Ipv4Address};

use crate::card::Card;
use crate::dhcp_message::{Answer, Message, SERVER_PORT, read};
use crate::draws::keyed;
use crate::effects::Effects;
use crate::identity::Identity;
use crate::ids::HostId;
use crate::leases::Leases;
use crate::lie::Quirk;
use crate::log::Witness;
use crate::machine::{Broken, Entropy, Machine};
use crate::network::World;
use crate::plan::DhcpServer;
use crate::segment::{Address, Heard, hear, here};

/// How long an address that was offered is kept for who may ask for it.
const OFFERED: Duration = Duration::from_secs(120);

/// Where a server is that has moved.
const MOVED: u32 = 3 << 8;

/// Of so many answers one is an odd one.
const ODD: u64 = 4;

/// The latest answer of a slow server.
const LATE: u64 = 20_000_000;

/// An address in the book, by its number.
#[derive(Clone, Copy, Debug)]
struct Entry {
    number: u32,
    until: Instant,
    /// It was asked for, and given.
    is_given: bool,
}

/// See the [module](self).
struct DhcpHost {
    server: DhcpServer,
    /// What is odd about it is so until then.
    until: Instant,
    witness: Witness,
    leases: Rc<RefCell<Leases>>,
    effects: Rc<RefCell<Effects>>,
    me: Option<Address>,
    boots: u64,
    /// It has another address than its own, and gives others.
    has_moved: bool,
    answered: u64,
    book: BTreeMap<EthernetAddress, Entry>,
    /// Addresses that somebody has found with another host, and until when they are not given.
    declined: BTreeMap<u32, Instant>,
    /// What it has yet to say, by its own clock.
    held: BTreeMap<(Instant, u64), Vec<u8>>,
}

/// Adds a server to a world. What is odd about it is so until then.
pub(super) fn add(
    world: &mut World,
    name: &str,
    server: DhcpServer,
    (until, effects): (Instant, Rc<RefCell<Effects>>),
) -> HostId {
    for quirk in server.quirks.iter() {
        *quirk.row(&mut world.planned) += 1;
    }
    let host = DhcpHost {
        server,
        until,
        witness: world.witness(),
        leases: Rc::clone(&world.leases),
        effects,
        me: None,
        boots: 0,
        has_moved: false,
        answered: 0,
        book: BTreeMap::new(),
        declined: BTreeMap::new(),
        held: BTreeMap::new(),
    };
    world.machine_with_secret(name, server.secret, host)
}

impl DhcpHost {
    /// Whether it is odd in this way now; that is counted. What keeps nobody from an address
    /// who does as the RFC says goes on when the faults end.
    fn is(&self, quirk: Quirk) -> bool {
        let lasts = matches!(quirk, Quirk::Strays | Quirk::Replays);
        let is = self.server.quirks.has(quirk) && (lasts || self.witness.now() < self.until);
        if is {
            *quirk.row(&mut self.effects.borrow_mut()) += 1;
        }
        is
    }

    /// Whether it is odd in this way for once, by chance.
    fn is_now(&self, quirk: Quirk) -> bool {
        self.draw(quirk as u8).is_multiple_of(ODD) && self.is(quirk)
    }

    fn draw(&self, kind: u8) -> u64 {
        keyed(self.server.secret, self.answered, kind, 40)
    }

    /// The first address that it gives now.
    fn first(&self) -> u32 {
        let more = if self.has_moved { self.server.count } else { 0 };
        u32::from(self.server.first) + u32::from(more)
    }

    fn gives(&self, number: u32) -> bool {
        number
            .checked_sub(self.first())
            .is_some_and(|at| at < self.server.count.into())
    }

    /// Nobody else has it, as far as it knows.
    fn is_free(&self, number: u32, hardware: EthernetAddress) -> bool {
        let now = self.witness.now();
        let others = self.book.iter().filter(|(whose, _)| **whose != hardware);
        let mut taken = others.filter(|(_, entry)| entry.number == number && entry.until > now);
        let declined = self.declined.get(&number).is_some_and(|until| *until > now);
        self.gives(number) && !declined && taken.next().is_none()
    }

    /// The address for a client: its last, or the one that it wants, or any.
    fn choose(&self, asked: &Message) -> Option<u32> {
        let before = self.book.get(&asked.hardware).map(|entry| entry.number);
        let wanted = asked.wants.map(number);
        let all = self.first()..self.first() + u32::from(self.server.count);
        let mut all = before.into_iter().chain(wanted).chain(all);
        all.find(|number| self.is_free(*number, asked.hardware))
    }

    fn hear(&mut self, asked: &Message, card: &mut Card, now: Instant) {
        self.answered += 1;
        let Some(me) = self.me else { return };
        let is_mine = asked
            .server
            .is_some_and(|server| IpAddress::from(server) == me.ip);
        let answer = match asked.kind {
            DhcpMessageType::Discover if !self.server.quirks.has(Quirk::Strays) => {
                self.offer(asked)
            }
            DhcpMessageType::Request if self.server.quirks.has(Quirk::Strays) => {
                let refuses = asked.server.is_some() && !is_mine && self.is(Quirk::Strays);
                refuses.then(nak)
            }
            DhcpMessageType::Request if asked.server.is_some() && !is_mine => {
                // It has chosen another server: what was offered is free again.
                let offered = self
                    .book
                    .get(&asked.hardware)
                    .filter(|entry| !entry.is_given);
                if offered.is_some() {
                    self.book.remove(&asked.hardware);
                }
                None
            }
            DhcpMessageType::Request => self.request(asked),
            DhcpMessageType::Decline if is_mine => {
                self.book.remove(&asked.hardware);
                let until = self.witness.now() + self.server.lease;
                self.declined
                    .extend(asked.wants.map(|addr| (number(addr), until)));
                None
            }
            _ => None,
        };
        if let Some(answer) = answer {
            self.answer(me, asked, answer, card, now);
        }
    }

    fn offer(&mut self, asked: &Message) -> Option<Answer> {
        let number = self.choose(asked)?;
        let entry = self.book.entry(asked.hardware).or_insert(Entry {
            number,
            until: Instant::ZERO,
            is_given: false,
        });
        if entry.number != number {
            (entry.number, entry.until, entry.is_given) = (number, Instant::ZERO, false);
        }
        entry.until = entry.until.max(self.witness.now() + OFFERED);
        Some(self.gift(DhcpMessageType::Offer, number))
    }

    fn request(&mut self, asked: &Message) -> Option<Answer> {
        let wanted = number(asked.has.or(asked.wants)?);
        let known = self.book.get(&asked.hardware).map(|entry| entry.number);
        let is_free = self.is_free(wanted, asked.hardware);
        match known {
            _ if self.is_now(Quirk::Refuses) => Some(nak()),
            Some(known) if known == wanted && is_free => {
                let answer = self.gift(DhcpMessageType::Ack, wanted);
                self.give(asked, wanted, answer.seconds);
                Some(answer)
            }
            // It knows that this is wrong.
            Some(_) => Some(nak()),
            None if !is_free || asked.has.is_some() => Some(nak()),
            // Another server may know.
            None => None,
        }
    }

    /// Gives an address, and says so where it is judged what comes of it. One for no time is
    /// no gift.
    fn give(&mut self, asked: &Message, number: u32, seconds: u32) {
        let now = self.witness.now();
        let until = match seconds {
            0 => return,
            u32::MAX => Instant::from_micros(i64::MAX / 2),
            // Clocks differ.
            _ => now + Duration::from_millis(u64::from(seconds) * 1020),
        };
        // What was promised before holds: nobody knows whether this answer is heard.
        let before = self.book.get(&asked.hardware);
        let before = before.filter(|entry| entry.number == number && entry.is_given);
        let until = before.map_or(until, |entry| entry.until.max(until));
        let given = Entry {
            number,
            until,
            is_given: true,
        };
        self.book.insert(asked.hardware, given);
        let whom = (asked.hardware, asked.xid);
        self.leases
            .borrow_mut()
            .give(whom, addr(number), (now, until));
    }

    fn gift(&self, kind: DhcpMessageType, number: u32) -> Answer {
        let seconds = self.server.lease.secs() as u32;
        let seconds = match () {
            () if self.is_now(Quirk::Zero) => 0,
            () if self.is_now(Quirk::Forever) => u32::MAX,
            () => seconds,
        };
        let odd = self.is_now(Quirk::Odd);
        Answer {
            kind,
            yours: addr(number),
            seconds,
            times: odd.then(|| (seconds.saturating_add(5), 1)),
        }
    }

    fn answer(
        &mut self,
        me: Address,
        asked: &Message,
        answer: Answer,
        card: &mut Card,
        now: Instant,
    ) {
        let is_nak = answer.kind == DhcpMessageType::Nak;
        // RFC 2131, 4.1: a refusal is for everybody.
        let to_all = is_nak || (asked.has.is_none() && asked.to_all) || self.is(Quirk::Shouts);
        let frame = answer.frame(me, asked, to_all);
        if !is_nak && self.is(Quirk::Replays) {
            let before = Message {
                xid: asked.xid ^ 1,
                ..*asked
            };
            card.send(nak().frame(me, &before, true));
        }
        match self.is_now(Quirk::Slow) {
            true => {
                let late = Duration::from_micros(self.draw(99) % LATE);
                self.held.insert((now + late, self.answered), frame);
            }
            false => card.send(frame),
        }
    }
}

impl Machine for DhcpHost {
    fn boot(&mut self, who: &Identity, _: Entropy, _: Instant) -> Result<(), Broken> {
        self.boots += 1;
        self.held.clear();
        self.book.retain(|_, entry| entry.is_given);
        if !self.book.is_empty() && self.is(Quirk::Forgets) {
            self.book.clear();
            self.declined.clear();
        }
        self.has_moved = self.boots.is_multiple_of(2) && self.is(Quirk::Moves);
        let ip = match who.addresses[0].address() {
            IpAddress::Ipv4(own) if self.has_moved => addr(MOVED + (number(own) & 0xff)).into(),
            own => own,
        };
        let hardware = who.hardware;
        self.me = Some(Address { hardware, ip });
        Ok(())
    }

    fn turn(&mut self, card: &mut Card, now: Instant) -> Result<Option<Instant>, Broken> {
        while let Some(frame) = card.receive() {
            let Some(me) = self.me else { continue };
            match hear(&frame, me) {
                Some(Heard::Asked(who, ip)) if ip == me.ip => card.send(here(me, who)),
                _ => {
                    if let Some(asked) = read(&frame, SERVER_PORT) {
                        self.hear(&asked, card, now);
                    }
                }
            }
        }
        while let Some(first) = self.held.first_entry()
            && first.key().0 <= now
        {
            card.send(first.remove());
        }
        Ok(self.held.keys().next().map(|(at, _)| *at))
    }

    fn power_off(&mut self) {
        self.me = None;
    }
}

fn nak() -> Answer {
    Answer {
        kind: DhcpMessageType::Nak,
        yours: Ipv4Address::UNSPECIFIED,
        seconds: 0,
        times: None,
    }
}

/// The address of this number, and the number of an address.
fn addr(number: u32) -> Ipv4Address {
    Ipv4Address::from_bits((10 << 24) | number)
}

fn number(addr: Ipv4Address) -> u32 {
    addr.to_bits() ^ (10 << 24)
}
