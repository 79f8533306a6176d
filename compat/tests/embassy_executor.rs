//! Two nodes that are driven by embassy's executor, in virtual time. Clients and servers are
//! tasks of that executor.

#[path = "executor/mod.rs"]
mod executor;
#[macro_use]
mod hosts;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use cygnet::lab::wire::Wire;
use cygnet::{Backlog, Node};
use cygnet_compat::embassy_executor::{drive_with, now};
use embassy_executor::Spawner;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::Timer;
use executor::{Interrupts, spawn, timers};
use hosts::{LATENCY, lasting, wire};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpAddress;

type Arrival = Signal<NoopRawMutex, ()>;

/// The wire's ends, whose chips do not say which of them a frame is for.
struct Chips {
    wire: &'static Wire<16>,
    arrivals: [&'static Arrival; 2],
}

impl Interrupts for Chips {
    fn next(&self) -> Option<u64> {
        let next = self.wire.next_delivery()?;
        Some(next.total_micros() as u64)
    }

    fn fire(&self) {
        self.arrivals.iter().for_each(|arrival| arrival.signal(()));
    }
}

/// Runs `test` to its end with a server and a client.
fn run<F: Future<Output = ()> + 'static>(
    test: impl FnOnce(Spawner, Node<'static>, Node<'static>) -> F,
) {
    let wire: &'static Wire<16> = Box::leak(Box::new(wire()));
    let arrivals: [&'static Arrival; 2] = [(); 2].map(|()| &*Box::leak(Box::default()));
    executor::run(Chips { wire, arrivals }, |spawner| {
        let nodes = [lasting(1), lasting(2)];
        let (near, far) = wire.ends();
        for ((node, end), arrival) in nodes.into_iter().zip([near, far]).zip(arrivals) {
            spawn(spawner, async move {
                drive_with(node, end, async || arrival.wait().await).await;
            });
        }
        test(spawner, nodes[0], nodes[1])
    });
}

async fn echo(node: Node<'static>) {
    let listener = node.listen(7, Backlog(2)).unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = [0; 512];
    while let Ok(count @ 1..) = stream.read(&mut bytes).await {
        stream.write_all(&bytes[..count]).await.unwrap();
    }
}

const ECHO: (IpAddress, u16) = (IpAddress::v4(10, 0, 0, 1), 7);

/// A wake that was missing would leave each of them to the next timer.
#[test]
fn each_echo_is_answered_in_the_turn_that_its_wake_caused() {
    run(|spawner, server, client| async move {
        spawn(spawner, echo(server));
        let mut stream = client.connect(ECHO).await.unwrap();
        let mut back = [0; 64];
        let before = timers();
        for number in 0..200_u8 {
            let (asked, turns) = (now(), server.counters().turns);
            stream.write_all(&[number; 64]).await.unwrap();
            let mut got = 0;
            while got < back.len() {
                got += stream.read(&mut back[got..]).await.unwrap();
            }
            assert_eq!(back, [number; 64]);
            assert_eq!(now() - asked, LATENCY + LATENCY);
            // A frame comes, its answer leaves in the turn that the task's write begins, and
            // the other's frame is looked for. An acknowledgement was to leave by then, and
            // embassy-time cancels no timer.
            let turns = server.counters().turns - turns;
            assert!(turns <= 5, "{number}: {turns} turns");
        }
        assert_eq!(timers() - before, 0, "a timer was between");
    });
}

#[test]
fn nothing_is_done_before_the_next_of_sixteen_sleeps() {
    const SLEEPS: u64 = 16;
    run(|spawner, server, _| async move {
        let ended = Rc::new(RefCell::new(Vec::new()));
        for number in 1..=SLEEPS {
            let ended = Rc::clone(&ended);
            spawn(spawner, async move {
                let delay = Duration::from_secs(number * 3600 / SLEEPS);
                server.sleep(delay).await;
                assert_eq!(now(), Instant::ZERO + delay);
                ended.borrow_mut().push(number);
            });
        }
        Timer::after_secs(1).await;
        let (before, turns) = (timers(), server.counters().turns);
        Timer::after_secs(3_700).await;
        assert_eq!(*ended.borrow(), Vec::from_iter(1..=SLEEPS));
        assert_eq!(timers() - before, SLEEPS + 1, "and this task's own");
        let turns = server.counters().turns - turns;
        // Thirteen share a timer: those that have to wait on say so at the same moment.
        assert!(turns <= 4 * SLEEPS, "{turns} turns");
    });
}

#[test]
fn two_megabytes_come_back_whole() {
    const ALL: usize = 2_000_000;
    let byte = |at: usize| (at % 251) as u8;
    run(move |spawner, server, client| async move {
        spawn(spawner, echo(server));
        let stream = client.connect(ECHO).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        spawn(spawner, async move {
            let all = Vec::from_iter((0..ALL).map(byte));
            for piece in all.chunks(700) {
                writer.write_all(piece).await.unwrap();
            }
            writer.finish().await.unwrap();
        });
        let (mut piece, mut got) = ([0; 600], 0);
        while let Ok(count @ 1..) = reader.read(&mut piece).await {
            let is_good = |(at, is): (usize, &u8)| *is == byte(got + at);
            assert!(piece[..count].iter().enumerate().all(is_good), "byte {got}");
            got += count;
        }
        assert_eq!(got, ALL);
    });
}

#[test]
fn a_stream_that_is_dropped_between_turns_sends_its_fin_at_once() {
    run(|spawner, server, client| async move {
        let ended = Rc::new(Cell::new(Instant::ZERO));
        let says = Rc::clone(&ended);
        spawn(spawner, async move {
            let listener = server.listen(7, Backlog(2)).unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            assert_eq!(stream.read(&mut [0; 8]).await, Ok(0));
            says.set(now());
        });
        let stream = client.connect(ECHO).await.unwrap();
        // Nobody has anything to do for a long time.
        Timer::after_secs(1_000).await;
        let (at, turns) = (now(), client.counters().turns);
        drop(stream);
        Timer::after_micros(1).await;
        assert_eq!(client.counters().turns - turns, 1);
        Timer::after_millis(100).await;
        assert_eq!(ended.get(), at + LATENCY);
    });
}

/// The chip is two tasks of the executor, as a driver's runner is; nobody but the bell of the
/// driver says that a frame has come.
#[cfg(feature = "embassy-net-driver")]
#[test]
fn a_driver_of_embassys_wakes_the_task_that_drives() {
    use cygnet_compat::embassy_executor::drive;
    use cygnet_compat::embassy_net_driver::{Bell, Driven};
    use embassy_net_driver_channel::driver::{HardwareAddress, LinkState};

    let wire: &'static Wire<16> = Box::leak(Box::new(wire()));
    let arrivals: [&'static Arrival; 2] = [(); 2].map(|()| &*Box::leak(Box::default()));
    let [chip, other] = arrivals;
    executor::run(Chips { wire, arrivals }, |spawner| async move {
        let (server, client) = (lasting(1), lasting(2));
        let (mut near, far) = wire.ends();
        let state = Box::leak(Box::new(
            embassy_net_driver_channel::State::<1514, 4, 4>::new(),
        ));
        let address = HardwareAddress::Ethernet([2, 0, 0, 0, 0, 1]);
        let (runner, driver) = embassy_net_driver_channel::new(state, address);
        let (link, mut rx, mut tx) = runner.split();
        link.set_link_state(LinkState::Up);
        spawn(spawner, async move {
            loop {
                let frame = tx.tx_buf().await;
                assert!(near.inject(now(), frame));
                tx.tx_done();
            }
        });
        spawn(spawner, async move {
            loop {
                while let Some(frame) = near.take(now()) {
                    rx.rx_buf().await[..frame.len()].copy_from_slice(&frame);
                    rx.rx_done(frame.len());
                }
                chip.wait().await;
            }
        });
        let bell: &'static Bell = Box::leak(Box::default());
        let hears = bell.task(std::future::pending::<()>());
        server.spawn_named("driver", hears).unwrap();
        spawn(spawner, async move {
            drive(server, Driven::new(driver, bell)).await;
        });
        spawn(spawner, async move {
            drive_with(client, far, async || other.wait().await).await;
        });
        spawn(spawner, echo(server));
        let mut stream = client.connect(ECHO).await.unwrap();
        for number in 0..50 {
            let asked = now();
            stream.write_all(&[number]).await.unwrap();
            assert_eq!(stream.read(&mut [0; 8]).await, Ok(1));
            assert_eq!(now() - asked, LATENCY + LATENCY);
        }
    });
}
