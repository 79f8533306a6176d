//! Servers that do as they are told.

use super::*;
use cygnet::{Backlog, Target};

/// What a server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// It gives `10.9.9.7`, for a minute.
    Answer,
    /// The same, a second later.
    Late,
    /// The same, but nobody is there before a second and a half.
    NotYet,
    Silent,
    /// It says this code and nothing else.
    Fails(u8),
    /// It knows the name and no address of it.
    Nothing,
    /// It says what is not an answer to the question.
    Lies,
    /// It says that there is more, and has eight addresses for who asks by TCP.
    Truncated,
    /// `alias.example` is `seven.example`, and `circle.example` is itself, one question later.
    Alias,
}

/// What a server was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    pub server: Ipv4Address,
    pub id: u16,
    pub port: u16,
    pub by_tcp: bool,
}

/// Serves at an address of `node`'s.
pub fn serve<'a>(
    node: Node<'a>,
    server: Ipv4Address,
    script: Script,
    log: &'a RefCell<Vec<Asked>>,
) {
    let by_udp = async move {
        if script == Script::NotYet {
            node.sleep(SEC * 3 / 2).await;
        }
        let socket = node.bind((server, 53)).unwrap();
        loop {
            let mut buf = [0; 512];
            let (len, peer) = socket.recv_from(&mut buf).await.unwrap();
            let asked = &buf[..len];
            log.borrow_mut().push(Asked {
                at: node.now(),
                server,
                id: u16::from_be_bytes([asked[0], asked[1]]),
                port: peer.endpoint.port,
                by_tcp: false,
            });
            if script == Script::Late {
                node.sleep(SEC).await;
            }
            for answer in answers(script, asked) {
                let to: Target = peer.into();
                socket.send_to(&answer, to).await.unwrap();
            }
        }
    };
    node.spawn(Box::pin(by_udp)).unwrap();
    if script != Script::Truncated || server != ONE {
        return;
    }
    let by_tcp = async move {
        let listener = node.listen(53, Backlog(2)).unwrap();
        loop {
            let (mut stream, peer) = listener.accept().await.unwrap();
            let mut buf = [0; 512];
            let mut len = 0;
            while len < 2 || len < 2 + usize::from(u16::from_be_bytes([buf[0], buf[1]])) {
                len += stream.read(&mut buf[len..]).await.unwrap();
            }
            let asked = &buf[2..len];
            log.borrow_mut().push(Asked {
                at: node.now(),
                server,
                id: u16::from_be_bytes([asked[0], asked[1]]),
                port: peer.port,
                by_tcp: true,
            });
            // More than anybody reads.
            let mut answer = reply(asked, 0, &(1..=8).collect::<Vec<_>>());
            answer.resize(1500, 0);
            let head = (answer.len() as u16).to_be_bytes();
            let _ = stream.write_all(&head).await;
            let _ = stream.write_all(&answer).await;
        }
    };
    node.spawn(Box::pin(by_tcp)).unwrap();
}

/// What is sent to who asked this.
fn answers(script: Script, asked: &[u8]) -> Vec<Vec<u8>> {
    match script {
        Script::Answer | Script::Late | Script::NotYet => vec![reply(asked, 0, &[7])],
        Script::Silent => vec![],
        Script::Fails(code) => vec![reply(asked, code.into(), &[])],
        Script::Nothing => vec![reply(asked, 0, &[])],
        Script::Lies => {
            let good = reply(asked, 0, &[66]);
            let changed = |at: usize, by: u8| {
                let mut bad = good.clone();
                bad[at] ^= by;
                bad
            };
            // Another number, no answer, another name, another kind, nothing at all.
            let kind = asked.len() - 3;
            vec![
                changed(1, 1),
                changed(2, 0x80),
                changed(13, 1),
                changed(kind, 3),
                vec![],
                asked.to_vec(),
                good[..11].to_vec(),
            ]
        }
        Script::Truncated => vec![reply(asked, 0x200, &[])],
        Script::Alias => {
            let is = |name: &[u8]| asked[12..].starts_with(name);
            if is(b"\x05alias") {
                vec![alias(asked, b"\x05seven\x07example\0")]
            } else if is(b"\x06circle") {
                vec![alias(asked, b"\x05other\x07example\0")]
            } else if is(b"\x05other") {
                vec![alias(asked, b"\x06circle\x07example\0")]
            } else {
                vec![reply(asked, 0, &[7])]
            }
        }
    }
}

/// An answer with these flags and addresses.
fn reply(asked: &[u8], flags: u16, lasts: &[u8]) -> Vec<u8> {
    let mut bytes = asked.to_vec();
    bytes[2..4].copy_from_slice(&(0x8180 | flags).to_be_bytes());
    bytes[7] = lasts.len() as u8;
    for last in lasts {
        bytes.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 9, 9, *last]);
    }
    bytes
}

/// An answer that gives another name.
fn alias(asked: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = reply(asked, 0, &[]);
    bytes[7] = 1;
    bytes.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, to.len() as u8]);
    bytes.extend_from_slice(to);
    bytes
}
