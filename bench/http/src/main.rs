//! The web server of `examples/net`, its routes unchanged, over one network or the other:
//!
//! ```text
//! bench-http cygnet INTERFACE     makes the interface, answers on 192.168.70.2, port 80
//! bench-http embassy INTERFACE    answers on 192.168.73.2, port 80
//! ```
//!
//! Both serve 64 connections at once, with the same buffers and the same limits of time, as
//! each of the two says that one does it: a task per connection, made when one comes, or 64
//! tasks that each accept, serve and begin again.
#![recursion_limit = "256"]

use cygnet::{Backlog, Node};
use cygnet_compat::picoserve::serve;
use embassy_executor::{Executor, Spawner};
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use embassy_net_tuntap::TunTapDevice;
use net_examples::{http::app, on_tap};
use picoserve::{Server, Timeouts, time::Duration};

/// As the example gives each connection.
const BUFFER: usize = 16 * 1024;
const CLIENTS: usize = 64;
const HEAD: usize = 2048;

static CONFIG: picoserve::Config = picoserve::Config::new(Timeouts {
    persistent_start_read_request: Duration::from_secs(30),
    ..Timeouts::const_default()
})
.keep_connection_alive();

fn ours(node: Node<'static>) {
    let app = Box::leak(Box::new(app()));
    let http = serve::<HEAD, _>(node, 80, Backlog(CLIENTS as u16), app, &CONFIG);
    node.spawn_named("http", http).expect("a free task");
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, TunTapDevice>) -> ! {
    runner.run().await
}

#[embassy_executor::task(pool_size = CLIENTS)]
async fn client(stack: Stack<'static>) {
    let (rx, tx) = (vec![0; BUFFER].leak(), vec![0; BUFFER].leak());
    let (app, mut head) = (app(), [0; HEAD]);
    let server = Server::new(&app, &CONFIG, &mut head);
    let never = server.listen_and_serve("http", stack, 80, rx, tx).await;
    never.into_never()
}

fn theirs(spawner: Spawner, interface: &str) {
    let device = TunTapDevice::new(interface).expect("the interface");
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(Ipv4Address::new(192, 168, 73, 2), 24),
        gateway: None,
        dns_servers: Default::default(),
    });
    let resources = Box::leak(Box::new(StackResources::<CLIENTS>::new()));
    let (stack, runner) = embassy_net::new(device, config, resources, 7);
    spawner.spawn(network(runner).expect("one network"));
    for _ in 0..CLIENTS {
        spawner.spawn(client(stack).expect("a task for each"));
    }
    println!("serves on 192.168.73.2");
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    match &words[..] {
        [_, network, interface] if network == "cygnet" => {
            let address = |last| {
                let address = smoltcp::wire::Ipv4Address::new(192, 168, 70, last);
                smoltcp::wire::Ipv4Cidr::new(address, 24)
            };
            on_tap(interface, address(1), address(2), ours).expect("an interface and a node");
        }
        [_, network, interface] if network == "embassy" => {
            let executor: &'static mut Executor = Box::leak(Box::new(Executor::new()));
            executor.run(|spawner| theirs(spawner, interface))
        }
        _ => {
            eprintln!("usage: bench-http cygnet|embassy INTERFACE");
            std::process::exit(2)
        }
    }
}
