//! Machines that are not nodes of this library: they meet the same links and faults, and
//! what they do is told, hashed and judged like everything else.
#![cfg(feature = "bare")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cygnet::Node;
use cygnet::event::Event;
use cygnet_world::{
    Bare, Broken, Card, Duration, Entropy, Fault, Faults, Happening, HostId, Identity, Instant,
    Link, Machine, Wait, Watch, World, millis, percent, secs,
};
use smoltcp::socket::tcp;
use smoltcp::wire::IpEndpoint;

const PORT: u16 = 7;

/// Says 20 words and hears each again; begins anew when it is cut off.
async fn talk(node: Node<'static>, target: IpEndpoint) {
    let mut said = 0_u32;
    while said < 20 {
        let Ok(mut stream) = node.connect(target).await else {
            node.sleep(millis(200)).await;
            continue;
        };
        stream.set_read_timeout(Some(secs(5)));
        while said < 20 {
            let word = format!("word{said:04}");
            let mut heard = [0; 8];
            if stream.write_all(word.as_bytes()).await.is_err() {
                break;
            }
            let mut count = 0;
            while let Ok(more @ 1..) = stream.read(&mut heard[count..]).await {
                count += more;
                if count == heard.len() {
                    break;
                }
            }
            if count < heard.len() {
                break;
            }
            assert_eq!(heard, word.as_bytes());
            said += 1;
            node.sleep(millis(20)).await;
        }
    }
}

fn client(world: &mut World, name: &str, target: IpEndpoint) -> HostId {
    world.host(name, move |node| {
        node.spawn_named("talk", talk(node, target))
            .expect("a free task");
    })
}

/// A bare smoltcp server between two clients of this library, and every fault.
fn stormy(world: &mut World) {
    let server = world.machine("server", Bare::echo(PORT, 4));
    let target = world.endpoint(server, PORT);
    let switch = world.switch();
    let bad = Link {
        loss: percent(3),
        duplicate: percent(2),
        reorder: percent(2),
        hold: millis(5),
        corrupt: percent(1),
        jitter: millis(1),
        ..Link::LAN
    };
    let link = world.connect(server, switch, bad);
    for name in ["ann", "bob"] {
        let host = client(world, name, target);
        world.connect(host, switch, Link::LAN);
    }
    for faults in [
        Faults::reboots().on(server),
        Faults::crashes().on(server),
        Faults::pauses().on(server),
        Faults::clocks().on(server),
        Faults::partitions().on(link),
    ] {
        let faults = faults.times(0..=1).within(secs(0)..secs(1));
        world.faults(faults.lasting(millis(1)..=millis(900)));
    }
    world.until_done(secs(900));
}

cygnet_world::test! { seeds = 0..200, fn a_bare_smoltcp_loop_serves_through_faults(world: &mut World) {
    stormy(world);
}}

/// Every line that a test's run could show.
#[derive(Clone, Default)]
struct Lines(Rc<RefCell<Vec<String>>>);

impl Watch for Lines {
    fn happened(&mut self, number: u64, at: Instant, what: &Happening<'_>) {
        let line = format!("{number} {at} {what:?}");
        self.0.borrow_mut().push(line);
    }
}

#[test]
fn the_same_seed_is_the_same_run_and_another_seed_another() {
    let run = |seed| {
        let mut world = World::new(seed);
        let lines = Lines::default();
        world.watch(lines.clone());
        stormy(&mut world);
        assert_eq!(world.violation(), None, "seed {seed}");
        (world.digest(), world.events(), lines.0.take())
    };
    for seed in 0..5 {
        let (a, b) = (run(seed), run(seed));
        assert!(a == b, "seed {seed}");
        let turns = a.2.iter().filter(|line| line.contains("Turned {")).count();
        assert!(turns > 50, "{turns} turns are told");
    }
    assert_ne!(run(0).0, run(1).0);
}

/// The sequence numbers of SYNs, of whoever calls.
#[derive(Clone, Default)]
struct Syns(Rc<RefCell<Vec<u32>>>);

impl Watch for Syns {
    fn happened(&mut self, _: u64, _: Instant, what: &Happening<'_>) {
        if let Happening::Host(_, _, Event::FrameOut(frame)) = what
            && let Some(segment) = frame.get(34..).filter(|_| frame[12..14] == [8, 0])
            && segment.len() >= 20
            && segment[13] & 0x12 == 2
        {
            let sequence = segment[4..8].try_into().expect("four bytes");
            self.0.borrow_mut().push(u32::from_be_bytes(sequence));
        }
    }
}

#[test]
fn a_smoltcp_client_begins_anew_at_every_boot_with_other_numbers() {
    let (begun, syns) = (Rc::new(RefCell::new(Vec::new())), Syns::default());
    let mut world = World::new(3);
    world.watch(syns.clone());
    let server = world.machine("server", Bare::echo(PORT, 4));
    let (target, seen) = (world.endpoint(server, PORT), begun.clone());
    let program = move |sockets: &mut smoltcp::iface::SocketSet<'static>| -> cygnet_world::Step {
        let [rx, tx] = [(); 2].map(|()| tcp::SocketBuffer::new(vec![0; 512]));
        let handle = sockets.add(tcp::Socket::new(rx, tx));
        let (seen, mut connects) = (seen.clone(), true);
        Box::new(move |interface, sockets, now| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(handle);
            if connects {
                connects = false;
                let port = 50_000;
                let context = interface.context();
                seen.borrow_mut().push(now);
                socket.connect(context, target, port).expect("a port");
            } else if socket.can_send() && socket.send_queue() == 0 && !socket.can_recv() {
                let _ = socket.send_slice(b"swan");
            }
            let heard = socket.recv(|bytes| (bytes.len(), bytes.len()));
            if heard == Ok(4) {
                socket.close();
            }
            match socket.is_active() {
                true => Wait::Until(now + Duration::from_secs(1)),
                false => Wait::Done,
            }
        })
    };
    let client = world.machine("client", Bare::new(program));
    world.connect(client, server, Link::LAN);
    world.run_until(Instant::from_secs(60), |world| world.is_done(client));
    assert!(world.is_done(client), "{}", world.waiting());
    // Its clock begins at zero again, whatever the world's shows.
    world.run_for(secs(60));
    world.at(world.now(), Fault::Boot(client));
    world.run_for(secs(60));
    assert!(world.is_done(client), "{}", world.waiting());
    assert_eq!(begun.borrow().len(), 2);
    let syns = syns.0.take();
    assert!(syns.len() == 2 && syns[0] != syns[1], "{syns:?}");
    assert!(
        begun
            .borrow()
            .iter()
            .all(|now| *now < Instant::from_secs(1))
    );
}

/// Draws, prints, and asks for a turn each second.
struct Teller {
    drawn: Rc<RefCell<Vec<u64>>>,
    breaks_at: Option<Instant>,
    floods: usize,
    frame_bytes: usize,
}

impl Machine for Teller {
    fn boot(&mut self, who: &Identity, mut entropy: Entropy, now: Instant) -> Result<(), Broken> {
        assert_eq!((&*who.name, now), ("teller", Instant::ZERO));
        let mut bytes = [0; 11];
        entropy.fill(&mut bytes);
        assert!(bytes[8..] != [0; 3]);
        self.drawn.borrow_mut().push(entropy.next_u64());
        Ok(())
    }

    fn turn(&mut self, card: &mut Card, now: Instant) -> Result<Option<Instant>, Broken> {
        card.print(format!("it is {now}"));
        for _ in 0..self.floods {
            card.send(vec![0xff; self.frame_bytes]);
        }
        match self.breaks_at {
            Some(at) if now >= at => Err(Broken::new("the swan has flown: bring another")),
            _ => Ok(Some(now + Duration::from_secs(1))),
        }
    }
}

fn teller(breaks_at: Option<Instant>, floods: usize) -> (World, HostId, Rc<RefCell<Vec<u64>>>) {
    let mut world = World::new(9);
    let drawn = Rc::default();
    let machine = Teller {
        drawn: Rc::clone(&drawn),
        breaks_at,
        floods,
        frame_bytes: 60,
    };
    let host = world.machine("teller", machine);
    (world, host, drawn)
}

#[test]
fn what_a_machine_prints_is_there_and_its_entropy_differs_at_each_boot() {
    let (mut world, host, drawn) = teller(None, 0);
    world.at(Instant::from_millis(1500), Fault::Boot(host));
    world.at(Instant::from_millis(1600), Fault::Pause(host));
    world.at(Instant::from_millis(9600), Fault::Resume(host));
    world.run_for(secs(10));
    let said = [
        "it is 0.000s",
        "it is 1.000s",
        "it is 0.000s",
        "it is 8.100s",
    ];
    assert_eq!(world.printed(host)[..4], said);
    assert_eq!(drawn.borrow().len(), 2);
    assert_ne!(drawn.borrow()[0], drawn.borrow()[1]);
    assert_eq!(*drawn.borrow(), *teller_of_two_boots().borrow());
}

fn teller_of_two_boots() -> Rc<RefCell<Vec<u64>>> {
    let (mut world, host, drawn) = teller(None, 0);
    world.at(Instant::from_millis(10), Fault::Boot(host));
    world.run_for(secs(1));
    drawn
}

#[test]
fn a_machine_that_cannot_go_on_is_a_violation_with_its_name() {
    let (mut world, host, _) = teller(Some(Instant::from_secs(2)), 0);
    world.run_for(secs(10));
    let violation = world.violation().expect("it broke");
    assert_eq!(violation.invariant, "machine");
    assert_eq!(violation.host, Some(host));
    assert_eq!(violation.at, Instant::from_secs(2));
    assert_eq!(
        violation.detail,
        "teller: the swan has flown: bring another"
    );
    assert!(!world.is_done(host), "it is off");
}

/// Sends this, prints this, and wants this many turns more, a second apart.
struct Does(&'static [u8], &'static str, u32);

impl Machine for Does {
    fn boot(&mut self, _: &Identity, _: Entropy, _: Instant) -> Result<(), Broken> {
        Ok(())
    }

    fn turn(&mut self, card: &mut Card, now: Instant) -> Result<Option<Instant>, Broken> {
        card.send(self.0.to_vec());
        card.print(self.1);
        self.2 -= 1;
        Ok((self.2 > 0).then_some(now + Duration::from_secs(1)))
    }
}

#[test]
fn what_a_machine_sends_prints_and_wants_is_in_the_digest() {
    let digest = |does: Does, time| {
        let mut world = World::new(1);
        world.machine("it", does);
        world.run_for(time);
        (world.digest(), world.events())
    };
    let run = |does| digest(does, millis(500));
    let (a, b) = (&[1; 60], &[2; 60]);
    let plain = run(Does(a, "swan", 1));
    assert_eq!(run(Does(a, "swan", 1)), plain);
    for other in [Does(b, "swan", 1), Does(a, "sway", 1), Does(a, "swan", 2)] {
        let other = run(other);
        assert_eq!(other.1, plain.1, "the same events");
        assert_ne!(other.0, plain.0);
    }
}

#[test]
fn a_machine_that_sends_what_is_no_frame_is_a_violation() {
    for (frame_bytes, is_frame) in [
        (0, false),
        (13, false),
        (14, true),
        (1514, true),
        (1515, false),
    ] {
        let mut world = World::new(9);
        let machine = Teller {
            drawn: Rc::default(),
            breaks_at: None,
            floods: 1,
            frame_bytes,
        };
        let host = world.machine("teller", machine);
        let other = world.host("other", |_| ());
        let link = Link {
            corrupt: percent(100),
            ..Link::LAN
        };
        world.connect(host, other, link);
        world.run_for(secs(1));
        let violation = world.violation().map(|it| it.detail);
        let said = format!("teller: it sent a frame of {frame_bytes} bytes; ");
        assert_eq!(violation.is_none(), is_frame, "{violation:?}");
        assert!(violation.is_none_or(|it| it.starts_with(&said)));
    }
}

#[test]
fn what_a_machine_saw_last_is_told() {
    let lines = Lines::default();
    let (mut world, host, _) = teller(Some(Instant::ZERO), 3);
    world.watch(lines.clone());
    world.run_for(secs(1));
    assert_eq!(world.printed(host), ["it is 0.000s"]);
    let lines = lines.0.take();
    let last = lines.last().expect("events");
    assert!(
        last.contains("Turned { host: HostId(0), received: 0, sent: 0"),
        "{last}"
    );
}

#[test]
fn a_machine_that_floods_is_a_violation() {
    let (mut world, ..) = teller(None, 5000);
    world.run_for(secs(10));
    let violation = world.violation().expect("it floods");
    assert_eq!(violation.invariant, "budget");
    assert!(violation.detail.contains("teller") && violation.detail.contains("sent 5000 of 4096"));
}

#[test]
fn a_machine_that_wants_its_next_turn_at_once_lets_time_pass() {
    struct Spins(Rc<Cell<u64>>);
    impl Machine for Spins {
        fn boot(&mut self, _: &Identity, _: Entropy, _: Instant) -> Result<(), Broken> {
            Ok(())
        }
        fn turn(&mut self, _: &mut Card, _: Instant) -> Result<Option<Instant>, Broken> {
            self.0.set(self.0.get() + 1);
            Ok(Some(Instant::ZERO))
        }
    }
    let mut world = World::new(0);
    let turns = Rc::<Cell<u64>>::default();
    world.machine("spins", Spins(turns.clone()));
    world.run_for(millis(1));
    assert_eq!(turns.get(), 1001);
}

#[test]
#[should_panic = "teller is a machine and has no node: ask is_done, printed"]
fn a_machine_has_no_node() {
    let (world, host, _) = teller(None, 0);
    world.counters(host);
}
