//! Firmware for the tests of processes: each is a test of this binary that a world runs
//! as a child, in lock step on descriptor 0. All but `echoes` and `prints_much` have one
//! mistake each.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU32, Ordering};

use cygnet_lockstep::{Answer, Boot, Firmware};
use smoltcp::iface::{Config, Interface, PollIngressSingleResult, PollResult, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Address};

/// A static, as firmware has them: every boot must find it as it was compiled.
static BOOTS: AtomicU32 = AtomicU32::new(0);

/// Descriptor 0, past the lock step's half.
fn wire() -> File {
    let stdin = std::io::stdin();
    stdin.as_fd().try_clone_to_owned().expect("a wire").into()
}

/// Without the words of the harness that this is a test of.
fn start() -> (Firmware, Boot) {
    println!();
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        std::process::exit(101);
    }));
    Firmware::start().expect("a world")
}

/// Takes turns until the power is cut.
fn run(mut turn: impl FnMut(u32)) {
    let (mut firmware, _) = start();
    let mut number = 0;
    while let Some(now) = firmware.turn() {
        turn(number);
        number += 1;
        let next = Some(now.now + 1000);
        firmware.answer(Answer {
            next,
            ..Answer::default()
        });
    }
}

#[derive(Default)]
struct Queues {
    arrived: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

struct Arrived(Vec<u8>);
struct Room<'q>(&'q mut Vec<Vec<u8>>);

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.push(frame);
        result
    }
}

impl Device for Queues {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Arrived, Room<'_>)> {
        Some((Arrived(self.arrived.pop_front()?), Room(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room<'_>> {
        Some(Room(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

fn interface(boot: &Boot, queues: &mut Queues) -> Interface {
    let mut config = Config::new(EthernetAddress(boot.hardware).into());
    config.random_seed = u64::from_le_bytes(*boot.entropy.first_chunk().expect("8 bytes"));
    let now = Instant::from_micros(boot.now as i64);
    let mut interface = Interface::new(config, queues, now);
    let (address, prefix) = boot.ipv4;
    let cidr = IpCidr::new(Ipv4Address::from(address).into(), prefix);
    interface.update_ip_addrs(|all| all.push(cidr).expect("room for an address"));
    interface
}

/// What came, and a bounded share of what there is to send: one peer can make
/// `Interface::poll` go on for ever.
fn poll(interface: &mut Interface, now: Instant, queues: &mut Queues, sockets: &mut SocketSet<'_>) {
    while interface.poll_ingress_single(now, queues, sockets) != PollIngressSingleResult::None {}
    for _ in 0..16 {
        if interface.poll_egress(now, queues, sockets) == PollResult::None {
            break;
        }
    }
}

/// A whole server: one connection at a time, on port 7.
#[test]
#[ignore = "a child"]
fn echoes() {
    let (mut firmware, boot) = start();
    println!("boot {}", BOOTS.fetch_add(1, Ordering::Relaxed) + 1);
    if std::env::var_os("TELL_PID").is_some() {
        println!("pid {}", std::process::id()); // another in every run
    }
    let mut queues = Queues::default();
    let mut interface = interface(&boot, &mut queues);
    let mut sockets = SocketSet::new(Vec::new());
    let [rx, tx] = [(); 2].map(|()| tcp::SocketBuffer::new(vec![0; 1024]));
    let handle = sockets.add(tcp::Socket::new(rx, tx));
    while let Some(turn) = firmware.turn() {
        queues.arrived.extend(turn.frames);
        let now = Instant::from_micros(turn.now as i64);
        poll(&mut interface, now, &mut queues, &mut sockets);
        let socket = sockets.get_mut::<tcp::Socket<'_>>(handle);
        if !socket.is_open() {
            socket.listen(7).expect("a port");
        }
        if socket.can_send() {
            let bytes = socket.recv(|bytes| (bytes.len(), bytes.to_vec()));
            if let Ok(bytes @ [_, ..]) = bytes.as_deref() {
                println!("echo {}", bytes.escape_ascii());
                socket.send_slice(bytes).expect("room");
            }
        }
        if !socket.may_recv() && socket.may_send() {
            socket.close();
        }
        let is_done = !socket.is_active();
        poll(&mut interface, now, &mut queues, &mut sockets);
        let next = interface.poll_at(now, &sockets);
        firmware.answer(Answer {
            frames: std::mem::take(&mut queues.sent),
            next: next.map(|at| at.total_micros() as u64),
            is_done,
        });
    }
}

#[test]
#[ignore = "a child"]
fn prints_much() {
    run(|number| {
        for line in 0..20_000 {
            println!("a line of some length that fills the pipe, {number} {line}");
        }
    });
}

#[test]
#[ignore = "a child"]
fn prints_without_end() {
    run(|number| {
        if number == 1 {
            loop {
                println!("again and again");
            }
        }
    });
}

#[test]
#[ignore = "a child"]
fn panics() {
    run(|number| {
        println!("turn {number}");
        assert!(number < 3, "the swan sinks");
    });
}

#[test]
#[ignore = "a child"]
fn exits() {
    run(|number| {
        if number == 2 {
            std::process::exit(7);
        }
    });
}

#[test]
#[ignore = "a child"]
fn exits_at_once() {
    std::process::exit(3);
}

#[test]
#[ignore = "a child"]
fn says_nothing() {
    run(|number| {
        if number == 2 {
            println!("waits for a thread");
            loop {
                std::thread::park();
            }
        }
    });
}

#[test]
#[ignore = "a child"]
fn spins() {
    run(|number| {
        if number == 2 {
            loop {
                std::hint::spin_loop();
            }
        }
    });
}

#[test]
#[ignore = "a child"]
fn writes_garbage() {
    run(|number| {
        if number == 2 {
            wire().write_all(b"hello, world\n").expect("a wire");
        }
    });
}

#[test]
#[ignore = "a child"]
fn speaks_another_version() {
    let ready = b"\x09\0\0\0\x81cygnet\x02\0";
    wire().write_all(ready).expect("a wire");
    std::thread::park();
}

#[test]
#[ignore = "a child"]
fn answers_twice() {
    run(|number| {
        if number == 2 {
            let answer = cygnet_lockstep::Message::Answer(2, Answer::default());
            wire().write_all(&answer.encode()).expect("a wire");
        }
    });
}
