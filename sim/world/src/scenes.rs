//! Scenarios with peers that are unlike smoltcp, or lie, and with hosts and paths that
//! such peers are behind.
//!
//! Not here: what a peer does (`stranger`).

use smoltcp::time::Duration;

use super::board::Size;
use super::lie::{Habit, Habits, Lie};
use super::link::Link;
use super::plan::{Caller, Goodbye, Role, Visitor};
use super::scene::{SERVER, Scene};

/// Loss of a link that loses.
const LOSS: u32 = 10_000;

/// How long nothing may move where nothing is lost, and where repeats back off.
const SOON: Duration = Duration::from_secs(6);
const LATER: Duration = Duration::from_secs(90);

/// How long a narrow path that tells nobody takes to be found out, to the server and back:
/// the timeouts from the first to the fifth, and what they wait for.
const FOUND_OUT: Duration = Duration::from_secs(75);

/// Honest peers, each with some habits.
pub(super) fn strangers(scene: &mut Scene) {
    let net = Net::draw(scene);
    for _ in 0..scene.pick(1, 3) {
        let mut habits = Habits::of_bits(scene.draw(64) as u8);
        if net.loss == 0 {
            habits = habits.without(Habit::Recuts);
        }
        if scene.draw(4) > 0 {
            habits = habits.without(Habit::Moves);
        }
        net.caller(scene, None, habits);
    }
    net.visitor(scene);
    if scene.draw(4) == 0 && net.loss == 0 {
        reads_late(scene);
    }
}

/// The first of them hears nothing for much longer than the server would wait for one that
/// is gone, and says nothing besides: it answers when it is asked, and smoltcp probes a
/// window that is shut ever more seldom.
fn reads_late(scene: &mut Scene) {
    let holds = scene.millis(30_000, 60_000);
    let mut is_first = true;
    for place in &mut scene.plan.places {
        match &mut place.role {
            Role::Server(server) => server.asks = Duration::from_secs(2),
            Role::Caller(caller) if std::mem::take(&mut is_first) => {
                // The server takes all of it, and half of it at most does not fit.
                (caller.window, caller.shift, caller.bytes) = (128, 0, 600);
                (caller.waits, caller.visits, caller.holds) = (true, 1, holds);
            }
            _ => (),
        }
    }
}

/// Peers that lie, an honest one, and perhaps a server that lies to another honest one.
pub(super) fn liars(scene: &mut Scene) {
    let net = Net::draw(scene);
    for _ in 0..scene.pick(1, 2) {
        let lie = Lie::ALL[scene.draw(Lie::ALL.len() as u64) as usize];
        let habits = Habits::of_bits(scene.draw(64) as u8);
        let habits = habits.without(Habit::Moves).without(Habit::Recuts);
        net.caller(scene, Some(lie), habits);
    }
    net.visitor(scene);
    if scene.flip() {
        net.lying_server(scene);
    }
}

/// Hosts that stop for seconds, and go on.
pub(super) fn late(scene: &mut Scene) {
    let net = Net::draw(scene);
    let count = scene.pick(1, 2);
    for _ in 0..count {
        net.caller(scene, None, Habits::default());
    }
    net.visitor(scene);
    for place in &mut scene.plan.places {
        match &mut place.role {
            Role::Caller(caller) => {
                (caller.lossless, caller.patience) = (false, Duration::from_secs(240));
            }
            Role::Visitor(visitor) => visitor.requests = 20,
            _ => (),
        }
    }
    let gap = scene.millis(1, 4000);
    if let Some(Role::Visitor(visitor)) = scene.plan.places.last_mut().map(|place| &mut place.role)
    {
        visitor.gap = gap;
    }
    if net.loss == 0 && scene.flip() {
        return mid_handshake(scene, net.latency);
    }
    let places = scene.plan.places.len() as u64;
    for _ in 0..scene.pick(1, 3) {
        // A handshake is given up after 20 seconds, a close after 30; and a round trip that
        // took as long as its host was away makes repeats late.
        let (place, most) = match scene.draw(3) {
            0 => (scene.draw(places) as usize, 3),
            _ if net.loss > 0 => (SERVER, 5),
            _ => (SERVER, 20),
        };
        scene.pause(place, Duration::from_secs(most));
    }
}

/// The server stops when the last word of a handshake is on its way, and for longer than
/// one may take: when it goes on, that word waits for it.
fn mid_handshake(scene: &mut Scene, latency: Duration) {
    let mut begins = None;
    for place in &mut scene.plan.places {
        match &mut place.role {
            Role::Caller(caller) if begins.is_none() => {
                // So little that all of it fits into the ring of a card.
                (caller.bytes, begins) = (400, Some(caller.start));
            }
            // Nobody else begins then.
            Role::Caller(caller) => caller.start = Duration::from_secs(30),
            Role::Visitor(visitor) => visitor.start = Duration::from_secs(30),
            _ => (),
        }
    }
    // The SYN has come over two links, and what it is answered with goes and comes as far.
    let way = latency.total_micros() * 2;
    let after = Duration::from_micros(way + 10 + scene.draw(way));
    let lasts = scene.millis(20_200, 24_000);
    scene.pause_at(SERVER, begins.unwrap_or_default() + after, lasts);
}

/// Paths that carry less than the links at their ends.
pub(super) fn narrow(scene: &mut Scene) {
    let mut net = Net::draw(scene);
    net.size.rx_bytes = net.size.rx_bytes.max(4096);
    net.size.tx_bytes = net.size.tx_bytes.max(4096);
    if let Role::Server(server) = &mut scene.plan.places[SERVER].role {
        server.size = net.size;
    }
    net.caller(scene, None, Habits::default());
    for _ in 0..2 {
        net.visitor(scene);
    }
    for place in 0..scene.plan.places.len() {
        if place != SERVER || scene.draw(4) == 0 {
            make_narrow(scene, place);
        }
    }
    // What a path swallows is found out in half a minute, each way.
    let patience = (net.loss == 0).then_some(FOUND_OUT);
    // Whoever is behind the server's link is behind its width.
    let widths: Vec<usize> = scene
        .plan
        .places
        .iter()
        .map(|place| place.link.mtu)
        .collect();
    for (place, width) in scene.plan.places.iter_mut().zip(&widths) {
        let is_six = *width.min(&widths[SERVER]) >= 1280 + 14;
        match &mut place.role {
            Role::Visitor(visitor) => {
                visitor.v6 &= is_six;
                (visitor.bytes, visitor.requests) = (6000, 4);
                visitor.patience = patience;
            }
            Role::Caller(caller) => {
                caller.v6 &= is_six;
                (caller.lossless, caller.patience) = (false, LATER);
                // What it says itself is short enough.
                caller.mss = 536;
                caller.bytes = 6000;
            }
            _ => (),
        }
    }
}

fn make_narrow(scene: &mut Scene, place: usize) {
    let mtu = match scene.flip() {
        true => scene.pick(576, 1279),
        false => scene.pick(1280, 1400),
    };
    let tells = scene.flip();
    let link = &mut scene.plan.places[place].link;
    (link.mtu, link.tells) = (mtu as usize + 14, tells);
}

/// What all hosts of a scene are behind, and what they talk to.
struct Net {
    loss: u32,
    latency: Duration,
    size: Size,
}

impl Net {
    /// Draws it, and the server.
    fn draw(scene: &mut Scene) -> Net {
        scene.plan.honest = true;
        let loss = if scene.flip() { LOSS } else { 0 };
        let latency = Duration::from_micros([50, 2_000, 20_000][scene.draw(3) as usize]);
        let mut bytes = || match scene.draw(16) {
            // So much that windows are scaled.
            0 => 128 << 10,
            1..4 => 16 << 10,
            4..12 => 2048,
            _ => 512,
        };
        let size = Size {
            slots: 8,
            tasks: 10,
            rx_bytes: bytes(),
            tx_bytes: bytes(),
            ..Size::SMALL
        };
        let net = Net {
            loss,
            latency,
            size,
        };
        let link = Link {
            // Frames come one after the other, as the ring of a card is short.
            bytes_per_second: 20_000_000,
            queue_bytes: 1 << 20,
            ..net.link()
        };
        scene.server(size, 8, link);
        net
    }

    fn link(&self) -> Link {
        Link {
            loss: self.loss,
            latency: self.latency,
            ..Link::LAN
        }
    }

    fn visitor(&self, scene: &mut Scene) {
        let visitor = Visitor {
            pause: Duration::from_millis(500),
            ..scene.visitor()
        };
        scene.visitors(1, self.link(), visitor);
    }

    /// A server that lies, and who visits it.
    fn lying_server(&self, scene: &mut Scene) {
        let lie = Lie::ALL[scene.draw(Lie::ALL.len() as u64) as usize];
        let habits = Habits::of_bits(scene.draw(64) as u8);
        let habits = habits.without(Habit::Moves).without(Habit::Recuts);
        let mut server = self.peer(scene, Some(lie), habits);
        (server.to, server.patience) = (None, LATER);
        // It takes acknowledgements for lost.
        server.lossless &= lie != Lie::Old;
        let place = scene.plan.places.len();
        scene.callers(self.link(), server);
        let goodbye = match lie {
            // Its resets are its last words.
            Lie::Beside => Goodbye::Close,
            _ => [Goodbye::Close, Goodbye::Drop, Goodbye::Half][scene.draw(3) as usize],
        };
        let visitor = Visitor {
            to: place,
            visits: 4,
            bytes: 4000,
            pause: Duration::from_millis(500),
            patience: Some(LATER),
            goodbye,
            ..scene.visitor()
        };
        scene.visitors(1, self.link(), visitor);
        let v6 = match scene.plan.places[place].role {
            Role::Caller(caller) => caller.v6,
            _ => false,
        };
        if let Some(Role::Visitor(visitor)) =
            scene.plan.places.last_mut().map(|place| &mut place.role)
        {
            visitor.v6 = v6;
        }
    }

    fn caller(&self, scene: &mut Scene, lie: Option<Lie>, habits: Habits) {
        let caller = self.peer(scene, lie, habits);
        scene.callers(self.link(), caller);
    }

    fn peer(&self, scene: &mut Scene, lie: Option<Lie>, habits: Habits) -> Caller {
        let both = (self.size.rx_bytes + self.size.tx_bytes) as u32;
        let window = [64, 256, 2048, 16 << 10, 256 << 10][scene.draw(5) as usize];
        let much = both + window.min(8192) + 4096;
        let is_long = lie.is_some() || scene.flip();
        let bytes = if is_long { much } else { 600 };
        let mut caller = Caller {
            lie,
            habits,
            visits: scene.pick(1, 4) as u32,
            bytes,
            waits: lie.is_none() && !is_long && scene.flip(),
            window,
            // It takes some seconds.
            reads: if scene.flip() {
                bytes / scene.pick(1, 5) as u32
            } else {
                0
            },
            holds: if scene.flip() {
                scene.millis(50, 3000)
            } else {
                Duration::ZERO
            },
            mss: scene.pick(536, 1460) as u16,
            // What is left of a window is worth something.
            shift: (scene.draw(8) as u8).min((window / 64).ilog2() as u8),
            takes: 1514,
            lossless: self.loss == 0 && !habits.has(Habit::Moves),
            start: scene.millis(0, 200),
            pause: scene.millis(10, 1000),
            ..scene.caller()
        };
        match lie {
            Some(Lie::Narrow) => {
                // Who tells nobody is found out in half a minute, unless it takes what nearly
                // all paths carry; a close is given up before.
                caller.tells = scene.flip();
                let least = if caller.tells { 590 } else { 1274 };
                caller.takes = scene.pick(least, 1414) as u16;
                (caller.mss, caller.v6, caller.lossless) = (1460, false, false);
                caller.window = caller.window.max(4096);
            }
            Some(Lie::Silly) => {
                caller.window = scene.pick(64, 512) as u32;
                (caller.bytes, caller.reads) =
                    (both.min(8192) + 2000, scene.pick(500, 4000) as u32);
                (caller.visits, caller.habits) = (1, caller.habits.with(Habit::Plain));
            }
            Some(Lie::Odd) => caller.bytes = 4096,
            Some(Lie::Shrink) => caller.bytes = caller.bytes.min(24_000),
            // Its windows must shut.
            Some(Lie::Trimmed | Lie::Past) => caller.holds = scene.millis(300, 3000),
            _ => (),
        }
        if is_long && lie.is_none() && scene.draw(8) == 0 {
            // A live reader whom a close takes longer than it would without progress.
            (caller.window, caller.reads) = (256, (both / 100).max(20));
            (caller.bytes, caller.shift, caller.visits) = (both + 2500, 0, 1);
        }
        let is_told = lie == Some(Lie::Narrow) && caller.tells;
        let is_quick = caller.lossless && lie != Some(Lie::Shrink);
        caller.patience = match is_quick || (is_told && self.loss == 0) {
            true => SOON,
            false => LATER,
        };
        caller
    }
}
