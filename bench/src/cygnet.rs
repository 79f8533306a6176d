//! cygnet: a task per connection.

use cygnet::{Backlog, Config, Node, Stack, Tasks, TcpStream, Turn, Turns};
use smoltcp::time::Instant;
use smoltcp::wire::EthernetAddress;

use crate::client::OPEN_AT_ONCE;
use crate::link::{End, capabilities};
use crate::memory::{leak_stack, leak_tasks};
use crate::plan::{Plan, Service};
use crate::world::Host;
use crate::{CHUNK, REQUEST, address};

/// A host for `tasks` tasks whose futures take `bytes` bytes; its memory is
/// never given back.
pub fn host(number: u8, slots: usize, buffer: usize, tasks: usize, bytes: usize) -> Node<'static> {
    let parts = leak_stack(slots, buffer, buffer, 1, 1).expect("memory");
    let mut config = Config::new(EthernetAddress([2, 0, 0, 0, 0, number]), [number; 16]);
    // One turn does all there is, as with the others.
    config.frames_per_turn = u16::MAX;
    config.frames_per_slot = u16::MAX;
    let stack = Stack::from_parts(parts, &config, capabilities()).expect("a stack");
    stack.add_address(address(number)).expect("an address");
    let (parts, ready) = leak_tasks(tasks, bytes, None).expect("memory");
    Node::new(
        Box::leak(Box::new(stack)),
        Box::leak(Box::new(Tasks::from_parts(parts, ready))),
    )
}

pub fn server(plan: Plan) -> Node<'static> {
    let Plan {
        connections,
        buffer,
        ..
    } = plan;
    let node = host(1, connections, buffer, connections + 1, future_bytes());
    let spawned = match plan.service() {
        Service::Echo => node.spawn(serve(node, echo)).is_ok(),
        Service::Source => node.spawn(serve(node, source)).is_ok(),
        Service::Sink => node.spawn(serve(node, sink)).is_ok(),
    };
    assert!(spawned, "a server");
    node
}

async fn serve<F: Future<Output = ()> + 'static>(node: Node<'static>, client: fn(Stream) -> F) {
    let backlog = Backlog(OPEN_AT_ONCE as u16);
    let listener = node.listen(7, backlog).expect("port 7");
    while let Ok((stream, _)) = listener.accept().await {
        assert!(node.spawn(client(stream)).is_ok(), "too few tasks");
    }
}

type Stream = TcpStream<'static>;

async fn echo(mut stream: Stream) {
    let mut chunk = [0; REQUEST];
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        if stream.write_all(&chunk[..count]).await.is_err() {
            break;
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

/// What the largest of the futures needs.
fn future_bytes() -> usize {
    fn size<A, F>(_: fn(A) -> F) -> usize {
        size_of::<F>()
    }
    let serve = |node| serve(node, echo);
    echo_bytes()
        .max(size(source))
        .max(size(sink))
        .max(size(serve))
}

/// What the future of an echo needs.
pub fn echo_bytes() -> usize {
    fn size<F>(_: fn(Stream) -> F) -> usize {
        size_of::<F>()
    }
    size(echo)
}

impl Host for Turns<'_, '_> {
    fn turn(&mut self, end: &mut End, now: Instant) -> Option<Instant> {
        match Turns::turn(self, end, now) {
            Turn::Ready => Some(Instant::ZERO),
            Turn::Idle(at) => at,
            Turn::Done => None,
        }
    }
}
