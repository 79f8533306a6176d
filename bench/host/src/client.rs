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

use contest::REQUEST;
use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::usage::processor_time;

/// A server that is silent for so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How many clients one `epoll_wait` can report.
const EVENTS: usize = 1024;

/// Open connections to one server.
pub struct Clients {
    epoll: OwnedFd,
    clients: Vec<Client>,
    events: Vec<epoll::Event>,
}

struct Client {
    asker: Asker,
    sent_at: Instant,
}

/// What [`Clients::ask`] did.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Requests that were answered in time, each with the right bytes.
    pub requests: u64,
    /// The time.
    pub time: Duration,
    /// What the clients had of the processor meanwhile.
    pub spent: Duration,
}

impl Asked {
    /// Requests per second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.time.as_secs_f64()
    }
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
            let stream = connect(server)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let data = epoll::EventData::new_u64(index as u64);
            // Edge-triggered: otherwise each answer would be looked for once more.
            let when = epoll::EventFlags::IN | epoll::EventFlags::ET;
            epoll::add(&epoll, &stream, data, when)?;
            clients.push(Client {
                asker: Asker::new(stream, index),
                sent_at: Instant::now(),
            });
        }
        Ok(Clients {
            epoll,
            clients,
            events: Vec::with_capacity(EVENTS),
        })
    }

    /// Lets every client ask for `time`, at least once, and then waits for the
    /// answers that are still under way. `nanos` takes what each request took.
    ///
    /// # Errors
    /// A connection that ended, a wrong byte, or a server that is silent.
    pub fn ask(&mut self, time: Duration, nanos: &mut Histogram<u64>) -> io::Result<Asked> {
        self.ask_some(self.clients.len(), time, nanos)
    }

    /// [`ask`](Clients::ask) for `count` of them; the others say nothing.
    ///
    /// # Errors
    /// As of `ask`.
    pub fn ask_some(
        &mut self,
        count: usize,
        time: Duration,
        nanos: &mut Histogram<u64>,
    ) -> io::Result<Asked> {
        let (start, spent) = (Instant::now(), processor_time());
        for client in self.clients.iter_mut().take(count) {
            client.send(start)?;
        }
        let mut waiting = count.min(self.clients.len());
        let mut in_time = None;
        let mut requests = 0;
        while waiting > 0 {
            self.wait()?;
            let now = Instant::now();
            let go_on = now - start < time;
            for event in &self.events {
                let client = &mut self.clients[event.data.u64() as usize];
                if !client.asker.receive()? {
                    continue;
                }
                requests += 1;
                let took = now - client.sent_at;
                let _ = nanos.record(took.as_nanos() as u64);
                match go_on {
                    true => client.send(now)?,
                    false => waiting -= 1,
                }
            }
            if !go_on && in_time.is_none() {
                in_time = Some(Asked {
                    requests,
                    time: now - start,
                    spent: processor_time().saturating_sub(spent),
                });
            }
        }
        in_time.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

impl Clients {
    /// Sleeps until a client has something to read.
    fn wait(&mut self) -> io::Result<()> {
        let patience = Timespec {
            tv_sec: PATIENCE.as_secs() as i64,
            tv_nsec: 0,
        };
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            Some(&patience),
        ) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// A server that has no socket for us right now may have one soon.
fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let start = Instant::now();
    loop {
        match TcpStream::connect_timeout(&server, PATIENCE) {
            Err(error)
                if error.kind() == io::ErrorKind::ConnectionRefused
                    && start.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

impl Client {
    fn send(&mut self, now: Instant) -> io::Result<()> {
        self.sent_at = now;
        self.asker.send()
    }
}

/// One connection, one request at a time. Its stream does not block.
pub struct Asker {
    stream: TcpStream,
    request: [u8; REQUEST],
    got: usize,
}

impl Asker {
    /// `index` makes its requests like no other's.
    pub fn new(stream: TcpStream, index: usize) -> Asker {
        let mut request = [0; REQUEST];
        for (at, byte) in request.iter_mut().enumerate() {
            *byte = (index >> (8 * (at % 4))) as u8 ^ (at as u8).wrapping_mul(31);
        }
        Asker {
            stream,
            request,
            got: 0,
        }
    }

    /// Sends a request, unlike the last one.
    pub fn send(&mut self) -> io::Result<()> {
        self.got = 0;
        for byte in &mut self.request[..8] {
            *byte = byte.wrapping_add(1);
        }
        // One request fits into an empty buffer.
        match self.stream.write(&self.request)? {
            REQUEST => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    /// Takes what came. True when the answer is whole, and right.
    pub fn receive(&mut self) -> io::Result<bool> {
        let mut answer = [0; REQUEST];
        let count = match self.stream.read(&mut answer[self.got..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        let range = self.got..self.got + count;
        if answer[range.clone()] != self.request[range] {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a wrong byte"));
        }
        self.got += count;
        Ok(self.got == REQUEST)
    }
}
