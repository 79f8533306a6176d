//! Two firmwares of embassy's, each from one static, on a wire in memory and in virtual time.

#[path = "executor/mod.rs"]
mod executor;
mod hosts;

use std::task::Context;

use cygnet::lab::wire::{Wire, WireEnd};
use cygnet::{Backlog, Config, ConfigError, Node, TcpListener};
use cygnet_compat::embassy::{Resources, Runner, StartError};
use cygnet_compat::embassy_executor::now;
use cygnet_compat::embassy_net_driver_reverse::{Interrupt, Reversed};
use embassy_executor::Spawner;
use embassy_futures::select::select;
use embassy_net_driver::{Capabilities, HardwareAddress, LinkState};
use embassy_time::Timer;
use executor::{Interrupts, spawn};
use hosts::{LATENCY, wire};
use smoltcp::wire::{IpAddress, IpCidr};

type Driver = Reversed<'static, WireEnd<'static, 16>, 1514>;

const ECHO: (IpAddress, u16) = (IpAddress::v4(10, 0, 0, 1), 7);

/// The wire's ends, whose chips do not say which of them a frame is for.
struct Chips {
    wire: &'static Wire<16>,
    interrupts: [&'static Interrupt; 2],
}

impl Interrupts for Chips {
    fn next(&self) -> Option<u64> {
        let next = self.wire.next_delivery()?;
        Some(next.total_micros() as u64)
    }

    fn fire(&self) {
        self.interrupts.iter().for_each(|one| one.fire());
    }
}

fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

fn start(driver: Driver, number: u8) -> (Node<'static>, Runner<Driver>) {
    let resources = leak(Resources::<4, 512, 512>::new());
    let (node, runner) = resources.start(driver, [number; 16]).unwrap();
    let address = IpCidr::new(IpAddress::v4(10, 0, 0, number), 24);
    node.stack().add_address(address).unwrap();
    (node, runner)
}

/// Runs `test` with a server, its interrupt and what runs it, and with a client that runs.
fn run<F: Future<Output = ()> + 'static>(
    test: impl FnOnce(Spawner, Node<'static>, &'static Interrupt, Runner<Driver>, Node<'static>) -> F,
) {
    let wire: &'static Wire<16> = leak(wire());
    let interrupts = [(); 2].map(|()| &*leak(Interrupt::new()));
    executor::run(Chips { wire, interrupts }, |spawner| {
        let (near, far) = wire.ends();
        let driver = |end, number| {
            let interrupt = interrupts[usize::from(number) - 1];
            Reversed::new(end, [2, 0, 0, 0, 0, number], now, interrupt)
        };
        let (server, runner) = start(driver(near, 1), 1);
        let (client, mut other) = start(driver(far, 2), 2);
        spawn(spawner, async move { other.run().await });
        test(spawner, server, interrupts[0], runner, client)
    });
}

async fn echo(listener: TcpListener<'static>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut bytes = [0; 512];
        while let Ok(count @ 1..) = stream.read(&mut bytes).await {
            stream.write_all(&bytes[..count]).await.unwrap();
        }
    }
}

/// A wake that was missing would leave each of them to the next timer.
#[test]
fn two_tasks_share_a_listener_and_each_echo_is_answered_at_once() {
    run(|spawner, server, _, mut runner, client| async move {
        spawn(spawner, async move { runner.run().await });
        let listener = server.listen(ECHO.1, Backlog(2)).unwrap();
        for _ in 0..2 {
            spawn(spawner, echo(listener.clone()));
        }
        let mut first = client.connect(ECHO).await.unwrap();
        let mut second = client.connect(ECHO).await.unwrap();
        for number in 0..100 {
            for stream in [&mut first, &mut second] {
                let asked = now();
                stream.write_all(&[number]).await.unwrap();
                assert_eq!(stream.read(&mut [0; 8]).await, Ok(1));
                assert_eq!(now() - asked, LATENCY + LATENCY);
            }
        }
    });
}

/// Its connections go on.
#[test]
fn what_runs_it_may_end_and_begin_again() {
    run(|spawner, server, _, mut runner, client| async move {
        let listener = server.listen(ECHO.1, Backlog(2)).unwrap();
        spawn(spawner, echo(listener));
        spawn(spawner, async move {
            select(runner.run(), Timer::after_secs(1)).await;
            Timer::after_secs(1).await;
            runner.run().await
        });
        let mut stream = client.connect(ECHO).await.unwrap();
        stream.write_all(b"a").await.unwrap();
        assert_eq!(stream.read(&mut [0; 8]).await, Ok(1));
        Timer::after_millis(2_500).await;
        let asked = now();
        stream.write_all(b"b").await.unwrap();
        assert_eq!(stream.read(&mut [0; 8]).await, Ok(1));
        assert_eq!(now() - asked, LATENCY + LATENCY);
    });
}

#[cfg(feature = "addressing")]
#[test]
fn the_node_hears_of_the_drivers_link() {
    run(|spawner, server, interrupt, mut runner, _| async move {
        spawn(spawner, async move { runner.run().await });
        Timer::after_secs(1).await;
        assert!(server.is_link_up());
        for is_up in [false, true, false, true] {
            interrupt.set_link(is_up);
            let asked = now();
            match is_up {
                true => server.wait_link_up().await,
                false => server.wait_link_down().await,
            }
            assert_eq!(now(), asked, "a timer was between");
            Timer::after_secs(1).await;
        }
    });
}

struct Radio;

impl embassy_net_driver::Driver for Radio {
    type RxToken<'t> = <Driver as embassy_net_driver::Driver>::RxToken<'t>;
    type TxToken<'t> = <Driver as embassy_net_driver::Driver>::TxToken<'t>;

    fn receive(&mut self, _: &mut Context<'_>) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        None
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Self::TxToken<'_>> {
        None
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ieee802154([2; 8])
    }
}

#[test]
fn what_cannot_be_started_says_why() {
    let driver = |number: u8| {
        let wire: &'static Wire<16> = leak(wire());
        let interrupt = leak(Interrupt::new());
        Reversed::new(wire.ends().0, [number; 6], now, interrupt)
    };
    let fresh = || &*leak(Resources::<1, 64, 64>::new());
    let refused = |number, secret| fresh().start::<Driver>(driver(number), secret).err();
    let no_secret = StartError::Config(ConfigError::Secret);
    assert_eq!(refused(2, [0; 16]), Some(no_secret));
    let of_a_group = StartError::Config(ConfigError::HardwareAddress);
    assert_eq!(refused(3, [7; 16]), Some(of_a_group));
    let radio = fresh().start(Radio, [7; 16]).err();
    assert_eq!(radio, Some(StartError::NotEthernet));
    let settings = |mut config: Config| {
        config.half_open_limit = 0;
        config
    };
    let twice = fresh();
    twice.start_with(driver(2), [7; 16], settings).unwrap();
    let again = twice.start(driver(2), [7; 16]).err();
    assert_eq!(again, Some(StartError::Started));
    for (error, says) in [
        (no_secret, "secret"),
        (StartError::NotEthernet, "Ethernet"),
        (StartError::Started, "own resources"),
    ] {
        assert!(error.to_string().contains(says), "{error}");
    }
}
