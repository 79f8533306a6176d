//! A service to test: counters behind TCP, on a disk that forgets what was not
//! flushed when the power goes. A request is a counter's number, its answer is what
//! the counter is after it was raised by one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use cygnet::{Backlog, ListenError, Node, TcpStream};
use cygnet_world::millis;
use smoltcp::wire::IpEndpoint;

/// Where it listens.
pub const PORT: u16 = 7000;

/// What is written, and what is safe.
#[derive(Clone, Default)]
pub struct Disk(Rc<RefCell<[BTreeMap<u8, u32>; 2]>>);

impl Disk {
    /// The power is back: only what is safe is there.
    pub fn power_on(&self) {
        let [written, safe] = &mut *self.0.borrow_mut();
        written.clone_from(safe);
    }

    /// What a counter is.
    pub fn read(&self, counter: u8) -> u32 {
        self.0.borrow()[0].get(&counter).copied().unwrap_or(0)
    }

    fn write(&self, counter: u8, value: u32) {
        self.0.borrow_mut()[0].insert(counter, value);
    }

    fn flush(&self) {
        let [written, safe] = &mut *self.0.borrow_mut();
        safe.clone_from(written);
    }
}

/// The service.
///
/// # Errors
/// The port is taken.
pub async fn serve(node: Node<'static>, disk: Disk) -> Result<(), ListenError> {
    let listener = node.listen(PORT, Backlog(4))?;
    while let Ok((stream, _)) = listener.accept().await {
        let _ = node.spawn_named("client", client(node, stream, disk.clone()));
    }
    Ok(())
}

async fn client(node: Node<'static>, mut stream: TcpStream<'static>, disk: Disk) {
    stream.set_read_timeout(Some(millis(20_000)));
    let mut counter = [0];
    while let Ok(1) = stream.read(&mut counter).await {
        // The disk is slow.
        node.sleep(millis(20)).await;
        let value = disk.read(counter[0]) + 1;
        disk.write(counter[0], value);
        disk.flush();
        if stream.write_all(&value.to_le_bytes()).await.is_err() {
            return;
        }
    }
}

/// Raises a counter, however often it takes. Gives what it is then.
pub async fn raise(node: Node<'static>, server: IpEndpoint, counter: u8) -> u32 {
    loop {
        if let Some(value) = try_raise(node, server, counter).await {
            return value;
        }
        node.sleep(millis(100)).await;
    }
}

async fn try_raise(node: Node<'static>, server: IpEndpoint, counter: u8) -> Option<u32> {
    let mut stream = node.connect(server).await.ok()?;
    stream.set_read_timeout(Some(millis(5_000)));
    stream.write_all(&[counter]).await.ok()?;
    let (mut answer, mut have) = ([0; 4], 0);
    while have < 4 {
        match stream.read(&mut answer[have..]).await {
            Ok(more @ 1..) => have += more,
            _ => return None,
        }
    }
    Some(u32::from_le_bytes(answer))
}
