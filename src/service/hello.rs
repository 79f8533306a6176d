//! The lesson: whatever a client sends, it is told `Hello World`. Message for
//! message, as the original does: one answer for each receive.

use crate::service::serve::server;
use crate::socket::TcpStream;

server!(hello, hello_client);

/// Answers every receive with `Hello World\n` until the client closes.
///
/// # Cancel safety
/// **Safe.** The stream closes in the background.
pub async fn hello_client(mut stream: TcpStream<'_>) {
    // What was received does not matter, so it is not copied.
    while let Ok(1..) = stream.read_with(|bytes| (bytes.len(), bytes.len())).await {
        if stream.write_all(b"Hello World\n").await.is_err() {
            break;
        }
    }
}
