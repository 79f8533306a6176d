//! Peers that no honest stack would be: rows of the table of hostile
//! behaviours, by hand. Time-wait and overload are here too.
#![cfg(feature = "lab")]
#[path = "peers/handshake.rs"]
mod handshake;
mod harness;
#[path = "peers/overload.rs"]
mod overload;
#[path = "peers/segments.rs"]
mod segments;
#[path = "peers/time_wait.rs"]
mod time_wait;

use std::cell::Cell;

use cygnet::event::DropReason;
use cygnet::lab::wire::Wire;
use cygnet::{Backlog, Node};
use harness::peer::{HOST, HOST_MAC, Hands, Seg, answer, by_hand, mac, syn};
use harness::*;
use smoltcp::time::Duration;
use smoltcp::wire::{EthernetAddress, Ipv4Address, TcpControl, TcpSeqNumber};

const TICK: Duration = Duration::from_millis(10);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Greets, then closes without waiting.
async fn greeter(node: Node<'_>, hold: bool) {
    let listener = node.listen(7, Backlog(2)).unwrap();
    while let Ok((mut stream, _)) = listener.accept().await {
        let talk = async move {
            stream.write_all(b"0123456789").await.unwrap();
            if hold {
                stream.shutdown();
                node.sleep(secs(3600)).await;
            }
        };
        node.spawn(Box::pin(talk)).map_err(|_| ()).unwrap();
    }
}
