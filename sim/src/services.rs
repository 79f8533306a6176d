//! The services of the core by name: which `async fn` becomes a task, and how
//! long its clients may take.

use cygnet::{Backlog, ListenError, Node, TcpStream, TimeLimits, service};

use crate::cli::values::{Serve, Service};

/// What the future of a service or of a client may need.
pub const TASK_BYTES: usize = 2048;

/// Spawns the server that `what` names. `epoch` is the Unix time, in seconds,
/// of the platform's time zero; only daytime asks for it.
///
/// # Errors
/// One line: no task is free, or the tasks are too small.
pub fn spawn(
    node: Node<'_>,
    what: Serve,
    backlog: usize,
    limits: TimeLimits,
    epoch: i64,
) -> Result<(), String> {
    let backlog = Backlog(u16::try_from(backlog).unwrap_or(u16::MAX));
    macro_rules! spawn {
        ($client:expr) => {
            match node.spawn_named(
                what.service.name(),
                serve(node, what, backlog, limits, $client),
            ) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("{what} cannot be a task: {error}")),
            }
        };
    }
    match what.service {
        Service::Hello => spawn!(service::hello_client),
        Service::Echo => spawn!(service::echo_client),
        Service::Discard => spawn!(service::discard_client),
        Service::Chargen => spawn!(service::chargen_client),
        Service::Daytime => spawn!(move |stream| {
            let now = epoch + node.now().total_micros() / 1_000_000;
            service::daytime_client(stream, now)
        }),
    }
}

/// As [`service::serve`], with limits.
async fn serve<'a, C: Future<Output = ()> + 'a>(
    node: Node<'a>,
    what: Serve,
    backlog: Backlog,
    limits: TimeLimits,
    client: impl Fn(TcpStream<'a>) -> C,
) -> Result<(), ListenError> {
    let listener = node.listen(what.port, backlog)?;
    listener.set_limits(limits);
    while let Ok((stream, _peer)) = listener.accept().await {
        // Refused: the future is dropped, and with it the stream closes.
        let _ = node.spawn_named(what.service.name(), client(stream));
    }
    Ok(())
}
