//! Kernel clients: sockets of this machine, one thread, epoll. Each client has
//! one request under way: it sends 64 bytes, waits for the same 64 bytes, looks
//! at every one of them, and sends the next. The same program asks every server
//! that is measured, so what differs is the server.
//!
//! Not here: which server, and how often (`tap.rs`).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

/// Bytes of a request and of its answer.
pub const REQUEST: usize = 64;
/// A server that is silent for so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many clients are looked at after one wait.
const EVENTS: usize = 1024;

struct Client {
    stream: TcpStream,
    request: [u8; REQUEST],
    got: usize,
    sent_at: Instant,
}

/// Open connections to one server.
pub struct Clients {
    epoll: OwnedFd,
    clients: Vec<Client>,
    events: Vec<epoll::Event>,
    answer: [u8; REQUEST],
}

/// What [`Clients::ask`] did.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Requests that were answered, each with the right bytes.
    pub requests: u64,
    /// From the first request to the last answer in time.
    pub time: Duration,
}

impl Clients {
    /// Opens `count` connections, one after the other.
    ///
    /// # Errors
    /// What the kernel said: no server, no descriptor, no port.
    pub fn connect(server: SocketAddr, count: usize) -> io::Result<Clients> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut clients = Vec::with_capacity(count);
        for index in 0..count {
            let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)?;
            clients.push(Client {
                stream,
                request: request(index),
                got: 0,
                sent_at: Instant::now(),
            });
        }
        Ok(Clients {
            epoll,
            clients,
            events: Vec::with_capacity(EVENTS),
            answer: [0; REQUEST],
        })
    }

    /// Lets every client ask for `time`, and then waits for the answers that are
    /// still under way. `nanos` takes what each request took.
    ///
    /// # Errors
    /// A connection that ended, a wrong byte, or a server that is silent.
    pub fn ask(&mut self, time: Duration, nanos: &mut Histogram<u64>) -> io::Result<Asked> {
        let start = Instant::now();
        for client in &mut self.clients {
            client.send(start)?;
        }
        let mut waiting = self.clients.len();
        let mut asked = Asked {
            requests: 0,
            time: Duration::ZERO,
        };
        while waiting > 0 {
            let patience = Timespec {
                tv_sec: PATIENCE.as_secs() as i64,
                tv_nsec: 0,
            };
            self.events.clear();
            let room = spare_capacity(&mut self.events);
            match epoll::wait(&self.epoll, room, Some(&patience)) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")),
                Ok(_) | Err(rustix::io::Errno::INTR) => (),
                Err(error) => return Err(error.into()),
            }
            let now = Instant::now();
            let go_on = now - start < time;
            for event in &self.events {
                let client = &mut self.clients[event.data.u64() as usize];
                if !client.receive(&mut self.answer)? {
                    continue;
                }
                let took = now - client.sent_at;
                let _ = nanos.record(took.as_nanos() as u64);
                if asked.time.is_zero() {
                    asked.requests += 1;
                }
                match go_on {
                    true => client.send(now)?,
                    false => waiting -= 1,
                }
            }
            if !go_on && asked.time.is_zero() {
                asked.time = now - start;
            }
        }
        Ok(asked)
    }
}

impl Client {
    fn send(&mut self, now: Instant) -> io::Result<()> {
        self.sent_at = now;
        self.got = 0;
        for byte in &mut self.request[..8] {
            *byte = byte.wrapping_add(1);
        }
        // One request fits into an empty buffer.
        let sent = self.stream.write(&self.request)?;
        match sent {
            REQUEST => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    /// Takes what came. True when the answer is whole, and right.
    fn receive(&mut self, answer: &mut [u8; REQUEST]) -> io::Result<bool> {
        let count = match self.stream.read(&mut answer[..REQUEST - self.got]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        if answer[..count] != self.request[self.got..][..count] {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a wrong byte"));
        }
        self.got += count;
        Ok(self.got == REQUEST)
    }
}

/// A request that no other client's is like.
fn request(index: usize) -> [u8; REQUEST] {
    let mut request = [0; REQUEST];
    for (at, byte) in request.iter_mut().enumerate() {
        *byte = (index >> (8 * (at % 4))) as u8 ^ (at as u8).wrapping_mul(31);
    }
    request
}
