//! The same turn, taken by somebody else's executor: [`drive`] is one future that takes turns
//! and rests between them. Tasks of that executor hold the same sockets as tasks of the node;
//! whoever touches one between two turns wakes the driver.
//!
//! Not here: an executor, and a clock.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;

use scopeguard::guard;
use smoltcp::phy::Device;
use smoltcp::time::Instant;

use crate::event_loop::{StaticTurns, Turn};
use crate::node::Node;
use crate::time::FAR;

/// How a driven node sleeps: the timer of the executor that drives it.
pub trait Sleeper {
    /// Is ready at `until`; `None` is never. To be ready earlier is allowed and costs a turn:
    /// a sleeper that waits for the device as well says so when a frame has come.
    ///
    /// # Cancel safety
    /// It is dropped whenever there is something to do before.
    fn sleep(&mut self, until: Option<Instant>) -> impl Future<Output = ()>;
}

/// Takes `node`'s turns for ever, as [`event_loop`](crate::event_loop()) does, as one task of
/// somebody else's executor. Needs the feature `drive`.
///
/// Between two turns it rests, until
/// - a deadline of the node passes: `sleeper` says when,
/// - a task of the node is woken, also by an interrupt or from another thread,
/// - another task of the executor, in the same thread, does something with the node that has
///   to leave or to be looked at earlier than was known,
/// - the future is polled for any other reason: a driver of a network device wakes the waker
///   that polls this future, or `sleeper` is ready.
///
/// Each is one turn. When there is more to do at once the executor's other tasks run in
/// between. `clock` is asked for the time of each turn, and of whatever others do in between;
/// it must never go backwards.
///
/// A [`Node`] stays in the thread, or at the interrupt priority, in which it is driven: it is
/// not `Send`, because its tables are cells. Interrupts hand their work over through a channel
/// or by waking a task.
///
/// ```
/// use cygnet::{Backlog, Node, Sleeper, drive};
/// use smoltcp::phy::Device;
/// use smoltcp::time::Instant;
/// # fn now() -> Instant { Instant::ZERO }
///
/// struct Timer;
///
/// impl Sleeper for Timer {
///     async fn sleep(&mut self, until: Option<Instant>) {
///         // The executor's own timer.
/// #       let _ = until; core::future::pending().await
///     }
/// }
///
/// /// One task of the executor.
/// async fn network(node: Node<'static>, device: impl Device) -> ! {
///     drive(node, device, now, Timer).await
/// }
///
/// /// Another one; a task of the node would read the same.
/// async fn server(node: Node<'static>) -> Result<(), cygnet::Error> {
///     let listener = node.listen(5000, Backlog(2))?;
///     loop {
///         let (mut stream, _) = listener.accept().await?;
///         let _ = stream.write_all(b"Hello World\n").await;
///     }
/// }
/// # let _ = server;
/// # fn start(node: Node<'static>, device: impl Device) -> impl Future { network(node, device) }
/// ```
///
/// # Panics
/// When the node is being stepped already.
///
/// # Cancel safety
/// **Safe, and the end of the node's tasks**: when the future is dropped, every task that was
/// spawned on the node is dropped, as when an event loop ends. Streams and listeners of others
/// wait until somebody drives the node again.
pub async fn drive<D: Device>(
    node: Node<'static>,
    mut device: D,
    clock: fn() -> Instant,
    mut sleeper: impl Sleeper,
) -> ! {
    let mut turns = StaticTurns::new(node);
    let driver = &node.tasks.timers.driver;
    let ready = node.tasks.ready;
    node.stack.set_driver(driver);
    driver.drives.set(true);
    let _ends = guard((), |()| {
        driver.drives.set(false);
        driver.rise();
    });
    loop {
        // Not woken for what this turn does itself.
        ready.forget_driver();
        driver.rise();
        let turn = turns.turn(&mut device, clock());
        let Turn::Idle(until) = turn else {
            yield_now().await;
            continue;
        };
        let mut sleep = pin!(sleeper.sleep(until));
        let mut rests = false;
        poll_fn(|cx| {
            // Whoever polls it again has something for it.
            if core::mem::replace(&mut rests, true) {
                return Poll::Ready(());
            }
            driver.rest(cx.waker(), until.unwrap_or(FAR), clock);
            ready.wakes(cx.waker());
            match ready.is_woken() {
                true => Poll::Ready(()),
                false => sleep.as_mut().poll(cx),
            }
        })
        .await;
    }
}

/// Lets the executor's other tasks run.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if core::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
