//! Echo (RFC 862): everything that is received is sent back.

use crate::service::serve::server;
use crate::socket::TcpStream;

/// How many bytes move at a time; they live in the task.
const CHUNK: usize = 512;

server!(echo, echo_client);

/// Sends everything back until the client closes its side.
///
/// # Cancel safety
/// **Safe.** The stream closes in the background.
pub async fn echo_client(mut stream: TcpStream<'_>) {
    let mut chunk = [0; CHUNK];
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        if stream.write_all(&chunk[..count]).await.is_err() {
            break;
        }
    }
}
