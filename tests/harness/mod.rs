//! Two hosts, a wire and virtual time: what every behaviour test starts from.
#![allow(dead_code, unused_macros, unused_imports)]

use cygnet::net::wire::{Wire, WireEnd};
use cygnet::{Node, Turn, turns};
use smoltcp::time::{Duration, Instant};

/// Makes one host as locals of the calling function: `$node` is its handle.
/// `$number` is the last byte of its addresses.
#[macro_export]
macro_rules! host {
    ($node:ident, $number:literal, slots: $slots:literal, tasks: $tasks:literal) => {
        host!($node, $number, slots: $slots, tasks: $tasks, bytes: 2048, rx: 1024, tx: 1024)
    };
    ($node:ident, $number:literal, slots: $slots:literal, tasks: $tasks:literal,
     bytes: $bytes:literal, rx: $rx:literal, tx: $tx:literal) => {
        let mut storage: cygnet::Storage<'_, $slots, $rx, $tx> = cygnet::Storage::new();
        let mut task_storage: cygnet::TaskStorage<$tasks, $bytes> = cygnet::TaskStorage::new();
        let stack = cygnet::Stack::new(
            &mut storage,
            &$crate::harness::config($number),
            $crate::harness::capabilities(),
        )
        .unwrap();
        for address in $crate::harness::addresses($number) {
            stack.add_address(address).unwrap();
        }
        let tasks = {
            static READY: cygnet::ReadySet<$tasks> = cygnet::ReadySet::new();
            cygnet::Tasks::new(&mut task_storage, &READY)
        };
        let $node = cygnet::Node::new(&stack, &tasks);
    };
}

use smoltcp::phy::{DeviceCapabilities, Medium};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr, IpEndpoint};

pub fn config(number: u8) -> cygnet::Config {
    cygnet::Config::new(EthernetAddress([2, 0, 0, 0, 0, number]), [number; 16])
}

pub fn capabilities() -> DeviceCapabilities {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ethernet;
    capabilities.max_transmission_unit = 1514;
    capabilities
}

/// 10.0.0.`number`, and fd00::`number` with IPv6.
pub fn addresses(number: u8) -> Vec<IpCidr> {
    let mut addresses = vec![IpCidr::new(IpAddress::v4(10, 0, 0, number), 24)];
    #[cfg(feature = "ipv6")]
    addresses.push(IpCidr::new(
        IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, number.into()),
        64,
    ));
    addresses
}

pub fn v4(number: u8, port: u16) -> IpEndpoint {
    IpEndpoint::new(IpAddress::v4(10, 0, 0, number), port)
}

#[cfg(feature = "ipv6")]
pub fn v6(number: u8, port: u16) -> IpEndpoint {
    IpEndpoint::new(IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, number.into()), port)
}

pub fn seconds(seconds: i64) -> Instant {
    Instant::from_secs(seconds)
}

/// Runs both hosts until both are done, nothing is left to happen, or `limit`.
/// Returns the virtual time.
pub fn run<const F: usize>(wire: &Wire<F>, a: Node<'_>, b: Node<'_>, limit: Instant) -> Instant {
    run_until(wire, a, b, limit, |_| false)
}

/// The same, also until `stop` says so after a round of turns.
pub fn run_until<const F: usize>(
    wire: &Wire<F>,
    a: Node<'_>,
    b: Node<'_>,
    limit: Instant,
    mut stop: impl FnMut(Instant) -> bool,
) -> Instant {
    let (mut end_a, mut end_b) = wire.ends();
    let mut now = Instant::ZERO;
    turns(a, |turns_a| {
        turns(b, |turns_b| {
            loop {
                let left = turns_a.turn(&mut end_a, now);
                let right = turns_b.turn(&mut end_b, now);
                if stop(now) || now >= limit || (left, right) == (Turn::Done, Turn::Done) {
                    return now;
                }
                match next(left, right, wire.next_delivery()) {
                    Some(at) => now = at.max(now + Duration::from_micros(1)),
                    None => return now,
                }
            }
        })
    })
}

/// When something happens next; a `Ready` host makes that now.
pub fn next(left: Turn, right: Turn, delivery: Option<Instant>) -> Option<Instant> {
    let wish = |turn| match turn {
        Turn::Ready => Some(Instant::ZERO),
        Turn::Idle(at) => at,
        Turn::Done => None,
    };
    wish(left)
        .into_iter()
        .chain(wish(right))
        .chain(delivery)
        .min()
}

/// One host on a wire with nobody at the other end, and a clock that `wait`
/// moves: what `event_loop` needs. A turn that follows another at once is one
/// microsecond later.
pub struct Alone<'w> {
    end: WireEnd<'w, 1>,
    pub now: Instant,
    asked: bool,
}

impl<'w> Alone<'w> {
    pub fn new(wire: &'w Wire<1>) -> Self {
        Alone {
            end: wire.ends().0,
            now: Instant::ZERO,
            asked: false,
        }
    }

    /// The time when no task was left.
    pub fn run(&mut self, node: Node<'_>) -> Instant {
        cygnet::event_loop(self, node);
        self.now
    }
}

impl<'w> cygnet::Platform for Alone<'w> {
    type Device = WireEnd<'w, 1>;

    fn device(&mut self) -> &mut Self::Device {
        &mut self.end
    }

    fn now(&mut self) -> Instant {
        if std::mem::replace(&mut self.asked, true) {
            self.now += Duration::from_micros(1);
        }
        self.now
    }

    fn wait(&mut self, deadline: Option<Instant>) {
        self.now = deadline.expect("no task is ready and none has a deadline");
        self.asked = false;
    }
}

/// Turns of one host, at times that the test decides.
pub fn alone<R>(node: Node<'_>, f: impl FnOnce(&mut dyn FnMut(Instant) -> Turn) -> R) -> R {
    let wire: Wire<1> = Wire::new(Default::default());
    let (mut end, _other) = wire.ends();
    turns(node, |turns| f(&mut |now| turns.turn(&mut end, now)))
}

/// Virtual time in milliseconds.
pub fn ms(millis: i64) -> Instant {
    Instant::from_millis(millis)
}
