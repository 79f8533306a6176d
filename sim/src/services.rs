//! The services of the core by name: which `async fn` becomes a task.

use cygnet::{Backlog, Node, service};

use crate::cli::{Serve, Service};

/// Spawns the server that `what` names. `epoch` is the Unix time, in seconds,
/// of the platform's time zero; only daytime asks for it.
///
/// # Errors
/// One line: no task is free, or the tasks are too small.
pub fn spawn(node: Node<'_>, what: Serve, backlog: usize, epoch: i64) -> Result<(), String> {
    let backlog = Backlog(u16::try_from(backlog).unwrap_or(u16::MAX));
    let Serve { service, port } = what;
    let name = service.name();
    macro_rules! spawn {
        ($future:expr) => {
            match node.spawn_named(name, $future) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("{what} cannot be a task: {error}")),
            }
        };
    }
    match service {
        Service::Hello => spawn!(service::hello(node, port, backlog)),
        Service::Echo => spawn!(service::echo(node, port, backlog)),
        Service::Discard => spawn!(service::discard(node, port, backlog)),
        Service::Chargen => spawn!(service::chargen(node, port, backlog)),
        Service::Daytime => spawn!(service::daytime(node, port, backlog, epoch)),
    }
}
