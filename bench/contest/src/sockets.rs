//! The client's network, of smoltcp and nothing else: a socket set per connection,
//! so that a client of thousands is quick, and streams that a future waits on.
//!
//! It is a smoltcp of its own, older than that of any contender. Where a client
//! runs the same code as a server, that code is still in the caches at the server's
//! turn: bare smoltcp took a fifth less time with a client of its own version.
//!
//! Not here: giving anything back. A closed connection keeps its port and its
//! memory until the process ends.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use smoltcp_old::iface::{Config, Interface, PollResult, SocketHandle, SocketSet, SocketStorage};
use smoltcp_old::phy::{Device, DeviceCapabilities, RxToken, TxToken};
use smoltcp_old::socket::tcp;
use smoltcp_old::time::{Duration, Instant};
use smoltcp_old::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use crate::link::{End, MTU, Receive, Send};

/// The local port of the first connection; the next has the next.
const FIRST_PORT: u16 = 1024;

struct Connection {
    set: SocketSet<'static>,
    handle: SocketHandle,
    /// It is in the list of those to look after.
    dirty: bool,
    due: Option<Instant>,
}

struct Inner {
    iface: Interface,
    connections: Vec<Connection>,
    /// Takes the frames that are no connection's.
    nobody: SocketSet<'static>,
    dirty: Vec<usize>,
    now: Instant,
    /// No connection is due earlier.
    due: Option<Instant>,
    /// When a sleep ends.
    alarm: Option<Instant>,
    buffer: usize,
}

/// All connections of the client. A clone is the same.
#[derive(Clone)]
pub struct Sockets(Rc<RefCell<Inner>>);

/// An open connection.
pub struct Stream {
    sockets: Sockets,
    index: usize,
}

impl Sockets {
    pub fn new(end: &mut End, buffer: usize) -> Self {
        let hardware = HardwareAddress::Ethernet(EthernetAddress([2, 0, 0, 0, 0, 2]));
        let mut iface = Interface::new(Config::new(hardware), &mut Port(end), Instant::ZERO);
        iface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(address(2), 24)).expect("room")
        });
        Sockets(Rc::new(RefCell::new(Inner {
            iface,
            connections: Vec::new(),
            nobody: SocketSet::new([].as_mut_slice()),
            dirty: Vec::new(),
            now: Instant::ZERO,
            due: None,
            alarm: None,
            buffer,
        })))
    }

    /// Takes every frame that waits. The time is in microseconds, here and below.
    pub fn receive(&self, end: &mut End, now: i64) {
        let now = Instant::from_micros(now);
        let mut device = Port(end);
        let inner = &mut *self.0.borrow_mut();
        inner.now = now;
        while let Some(port) = device.0.peek(destination_port) {
            let index = usize::from(port.wrapping_sub(FIRST_PORT));
            let set = match inner.connections.get_mut(index) {
                Some(connection) => &mut connection.set,
                None => &mut inner.nobody,
            };
            inner.iface.poll_ingress_single(now, &mut device, set);
            match index < inner.connections.len() {
                true => inner.touch(index),
                // It may have been the neighbor that all wait for.
                false => (0..inner.connections.len()).for_each(|index| inner.touch(index)),
            }
        }
        if inner.due.is_some_and(|due| due <= now) {
            for index in 0..inner.connections.len() {
                if inner.connections[index].due.is_some_and(|due| due <= now) {
                    inner.touch(index);
                }
            }
            inner.due = inner.connections.iter().filter_map(|one| one.due).min();
        }
    }

    /// Sends all that there is to send; returns when there may be more.
    pub fn send(&self, end: &mut End) -> Option<i64> {
        let inner = &mut *self.0.borrow_mut();
        let (iface, now) = (&mut inner.iface, inner.now);
        for index in inner.dirty.drain(..) {
            let connection = &mut inner.connections[index];
            connection.dirty = false;
            while iface.poll_egress(now, &mut Port(end), &mut connection.set) != PollResult::None {}
            connection.due = iface.poll_at(now, &connection.set);
            inner.due = inner.due.into_iter().chain(connection.due).min();
        }
        let due = inner.due.into_iter().chain(inner.alarm).min();
        due.map(|at| at.total_micros())
    }

    /// Opens a connection to the server.
    pub async fn connect(&self) -> Stream {
        let index = self.0.borrow_mut().open();
        let stream = Stream {
            sockets: self.clone(),
            index,
        };
        stream.until(|socket| socket.may_send().then_some(())).await;
        stream
    }

    pub async fn sleep(&self, micros: u64) {
        let until = self.0.borrow().now + Duration::from_micros(micros);
        self.0.borrow_mut().alarm = Some(until);
        poll_fn(|_| match self.0.borrow().now >= until {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
        self.0.borrow_mut().alarm = None;
    }
}

impl Inner {
    fn open(&mut self) -> usize {
        let index = self.connections.len();
        let buffer = || tcp::SocketBuffer::new(vec![0; self.buffer].leak());
        let mut socket = tcp::Socket::new(buffer(), buffer());
        let port = FIRST_PORT + u16::try_from(index).expect("a port");
        let remote = (address(1), 7);
        let connected = socket.connect(self.iface.context(), remote, port);
        connected.expect("a new socket connects");
        let place = Box::leak(Box::new(SocketStorage::EMPTY));
        let mut set = SocketSet::new(std::slice::from_mut(place));
        let handle = set.add(socket);
        self.connections.push(Connection {
            set,
            handle,
            dirty: false,
            due: None,
        });
        self.touch(index);
        index
    }

    fn touch(&mut self, index: usize) {
        if !std::mem::replace(&mut self.connections[index].dirty, true) {
            self.dirty.push(index);
        }
    }
}

impl Stream {
    /// Waits until there is an answer.
    async fn until<R>(&self, mut ask: impl FnMut(&mut tcp::Socket) -> Option<R>) -> R {
        poll_fn(|_| {
            let inner = &mut *self.sockets.0.borrow_mut();
            let connection = &mut inner.connections[self.index];
            match ask(connection.set.get_mut(connection.handle)) {
                Some(answer) => {
                    inner.touch(self.index);
                    Poll::Ready(answer)
                }
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Reads at least one byte and returns how many, 0 at the end.
    pub async fn read(&mut self, bytes: &mut [u8]) -> usize {
        self.until(|socket| match socket.can_recv() {
            true => Some(socket.recv_slice(bytes).expect("bytes")),
            false => (!socket.may_recv()).then_some(0),
        })
        .await
    }

    /// Writes at least one byte and returns how many.
    pub async fn write(&mut self, bytes: &[u8]) -> usize {
        self.until(|socket| match socket.can_send() {
            true => Some(socket.send_slice(bytes).expect("room")),
            false => {
                assert!(socket.may_send(), "the server hung up");
                None
            }
        })
        .await
    }

    pub async fn write_all(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = self.write(bytes).await;
            bytes = &bytes[count..];
        }
    }

    /// Sends the end of the stream behind everything that was written.
    pub async fn shutdown(&mut self) {
        self.until(|socket| {
            socket.close();
            Some(())
        })
        .await;
    }
}

fn address(number: u8) -> IpAddress {
    IpAddress::v4(10, 0, 0, number)
}

/// Of an IPv4 packet with TCP in it; 0 of anything else.
fn destination_port(frame: &[u8]) -> u16 {
    match frame {
        [_, _, _, _, _, _, _, _, _, _, _, _, 8, 0, 0x45, ..] if frame[23] == 6 => {
            u16::from_be_bytes([frame[36], frame[37]])
        }
        _ => 0,
    }
}

/// The client's end, as a device of the older version.
struct Port<'e>(&'e mut End);

struct Rx<'e>(Receive<'e>);

struct Tx<'e>(Send<'e>);

impl RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        self.0.take(|bytes| f(bytes))
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        self.0.fill(len, f)
    }
}

impl Device for Port<'_> {
    type RxToken<'a>
        = Rx<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Tx<'a>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Rx<'_>, Tx<'_>)> {
        self.0.tokens().map(|(rx, tx)| (Rx(rx), Tx(tx)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Tx<'_>> {
        Some(Tx(self.0.sender()))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}
