//! Tasks that talk to each other: every line a guest says is heard by all
//! others. One task reads what a guest says, another writes what the room
//! says, and a channel of another crate lies between them.

mod hosts;

use cygnet::{Backlog, Node, OwnedReadHalf, OwnedWriteHalf};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pubsub::{PubSubBehavior, PubSubChannel, WaitResult};
use hosts::at;

/// Who said it, and what.
type Line = (u32, heapless::String<32>);
/// 8 lines may wait for 4 listeners.
static ROOM: PubSubChannel<CriticalSectionRawMutex, Line, 8, 4, 0> = PubSubChannel::new();

async fn server(node: Node<'_>, guests: u32) {
    let listener = node.listen(4000, Backlog(4)).expect("a free port");
    for guest in 0..guests {
        let (stream, _) = listener.accept().await.expect("an open listener");
        let (says, hears) = stream.into_split();
        node.spawn(speak(guest, says)).expect("a free task");
        node.spawn(listen(guest, hears)).expect("a free task");
    }
}

/// Reads lines and puts them into the room.
async fn speak(guest: u32, mut says: OwnedReadHalf<'_>) {
    let mut buf = [0; 32];
    while let Ok(count @ 1..) = says.read(&mut buf).await {
        let line = core::str::from_utf8(&buf[..count]).unwrap_or("?");
        ROOM.publish_immediate((guest, line.try_into().unwrap_or_default()));
    }
    ROOM.publish_immediate((guest, heapless::String::new())); // has left
}

/// Writes what others say, until its own guest has left.
async fn listen(guest: u32, mut hears: OwnedWriteHalf<'_>) {
    let mut room = ROOM.subscriber().expect("a place to listen");
    loop {
        match room.next_message().await {
            WaitResult::Message((who, line)) if who == guest && line.is_empty() => return,
            WaitResult::Message((who, _)) if who == guest => (), // its own words
            WaitResult::Message((_, line)) => match hears.write_all(line.as_bytes()).await {
                Ok(()) => (),
                Err(_) => return,
            },
            WaitResult::Lagged(_) => (), // the room spoke faster than this guest hears
        }
    }
}

/// Says a line after a while and expects to hear the other's.
async fn guest(node: Node<'_>, says: &'static str, hears: &'static str) {
    let mut stream = node.connect(at(1, 4000)).await.expect("a connection");
    node.sleep(smoltcp::time::Duration::from_millis(100)).await;
    stream.write_all(says.as_bytes()).await.expect("room");
    let mut buf = [0; 32];
    let count = stream.read(&mut buf).await.expect("a line");
    assert_eq!(&buf[..count], hears.as_bytes());
    println!("{says:?} was answered with {hears:?}");
}

/// Two guests, one line each.
pub fn main() {
    hosts::run(|host, guests| {
        host.spawn(server(host, 2)).expect("a free task");
        for (says, hears) in [("honk", "hiss"), ("hiss", "honk")] {
            guests
                .spawn(guest(guests, says, hears))
                .expect("a free task");
        }
    });
}
