//! An embassy firmware on cygnet, from one static: a driver of `embassy-net-driver` 0.2, a node
//! whose turns are one task of embassy-executor, and embassy-time. It stands where
//! `embassy_net::new` stood; the guide from embassy-net has the rest.
//!
//! ```
//! use cygnet::{Backlog, Node, TcpListener};
//! use cygnet_compat::embassy::{Resources, Runner};
//! # use cygnet::lab::wire::WireEnd;
//! use embassy_executor::Spawner;
//! use smoltcp::wire::{IpAddress, IpCidr};
//!
//! # type Ethernet = cygnet_compat::embassy_net_driver_reverse::Reversed<'static, WireEnd<'static, 8>, 1514>;
//! /// Eight connections, each with a kilobyte in both directions.
//! static RESOURCES: Resources<8, 1024, 1024> = Resources::new();
//!
//! #[embassy_executor::task]
//! async fn network(mut runner: Runner<Ethernet>) -> ! {
//!     runner.run().await
//! }
//!
//! /// As many clients at a time as there are of this task.
//! #[embassy_executor::task(pool_size = 2)]
//! async fn greet(listener: TcpListener<'static>) {
//!     while let Ok((mut stream, _)) = listener.accept().await {
//!         let _ = stream.write_all(b"Hello World\n").await;
//!     }
//! }
//!
//! /// `secret` is the chip's entropy.
//! fn start(spawner: Spawner, driver: Ethernet, secret: [u8; 16]) -> Result<(), cygnet::Error> {
//!     let (node, runner) = RESOURCES.start(driver, secret).unwrap();
//!     node.stack().add_address(IpCidr::new(IpAddress::v4(10, 0, 0, 1), 24))?;
//!     spawner.spawn(network(runner).unwrap());
//!     let listener = node.listen(5000, Backlog(2))?;
//!     for _ in 0..2 {
//!         spawner.spawn(greet(listener.clone()).unwrap());
//!     }
//!     Ok(())
//! }
//! # let _ = start;
//! ```
//!
//! The driver wakes the task that runs the [`Runner`]; no task of the node's is needed. With
//! `addressing` the node is told of the driver's link.

use core::cell::Cell;
use core::fmt;
use core::future::poll_fn;
use core::pin::pin;

use cygnet::{Config, ConfigError, Node, ReadySet, Stack, Storage, TaskStorage, Tasks};
use embassy_net_driver::Driver;
use smoltcp::phy::{Device, DeviceCapabilities};
use smoltcp::time::Instant;
use static_cell::{ConstStaticCell, StaticCell};

use crate::bell::Bell;
use crate::embassy_executor::drive;
use crate::embassy_net_driver::Driven;

/// What a node is made of: `SLOTS` connections with `RX` and `TX` bytes of buffers each. For a
/// static; it is zeros and takes no flash.
///
/// Tasks of embassy-executor need nothing here but a timer each while they wait in
/// [`Node::sleep`] or with a time limit: `FOREIGN`, and those beyond share the earliest. A
/// firmware that spawns on the node as well says how many tasks, and of how many bytes.
pub struct Resources<
    const SLOTS: usize,
    const RX: usize,
    const TX: usize,
    const TASKS: usize = 1,
    const BYTES: usize = 0,
    const FOREIGN: usize = 4,
> {
    memory: ConstStaticCell<Storage<'static, SLOTS, RX, TX>>,
    futures: ConstStaticCell<TaskStorage<TASKS, BYTES, FOREIGN>>,
    ready: ReadySet<TASKS>,
    bell: ConstStaticCell<Bell>,
    stack: StaticCell<Stack<'static>>,
    tasks: StaticCell<Tasks<'static>>,
}

impl<
    const SLOTS: usize,
    const RX: usize,
    const TX: usize,
    const TASKS: usize,
    const BYTES: usize,
    const FOREIGN: usize,
> Resources<SLOTS, RX, TX, TASKS, BYTES, FOREIGN>
{
    /// Resources that nothing was made of yet.
    pub const fn new() -> Self {
        Resources {
            memory: ConstStaticCell::new(Storage::new()),
            futures: ConstStaticCell::new(TaskStorage::new()),
            ready: ReadySet::new(),
            bell: ConstStaticCell::new(Bell::new()),
            stack: StaticCell::new(),
            tasks: StaticCell::new(),
        }
    }

    /// A node on this driver's network, with its hardware address, and what runs it. Sequence
    /// numbers are keyed with `secret`, 16 bytes of entropy: see [`Config::new`]. The node has
    /// no address yet: [`Stack::add_address`] of [`Node::stack`], or a DHCP client.
    ///
    /// # Errors
    /// As [`start_with`](Self::start_with).
    pub fn start<D: Driver>(
        &'static self,
        driver: D,
        secret: [u8; 16],
    ) -> Result<(Node<'static>, Runner<D>), StartError> {
        self.start_with(driver, secret, |config| config)
    }

    /// The same with other settings than [`Config::new`]'s.
    ///
    /// # Errors
    /// [`StartError`] says what to change. The resources are spent either way.
    pub fn start_with<D: Driver>(
        &'static self,
        driver: D,
        secret: [u8; 16],
        settings: impl FnOnce(Config) -> Config,
    ) -> Result<(Node<'static>, Runner<D>), StartError> {
        let bell = self.bell.try_take().ok_or(StartError::Started)?;
        let device = Driven::new(driver, bell);
        let hardware_addr = device.hardware_addr().ok_or(StartError::NotEthernet)?;
        let config = settings(Config::new(hardware_addr, secret));
        let capabilities = device.capabilities();
        let (place, memory) = (self.stack.uninit(), self.memory.take());
        let stack = Stack::new_in(place, memory, &config, capabilities);
        let stack = stack.map_err(StartError::Config)?;
        let tasks = Tasks::new(self.futures.take(), &self.ready);
        let node = Node::new(stack, self.tasks.init(tasks));
        let runner = Runner { node, device, bell };
        Ok((node, runner))
    }
}

impl<
    const SLOTS: usize,
    const RX: usize,
    const TX: usize,
    const TASKS: usize,
    const BYTES: usize,
    const FOREIGN: usize,
> Default for Resources<SLOTS, RX, TX, TASKS, BYTES, FOREIGN>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<
    const SLOTS: usize,
    const RX: usize,
    const TX: usize,
    const TASKS: usize,
    const BYTES: usize,
    const FOREIGN: usize,
> fmt::Debug for Resources<SLOTS, RX, TX, TASKS, BYTES, FOREIGN>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resources").finish_non_exhaustive()
    }
}

/// Why [`Resources`] did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// They were started before: each node needs its own.
    Started,
    /// The driver is not for Ethernet, which a node needs.
    NotEthernet,
    /// A setting that cannot be.
    Config(ConfigError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Started => f.write_str("started before: each node needs its own resources"),
            StartError::NotEthernet => {
                f.write_str("the driver is not for Ethernet: use one that is")
            }
            StartError::Config(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for StartError {}

/// Takes a node's turns: [`run`](Self::run) is the body of a task.
#[derive(Debug)]
pub struct Runner<D> {
    node: Node<'static>,
    device: Driven<'static, D>,
    bell: &'static Bell,
}

impl<D: Driver> Runner<D> {
    /// Takes the node's turns for ever, whenever the driver, a socket or a deadline has
    /// something for it.
    ///
    /// # Panics
    /// When the node is being stepped already.
    ///
    /// # Cancel safety
    /// **Safe, and the end of the node's tasks**, as [`drive`] says. It may be run again.
    pub async fn run(&mut self) -> ! {
        let (node, bell) = (self.node, self.bell);
        let link = Link::default();
        let device = Asked {
            device: &mut self.device,
            link: &link,
        };
        let mut turns = pin!(drive(node, device));
        poll_fn(|cx| {
            bell.heard_by(cx.waker());
            link.is_asked.set(cfg!(feature = "addressing"));
            let never = turns.as_mut().poll(cx);
            #[cfg(feature = "addressing")]
            if let Some(is_up) = link.is_up.take() {
                node.set_link(is_up);
            }
            never
        })
        .await
    }
}

/// Whether the link is up: asked once each time that the runner is polled, as embassy-net does,
/// and told to the node when its turns are over.
#[derive(Default)]
struct Link {
    is_asked: Cell<bool>,
    is_up: Cell<Option<bool>>,
}

/// The device, which is asked for its link, too.
struct Asked<'r, D> {
    device: &'r mut Driven<'static, D>,
    link: &'r Link,
}

impl<D: Driver> Device for Asked<'_, D> {
    type RxToken<'t>
        = <Driven<'static, D> as Device>::RxToken<'t>
    where
        Self: 't;
    type TxToken<'t>
        = <Driven<'static, D> as Device>::TxToken<'t>
    where
        Self: 't;

    fn receive(&mut self, now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        if self.link.is_asked.take() {
            self.link.is_up.set(Some(self.device.is_link_up()));
        }
        self.device.receive(now)
    }

    fn transmit(&mut self, now: Instant) -> Option<Self::TxToken<'_>> {
        self.device.transmit(now)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.device.capabilities()
    }
}
