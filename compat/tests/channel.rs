//! A server behind an embassy driver: `embassy-net-driver-channel`, which most
//! drivers of chips are made with. The chip is a task that moves frames.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use cygnet::lab::wire::{Faults, Wire};
use cygnet::{
    Backlog, Config, ConfigError, Node, ReadySet, Stack, Storage, TaskStorage, Tasks, Turn,
};
use cygnet::{service, turns};
use cygnet_compat::embassy_net_driver::{Bell, Driven};
use embassy_net_driver_channel::driver::{HardwareAddress, LinkState};
use embassy_net_driver_channel::{Runner, State, new};
use smoltcp::phy::{Device, DeviceCapabilities};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr};

const MTU: usize = 1514;
const SERVER: [u8; 6] = [2, 0, 0, 0, 0, 1];

type Frames = Rc<RefCell<VecDeque<Vec<u8>>>>;

/// What a chip's runner does: whatever the stack sends goes out.
async fn chip(mut runner: embassy_net_driver_channel::TxRunner<'_, MTU>, out: Frames) {
    loop {
        let frame = runner.tx_buf().await.to_vec();
        runner.tx_done();
        out.borrow_mut().push_back(frame);
    }
}

fn stack<'a>(
    memory: &'a mut Storage<'a, 2, 512, 512>,
    address: [u8; 6],
    capabilities: DeviceCapabilities,
) -> Stack<'a> {
    let number = address[5];
    let config = Config::new(address, [number; 16]);
    let stack = Stack::new(memory, &config, capabilities).unwrap();
    let address = IpCidr::new(IpAddress::v4(10, 0, 0, number), 24);
    stack.add_address(address).unwrap();
    stack
}

/// 3,000 bytes there and back, and whether they did.
async fn ask(node: Node<'_>, good: &RefCell<bool>) {
    let sent: Vec<u8> = (0..3000_u32).map(|at| (at % 251) as u8).collect();
    let mut stream = node.connect((IpAddress::v4(10, 0, 0, 1), 7)).await.unwrap();
    let mut back = Vec::new();
    for piece in sent.chunks(200) {
        stream.write_all(piece).await.unwrap();
        let mut bytes = [0; 200];
        let until = back.len() + piece.len();
        while back.len() < until {
            let count = stream.read(&mut bytes).await.unwrap();
            back.extend_from_slice(&bytes[..count]);
        }
    }
    *good.borrow_mut() = back == sent;
}

/// This is built without smoltcp's `medium-ethernet`, unless it is built together
/// with somebody who asks for it; then it is refused for its medium.
#[test]
fn a_driver_that_is_not_for_ethernet_is_refused() {
    for (address, expected) in [
        (HardwareAddress::Ethernet(SERVER), vec![None]),
        (HardwareAddress::Ip, REFUSED.map(Some).to_vec()),
        (
            HardwareAddress::Ieee802154([2; 8]),
            REFUSED.map(Some).to_vec(),
        ),
    ] {
        let bell = Bell::new();
        let mut channel: State<MTU, 1, 1> = State::new();
        let (_runner, driver) = new(&mut channel, address);
        let mut memory = Storage::<1, 64, 64>::new();
        let config = Config::new(SERVER, [1; 16]);
        let capabilities = Driven::new(driver, &bell).capabilities();
        let error = Stack::new(&mut memory, &config, capabilities).err();
        assert!(expected.contains(&error), "{address:?}: {error:?}");
    }
}

const REFUSED: [ConfigError; 2] = [ConfigError::Medium, ConfigError::Mtu];

#[test]
fn a_server_behind_an_embassy_driver_sleeps_and_is_woken() {
    static READY: [ReadySet<4>; 2] = [const { ReadySet::new() }; 2];
    let (bell, out, good) = (Bell::new(), Frames::default(), RefCell::new(false));

    let mut channel: State<MTU, 2, 2> = State::new();
    let (runner, driver) = new(&mut channel, HardwareAddress::Ethernet(SERVER));
    let runner: Runner<'_, MTU> = runner;
    let (link, mut arrivals, departures) = runner.split();
    let mut device = Driven::new(driver, &bell);
    assert!(!device.is_link_up());
    link.set_link_state(LinkState::Up);
    assert!(device.is_link_up());
    let address = device.hardware_addr().unwrap();
    assert_eq!(address, SERVER);
    assert_eq!(device.capabilities().max_transmission_unit, MTU);

    let mut memory: [Storage<2, 512, 512>; 2] = Default::default();
    let mut futures: [TaskStorage<4, 2048>; 2] = Default::default();
    let [near, far] = &mut memory;
    let wire: Wire<8> = Wire::new(Faults::NONE);
    let (mut wire_near, mut wire_far) = wire.ends();
    let server_stack = stack(near, address, device.capabilities());
    let peer = [2, 0, 0, 0, 0, 2];
    let client_stack = stack(far, peer, wire_far.capabilities());
    let [near, far] = &mut futures;
    let server_tasks = Tasks::new(near, &READY[0]);
    let client_tasks = Tasks::new(far, &READY[1]);
    let server = Node::new(&server_stack, &server_tasks);
    let client = Node::new(&client_stack, &client_tasks);

    let run_chip = bell.task(chip(departures, out.clone()));
    server.spawn_named("driver", run_chip).unwrap();
    server.spawn(service::echo(server, 7, Backlog(2))).unwrap();
    client.spawn(ask(client, &good)).unwrap();

    let (mut now, mut sleeps) = (Instant::ZERO, 0);
    turns(server, |server| {
        turns(client, |client| {
            while now < Instant::from_secs(60) {
                // As in `Platform::wait`: a frame that arrives at a server that
                // sleeps must wake it through its ready set.
                let turn = server.turn(&mut device, now);
                if let Turn::Idle(_) = turn {
                    assert!(!READY[0].is_woken());
                    sleeps += 1;
                }
                for frame in out.borrow_mut().drain(..) {
                    assert!(wire_near.inject(now, &frame));
                }
                if client.turn(&mut wire_far, now) == Turn::Done {
                    return;
                }
                while let Some(frame) = wire_near.take(now) {
                    let Some(room) = arrivals.try_rx_buf() else {
                        break; // lost, as in a chip that is full
                    };
                    room[..frame.len()].copy_from_slice(&frame);
                    arrivals.rx_done(frame.len());
                    assert!(READY[0].is_woken(), "slept through a frame");
                }
                now += Duration::from_micros(100);
            }
        })
    });
    assert!(*good.borrow(), "the bytes came back");
    assert!(sleeps > 10, "it never slept");
}
