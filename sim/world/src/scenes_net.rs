//! Scenarios of hosts that have their addresses from a server, leases of a day and more, and
//! what goes wrong with them in weeks and years; and of hosts that ask for names.
//!
//! Not here: what must be so of them (`leases`, `names`).

use smoltcp::time::{Duration, Instant};

use super::board::Size;
use super::lie::{DnsQuirk, DnsQuirks, Quirk, Quirks};
use super::link::Link;
use super::plan::{Blow, DhcpClient, DhcpServer, DnsClient, DnsServer, Place, Role};
use super::scene::Scene;

const DAY: u64 = 86_400;

/// The place of the server, which comes first.
const SERVER: usize = 0;

/// The first address that a server gives; those of hosts with addresses of their own are below.
const FIRST: u16 = 256;

/// One or two servers, some hosts that have their addresses from them, and perhaps one that has
/// one of those addresses anyway.
pub(super) fn leases(scene: &mut Scene) {
    let link = troubled(scene, 20);
    let days = scene.pick(1, 7);
    let lease = Duration::from_secs(days * DAY + scene.draw(DAY));
    let clients = scene.pick(1, 3);
    let has_squatter = scene.draw(3) == 0;
    // The host behind the clients has the address of its number.
    let squats = 2 + clients as u16;
    let first = if has_squatter { squats } else { FIRST };
    let mut quirks = Quirks::of_bits(0);
    for _ in 0..scene.draw(3) {
        let one = Quirk::ALL[scene.draw(Quirk::ALL.len() as u64) as usize];
        quirks = quirks.with(one);
    }
    let server = DhcpServer {
        secret: scene.secret(),
        lease,
        first,
        count: 16,
        quirks: quirks.without(Quirk::Strays),
    };
    add(scene, "dhcp", link, Role::DhcpServer(server));
    for number in 1..=clients {
        let client = DhcpClient {
            secret: scene.secret(),
            to: SERVER,
            link_local: scene.flip(),
        };
        add(scene, &format!("c{number}"), link, Role::DhcpClient(client));
    }
    if has_squatter {
        let size = Size {
            slots: 2,
            tasks: 2,
            ..Size::SMALL
        };
        let role = scene.serves(size, 1);
        add(scene, "squatter", link, role);
    }
    if scene.draw(3) == 0 {
        let strays = scene.flip();
        let other = DhcpServer {
            secret: scene.secret(),
            first: 2 * FIRST,
            quirks: match strays {
                true => Quirks::of_bits(0).with(Quirk::Strays),
                false => Quirks::of_bits(0),
            },
            ..server
        };
        // A stray word comes before the right one.
        let near = if strays { Link::LAN } else { link };
        add(scene, "other", near, Role::DhcpServer(other));
    }
    let places = scene.plan.places.len() as u64;
    let horizon = (scene.plan.heal - Instant::ZERO).total_micros() / 1_000_000;
    // One in five days, and some more at the beginning.
    let most = 6 + horizon / (5 * DAY);
    for _ in 0..scene.pick(2, most) {
        strike(scene, places, lease);
    }
}

/// A server that knows names, others that may be of no use, and hosts that ask them.
pub(super) fn names(scene: &mut Scene) {
    let link = troubled(scene, 40);
    let count = scene.pick(1, 3);
    let knows = scene.draw(count);
    for number in 0..count {
        let mut quirks = DnsQuirks::of_bits(0);
        for _ in 0..scene.draw(4) {
            let one = DnsQuirk::ALL[scene.draw(DnsQuirk::ALL.len() as u64) as usize];
            quirks = quirks.with(one);
        }
        if number == knows {
            quirks = quirks.without(DnsQuirk::Fails).without(DnsQuirk::Mute);
        }
        let server = DnsServer {
            secret: scene.secret(),
            quirks,
        };
        add(
            scene,
            &format!("dns{}", number + 1),
            link,
            Role::DnsServer(server),
        );
    }
    for number in 1..=scene.pick(1, 2) {
        let client = DnsClient {
            secret: scene.secret(),
            to: knows as usize,
            lanes: scene.pick(1, 3) as u32,
            pause: Duration::from_secs([2, 20, 200][scene.draw(3) as usize]),
        };
        add(scene, &format!("c{number}"), link, Role::DnsClient(client));
    }
    let places = scene.plan.places.len() as u64;
    for _ in 0..scene.pick(0, 6) {
        let (place, lasts) = (scene.draw(places) as usize, scene.pick(1, 200));
        let lasts = Duration::from_secs(lasts);
        match scene.draw(4) {
            0 => scene.between(place, lasts, Blow::Crash, Blow::Boot),
            1 => {
                let (up, down) =
                    [(true, false), (false, true), (true, true)][scene.draw(3) as usize];
                scene.between(place, lasts, Blow::Cut { up, down }, Blow::Join);
            }
            2 => scene.between(place, lasts, Blow::Unplug, Blow::Plug),
            // How long a client takes is measured.
            _ if place < count as usize => {
                scene.between(place, lasts, Blow::Pause, Blow::Resume);
            }
            _ => (),
        }
    }
}

/// A server of echo and who visits it, a server of addresses and who has one from it, and
/// cables that are pulled and put in again: for less than a frame takes, for less than a
/// retransmission, or for a minute.
pub(super) fn link_flaps(scene: &mut Scene) {
    let link = Link {
        latency: scene.millis(0, 20) + Duration::from_micros(50),
        jitter: scene.millis(0, 5),
        ..Link::LAN
    };
    scene.server(Size::SMALL, 8, link);
    let visitor = scene.visitor();
    let visitors = scene.pick(1, 4);
    scene.visitors(visitors, link, visitor);
    let to = scene.plan.places.len();
    let server = DhcpServer {
        secret: scene.secret(),
        lease: Duration::from_secs(scene.pick(600, DAY)),
        first: FIRST,
        count: 16,
        quirks: Quirks::of_bits(0),
    };
    add(scene, "dhcp", link, Role::DhcpServer(server));
    for number in 1..=scene.pick(1, 2) {
        let client = DhcpClient {
            secret: scene.secret(),
            to,
            link_local: scene.flip(),
        };
        add(scene, &format!("h{number}"), link, Role::DhcpClient(client));
    }
    let places = scene.plan.places.len() as u64;
    for _ in 0..scene.pick(2, 12) {
        let place = scene.draw(places) as usize;
        let lasts = match scene.draw(3) {
            0 => scene.millis(1, 50),
            1 => scene.millis(50, 2_000),
            _ => scene.millis(2_000, 60_000),
        };
        scene.between(place, lasts, Blow::Unplug, Blow::Plug);
    }
}

/// A link that may lose, double and reorder, and takes at most so many milliseconds.
fn troubled(scene: &mut Scene, latency: u64) -> Link {
    Link {
        latency: scene.millis(0, latency) + Duration::from_micros(50),
        jitter: scene.millis(0, 5),
        loss: [0, 0, 20_000, 100_000][scene.draw(4) as usize],
        duplicate: [0, 20_000][scene.draw(2) as usize],
        reorder: [0, 20_000][scene.draw(2) as usize],
        hold: scene.millis(1, 40),
        ..Link::LAN
    }
}

/// Something goes wrong, for seconds or for days.
fn strike(scene: &mut Scene, places: u64, lease: Duration) {
    // Servers are struck as often as all others.
    let place = if scene.flip() {
        SERVER
    } else {
        scene.draw(places) as usize
    };
    let lasts = match scene.draw(4) {
        0 => scene.pick(1, 20),
        1 => scene.pick(20, 900),
        2 => scene.pick(900, DAY),
        _ => scene.pick(DAY / 4, 2 * lease.secs()),
    };
    let lasts = Duration::from_secs(lasts);
    match scene.draw(8) {
        0 | 1 => scene.between(place, lasts, Blow::Crash, Blow::Boot),
        2 => {
            let (up, down) = [(true, false), (false, true), (true, true)][scene.draw(3) as usize];
            scene.between(place, lasts, Blow::Cut { up, down }, Blow::Join);
        }
        3 => {
            let lasts = lasts.min(Duration::from_secs(DAY));
            scene.between(place, lasts, Blow::Pause, Blow::Resume);
        }
        4 | 5 => scene.between(place, lasts, Blow::Unplug, Blow::Plug),
        6 => {
            // As wrong as the servers think that a clock can be, and no more.
            let drift = scene.pick(0, 20_000) as i32 - 10_000;
            scene.between(place, lasts, Blow::Drift(drift), Blow::Drift(0));
        }
        _ => {
            let ahead = Duration::from_secs(scene.pick(1, 2 * lease.secs()));
            scene.once(place, Blow::Jump(ahead));
        }
    }
}

fn add(scene: &mut Scene, name: &str, link: Link, role: Role) {
    scene.plan.places.push(Place {
        name: name.into(),
        on: None,
        link,
        role,
    });
}
