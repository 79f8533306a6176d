//! cygnet: a task per connection.

use cygnet::{
    Backlog, Config, HeapError, HeapStorage, HeapTaskStorage, Node, ReadySet, Stack, Storage,
    StorageSizes, TaskStorage, Tasks, TcpStream, Turn, Turns,
};
use smoltcp::time::Instant;

use contest::client::OPEN_AT_ONCE;
use contest::host::Host;
use contest::link::{End, capabilities};
use contest::plan::{Plan, Service};
use contest::{CHUNK, REQUEST, address};

/// SYNs that wait for a slot.
pub const PARKED: usize = 256;

/// A server's host, for `tasks` tasks whose futures take `bytes` bytes; its memory is
/// never given back.
///
/// # Errors
/// [`HeapError`]: ask for less.
pub fn host(
    config: &Config,
    (slots, buffer): (usize, usize),
    (tasks, bytes): (usize, usize),
) -> Result<Node<'static>, HeapError> {
    let memory = HeapStorage::new(StorageSizes {
        listeners: 1,
        acceptors: 1,
        parked: PARKED,
        ..StorageSizes::new(slots, buffer, buffer)
    })?;
    let futures = HeapTaskStorage::new(tasks, bytes)?;
    let ready = futures.leak_flags(None)?;
    let memory = Box::leak(Box::new(memory));
    let stack = Stack::new(memory, config, capabilities()).expect("a stack");
    stack.add_address(address(1)).expect("an address");
    let tasks = Tasks::new(Box::leak(Box::new(futures)), ready);
    Ok(Node::new(
        Box::leak(Box::new(stack)),
        Box::leak(Box::new(tasks)),
    ))
}

/// What the server is told.
pub fn config() -> Config {
    let mut config = Config::new([2, 0, 0, 0, 0, 1], [1; 16]);
    // One turn does all there is, as with the others.
    config.frames_per_turn = u16::MAX;
    config.frames_per_slot = u16::MAX;
    config
}

/// The server that a plan needs.
///
/// # Errors
/// [`HeapError`]: ask for less.
pub fn server(plan: Plan) -> Result<Node<'static>, HeapError> {
    let Plan {
        connections,
        buffer,
        ..
    } = plan;
    let node = |bytes| host(&config(), (connections, buffer), (connections + 1, bytes));
    match plan.service() {
        Service::Echo => start(node, echo),
        Service::Source => start(node, source),
        Service::Sink => start(node, sink),
    }
}

/// A host whose tasks have room for the service's futures and no more.
fn start<F: Future<Output = ()> + 'static>(
    node: impl FnOnce(usize) -> Result<Node<'static>, HeapError>,
    client: fn(Stream) -> F,
) -> Result<Node<'static>, HeapError> {
    let serve = |node| serve(node, client);
    let node = node(size_of::<F>().max(future_bytes(serve)))?;
    assert!(node.spawn(serve(node)).is_ok(), "a server");
    Ok(node)
}

async fn serve<F: Future<Output = ()> + 'static>(node: Node<'static>, client: fn(Stream) -> F) {
    let backlog = Backlog(OPEN_AT_ONCE as u16);
    let listener = node.listen(7, backlog).expect("port 7");
    while let Ok((stream, _)) = listener.accept().await {
        assert!(node.spawn(client(stream)).is_ok(), "too few tasks");
    }
}

type Stream = TcpStream<'static>;

/// Sends everything back.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn keeps its argument twice: as it came, and as what it was moved to"
)]
fn echo(mut stream: Stream) -> impl Future<Output = ()> {
    async move {
        let mut chunk = [0; REQUEST];
        while let Ok(count @ 1..) = stream.read(&mut chunk).await {
            if stream.write_all(&chunk[..count]).await.is_err() {
                break;
            }
        }
    }
}

async fn source(mut stream: Stream) {
    while stream.write_all(&[b'x'; CHUNK]).await.is_ok() {}
}

async fn sink(mut stream: Stream) {
    let mut chunk = [0; CHUNK];
    while let Ok(1..) = stream.read(&mut chunk).await {}
}

/// What the future of such a task needs.
fn future_bytes<A, F>(_: impl Fn(A) -> F) -> usize {
    size_of::<F>()
}

/// Bytes that one connection more takes beyond its buffers, from the sizes of the
/// types: a slot, a task, its flag, and its future. Queues round up by less than
/// one.
pub fn connection_bytes() -> usize {
    const MANY: usize = 1024;
    const TWICE: usize = 2 * MANY;
    let slot = size_of::<Storage<TWICE, 0, 0>>() - size_of::<Storage<MANY, 0, 0>>();
    let task = size_of::<TaskStorage<TWICE, 0>>() - size_of::<TaskStorage<MANY, 0>>();
    let flag = size_of::<ReadySet<TWICE>>() - size_of::<ReadySet<MANY>>();
    // A future begins at a multiple of 16 bytes.
    let future = future_bytes(echo).next_multiple_of(16);
    (slot + task + flag) / MANY + future
}

pub struct Server<'s, 't, 'a>(pub &'s mut Turns<'t, 'a>);

impl Host for Server<'_, '_, '_> {
    fn turn(&mut self, end: &mut End, now: Instant) -> Option<Instant> {
        match self.0.turn(end, now) {
            Turn::Ready => Some(Instant::ZERO),
            Turn::Idle(at) => at,
            Turn::Done => None,
        }
    }
}
