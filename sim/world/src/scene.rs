//! A plan in the making: what scenarios draw it with. Every draw is numbered, so a
//! seed always gives the same plan.

use smoltcp::time::{Duration, Instant};

use super::attack::Attack;
use super::board::Size;
use super::draws::{Draws, Kind};
use super::fate::Fates;
use super::lie::Habits;
use super::link::Link;
use super::plan::{Blow, Caller, Goodbye, Place, Plan, Role, Server, Siege, Strike, Visitor};

/// How long after the heal everything must be finished: retransmissions back off
/// to a minute, and a client may lose patience a few times more.
const AFTER: Duration = Duration::from_secs(600);

/// A plan in the making.
pub(super) struct Scene {
    draws: Draws,
    drawn: u64,
    pub(super) plan: Plan,
}

/// The place of the server, which comes first.
pub(super) const SERVER: usize = 0;

impl Scene {
    /// A scene without any place yet, in which faults last for `horizon`.
    pub(super) fn new(scenario: &str, seed: u64, horizon: Duration) -> Self {
        let heal = Instant::ZERO + horizon;
        Scene {
            draws: Draws::new(seed),
            drawn: 0,
            plan: Plan {
                from: Some((scenario.into(), seed)),
                heal,
                limit: heal + AFTER,
                honest: false,
                places: Vec::new(),
                strikes: Vec::new(),
                fates: Fates::default(),
            },
        }
    }

    /// The plan, its strikes in the order in which they happen; those at the same
    /// time as they were added.
    pub(super) fn into_plan(mut self) -> Plan {
        self.plan.strikes.sort_by_key(|strike| strike.at);
        self.plan
    }

    pub(super) fn draw(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        self.draws.below(0, Kind::Scene, self.drawn, bound)
    }

    /// From `least` to `most`, both included.
    pub(super) fn pick(&mut self, least: u64, most: u64) -> u64 {
        least + self.draw(most - least + 1)
    }

    pub(super) fn flip(&mut self) -> bool {
        self.draw(2) == 1
    }

    pub(super) fn secret(&mut self) -> u64 {
        self.drawn += 1;
        self.draws.draw(0, Kind::Scene, self.drawn)
    }

    /// A time from `least` to `most`, in milliseconds.
    pub(super) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.pick(least, most))
    }

    pub(super) fn server(&mut self, size: Size, backlog: u16, link: Link) {
        let role = self.serves(size, backlog);
        self.plan.places.push(Place {
            name: "server".into(),
            on: None,
            link,
            role,
        });
    }

    /// What a host is that serves echo.
    pub(super) fn serves(&mut self, size: Size, backlog: u16) -> Role {
        Role::Server(Server {
            secret: self.secret(),
            size,
            backlog,
            asks: Server::ASKS,
        })
    }

    /// Adds `count` visitors; each like this, but with a secret, a start and an
    /// address of its own.
    pub(super) fn visitors(&mut self, count: u64, link: Link, visitor: Visitor) {
        let places = self.plan.places.iter();
        let visitors = places.filter(|place| matches!(place.role, Role::Visitor(_)));
        let before = visitors.count() as u64;
        for number in 1..=count {
            let visitor = Visitor {
                secret: self.secret(),
                start: visitor.start + Duration::from_micros(self.draw(20_000)),
                v6: self.flip(),
                ..visitor
            };
            self.plan.places.push(Place {
                name: format!("c{}", before + number),
                on: None,
                link,
                role: Role::Visitor(visitor),
            });
        }
    }

    /// A visitor that comes until the faults end.
    pub(super) fn visitor(&self) -> Visitor {
        Visitor {
            secret: 0,
            to: SERVER,
            v6: false,
            lanes: 1,
            visits: u32::MAX,
            until: self.plan.heal,
            requests: 3,
            bytes: 600,
            start: Duration::ZERO,
            pause: Duration::from_millis(100),
            gap: Duration::from_millis(20),
            goodbye: Goodbye::Close,
            patience: None,
        }
    }

    /// Adds a host like this, with a secret, an address and a name of its own.
    pub(super) fn callers(&mut self, link: Link, caller: Caller) {
        let caller = Caller {
            secret: self.secret(),
            v6: caller.v6 && self.flip(),
            ..caller
        };
        let what = if caller.lie.is_some() {
            "liar"
        } else {
            "stranger"
        };
        let number = self.plan.places.len();
        self.plan.places.push(Place {
            name: format!("{what}{number}"),
            on: None,
            link,
            role: Role::Caller(caller),
        });
    }

    /// A peer that comes until the faults end.
    pub(super) fn caller(&self) -> Caller {
        Caller {
            secret: 0,
            to: Some(SERVER),
            v6: true,
            lie: None,
            habits: Habits::default(),
            visits: 1,
            until: self.plan.heal,
            bytes: 600,
            waits: false,
            window: 2048,
            reads: 0,
            holds: Duration::ZERO,
            mss: 1460,
            shift: 0,
            takes: 1514,
            tells: false,
            lossless: false,
            patience: Duration::from_secs(60),
            start: Duration::ZERO,
            pause: Duration::ZERO,
        }
    }

    pub(super) fn attacker(&mut self, attack: Attack, every: Duration, start: Duration) {
        let secret = self.secret();
        self.plan.places.push(Place {
            name: "mallory".into(),
            on: None,
            link: Link::LAN,
            role: Role::Attacker(Siege {
                attack,
                secret,
                to: SERVER,
                every,
                start,
            }),
        });
    }

    fn strike(&mut self, at: Instant, place: usize, blow: Blow) {
        let at = at.min(self.plan.heal);
        self.plan.strikes.push(Strike { at, place, blow });
    }

    /// A moment before the heal, but not at the very beginning.
    fn moment(&mut self) -> Instant {
        let last = self.plan.heal.total_micros().max(2) as u64;
        Instant::from_micros(self.pick(last / 60, last - 1) as i64)
    }

    /// Something begins, and ends up to `most` later, but before the heal.
    fn spell(&mut self, most: Duration) -> (Instant, Instant) {
        let begin = self.moment();
        let lasts = self.pick(most.total_micros() / 50, most.total_micros());
        (begin, begin + Duration::from_micros(lasts))
    }

    /// Strikes at some moment.
    pub(super) fn once(&mut self, place: usize, blow: Blow) {
        let at = self.moment();
        self.strike(at, place, blow);
    }

    /// Begins at some moment and ends so much later, or at the heal.
    pub(super) fn between(&mut self, place: usize, lasts: Duration, begins: Blow, ends: Blow) {
        let at = self.moment();
        self.strike(at, place, begins);
        self.strike(at + lasts, place, ends);
    }

    pub(super) fn cut(&mut self, place: usize) {
        let (begin, end) = self.spell(Duration::from_secs(15));
        let (up, down) = [(true, false), (false, true), (true, true)][self.draw(3) as usize];
        self.strike(begin, place, Blow::Cut { up, down });
        self.strike(end, place, Blow::Join);
    }

    pub(super) fn crash(&mut self, place: usize) {
        let (begin, end) = self.spell(Duration::from_secs(10));
        if self.flip() {
            self.strike(begin, place, Blow::Crash);
        }
        self.strike(end, place, Blow::Boot);
    }

    /// For at most so long.
    pub(super) fn pause(&mut self, place: usize, most: Duration) {
        let (begin, end) = self.spell(most);
        self.strike(begin, place, Blow::Pause);
        self.strike(end, place, Blow::Resume);
    }

    /// From then on, for so long.
    pub(super) fn pause_at(&mut self, place: usize, at: Duration, lasts: Duration) {
        let begin = Instant::ZERO + at;
        self.strike(begin, place, Blow::Pause);
        self.strike(begin + lasts, place, Blow::Resume);
    }

    pub(super) fn clock(&mut self, place: usize) {
        let at = self.moment();
        let blow = match self.flip() {
            true => Blow::Jump(self.millis(10, 20_000)),
            false => Blow::Drift(self.pick(0, 1_000_000) as i32 - 500_000),
        };
        self.strike(at, place, blow);
    }

    pub(super) fn worse_link(&mut self, place: usize) {
        let (begin, end) = self.spell(Duration::from_secs(10));
        let good = self.plan.places[place].link;
        let bad = Link {
            latency: self.millis(1, 400),
            bytes_per_second: self.pick(1_000, 20_000),
            queue_bytes: self.pick(700, 4_000),
            mtu: if self.flip() { 1514 } else { 600 },
            ..good
        };
        self.strike(begin, place, Blow::Link(bad));
        self.strike(end, place, Blow::Link(good));
    }
}
