//! A node with a page, and who visits it.
#![allow(dead_code)]

use std::cell::RefCell;
use std::future::Future;

use cygnet::lab::pair;
use cygnet::lab::wire::{Faults, Wire};
use cygnet::service::echo;
use cygnet::{Backlog, HeapStorage, HeapTaskStorage, Node, StorageSizes, Tasks};
use cygnet_compat::page::Page;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpAddress;

use crate::hosts::{LATENCY, stack};

pub const SLOTS: usize = 64;
/// What the page gives away at once: a quarter.
pub const QUARTER: usize = 16;
pub const BACKLOG: Backlog = Backlog(4);
pub const SERVER: IpAddress = IpAddress::v4(10, 0, 0, 1);

/// A node of 64 slots that serves echo and its page, and a visitor.
pub struct Stage {
    pub server: Node<'static>,
    pub visitor: Node<'static>,
    pub wire: Box<Wire<64>>,
}

pub fn host(slots: usize, number: u8) -> Node<'static> {
    let sizes = StorageSizes {
        parked: 128,
        ..StorageSizes::new(slots, 2048, 2048)
    };
    let memory = Box::leak(Box::new(HeapStorage::new(sizes).unwrap()));
    let futures = HeapTaskStorage::new(128, 2048).unwrap();
    let ready = futures.leak_flags(None).unwrap();
    let stack = Box::leak(Box::new(stack(memory, number)));
    let tasks = Tasks::new(Box::leak(Box::new(futures)), ready);
    Node::new(stack, Box::leak(Box::new(tasks)))
}

impl Stage {
    pub fn new() -> Stage {
        let (server, visitor) = (host(SLOTS, 1), host(128, 2));
        server
            .spawn_named("echo", Box::pin(echo(server, 7, Backlog(8))))
            .unwrap();
        let page: &'static Page = Box::leak(Box::new(Page::new(SLOTS)));
        let serves = page.serve(server, 80, BACKLOG, move |stream| {
            let serves = page.connection(server, stream);
            server.spawn_named("http", Box::pin(serves)).unwrap();
        });
        server.spawn_named("http", Box::pin(serves)).unwrap();
        let wire = Box::new(Wire::new(Faults {
            latency: LATENCY,
            ..Faults::NONE
        }));
        Stage {
            server,
            visitor,
            wire,
        }
    }

    pub fn visit(&self, task: impl Future<Output = ()> + 'static) {
        self.visitor.spawn(Box::pin(task)).unwrap();
    }

    /// Until then, or so many seconds.
    pub fn run(&self, seconds: i64, mut done: impl FnMut(Instant) -> bool) -> Instant {
        let limit = Instant::from_secs(seconds);
        pair::run(&self.wire, self.server, self.visitor, limit, &mut done)
    }
}

/// Something that a task of the visitor leaves behind.
pub fn left<T: Default>() -> &'static RefCell<T> {
    Box::leak(Box::default())
}

/// Sends this and reads to the end, or for so long.
pub async fn ask(node: Node<'static>, request: &[u8], patience: Duration) -> (String, bool) {
    let mut answer = Vec::new();
    let reads = async {
        let Ok(mut stream) = node.connect((SERVER, 80)).await else {
            return;
        };
        if stream.write_all(request).await.is_err() {
            return;
        }
        let mut chunk = [0; 512];
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            answer.extend_from_slice(&chunk[..count]);
        }
    };
    let ended = node.timeout(patience, reads).await.is_ok();
    (String::from_utf8_lossy(&answer).into_owned(), ended)
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n")
}

/// What is in the chunks of an answer.
pub fn body(answer: &str) -> String {
    let (head, mut rest) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
    let mut body = String::new();
    loop {
        let (length, more) = rest.split_once("\r\n").expect("a length");
        let length = usize::from_str_radix(length, 16).expect("a number");
        if length == 0 {
            return body;
        }
        body += &more[..length];
        rest = &more[length + 2..];
    }
}
