//! An echo server for two connections at a time.

use embassy_executor::Spawner;
use embassy_firmware::PORT;
use embassy_net::{Stack, tcp::TcpSocket};
use embassy_time::Duration;
use embedded_io_async::Write as _;

#[embassy_executor::task(pool_size = 2)]
async fn serve(stack: Stack<'static>) -> ! {
    let (mut rx, mut tx, mut bytes) = ([0; 1024], [0; 1024], [0; 256]);
    loop {
        let mut socket = TcpSocket::new(stack, &mut rx, &mut tx);
        socket.set_timeout(Some(Duration::from_secs(10)));
        if socket.accept(PORT).await.is_err() {
            continue;
        }
        while let Ok(count @ 1..) = socket.read(&mut bytes).await {
            if socket.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
        // What was echoed must arrive before the socket goes, and so must the end.
        socket.close();
        let _ = socket.flush().await;
    }
}

#[embassy_executor::main(executor = "cygnet_lockstep::embassy::Executor")]
async fn main(spawner: Spawner) {
    let stack = embassy_firmware::start(spawner);
    for _ in 0..2 {
        spawner.spawn(serve(stack).expect("two tasks"));
    }
}
