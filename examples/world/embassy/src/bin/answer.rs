//! A server that answers a question and hangs up.
//!
//! A `TcpSocket` that is dropped forgets what was not acknowledged, and nothing repeats
//! it (<https://github.com/embassy-rs/embassy/issues/1223>), so the answer is flushed
//! before. `.ci/world` takes the flush away, or puts a timer in its place, and lets the
//! test find that.

use embassy_executor::Spawner;
use embassy_firmware::PORT;
use embassy_net::tcp::TcpSocket;
use embassy_time::Duration;
use embedded_io_async::Write as _;

#[embassy_executor::main(executor = "cygnet_lockstep::embassy::Executor")]
async fn main(spawner: Spawner) {
    let stack = embassy_firmware::start(spawner);
    let (mut rx, mut tx, mut question) = ([0; 1024], [0; 1024], [0; 4]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
        socket.set_timeout(Some(Duration::from_secs(10)));
        if socket.accept(PORT).await.is_err() {
            continue;
        }
        if let Ok(4) = socket.read(&mut question).await
            && socket.write_all(&question).await.is_ok()
        {
            println!("answered");
            let _ = socket.flush().await;
        }
    }
}
