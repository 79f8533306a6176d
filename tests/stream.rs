//! Streams between two hosts on the wire.
#![cfg(feature = "lab")]
#[path = "stream/asking.rs"]
mod asking;
#[path = "stream/bytes.rs"]
mod bytes;
#[path = "stream/close.rs"]
mod close;
#[path = "stream/connect.rs"]
mod connect;
#[path = "stream/halves.rs"]
mod halves;
mod harness;
#[path = "stream/loans.rs"]
mod loans;
#[path = "stream/outages.rs"]
mod outages;
#[path = "stream/timeouts.rs"]
mod timeouts;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cygnet::event::DropReason;
use cygnet::lab::wire::{DirectionStats, Faults, Wire};
use cygnet::{
    Backlog, CloseError, ConnectError, Node, OwnedReadHalf, ReadError, StreamError, TcpListener,
    TcpStream, WriteError,
};
use embedded_io_async::{BufRead, Read, ReadReady, Write, WriteReady};
use futures_util::future::join;
use harness::*;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpEndpoint};

async fn echo_server(node: Node<'_>) -> Result<(), cygnet::ListenError> {
    let listener = node.listen(7, Backlog(4))?;
    while let Ok((stream, _)) = listener.accept().await {
        let _ = node.spawn(Box::pin(echo(stream)));
    }
    Ok(())
}

/// Listens on port 7 and gives the first connection.
async fn one(node: Node<'_>) -> TcpStream<'_> {
    let listener: TcpListener<'_> = node.listen(7, Backlog(4)).unwrap();
    listener.accept().await.unwrap().0
}

async fn read_to_end(stream: &mut TcpStream<'_>) -> Result<Vec<u8>, ReadError> {
    let (mut all, mut buf) = (Vec::new(), [0; 300]);
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(all),
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn silence() -> Faults {
    Faults {
        loss_ppm: 1_000_000,
        ..LAN
    }
}
