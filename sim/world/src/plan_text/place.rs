//! Hosts, switches and attackers from their lines. Only what they are must be said.
//! The defaults are a small server, a visitor that comes again until the faults end,
//! and a healthy local network.

use smoltcp::time::{Duration, Instant};

use super::lex::{Line, Options, Word};
use super::net::{DHCP_CLIENT, DHCP_SERVER, DNS_CLIENT, DNS_SERVER, dhcp_server, dns_server};
use super::read::Reader;
use super::wrong::{PlanError, either};
use crate::attack::Attack;
use crate::board::Size;
use crate::lie::{DnsQuirk, Habit, Habits, Lie, Quirk};
use crate::link::Link;
use crate::plan::{Caller, Goodbye, Place, Plan, Role, Server, Siege, Visitor};

/// The most places of a plan.
const PLACES_MAX: usize = 1 << 14;

/// The options of every line.
pub(super) const LINK: [&str; 5] = ["latency", "rate", "queue", "mtu", "tells"];
const ON: [&str; 1] = ["on"];
pub(super) const SERVE: [&str; 8] = [
    "secret",
    "slots",
    "tasks",
    "task-bytes",
    "rx",
    "tx",
    "backlog",
    "asks",
];
pub(super) const VISIT: [&str; 13] = [
    "to", "secret", "v6", "lanes", "visits", "until", "requests", "bytes", "start", "pause", "gap",
    "goodbye", "patience",
];
pub(super) const CALL: [&str; 19] = [
    "to", "serves", "secret", "v6", "waits", "informs", "lossless", "visits", "until", "bytes",
    "window", "reads", "holds", "mss", "shift", "takes", "patience", "start", "pause",
];
pub(super) const ATTACK: [&str; 4] = ["to", "secret", "every", "start"];
/// What a host can be.
const ROLES: [&str; 8] = [
    "serve",
    "visit",
    "stranger",
    "liar",
    "dhcp-server",
    "dhcp-client",
    "dns-server",
    "dns-client",
];

impl Reader {
    /// A place that a test makes: here it has a name and nothing else.
    pub(super) fn named(&mut self, is_link: bool, line: &mut Line<'_>) -> Result<(), PlanError> {
        let name = self.fresh(line)?;
        let places = &self.plan.places;
        if is_link && places.iter().any(|place| place.role == Role::Host) {
            return Err(name.wrong("expected all links before the first host".into()));
        }
        let role = if is_link { Role::Link } else { Role::Host };
        self.add(name, None, Link::LAN, role, Vec::new());
        Ok(())
    }

    pub(super) fn add(
        &mut self,
        name: Word<'_>,
        on: Option<usize>,
        link: Link,
        role: Role,
        left_out: Vec<String>,
    ) {
        self.plan.places.push(Place {
            name: name.text.into(),
            on,
            link,
            role,
        });
        self.left_out.push(left_out);
    }

    /// A name that no place has yet.
    fn fresh<'t>(&self, line: &mut Line<'t>) -> Result<Word<'t>, PlanError> {
        let name = line.word("a name")?;
        if self.plan.place(name.text).is_some() {
            let found = name.text;
            let wrong = format!("{found:?} is there already; give this one another name");
            return Err(name.wrong(wrong));
        }
        if self.plan.places.len() == PLACES_MAX {
            return Err(name.wrong(format!("more than {PLACES_MAX} places")));
        }
        Ok(name)
    }

    /// A switch, a host or an attacker. One that is wrong is there all the same, so that
    /// what names it is not wrong too.
    pub(super) fn place<'t>(
        &mut self,
        kind: Word<'t>,
        line: &mut Line<'t>,
    ) -> Result<(), PlanError> {
        let name = self.fresh(line)?;
        let place = self.plan.places.len();
        let (role, mut options) = match self.role(kind, name.text, line) {
            Ok(both) => both,
            Err(error) => {
                self.vague.insert(place);
                self.add(name, None, Link::LAN, Role::Switch, Vec::new());
                return Err(error);
            }
        };
        let on = options.take("on").and_then(|word| {
            let found = match self.known(word) {
                Ok(found) if self.is(found, |role| *role == Role::Switch) => return Some(found),
                Ok(_) => word.wrong(format!("{:?} is no switch", word.text)),
                Err(error) => error,
            };
            options.refuse(found);
            None
        });
        let link = link(&mut options, Link::LAN);
        let left_out = options.close(&mut self.errors);
        self.add(name, on, link, role, left_out);
        Ok(())
    }

    fn role<'t>(
        &mut self,
        kind: Word<'t>,
        name: &str,
        line: &mut Line<'t>,
    ) -> Result<(Role, Options<'t>), PlanError> {
        let all = |own: &[&'static str]| [own, &LINK, &ON].concat();
        if kind.text == "switch" {
            return Ok((Role::Switch, line.options(&all(&[]))));
        }
        if kind.text == "attacker" {
            let known = Attack::ALL.map(Attack::word);
            let attack = Attack::ALL[one_of("an attack", &known, line)?];
            let mut options = line.options(&all(&ATTACK));
            let siege = self.siege(attack, name, &mut options);
            return Ok((Role::Attacker(siege), options));
        }
        Ok(match one_of(&either(&ROLES), &ROLES, line)? {
            0 => {
                let mut options = line.options(&all(&SERVE));
                (Role::Server(server(name, &mut options)), options)
            }
            1 => {
                let mut options = line.options(&all(&VISIT));
                (Role::Visitor(self.visitor(name, &mut options)), options)
            }
            4 => {
                let words = [&DHCP_SERVER[..], &Quirk::ALL.map(Quirk::word)].concat();
                let mut options = line.options(&all(&words));
                (Role::DhcpServer(dhcp_server(name, &mut options)), options)
            }
            5 => {
                let mut options = line.options(&all(&DHCP_CLIENT));
                (
                    Role::DhcpClient(self.dhcp_client(name, &mut options)),
                    options,
                )
            }
            6 => {
                let words = [&DNS_SERVER[..], &DnsQuirk::ALL.map(DnsQuirk::word)].concat();
                let mut options = line.options(&all(&words));
                (Role::DnsServer(dns_server(name, &mut options)), options)
            }
            7 => {
                let mut options = line.options(&all(&DNS_CLIENT));
                let client = self.dns_client(name, &mut options);
                (Role::DnsClient(client), options)
            }
            does => {
                let known = Lie::ALL.map(Lie::word);
                let lie = match does {
                    2 => None,
                    _ => Some(Lie::ALL[one_of("a lie", &known, line)?]),
                };
                let words = [&CALL[..], &Habit::ALL.map(Habit::word)].concat();
                let mut options = line.options(&all(&words));
                (Role::Caller(self.caller(lie, name, &mut options)), options)
            }
        })
    }

    fn siege(&mut self, attack: Attack, name: &str, options: &mut Options<'_>) -> Siege {
        Siege {
            attack,
            to: self.server_named(options),
            secret: options.secret(name),
            every: options.time("every", Duration::from_millis(1)),
            start: options.time("start", Duration::ZERO),
        }
    }

    fn visitor(&mut self, name: &str, options: &mut Options<'_>) -> Visitor {
        const MOST: u64 = u32::MAX as u64;
        Visitor {
            to: self.server_named(options),
            secret: options.secret(name),
            v6: options.flag("v6"),
            lanes: options.number("lanes", 1, 1 << 10, 1) as u32,
            visits: options.or("visits", (u32::MAX, "all"), |word| match word.text {
                "all" => Ok(u32::MAX),
                _ => Ok(word.number("how many visits, or all,", 0, MOST)? as u32),
            }),
            until: self.until(options),
            requests: options.number("requests", 0, MOST, 3) as u32,
            bytes: options.number("bytes", 1, 1 << 30, 600) as u32,
            start: options.time("start", Duration::ZERO),
            pause: options.time("pause", Duration::from_millis(100)),
            gap: options.time("gap", Duration::from_millis(20)),
            goodbye: options.or("goodbye", (Goodbye::Close, "close"), |word| {
                let known = Goodbye::ALL.map(Goodbye::word);
                let found = known.iter().position(|known| *known == word.text);
                found.map_or_else(|| Err(word.none_of(&known)), |at| Ok(Goodbye::ALL[at]))
            }),
            patience: options.or("patience", (None, "none"), |word| match word.text {
                "none" => Ok(None),
                _ => word.time().map(Some),
            }),
        }
    }

    fn caller(&mut self, lie: Option<Lie>, name: &str, options: &mut Options<'_>) -> Caller {
        let mut habits = Habits::default();
        for habit in Habit::ALL {
            if options.flag(habit.word()) {
                habits = habits.with(habit);
            }
        }
        let serves = options.flag("serves");
        Caller {
            to: (!serves).then(|| self.server_named(options)),
            secret: options.secret(name),
            v6: options.flag("v6"),
            lie,
            habits,
            visits: options.number("visits", 0, u32::MAX.into(), 1) as u32,
            until: self.until(options),
            bytes: options.number("bytes", 1, 1 << 30, 600) as u32,
            waits: options.flag("waits"),
            window: options.number("window", 1, 1 << 20, 2048) as u32,
            reads: options.number("reads", 0, 1 << 30, 0) as u32,
            holds: options.time("holds", Duration::ZERO),
            mss: options.number("mss", 1, 1460, 1460) as u16,
            shift: options.number("shift", 0, 14, 0) as u8,
            takes: options.number("takes", 68, 1514, 1514) as u16,
            tells: options.flag("informs"),
            lossless: options.flag("lossless"),
            patience: options.time("patience", Duration::from_secs(60)),
            start: options.time("start", Duration::ZERO),
            pause: options.time("pause", Duration::ZERO),
        }
    }

    /// When it comes no more; the end of the faults is known at the end of the text.
    fn until(&mut self, options: &mut Options<'_>) -> Instant {
        let time = options.or("until", (None, "heal"), |word| Ok(Some(word.time()?)));
        if time.is_none() {
            self.until_heal.insert(self.plan.places.len());
        }
        Instant::ZERO + time.unwrap_or(Duration::ZERO)
    }

    /// The server that `to` names, or the only one there is.
    fn server_named(&mut self, options: &mut Options<'_>) -> usize {
        let example = "a server above this line, such as `host server serve`";
        self.named_or_only(options, Role::serves, "server", example)
    }

    /// The same of any kind of place.
    pub(super) fn named_or_only(
        &mut self,
        options: &mut Options<'_>,
        is_one: fn(&Role) -> bool,
        kind: &str,
        example: &str,
    ) -> usize {
        let Some(word) = options.take("to") else {
            let all = 0..self.plan.places.len();
            let servers: Vec<usize> = all.filter(|place| self.is(*place, is_one)).collect();
            if let [only] = servers[..] {
                options.left_out(format!("to={}", self.plan.places[only].name));
                return only;
            }
            options.missing(&match servers.is_empty() {
                true => example.to_owned(),
                false => format!("to=…, one of {}", self.names(&servers)),
            });
            return 0;
        };
        let error = match self.known(word) {
            Ok(to) if self.is(to, is_one) => return to,
            Ok(_) => word.wrong(format!("{:?} is no {kind}", word.text)),
            Err(error) => error,
        };
        options.refuse(error);
        0
    }

    fn names(&self, places: &[usize]) -> String {
        let names = places.iter().map(|&place| &*self.plan.places[place].name);
        names.take(9).collect::<Vec<_>>().join(", ")
    }

    /// Whether a place is this, as far as is known.
    pub(super) fn is(&self, place: usize, is: impl Fn(&Role) -> bool) -> bool {
        self.vague.contains(&place) || is(&self.plan.places[place].role)
    }

    /// The place that a word names.
    pub(super) fn known(&self, word: Word<'_>) -> Result<usize, PlanError> {
        known(&self.plan, word)
    }
}

fn known(plan: &Plan, word: Word<'_>) -> Result<usize, PlanError> {
    plan.place(word.text).ok_or_else(|| {
        let places = plan.places.iter().map(|place| &*place.name);
        let names: Vec<&str> = places.take(9).collect();
        let known = match names.len() {
            0 => "there is none yet".into(),
            _ => format!("so far there are {}", names.join(", ")),
        };
        word.wrong(format!(
            "expected a host or switch, found {:?}; {known}",
            word.text
        ))
    })
}

/// The next word, which is one of these; gives which.
fn one_of(what: &str, known: &[&str], line: &mut Line<'_>) -> Result<usize, PlanError> {
    let word = line.word(what)?;
    let found = known.iter().position(|known| *known == word.text);
    found.ok_or_else(|| word.none_of(known))
}

fn server(name: &str, options: &mut Options<'_>) -> Server {
    let small = Size::SMALL;
    let slots = options.number("slots", 1, 1 << 16, small.slots as u64) as usize;
    // Some for listeners, and for what is not done with a connection.
    let tasks = slots + small.tasks - small.slots;
    let size = Size {
        slots,
        tasks: options.number("tasks", 1, 1 << 16, tasks as u64) as usize,
        task_bytes: options.number("task-bytes", 64, 1 << 16, small.task_bytes as u64) as usize,
        rx_bytes: options.number("rx", 64, 1 << 20, small.rx_bytes as u64) as usize,
        tx_bytes: options.number("tx", 64, 1 << 20, small.tx_bytes as u64) as usize,
    };
    Server {
        secret: options.secret(name),
        size,
        backlog: options.number("backlog", 0, 1 << 15, 8) as u16,
        asks: options.time("asks", Server::ASKS),
    }
}

/// What is left out is as in `default`.
pub(super) fn link(options: &mut Options<'_>, default: Link) -> Link {
    Link {
        latency: options.time("latency", default.latency),
        bytes_per_second: options.number("rate", 0, 1 << 40, default.bytes_per_second),
        queue_bytes: options.number("queue", 0, 1 << 40, default.queue_bytes),
        mtu: options.number("mtu", 60, 1514, default.mtu as u64) as usize,
        tells: options.flag("tells"),
        ..Link::LAN
    }
}
