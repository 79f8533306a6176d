//! A peer that says nothing must not hold a task for ever. Three ways to say
//! how long: a read timeout on the stream, a timeout around any future, and a
//! keep-alive that finds out whether the peer is still there at all.

mod hosts;

use cygnet::{Backlog, Elapsed, Node, ReadError, TcpStream};
use hosts::at;
use smoltcp::time::Duration;

const BETWEEN_LINES: Duration = Duration::from_secs(5);
const WHOLE_VISIT: Duration = Duration::from_secs(12);

async fn server(node: Node<'_>, visits: u32) {
    let listener = node.listen(2323, Backlog(4)).expect("a free port");
    for _ in 0..visits {
        let (mut stream, _) = listener.accept().await.expect("an open listener");
        stream.set_read_timeout(Some(BETWEEN_LINES));
        stream.set_keep_alive(Some(Duration::from_secs(60)));
        node.spawn(visit(node, stream)).expect("a free task");
    }
}

/// Serves one client within the time it has, and says goodbye either way.
async fn visit(node: Node<'_>, mut stream: TcpStream<'_>) {
    let verdict = match node.timeout(WHOLE_VISIT, conversation(&mut stream)).await {
        Ok(Ok(())) => "Bye\n",
        Ok(Err(ReadError::TimedOut)) => "Too slow\n",
        Ok(Err(_)) => return, // the peer is gone
        Err(Elapsed) => "That was long\n",
    };
    let _ = stream.write_all(verdict.as_bytes()).await;
    let _ = stream.close().await;
}

async fn conversation(stream: &mut TcpStream<'_>) -> Result<(), ReadError> {
    let mut line = [0; 64];
    while let 1.. = stream.read(&mut line).await? {}
    Ok(())
}

/// Sends `lines` lines, one every `pause`, and expects this verdict.
async fn client(node: Node<'_>, lines: u32, pause: Duration, verdict: &'static str) {
    let mut stream = node.connect(at(1, 2323)).await.expect("a connection");
    for _ in 0..lines {
        node.sleep(pause).await;
        if stream.write_all(b"a line\n").await.is_err() {
            break;
        }
    }
    stream.shutdown();
    let (mut buf, mut count) = ([0; 64], 0);
    while let more @ 1.. = stream.read(&mut buf[count..]).await.expect("a verdict") {
        count += more;
    }
    println!("{lines} lines, {pause} apart: {:?}", verdict);
    assert_eq!(&buf[..count], verdict.as_bytes());
}

/// One client in time, one that pauses too long, one that never ends.
pub fn main() {
    let took = hosts::run(|host, guests| {
        host.spawn(server(host, 3)).expect("a free task");
        for (lines, seconds, verdict) in [
            (3, 1, "Bye\n"),
            (1, 8, "Too slow\n"),
            (9, 4, "That was long\n"),
        ] {
            let client = client(guests, lines, Duration::from_secs(seconds), verdict);
            guests.spawn(client).expect("a free task");
        }
    });
    println!("{took} of virtual time");
}
