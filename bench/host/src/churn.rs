//! Short connections: connect, one request, its answer, close. A few dozen are
//! under way at a time, so that what is measured is work and not the way there.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};

use crate::client::{Asker, PATIENCE};

/// Connections under way at a time.
pub const AT_ONCE: usize = 32;

/// What [`churn`] did.
#[derive(Clone, Copy, Debug)]
pub struct Churned {
    /// Connections that were opened, answered and closed.
    pub connections: u64,
    /// Attempts that the server refused, and that were repeated.
    pub refused: u64,
    /// The time.
    pub time: Duration,
}

enum Step {
    Connecting(OwnedFd),
    Asking(Asker),
}

/// Makes `count` short connections, [`AT_ONCE`] at a time.
///
/// # Errors
/// What the kernel said, a wrong byte, or a server that is silent.
pub fn churn(server: SocketAddr, count: usize) -> io::Result<Churned> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut steps: Vec<Option<Step>> = Vec::new();
    let mut churned = Churned {
        connections: 0,
        refused: 0,
        time: Duration::ZERO,
    };
    let mut left = count;
    let start = Instant::now();
    for index in 0..AT_ONCE.min(count) {
        steps.push(Some(begin(&epoll, server, index)?));
        left -= 1;
    }
    let mut under_way = steps.len();
    let mut events = Vec::with_capacity(AT_ONCE);
    let patience = Timespec {
        tv_sec: PATIENCE.as_secs() as i64,
        tv_nsec: 0,
    };
    while under_way > 0 {
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), Some(&patience)) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer")),
            Ok(_) | Err(Errno::INTR) => (),
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let index = event.data.u64() as usize;
            let Some(step) = steps[index].take() else {
                continue;
            };
            let next = match step {
                Step::Connecting(socket) => match sockopt::socket_error(&socket)? {
                    Ok(()) => Some(ask(&epoll, socket, index)?),
                    Err(Errno::CONNREFUSED) => {
                        churned.refused += 1;
                        Some(begin(&epoll, server, index)?)
                    }
                    Err(error) => return Err(error.into()),
                },
                Step::Asking(mut asker) => match asker.receive() {
                    Ok(false) => Some(Step::Asking(asker)),
                    Ok(true) => {
                        churned.connections += 1;
                        drop(asker); // an orderly close
                        match left {
                            0 => None,
                            _ => {
                                left -= 1;
                                Some(begin(&epoll, server, index)?)
                            }
                        }
                    }
                    // Accepted by a socket that was about to close.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                        churned.refused += 1;
                        Some(begin(&epoll, server, index)?)
                    }
                    Err(error) => return Err(error),
                },
            };
            under_way -= usize::from(next.is_none());
            steps[index] = next;
        }
    }
    churned.time = start.elapsed();
    Ok(churned)
}

fn begin(epoll: &OwnedFd, server: SocketAddr, index: usize) -> io::Result<Step> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match rustix::net::connect(&socket, &server) {
        Ok(()) | Err(Errno::INPROGRESS) => (),
        Err(error) => return Err(error.into()),
    }
    let data = epoll::EventData::new_u64(index as u64);
    epoll::add(epoll, &socket, data, epoll::EventFlags::OUT)?;
    Ok(Step::Connecting(socket))
}

fn ask(epoll: &OwnedFd, socket: OwnedFd, index: usize) -> io::Result<Step> {
    let data = epoll::EventData::new_u64(index as u64);
    epoll::modify(epoll, socket.as_fd(), data, epoll::EventFlags::IN)?;
    let mut asker = Asker::new(TcpStream::from(socket), index);
    asker.send()?;
    Ok(Step::Asking(asker))
}
