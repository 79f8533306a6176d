//! A plan: everything that happens in a run, as facts. Hosts and switches, what
//! they do, faults with their times, and the twists of single frames. A run of a
//! plan draws nothing: whoever has the plan has the run.
//!
//! A plan is made by a scenario from a seed, recorded of a test's own world
//! ([`check`](crate::check())), or read from a file
//! ([`parse`](super::plan_text)). In one made by a scenario, links have rates,
//! and frames draw their fates; run it with
//! [`record`](super::World::record) to get the fates as facts. The text of a plan
//! has no rates.
//!
//! Not here: running it. That is `stage.rs`.

use smoltcp::time::{Duration, Instant};

use super::attack::Attack;
use super::board::Size;
use super::fate::Fates;
use super::lie::{DnsQuirks, Habits, Lie, Quirks};
use super::link::Link;

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The scenario or the test, and the seed it was made from.
    pub from: Option<(String, u64)>,
    /// When faults end.
    pub heal: Instant,
    /// When everything must be finished.
    pub limit: Instant,
    /// No client may ever be reset.
    pub honest: bool,
    /// Switches and hosts; each has one link, to a switch named before it. In a plan of
    /// a test, links and then hosts, as the test makes them.
    pub places: Vec<Place>,
    /// What goes wrong when, and with whom.
    pub strikes: Vec<Strike>,
    /// What happens to which frame. A link's number is its place's.
    pub fates: Fates,
}

/// A switch or a host, and its link to the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name, which is also its link's.
    pub name: String,
    /// The place of the switch it hangs on; `None` is the one in the middle.
    pub on: Option<usize>,
    /// The link.
    pub link: Link,
    /// What it is.
    pub role: Role,
}

/// What a place is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A switch.
    Switch,
    /// A host that serves echo.
    Server(Server),
    /// A host that opens connections to a server.
    Visitor(Visitor),
    /// A TCP peer that is unlike ours, and visits a server.
    Caller(Caller),
    /// A host that gives others their addresses.
    DhcpServer(DhcpServer),
    /// A host of ours that has its address from one.
    DhcpClient(DhcpClient),
    /// A host that knows the addresses of names.
    DnsServer(DnsServer),
    /// A host of ours that asks for them.
    DnsClient(DnsClient),
    /// No host at all, and no friend.
    Attacker(Siege),
    /// A link of a test's own world.
    Link,
    /// A host of a test's own world.
    Host,
}

impl Role {
    /// Whether it is a host, which can be switched off.
    pub fn is_host(&self) -> bool {
        !matches!(self, Role::Switch | Role::Attacker(_) | Role::Link)
    }

    /// Whether it is a host that is no node of this library.
    pub(super) fn is_machine(&self) -> bool {
        matches!(self, Role::Caller(_) | Role::DhcpServer(_))
    }

    /// The place without which it makes no sense.
    pub(super) fn needs(&self) -> Option<usize> {
        match self {
            Role::Visitor(visitor) => Some(visitor.to),
            Role::Caller(caller) => caller.to,
            Role::Attacker(siege) => Some(siege.to),
            Role::DhcpClient(client) => Some(client.to),
            Role::DnsClient(client) => Some(client.to),
            _ => None,
        }
    }

    /// That place, to change it.
    pub(super) fn needs_mut(&mut self) -> Option<&mut usize> {
        match self {
            Role::Visitor(visitor) => Some(&mut visitor.to),
            Role::Caller(caller) => caller.to.as_mut(),
            Role::Attacker(siege) => Some(&mut siege.to),
            Role::DhcpClient(client) => Some(&mut client.to),
            Role::DnsClient(client) => Some(&mut client.to),
            _ => None,
        }
    }

    /// Whether it serves echo on port 7.
    pub fn serves(&self) -> bool {
        matches!(
            self,
            Role::Server(_) | Role::Caller(Caller { to: None, .. })
        )
    }

    /// Whether a test makes it, and a plan only names it.
    pub fn is_of_test(&self) -> bool {
        matches!(self, Role::Link | Role::Host)
    }
}

/// An attack on a server, until the faults end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Siege {
    /// What it sends.
    pub attack: Attack,
    /// What its frames follow from.
    pub secret: u64,
    /// The place of the server.
    pub to: usize,
    /// Between two frames.
    pub every: Duration,
    /// Before the first.
    pub start: Duration,
}

/// A host that serves echo on port 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// What its sequence numbers and ports follow from.
    pub secret: u64,
    /// Its memory.
    pub size: Size,
    /// Connections that may wait for `accept`.
    pub backlog: u16,
    /// How long a peer may be silent before it is asked whether it is there.
    pub asks: Duration,
}

impl Server {
    /// [`asks`](Server::asks) unless a plan says otherwise.
    pub const ASKS: Duration = Duration::from_secs(20);
}

/// How a visitor ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// It closes, and waits until that is acknowledged.
    Close,
    /// It closes in the background.
    Drop,
    /// It closes its half behind the last request, reads the rest, then closes.
    Half,
    /// It resets.
    Abort,
}

impl Goodbye {
    /// All of them.
    pub const ALL: [Goodbye; 4] = [Goodbye::Close, Goodbye::Drop, Goodbye::Half, Goodbye::Abort];

    /// How a plan's text says it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Goodbye::Close => "close",
            Goodbye::Drop => "drop",
            Goodbye::Half => "half",
            Goodbye::Abort => "abort",
        }
    }
}

/// A host that connects, says something, checks the echo, and comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// What its sequence numbers, ports and words follow from.
    pub secret: u64,
    /// The place of the server.
    pub to: usize,
    /// Over IPv6.
    pub v6: bool,
    /// So many connections at a time.
    pub lanes: u32,
    /// So many connections one after another, in each lane.
    pub visits: u32,
    /// No new connection after this.
    pub until: Instant,
    /// Requests in a connection.
    pub requests: u32,
    /// The longest request.
    pub bytes: u32,
    /// Before the first connection.
    pub start: Duration,
    /// Between two connections.
    pub pause: Duration,
    /// Between two requests.
    pub gap: Duration,
    /// How it ends a connection.
    pub goodbye: Goodbye,
    /// How long it may wait for the next byte of an answer: then that is a violation.
    pub patience: Option<Duration>,
}

/// A host with a TCP of its own: a stranger, or a liar. It says a stream to the server's
/// echo, hears it again, judges what it hears, and comes again; or it is such a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// What its numbers, words and lies follow from.
    pub secret: u64,
    /// The place of the server; `None`: it serves echo on port 7 itself.
    pub to: Option<usize>,
    /// Over IPv6.
    pub v6: bool,
    /// In what it does not obey the RFCs.
    pub lie: Option<Lie>,
    /// In what it is unlike smoltcp, and obeys them.
    pub habits: Habits,
    /// So many connections, one after the other.
    pub visits: u32,
    /// No new connection after this.
    pub until: Instant,
    /// The longest stream; that of a liar.
    pub bytes: u32,
    /// It ends its stream when all is heard, not before.
    pub waits: bool,
    /// Its receive buffer.
    pub window: u32,
    /// Bytes a second that its program reads; 0 is no limit.
    pub reads: u32,
    /// Its program reads nothing for so long at first.
    pub holds: Duration,
    /// The longest segment that it says it takes.
    pub mss: u16,
    /// By how much it scales its windows.
    pub shift: u8,
    /// The longest frame that a liar of that kind takes, and whether it tells.
    pub takes: u16,
    /// See `takes`.
    pub tells: bool,
    /// Nothing is lost on its way to the server and back: what it has to repeat was not
    /// heard.
    pub lossless: bool,
    /// How long nothing may move while it could.
    pub patience: Duration,
    /// Before the first connection.
    pub start: Duration,
    /// Between two connections.
    pub pause: Duration,
}

/// A host that gives others their addresses (RFC 2131).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DhcpServer {
    /// What its chance follows from.
    pub secret: u64,
    /// For how long it gives one.
    pub lease: Duration,
    /// The first that it gives: 1 is 10.0.0.1, 256 is 10.0.1.0.
    pub first: u16,
    /// How many it has to give.
    pub count: u16,
    /// What is odd about it, until the faults end.
    pub quirks: Quirks,
}

/// A host of ours that has its address from a DHCP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DhcpClient {
    /// What its questions' numbers follow from.
    pub secret: u64,
    /// The place of a server that gives it an address once the faults are over.
    pub to: usize,
    /// Until one answers it takes an address that is good on the link alone.
    pub link_local: bool,
}

/// A host that knows the addresses of names (RFC 1035).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsServer {
    /// What its sequence numbers and ports follow from.
    pub secret: u64,
    /// What is odd about it.
    pub quirks: DnsQuirks,
}

/// A host of ours that asks for addresses of names, all servers above it in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsClient {
    /// What its ports, numbers and questions follow from.
    pub secret: u64,
    /// The place of a server that knows, whatever the others say.
    pub to: usize,
    /// So many questions at a time.
    pub lanes: u32,
    /// About so long between two.
    pub pause: Duration,
}

/// Something that goes wrong, or right again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// When.
    pub at: Instant,
    /// With which place.
    pub place: usize,
    /// What.
    pub blow: Blow,
}

/// What can happen to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// Power off.
    Crash,
    /// Power on, or off and on.
    Boot,
    /// It stands still.
    Pause,
    /// It goes on.
    Resume,
    /// Its clock runs this many parts per million too fast, or too slow.
    Drift(i32),
    /// Its clock jumps ahead.
    Jump(Duration),
    /// Nothing passes away from it (`up`), or towards it (`down`).
    Cut {
        /// Away from the place.
        up: bool,
        /// Towards it.
        down: bool,
    },
    /// Everything passes again.
    Join,
    /// Its link behaves like this.
    Link(Link),
    /// Its cable is pulled, and it sees that.
    Unplug,
    /// The cable is in again.
    Plug,
}

impl Plan {
    /// How many facts it states: places that it makes, strikes and twists.
    pub fn facts(&self) -> usize {
        let places = self.places.iter();
        let made = places.filter(|place| !place.role.is_of_test()).count();
        made + self.strikes.len() + self.fates.iter().count()
    }

    /// Whether it is of a test's own world, which only that test can make.
    pub fn is_of_test(&self) -> bool {
        self.places.iter().any(|place| place.role.is_of_test())
    }

    /// The place with this name.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.iter().position(|place| place.name == name)
    }
}
