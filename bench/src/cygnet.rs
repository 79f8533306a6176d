//! cygnet: a task per connection.

use cygnet::{
    Backlog, Config, Node, ReadySet, Stack, Storage, TaskStorage, Tasks, TcpStream, Turn, Turns,
};
use smoltcp::time::Instant;
use smoltcp::wire::EthernetAddress;

use crate::link::{End, capabilities};
use crate::{BUFFER, Server, address};

pub const SLOTS: usize = 4100;
pub const TASKS: usize = 4104;
const FUTURE: usize = 768;

type Memory = Storage<'static, SLOTS, BUFFER, BUFFER>;
type Futures = TaskStorage<TASKS, FUTURE>;

fn boxed<T>(make: fn() -> T) -> &'static mut T {
    Box::leak(Box::new(make()))
}

/// A host whose memory is never given back.
pub fn host(number: u8) -> Node<'static> {
    static READY: [ReadySet<TASKS>; 2] = [const { ReadySet::new() }; 2];
    let memory: &'static mut Memory = boxed(Memory::new);
    let futures: &'static mut Futures = boxed(Futures::new);
    let config = Config::new(EthernetAddress([2, 0, 0, 0, 0, number]), [number; 16]);
    let stack = Stack::new(memory, &config, capabilities()).expect("a stack");
    stack.add_address(address(number)).expect("an address");
    let ready = &READY[usize::from(number) - 1];
    let stack: &'static Stack<'static> = Box::leak(Box::new(stack));
    let tasks: &'static Tasks<'static> = Box::leak(Box::new(Tasks::new(futures, ready)));
    Node::new(stack, tasks)
}

pub async fn serve(node: Node<'static>) -> Result<(), cygnet::ListenError> {
    let listener = node.listen(7, Backlog(64))?;
    while let Ok((stream, _)) = listener.accept().await {
        assert!(
            node.spawn(echo(stream)).is_ok(),
            "the bench has too few tasks"
        );
    }
    Ok(())
}

async fn echo(mut stream: TcpStream<'static>) {
    let mut chunk = [0; 64];
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        if stream.write_all(&chunk[..count]).await.is_err() {
            break;
        }
    }
}

impl Server for Turns<'_, '_> {
    fn turn(&mut self, end: &mut End, now: Instant) -> Option<Instant> {
        match Turns::turn(self, end, now) {
            Turn::Ready => Some(Instant::ZERO),
            Turn::Idle(at) => at,
            Turn::Done => None,
        }
    }
}
