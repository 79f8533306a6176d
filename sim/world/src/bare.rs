//! A machine that is a loop around smoltcp, as firmware without an executor has it: one
//! `Interface`, one `SocketSet`, and a function that looks at the sockets after every
//! poll.
//!
//! Not here: `Interface::poll`, which one peer can keep busy for ever. A turn takes a
//! frame at a time, and a bounded number of them.

use smoltcp::iface::{
    Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet,
};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;

use super::card::Card;
use super::identity::Identity;
use super::machine::{Broken, Entropy, Machine};

/// Frames that a turn takes at most, and how often it sends.
const FRAMES: usize = 16;
const PASSES: usize = 16;

/// What a program around smoltcp waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// For nothing, unless somebody asks: it is done.
    Done,
    /// For a frame, or a timer of a socket.
    Frame,
    /// For those, and for this moment.
    Until(Instant),
}

/// A function that looks at the sockets after every poll.
pub type Step = Box<dyn FnMut(&mut Interface, &mut SocketSet<'static>, Instant) -> Wait>;

/// A loop around smoltcp. Its interface has the host's addresses; its sequence numbers
/// and ports follow from the host's entropy.
///
/// ```
/// use cygnet_world::{Bare, Link, World};
/// use smoltcp::time::Instant;
///
/// let mut world = World::new(7);
/// let server = world.machine("server", Bare::echo(7, 4));
/// let target = world.endpoint(server, 7);
/// let client = world.host("client", move |node| {
///     let visit = async move {
///         let mut stream = node.connect(target).await.expect("a connection");
///         stream.write_all(b"swan").await.expect("room");
///         let mut answer = [0; 4];
///         assert_eq!(stream.read(&mut answer).await, Ok(4));
///     };
///     node.spawn(visit).expect("a free task");
/// });
/// world.connect(server, client, Link { loss: 100_000, ..Link::LAN });
/// world.run_until(Instant::from_secs(600), |world| world.is_done(client));
/// assert!(world.is_done(client));
/// ```
pub struct Bare {
    program: Box<dyn FnMut(&mut SocketSet<'static>) -> Step>,
    running: Option<Running>,
}

struct Running {
    interface: Interface,
    sockets: SocketSet<'static>,
    step: Step,
    wait: Wait,
}

impl Bare {
    /// A machine that calls `program` at every boot, to add sockets, and what that gives
    /// after every poll.
    pub fn new(program: impl FnMut(&mut SocketSet<'static>) -> Step + 'static) -> Bare {
        Bare {
            program: Box::new(program),
            running: None,
        }
    }

    /// An echo server for so many connections at once, with 2 KiB of buffer each way.
    pub fn echo(port: u16, connections: usize) -> Bare {
        Bare::new(move |sockets| {
            let mut socket = || {
                let [rx, tx] = [(); 2].map(|()| tcp::SocketBuffer::new(vec![0; 2048]));
                sockets.add(tcp::Socket::new(rx, tx))
            };
            let handles: Vec<SocketHandle> = (0..connections).map(|_| socket()).collect();
            Box::new(move |_, sockets, _| {
                let mut busy = false;
                for &handle in &handles {
                    let socket = sockets.get_mut::<tcp::Socket<'_>>(handle);
                    serve(socket, port);
                    busy |= socket.is_active();
                }
                if busy { Wait::Frame } else { Wait::Done }
            })
        })
    }
}

/// Echoes what there is room for, and goes when the peer has gone.
fn serve(socket: &mut tcp::Socket<'_>, port: u16) {
    if !socket.is_open() {
        let _ = socket.listen(port); // it fails only for port 0
        return;
    }
    let mut bytes = [0; 512];
    while socket.can_recv() && socket.can_send() {
        let room = socket.send_capacity() - socket.send_queue();
        let some = room.min(bytes.len());
        let Ok(count) = socket.recv_slice(&mut bytes[..some]) else {
            break;
        };
        let _ = socket.send_slice(&bytes[..count]); // there is room
    }
    if !socket.may_recv() && !socket.can_recv() && socket.may_send() && socket.is_active() {
        socket.close();
    }
}

impl Machine for Bare {
    fn boot(&mut self, who: &Identity, mut entropy: Entropy, now: Instant) -> Result<(), Broken> {
        let mut config = Config::new(who.hardware.into());
        config.random_seed = entropy.next_u64();
        let mut interface = Interface::new(config, &mut Card::default(), now);
        interface.update_ip_addrs(|addresses| {
            for cidr in who.addresses {
                let _ = addresses.push(cidr); // smoltcp has room for two by itself
            }
        });
        let mut sockets = SocketSet::new(Vec::new());
        let step = (self.program)(&mut sockets);
        self.running = Some(Running {
            interface,
            sockets,
            step,
            wait: Wait::Frame,
        });
        Ok(())
    }

    fn turn(&mut self, card: &mut Card, now: Instant) -> Result<Option<Instant>, Broken> {
        let Some(running) = &mut self.running else {
            return Ok(None);
        };
        let Running {
            interface,
            sockets,
            step,
            wait,
        } = running;
        for _ in 0..FRAMES {
            if interface.poll_ingress_single(now, card, sockets) == PollIngressSingleResult::None {
                break;
            }
        }
        interface.poll_maintenance(now);
        *wait = step(interface, sockets, now);
        for _ in 0..PASSES {
            if interface.poll_egress(now, card, sockets) == PollResult::None {
                break;
            }
            *wait = step(interface, sockets, now);
        }
        let own = match *wait {
            Wait::Until(at) => Some(at),
            Wait::Done | Wait::Frame => None,
        };
        let both = [interface.poll_at(now, sockets), own];
        Ok(both.into_iter().flatten().min())
    }

    fn power_off(&mut self) {
        self.running = None;
    }

    fn is_done(&self) -> bool {
        let wait = self.running.as_ref().map(|running| running.wait);
        wait == Some(Wait::Done)
    }

    fn waiting(&self) -> String {
        match self.running.as_ref().map(|running| running.wait) {
            None => "off".into(),
            Some(Wait::Done) => "done".into(),
            Some(Wait::Frame) => "waits for a frame".into(),
            Some(Wait::Until(at)) => format!("waits for a frame, or for {at} on its clock"),
        }
    }
}
