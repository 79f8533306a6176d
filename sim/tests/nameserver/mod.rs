//! A small name server for tests: it knows one address, or many, or nothing, and counts who
//! asks it.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ways {
    /// Every name has this address.
    Knows(Ipv4Addr),
    /// SERVFAIL.
    Fails,
    /// It hears, and never answers.
    Silent,
    /// Every name has sixty addresses, from 10.9.8.1 on, which do not fit a datagram: it says
    /// so, and tells them by TCP.
    Truncates,
}

/// How often a server was asked by datagrams, and by TCP.
#[derive(Debug, Default)]
pub struct Asked {
    pub udp: AtomicUsize,
    pub tcp: AtomicUsize,
}

impl Asked {
    pub fn udp(&self) -> usize {
        self.udp.load(Ordering::Relaxed)
    }

    pub fn tcp(&self) -> usize {
        self.tcp.load(Ordering::Relaxed)
    }
}

/// Starts a server on threads of its own, which end with the test's process.
pub fn serve(at: &str, ways: Ways) -> Arc<Asked> {
    let at: SocketAddr = at.parse().unwrap();
    let (udp, tcp) = (UdpSocket::bind(at).unwrap(), TcpListener::bind(at).unwrap());
    let asked = Arc::new(Asked::default());
    let counts = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut buf = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut buf) {
            counts.udp.fetch_add(1, Ordering::Relaxed);
            if let Some(answer) = answer(&buf[..length], ways, false) {
                udp.send_to(&answer, from).unwrap();
            }
        }
    });
    let counts = Arc::clone(&asked);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = tcp.accept() {
            counts.tcp.fetch_add(1, Ordering::Relaxed);
            // Whoever goes away in the middle has his reasons.
            let _ = by_tcp(&mut stream, ways);
        }
    });
    asked
}

/// One question and its answer, each behind its length (RFC 1035, 4.2.2).
fn by_tcp(stream: &mut TcpStream, ways: Ways) -> std::io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut query = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut query)?;
    let Some(answer) = answer(&query, ways, true) else {
        return Ok(());
    };
    let mut message = (answer.len() as u16).to_be_bytes().to_vec();
    message.extend(answer);
    stream.write_all(&message)
}

const TRUNCATED: u8 = 2;
const SERVFAIL: u8 = 2;

fn answer(query: &[u8], ways: Ways, by_tcp: bool) -> Option<Vec<u8>> {
    // The question is behind the header: a name that ends with an empty label, type and class.
    let name = query.get(12..)?;
    let end = 12 + name.iter().position(|byte| *byte == 0)? + 5;
    let question = query.get(12..end)?;
    let wants_a = question.ends_with(&[0, 1, 0, 1]);
    let (mut flags, mut code, mut addrs) = (0, 0, Vec::new());
    match ways {
        Ways::Silent => return None,
        Ways::Fails => code = SERVFAIL,
        Ways::Knows(addr) => addrs.push(addr),
        Ways::Truncates if by_tcp => {
            addrs.extend((1..=60).map(|last| Ipv4Addr::new(10, 9, 8, last)));
        }
        Ways::Truncates => flags = TRUNCATED,
    }
    if !wants_a {
        addrs.clear();
    }
    let mut answer = query[..2].to_vec();
    // A response, with authority, to who may want more asked for him; to one question.
    answer.extend([0x84 | flags | query[2] & 1, 0x80 | code, 0, 1]);
    answer.extend((addrs.len() as u16).to_be_bytes());
    answer.extend([0; 4]);
    answer.extend(question);
    for addr in addrs {
        // The same name, an address, for a minute.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(addr.octets());
    }
    Some(answer)
}
