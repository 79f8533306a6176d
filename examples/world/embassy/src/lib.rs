//! Firmware with embassy: what its programs have in common. Only `start` knows that this
//! is no board.

use cygnet_lockstep::embassy::Device;
use embassy_executor::Spawner;
use embassy_net::{Config, Ipv4Address, Ipv4Cidr, Runner, Stack, StackResources, StaticConfigV4};
use static_cell::StaticCell;

/// Where the servers listen.
pub const PORT: u16 = 7;

#[embassy_executor::task]
async fn net(mut runner: Runner<'static, Device>) -> ! {
    runner.run().await
}

/// The network, with the address that the world gives.
pub fn start(spawner: Spawner) -> Stack<'static> {
    static RESOURCES: StaticCell<StackResources<4>> = StaticCell::new();
    let mut board = cygnet_lockstep::embassy::board();
    let (address, prefix) = board.boot.ipv4;
    let config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(Ipv4Address::from(address), prefix),
        gateway: None,
        dns_servers: Default::default(),
    });
    let resources = RESOURCES.init(StackResources::new());
    let seed = board.random.next_u64();
    let (stack, runner) = embassy_net::new(board.device, config, resources, seed);
    spawner.spawn(net(runner).expect("one task"));
    stack
}
