//! An echo server on embassy-net and its own TAP driver, as its examples do it:
//! one task and one socket per connection, each of which accepts, serves and
//! begins again. The network has exactly as many sockets as are asked for.
//!
//!     embassy-tap INTERFACE SOCKETS        answers on 192.168.73.2, port 7
//!
//! A SYN for which no socket is listening at that moment is reset, so a client
//! of this server must be able to try again.

use embassy_executor::{Executor, Spawner};
use embassy_net::tcp::TcpSocket;
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use embassy_net_tuntap::TunTapDevice;

/// As `bench/tap` gives its other servers.
const BUFFER: usize = 1024;

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, TunTapDevice>) -> ! {
    runner.run().await
}

#[embassy_executor::task(pool_size = 1024)]
async fn echo(stack: Stack<'static>) {
    let (rx, tx) = (vec![0; BUFFER].leak(), vec![0; BUFFER].leak());
    let mut socket = TcpSocket::new(stack, rx, tx);
    // As cygnet's: an answer does not wait for an acknowledgement.
    socket.set_nagle_enabled(false);
    let mut chunk = [0; 512];
    loop {
        if socket.accept(7).await.is_err() {
            continue;
        }
        'client: while let Ok(count @ 1..) = socket.read(&mut chunk).await {
            let mut rest = &chunk[..count];
            while !rest.is_empty() {
                let Ok(written @ 1..) = socket.write(rest).await else {
                    break 'client;
                };
                rest = &rest[written..];
            }
        }
        socket.close();
        let _ = socket.flush().await;
        socket.abort();
        let _ = socket.flush().await;
    }
}

/// How many sockets there are is part of a type.
macro_rules! network_of {
    ($count:expr, $device:expr, $config:expr; $($size:literal)*) => {
        match $count {
            $($size => {
                let resources = Box::leak(Box::new(StackResources::<$size>::new()));
                embassy_net::new($device, $config, resources, 7)
            })*
            other => {
                eprintln!("embassy-tap: {other} sockets were not compiled in");
                std::process::exit(2)
            }
        }
    };
}

fn start(spawner: Spawner, interface: &str, sockets: usize) {
    let device = TunTapDevice::new(interface).unwrap_or_else(|error| {
        eprintln!("embassy-tap: {interface}: {error}");
        std::process::exit(1)
    });
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(Ipv4Address::new(192, 168, 73, 2), 24),
        gateway: None,
        dns_servers: Default::default(),
    });
    let (stack, runner) = network_of!(sockets, device, config; 1 64 400 1000);
    spawner.spawn(network(runner).expect("one network"));
    for _ in 0..sockets {
        spawner.spawn(echo(stack).expect("a task for each socket"));
    }
    println!("embassy-net on {interface} is 192.168.73.2, {sockets} sockets");
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let [_, interface, sockets] = &words[..] else {
        eprintln!("usage: embassy-tap INTERFACE SOCKETS");
        std::process::exit(2)
    };
    let Ok(sockets) = sockets.parse() else {
        eprintln!("embassy-tap: {sockets:?} is no number of sockets");
        std::process::exit(2)
    };
    let executor: &'static mut Executor = Box::leak(Box::new(Executor::new()));
    executor.run(|spawner| start(spawner, interface, sockets))
}
