//! A timer that smoltcp has forgotten, which the rules never let happen: what is on its
//! way leaves again all the same, and that is counted.

extern crate std;
use std::cell::Cell;

use smoltcp::phy::DeviceCapabilities;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};

use crate::frame::build::Bare;
use crate::frame::one_shot::Discard;
use crate::lab::pair;
use crate::lab::wire::{Faults, Wire};
use crate::rules::lifecycle::State;
use crate::stack::core::Core;
use crate::{Backlog, Config, Node, ReadySet, Stack, Storage, TaskStorage, Tasks};

/// What is told to the socket of the open connection, so often.
fn tell(node: Node<'_>, times: usize, change: impl Fn(Bare) -> Bare) {
    node.stack.with(|core| {
        let Core {
            connections,
            engine,
            host,
            ..
        } = core;
        let mut ids = connections.slots.ids();
        let is_open = |id: &_| matches!(connections.slots[*id].state, State::Open);
        let id = ids.find(is_open).expect("a connection");
        let slot = &mut connections.slots[id];
        let bare = change(slot.heard.acknowledges(slot.view.rcv_nxt));
        slot.heard.snd_una = bare.ack;
        (0..times).for_each(|_| engine.tell::<Discard>(host, slot, &bare));
        connections.slots.mark_dirty(id);
    });
}

/// Of both hosts, for one test.
type Sets = [ReadySet<2>; 2];

/// A client says this and ends its stream, none of which arrives; then its socket is told
/// something. Gives what the server has heard, when that ended, and how often something was
/// rescued.
fn rescued(
    ready: &'static Sets,
    text: &[u8],
    tells: impl Fn(Node<'_>),
) -> (usize, Option<Instant>, u64) {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.max_transmission_unit = 1514;
    let mut storages: [Storage<'_, 2, 64, 64>; 2] = Default::default();
    let mut places: [TaskStorage<2, 2048>; 2] = Default::default();
    let [mut left, mut right] = storages.each_mut().map(Some);
    let stack = |number: u8, storage| {
        let config = Config::new([2, 0, 0, 0, 0, number], [number; 16]);
        let stack = Stack::new(storage, &config, capabilities.clone()).unwrap();
        let address = IpAddress::v4(10, 0, 0, number);
        stack.add_address(IpCidr::new(address, 24)).unwrap();
        stack
    };
    let stacks = (
        stack(1, left.take().unwrap()),
        stack(2, right.take().unwrap()),
    );
    let [one, two] = places.each_mut();
    let tasks = (Tasks::new(one, &ready[0]), Tasks::new(two, &ready[1]));
    let server = Node::new(&stacks.0, &tasks.0);
    let client = Node::new(&stacks.1, &tasks.1);
    let (heard, ended) = (Cell::new(0), Cell::new(None));
    let serve = async {
        let listener = server.listen(7, Backlog(1)).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buf = [0; 64];
        while let Ok(count @ 1..) = stream.read(&mut buf).await {
            heard.set(heard.get() + count);
        }
        ended.set(Some(server.now()));
    };
    let second = Duration::from_secs(1);
    let ask = async {
        let server = IpEndpoint::new(IpAddress::v4(10, 0, 0, 1), 7);
        let mut stream = client.connect(server).await.unwrap();
        client.sleep(second / 2).await;
        client.sleep(second / 2).await;
        stream.write_all(text).await.unwrap();
        stream.shutdown();
        client.sleep(second * 9).await;
    };
    server.spawn(std::boxed::Box::pin(serve)).unwrap();
    client.spawn(std::boxed::Box::pin(ask)).unwrap();
    let wire: Wire<8> = Wire::new(Faults::default());
    let told = Cell::new(false);
    pair::run(&wire, server, client, Instant::from_secs(9), |now| {
        if now >= Instant::ZERO + second && !told.get() {
            told.set(flies(client));
            if told.get() {
                tells(client);
            }
        }
        // What left before that is lost.
        let is_lost = now >= Instant::from_millis(500) && !told.get();
        wire.set_faults(Faults {
            loss_ppm: u32::from(is_lost) * 1_000_000,
            ..Faults::default()
        });
        false
    });
    (heard.get(), ended.get(), client.counters().rescued)
}

/// Whether something is on its way that was not acknowledged.
fn flies(node: Node<'_>) -> bool {
    node.stack.with(|core| {
        let slots = &core.connections.slots;
        slots.ids().any(|id| {
            let slot = &slots[id];
            slot.state == State::Open && slot.heard.snd_una != slot.view.snd_max
        })
    })
}

/// Three acknowledgements that repeat themselves: smoltcp finds no bytes to send for them,
/// and forgets the timer of the FIN.
#[test]
fn a_fin_without_a_timer_leaves_again() {
    static READY: Sets = [ReadySet::new(), ReadySet::new()];
    let (heard, ended, rescued) = rescued(&READY, b"", |client| tell(client, 4, |bare| bare));
    assert_eq!((heard, rescued), (0, 1));
    assert!(
        ended.is_some_and(|ended| ended < Instant::from_millis(2_100)),
        "{ended:?}"
    );
}

/// A window that is shut on bytes: smoltcp finds no room for them when their timer is over.
#[test]
fn bytes_without_a_timer_leave_again() {
    static READY: Sets = [ReadySet::new(), ReadySet::new()];
    let shuts = |bare| Bare { window: 0, ..bare };
    let (heard, ended, rescued) = rescued(&READY, b"text", |client| tell(client, 1, shuts));
    assert_eq!((heard, rescued), (4, 1));
    assert!(
        ended.is_some_and(|ended| ended < Instant::from_millis(2_100)),
        "{ended:?}"
    );
}

/// The same when some of them were acknowledged, and the window opens again: smoltcp takes all
/// of them for sent. The first two are made up here, so that the server has no use for the rest.
#[test]
fn bytes_behind_a_window_that_opened_leave_again() {
    static READY: Sets = [ReadySet::new(), ReadySet::new()];
    let (heard, _, rescued) = rescued(&READY, b"text", |client| {
        let half = |bare: Bare| Bare {
            ack: bare.ack + 2,
            ..bare
        };
        tell(client, 1, |bare| half(Bare { window: 0, ..bare }));
        tell(client, 1, |bare| bare);
    });
    assert_eq!((heard, rescued), (0, 1));
}
