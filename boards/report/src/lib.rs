//! How is the board? Port 79, which RFC 1288 keeps for this question, answers
//! with a few lines, and says the same on the console: how deep the stack went,
//! how many slots and tasks were in use at once, what was dropped.
#![no_std]

use core::fmt::Write;

use cygnet::event::Counters;
use cygnet::{Backlog, ListenError, Node, TcpStream, service};

/// Where the question is asked.
pub const PORT: u16 = 79;

/// Answers on [`PORT`] until the listener is closed.
///
/// # Errors
/// [`ListenError`] when the port cannot be listened on.
pub async fn report(node: Node<'_>) -> Result<(), ListenError> {
    service::serve(node, "report", PORT, Backlog(1), |stream| {
        answer(node, stream)
    })
    .await
}

async fn answer(node: Node<'_>, mut stream: TcpStream<'_>) {
    let lines = lines(&node.counters());
    console::print(format_args!("{lines}"));
    if stream.write_all(lines.as_bytes()).await.is_ok() {
        let _ = stream.close().await;
    }
}

/// Panics are 0 as long as anybody answers: a panic ends the firmware.
fn lines(counters: &Counters) -> heapless::String<256> {
    let mut text = heapless::String::new();
    let dropped: u64 = counters.dropped.iter().sum();
    // Longer text is cut.
    let _ = write!(
        text,
        "stack {} of {}\nslots {} now {}\ntasks {} now {}\n\
         accepts {}\nframes {} in {} out {dropped} dropped\nturns {}\nrefused {}\npanics 0\n",
        console::stack::high_water(),
        console::stack::size(),
        counters.slots_high,
        counters.slots_used,
        counters.tasks_high,
        counters.tasks_used,
        counters.accepts,
        counters.frames_in,
        counters.frames_out,
        counters.turns,
        counters.spawns_refused,
    );
    text
}
