//! What happens when something happens: a fault strikes, a frame arrives, a host
//! takes a turn.

use cygnet::event::Event;
use cygnet_lockstep::FRAME_BYTES;
use smoltcp::time::{Duration, Instant};

use super::fate::{Lost, Twists};
use super::fault::Fault;
use super::identity;
use super::ids::{AttackerId, End, HostId, LinkId, SwitchId};
use super::log::Arrival;
use super::machine::Broken;
use super::network::World;
use super::parts::{Intruder, Switch, Wire};
use super::queue::{Next, What};
use super::router::too_big;
use super::spare;

impl World {
    #[inline]
    pub(super) fn step(&mut self, next: &Next) {
        let at = next.at;
        let Some(what) = self.queue.take(next) else {
            return;
        };
        self.now = at;
        self.log.now.set(at);
        self.steps += 1;
        self.log.acting.set(None);
        match what {
            What::Fault(fault) => self.strike(*fault),
            What::Attack { attacker } => self.attack(attacker),
            What::Deliver {
                link,
                to,
                frame,
                sent,
            } => self.deliver(link, to, frame, sent),
            What::Turn { host } => {
                if self.hosts[host].wake_at == Some(at) {
                    self.hosts[host].wake_at = None;
                    self.turn(host);
                    if self.hosts[host].is_due_for_audit() {
                        self.audit_host(&self.hosts[host]);
                    }
                }
                if self.hosts[host].wake_at.is_none() {
                    self.queue.no_turn(host);
                }
            }
        }
    }

    fn strike(&mut self, fault: Fault) {
        let now = self.now;
        self.log.fault(&fault);
        self.struck = now;
        match fault {
            Fault::Crash(host) => {
                self.hosts[host.0].crash();
                self.effects.crashed += 1;
            }
            Fault::Boot(host) => {
                self.boot(host);
                self.effects.rebooted += 1;
            }
            Fault::Pause(host) => {
                self.hosts[host.0].paused = true;
                self.effects.paused += 1;
            }
            Fault::Resume(host) => {
                self.hosts[host.0].paused = false;
                self.wake(host.0, now);
            }
            Fault::Drift(host, ppm) => {
                self.hosts[host.0].clock.set_drift(now, ppm);
                self.effects.clocked += 1;
                self.wake(host.0, now);
            }
            Fault::Jump(host, ahead) => {
                self.hosts[host.0].clock.jump(now, ahead);
                self.effects.clocked += 1;
                self.wake(host.0, now);
            }
            Fault::Partition { link, forth, back } => {
                let [there, here] = &mut self.wires[link.0].directions;
                (there.blocked, here.blocked) = (forth, back);
            }
            Fault::Change(link, to) => {
                for direction in &mut self.wires[link.0].directions {
                    direction.link = to;
                }
            }
            Fault::Unplug(link) => {
                self.plug(link, false);
                self.effects.unplugged += 1;
            }
            Fault::Plug(link) => self.plug(link, true),
        }
    }

    /// Puts a link's cable in, or pulls it. Hosts at its ends see that.
    pub(super) fn plug(&mut self, link: LinkId, is_in: bool) {
        let Wire {
            ends, directions, ..
        } = &mut self.wires[link.0];
        for direction in directions {
            direction.unplugged = !is_in;
        }
        for end in *ends {
            if let End::Host(host) = end
                && self.hosts[host.0].link_is_down == is_in
            {
                self.hosts[host.0].link_is_down = !is_in;
                self.wake(host.0, self.now);
            }
        }
    }

    pub(super) fn boot(&mut self, host: HostId) {
        self.log.acting.set(Some(host));
        let before = self.refused_spawns(host);
        if let Err(broken) = self.hosts[host.0].boot(self.now) {
            return self.broke(host, &broken);
        }
        self.look_at_spawns(host, before);
        if self.hosts[host.0].is_tenant {
            let hardware = identity::hardware(host);
            self.leases
                .borrow_mut()
                .moves_in(host.0, hardware, self.now);
        }
        self.wake(host.0, self.now);
    }

    /// A machine cannot go on: it is off from now on, and the run is over.
    fn broke(&mut self, host: HostId, broken: &Broken) {
        self.hosts[host.0].crash();
        let detail = format!("{}: {broken}", self.hosts[host.0].name);
        self.log.violated("machine", detail);
    }

    /// Plans a turn, unless an earlier one is planned.
    pub(super) fn wake(&mut self, host: usize, at: Instant) {
        let at = at.max(self.now);
        let planned = &mut self.hosts[host].wake_at;
        if planned.is_none_or(|planned| at < planned) {
            *planned = Some(at);
            self.queue.turn(at, host);
        }
    }

    fn turn(&mut self, index: usize) {
        let host = &mut self.hosts[index];
        if host.paused {
            return;
        }
        self.log.acting.set(Some(HostId(index)));
        let next = match host.turn(self.now) {
            None => return,
            Some(Ok(next)) => next,
            Some(Err(broken)) => {
                // What it was shown last is told, and what it sent is not sent.
                self.hosts[index].card.outbox.clear();
                self.tell_turn(index, None);
                return self.broke(HostId(index), &broken);
            }
        };
        let clock = host.clock;
        let (taken, sent) = (host.card.taken, host.card.outbox.len());
        let (may_take, may_send) = host.budget();
        if taken > may_take || sent > may_send {
            let name = &host.name;
            let detail = format!(
                "a turn of {name} took {taken} frames of {may_take} and sent {sent} of {may_send}"
            );
            self.log.violated("budget", detail);
        }
        if self.trial.is_strict {
            self.look_at_spawns(HostId(index), 0);
        }
        if self.hosts[index].card.seen.is_some() {
            self.tell_turn(index, next);
        }
        self.look_at_lease(index);
        let link = self.links[index];
        let mut outbox = std::mem::take(&mut self.hosts[index].card.outbox);
        for frame in outbox.drain(..) {
            self.frames += 1;
            self.send(link, End::Host(HostId(index)), frame);
        }
        self.hosts[index].card.outbox = outbox; // its memory is used again
        if let Some(local) = next {
            let at = clock.world(local).max(self.now + Duration::from_micros(1));
            self.wake(index, at);
        }
    }

    /// Tells what a machine did that tells nothing itself.
    fn tell_turn(&mut self, index: usize, next: Option<Instant>) {
        let host = &mut self.hosts[index];
        let Some(seen) = host.card.seen.as_mut().map(std::mem::take) else {
            return;
        };
        let (id, local) = (HostId(index), host.clock.local(self.now));
        for frame in &seen {
            self.log.host(id, local, &Event::FrameIn(frame));
        }
        for line in std::mem::take(&mut host.card.printed) {
            self.log.printed(id, &line);
            host.printed.push(line);
        }
        let mut sizes = host.card.outbox.iter().map(Vec::len);
        if let Some(bytes) = sizes.find(|bytes| !FRAME_BYTES.contains(bytes)) {
            let name = &host.name;
            let detail = format!(
                "{name}: it sent a frame of {bytes} bytes; an Ethernet frame has 14 to 1514 \
                 without its checksum"
            );
            self.log.violated("machine", detail);
            host.card.outbox.clear();
        }
        for frame in &host.card.outbox {
            self.log.host(id, local, &Event::FrameOut(frame));
        }
        let (received, sent) = (seen.len(), host.card.outbox.len());
        self.log.turned(id, received, sent, next);
    }

    fn attack(&mut self, index: usize) {
        let Intruder {
            attacker,
            link,
            sent,
        } = &mut self.attackers[index];
        if self.now >= attacker.until {
            return;
        }
        let (frame, link) = (attacker.frame(*sent), *link);
        *sent += 1;
        let next = self.now + attacker.every.max(Duration::from_micros(1));
        self.queue.push(next, What::Attack { attacker: index });
        self.effects.attacked += 1;
        self.send(link, End::Attacker(AttackerId(index)), frame);
    }

    fn send(&mut self, link: Option<LinkId>, from: End, frame: Vec<u8>) {
        let Some(link) = link else { return };
        let Wire {
            ends, directions, ..
        } = &mut self.wires[link.0];
        let way = usize::from(ends[0] != from);
        let to = ends[1 - way];
        let direction = &mut directions[way];
        let mut twists = Twists::new();
        let fate = direction.decide(self.now, &frame, &self.chance, &mut twists);
        let told = match fate.lost() == Some(Lost::TooLong) && direction.link.tells {
            true => too_big(&frame, direction.link.mtu),
            false => None,
        };
        let sent = self.log.sent((from, to), (&fate, &twists), &frame);
        if let Some(facts) = &mut self.recorded {
            facts.extend(twists.iter().map(|twist| (fate.frame, *twist)));
        }
        let queue = &mut self.queue;
        fate.arrive(frame, |at, frame| {
            let what = What::Deliver {
                link,
                to,
                frame,
                sent,
            };
            queue.push(at, what);
        });
        if let Some(told) = told {
            self.effects.told += 1;
            self.send(Some(link), to, told);
        }
    }

    fn deliver(&mut self, link: LinkId, to: End, frame: Vec<u8>, sent: u64) {
        let how = match to {
            End::Host(HostId(index)) => {
                let host = &mut self.hosts[index];
                if host.is_tenant {
                    self.leases.borrow_mut().arrives(index, &frame, self.now);
                }
                if !host.is_up() {
                    self.effects.unheard += 1;
                    Arrival::Down
                } else if !host.card.deliver(frame) {
                    self.effects.overrun += 1;
                    Arrival::RingFull
                } else {
                    if !host.paused {
                        self.wake(index, self.now);
                    }
                    Arrival::Taken
                }
            }
            End::Attacker(_) => Arrival::Taken,
            End::Switch(SwitchId(index)) => {
                self.log.arrived(sent, to, Arrival::Taken);
                return self.forward(index, link, frame);
            }
        };
        self.log.arrived(sent, to, how);
    }

    /// A learning switch: to where the address was seen, or to everywhere else.
    fn forward(&mut self, switch: usize, from: LinkId, frame: Vec<u8>) {
        let Some((addresses, _)) = frame.split_first_chunk::<12>() else {
            return;
        };
        let address = |at: usize| {
            let mut number = [0; 8];
            number[..6].copy_from_slice(&addresses[at..at + 6]);
            u64::from_le_bytes(number)
        };
        let (to, source) = (address(0), address(6));
        let Switch { links, table } = &mut self.switches[switch];
        // The lowest bit of the first byte is set in addresses of groups.
        if source & 1 == 0 {
            table.learn(source, from);
        }
        let here = End::Switch(SwitchId(switch));
        match table.find(to) {
            Some(link) if link != from => self.send(Some(link), here, frame),
            Some(_) => spare::give(frame),
            None => {
                for index in 0..links.len() {
                    let link = self.switches[switch].links[index];
                    if link != from {
                        self.send(Some(link), here, spare::copy(&frame));
                    }
                }
                spare::give(frame);
            }
        }
    }
}
