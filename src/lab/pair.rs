//! Two hosts on a wire, in virtual time: a whole client and server in one
//! function, without a clock, a thread or a device. What a service's unit test
//! starts from.
//!
//! Time jumps to the next thing that happens: a frame's delivery or a
//! deadline. A turn that asks for another one costs a microsecond, so a task
//! that spins still lets time pass.
//!
//! Not here: more than two hosts, crashes, partitions. That is a world's work.

use smoltcp::time::{Duration, Instant};

use crate::event_loop::{Turn, turns};
use crate::lab::audit::audit;
use crate::lab::wire::Wire;
use crate::node::Node;

/// What a turn costs that asks for another one.
const TURN: Duration = Duration::from_micros(1);

/// Runs both hosts from time zero until both are done, nothing is left to
/// happen, `stop` says so after a pair of turns, or `limit` is reached.
/// Returns the virtual time. Tasks that are left are dropped. After each pair of
/// turns both nodes are [audited](crate::lab::audit).
///
/// # Panics
/// When one of the nodes is being stepped already, or an audit finds a bug of this
/// crate.
///
/// ```
/// use cygnet::lab::wire::{Faults, Wire};
/// # use cygnet::{Node, Storage, TaskStorage, Stack, Tasks, ReadySet, Config};
/// # use smoltcp::{phy::DeviceCapabilities, time::Instant};
/// # let mut capabilities = DeviceCapabilities::default();
/// # capabilities.max_transmission_unit = 1514;
/// # static READY: [ReadySet<1>; 2] = [const { ReadySet::new() }; 2];
/// # let (mut s0, mut s1): (Storage<1, 64, 64>, Storage<1, 64, 64>) = Default::default();
/// # let (mut t0, mut t1): (TaskStorage<1, 64>, TaskStorage<1, 64>) = Default::default();
/// # let config = |n| Config::new([2, 0, 0, 0, 0, n], [n; 16]);
/// # let stacks = (
/// #     Stack::new(&mut s0, &config(1), capabilities.clone()).unwrap(),
/// #     Stack::new(&mut s1, &config(2), capabilities).unwrap());
/// # let tasks = (Tasks::new(&mut t0, &READY[0]), Tasks::new(&mut t1, &READY[1]));
/// # let (server, client) = (Node::new(&stacks.0, &tasks.0), Node::new(&stacks.1, &tasks.1));
/// let wire: Wire<8> = Wire::new(Faults::default());
/// client.spawn(async { /* connect, talk */ }).unwrap();
/// let end = cygnet::lab::pair::run(&wire, server, client, Instant::from_secs(60), |_| false);
/// assert!(end < Instant::from_secs(60));
/// ```
pub fn run<const FRAMES: usize>(
    wire: &Wire<FRAMES>,
    left_node: Node<'_>,
    right_node: Node<'_>,
    limit: Instant,
    mut stop: impl FnMut(Instant) -> bool,
) -> Instant {
    let (mut left_end, mut right_end) = wire.ends();
    let mut now = Instant::ZERO;
    turns(left_node, |left| {
        turns(right_node, |right| {
            loop {
                let both = [
                    left.turn(&mut left_end, now),
                    right.turn(&mut right_end, now),
                ];
                for audited in [audit(left_node), audit(right_node)] {
                    audited.unwrap_or_else(|broken| panic!("{broken}"));
                }
                if stop(now) || now >= limit || both == [Turn::Done; 2] {
                    return now;
                }
                match next(both, wire.next_delivery()) {
                    Some(at) => now = at.max(now + TURN),
                    None => return now,
                }
            }
        })
    })
}

/// When something happens next, after these turns and with this delivery
/// under way; time zero stands for at once.
pub fn next(turns: [Turn; 2], delivery: Option<Instant>) -> Option<Instant> {
    let wishes = turns.into_iter().filter_map(|turn| match turn {
        Turn::Ready => Some(Instant::ZERO),
        Turn::Idle(at) => at,
        Turn::Done => None,
    });
    wishes.chain(delivery).min()
}
