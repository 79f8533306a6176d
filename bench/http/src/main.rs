//! A web server over one network or the other:
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

#[path = "../../../examples/net/src/tap.rs"]
mod tap;

use std::error::Error;

use cygnet::event_loop;
use cygnet::{Backlog, HeapStorage, HeapTaskStorage, Node, Platform, StorageSizes, Tasks};
use cygnet_compat::picoserve::serve;
use embassy_executor::{Executor, Spawner};
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use embassy_net_tuntap::TunTapDevice;
use picoserve::response::Json;
use picoserve::routing::{PathRouter, get, parse_path_segment};
use picoserve::{Router, Server, Timeouts, time::Duration};
use serde::Serialize;
use smoltcp::phy::Device;
use smoltcp::wire::{IpCidr, Ipv4Cidr as Cidr};

/// Bytes of buffer for each connection, in each direction.
const BUFFER: usize = 16 * 1024;
const CLIENTS: usize = 64;
/// The head of a request.
const HEAD: usize = 2048;
/// More than the future of a connection needs.
const TASK_BYTES: usize = 8 * 1024;

static CONFIG: picoserve::Config = picoserve::Config::new(Timeouts {
    persistent_start_read_request: Duration::from_secs(30),
    ..Timeouts::const_default()
})
.keep_connection_alive();

#[derive(Serialize)]
struct Swan {
    number: u32,
    swims: bool,
}

fn app() -> Router<impl PathRouter> {
    let swan = |number| async move {
        Json(Swan {
            number,
            swims: true,
        })
    };
    let page = get(|| async { "Hello World\n" });
    Router::new()
        .route("/", page)
        .route(("/swans", parse_path_segment()), get(swan))
}

fn ours(interface: &str) -> Result<(), Box<dyn Error>> {
    let address = |last| Cidr::new([192, 168, 70, last].into(), 24);
    let memory = HeapStorage::new(StorageSizes::new(CLIENTS, BUFFER, BUFFER))?;
    let futures = HeapTaskStorage::new(CLIENTS + 1, TASK_BYTES)?;
    let ready = futures.leak_flags(None)?;
    let mut host = tap::Host::create(interface, address(1))?;
    let config = cygnet::Config::new([2, 0, 0, 0, 0, 0x80], *b"nobody's enemies");
    let capabilities = host.device().capabilities();
    let memory = Box::leak(Box::new(memory));
    let stack = cygnet::Stack::new(memory, &config, capabilities)?;
    stack.add_address(IpCidr::Ipv4(address(2)))?;
    let tasks = Tasks::new(Box::leak(Box::new(futures)), ready);
    let node = Node::new(Box::leak(Box::new(stack)), Box::leak(Box::new(tasks)));
    let app = Box::leak(Box::new(app()));
    let http = serve::<HEAD, _>(node, 80, Backlog(CLIENTS as u16), app, &CONFIG);
    node.spawn_named("http", http)?;
    event_loop(&mut host, node);
    Ok(())
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
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    match &words[..] {
        [_, network, interface] if network == "cygnet" => {
            if let Err(error) = ours(interface) {
                eprintln!("bench-http: {error}");
                std::process::exit(1)
            }
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
