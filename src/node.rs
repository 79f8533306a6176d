//! The handle that programs hold. A [`Node`] is one host: its stack and its tasks behind one
//! lifetime, so that a task can spawn tasks that borrow the same things.

use smoltcp::time::{Duration, Instant};
use smoltcp::wire::IpListenEndpoint;
#[cfg(feature = "addressing")]
use smoltcp::wire::{IpAddress, IpCidr};

use crate::counters::Counters;
#[cfg(feature = "observer")]
use crate::event::Observer;
use crate::frame::flow::Flow;
use crate::socket::{Backlog, ConnectError, Connection, ListenError, connection};
#[cfg(feature = "udp")]
use crate::socket::{BindError, UdpSocket};
use crate::socket::{TcpListener, TcpStream, ToEndpoint};
use crate::stack::stack::Stack;
use crate::task::timer::Timeout;
use crate::task::{Elapsed, FuturePlaces, Outcome, Sleep, SpawnError, Tasks, Waiting};
use crate::time::after;
#[cfg(feature = "addressing")]
use crate::{
    rules::addresses::NetworkConfig,
    socket::{ClaimError, Watch, What, watch},
    stack::{addressing, core::Core},
};
#[cfg(feature = "dns")]
use crate::{
    socket::{ConnectToError, ResolveError, Resolving, in_turn, race},
    table::names::Family,
};

/// A host: the network and the tasks.
///
/// It is `Copy`: each task has its own. It is not `Send`, because what it leads to are cells;
/// what an interrupt has for a task goes through a channel.
///
/// ```
/// use cygnet::{Backlog, ListenError, Node, TcpStream};
///
/// /// A task of the node, which makes a task for each connection.
/// async fn server(node: Node<'_>) -> Result<(), ListenError> {
///     let listener = node.listen(7, Backlog(4))?;
///     while let Ok((stream, _peer)) = listener.accept().await {
///         if let Err(full) = node.spawn(echo(stream)) {
///             drop(full); // the future, with the stream in it: it closes
///         }
///     }
///     Ok(())
/// }
///
/// async fn echo(mut stream: TcpStream<'_>) {
///     let mut text = [0; 64];
///     while let Ok(count @ 1..) = stream.read(&mut text).await {
///         if stream.write_all(&text[..count]).await.is_err() {
///             break;
///         }
///     }
/// }
/// # fn start(node: Node<'_>) { let _ = node.spawn(server(node)); }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    pub(crate) stack: &'a Stack<'a>,
    pub(crate) tasks: &'a Tasks<'a>,
}

impl<'a> Node<'a> {
    /// Puts a stack and tasks together.
    pub fn new(stack: &'a Stack<'a>, tasks: &'a Tasks<'a>) -> Self {
        Node { stack, tasks }
    }

    /// Its stack, which is given addresses and a gateway.
    pub fn stack(&self) -> &'a Stack<'a> {
        self.stack
    }

    /// Makes a task of `future`; it runs in the next turn. Its name is the
    /// place of this call. Returns the task's number.
    ///
    /// # Errors
    /// The future comes back in [`SpawnError`], with how many bytes it needs.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Result<u32, SpawnError<F>>
    where
        F: Future + 'a,
        F::Output: Outcome,
    {
        self.tasks.spawn(None, future)
    }

    /// [`spawn`](Self::spawn) under a name of your choice.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    #[track_caller]
    pub fn spawn_named<F>(&self, name: &'static str, future: F) -> Result<u32, SpawnError<F>>
    where
        F: Future + 'a,
        F::Output: Outcome,
    {
        self.tasks.spawn(Some(name), future)
    }

    /// [`spawn`](Self::spawn) of a future that lies in one of `places`, because it is larger
    /// than a task's row.
    ///
    /// ```
    /// use cygnet::{FuturePlaces, Node, SpawnRefused};
    ///
    /// /// A request's head, and much else.
    /// async fn http() {
    ///     let mut head = [0; 40_000];
    ///     core::future::ready(()).await;
    ///     head[0] = 1;
    /// }
    ///
    /// // `places` are in a static, such as a `ConstStaticCell` of the crate `static_cell`.
    /// fn start(
    ///     node: Node<'static>,
    ///     places: &'static FuturePlaces<2, 48_000>,
    /// ) -> Result<(), SpawnRefused> {
    ///     node.spawn_in(places, http())?;
    ///     Ok(())
    /// }
    /// # let _ = start;
    /// ```
    ///
    /// # Errors
    /// The future comes back in [`SpawnError`]: no place is free, or no task.
    #[track_caller]
    pub fn spawn_in<F, const PLACES: usize, const BYTES: usize>(
        &self,
        places: &'static FuturePlaces<PLACES, BYTES>,
        future: F,
    ) -> Result<u32, SpawnError<F>>
    where
        F: Future + 'a,
        F::Output: Outcome,
    {
        let placed = places.put(future)?;
        self.tasks.spawn(None, placed).map_err(|error| SpawnError {
            future: error.future.take_back(),
            refused: error.refused,
            needs: error.needs,
            has: error.has,
        })
    }

    /// Every task: name, state, reason and socket it waits for, how often polled, when last.
    pub fn waiting(&self) -> impl Iterator<Item = Waiting> + use<'a> {
        self.tasks.waiting()
    }

    /// Every connection: who it is with, its listener's name, its state, what waits in its
    /// buffers, and what is left of its limits. In the order of slots, and each is looked at
    /// when it is asked for: between two of them nothing is borrowed.
    ///
    /// ```
    /// use cygnet::{Connection, Node};
    ///
    /// /// Resets whoever has left bytes of ours unacknowledged and idles for a minute.
    /// fn shed(node: Node<'_>) {
    ///     let idles = |one: &Connection| one.unacknowledged > 0 && one.idle.secs() >= 60;
    ///     for connection in node.connections().filter(idles) {
    ///         node.abort(&connection);
    ///     }
    /// }
    /// # let _ = shed;
    /// ```
    pub fn connections(&self) -> impl Iterator<Item = Connection> + use<'a> {
        connection::connections(self.stack)
    }

    /// Resets a connection that a task has, or that was closed and whose peer has not
    /// agreed, as [`TcpStream::abort`] does. False: it is gone, or none of those.
    pub fn abort(&self, connection: &Connection) -> bool {
        let key = connection.key;
        self.stack.with(|core| connection::abort(core, key))
    }

    /// The time of this turn.
    pub fn now(&self) -> Instant {
        self.tasks.timers.now()
    }

    /// Waits until `at`. See [`Sleep`].
    pub fn sleep_until(&self, at: Instant) -> Sleep<'a> {
        self.tasks.timers.sleep_until(at)
    }

    /// Waits for `delay`. See [`Sleep`].
    pub fn sleep(&self, delay: Duration) -> Sleep<'a> {
        self.sleep_until(after(self.now(), delay))
    }

    /// Gives what `future` gives, unless `delay` passes first; the time runs
    /// from this call. A future that is ready in time wins. Polled again after
    /// its end, this is pending for ever, as a fused future is.
    ///
    /// # Errors
    /// [`Elapsed`] when the time was up; the future has been dropped.
    ///
    /// # Cancel safety
    /// As safe as `future`.
    pub fn timeout<F: Future>(
        &self,
        delay: Duration,
        future: F,
    ) -> impl Future<Output = Result<F::Output, Elapsed>> + use<'a, F> {
        Timeout::new(Some(future), self.sleep(delay))
    }

    /// Lets every other ready task run first; goes on in the next turn.
    ///
    /// # Cancel safety
    /// **Safe.** It holds nothing.
    pub async fn yield_now(&self) {
        self.tasks.timers.yield_now().await;
    }

    /// Listens on a port: `listen(80, …)` on every address of this host, `listen((address,
    /// 80), …)` on that one alone, which may also be one that the host gets later. Another
    /// listener may have the same port of another address.
    ///
    /// # Errors
    /// [`ListenError`] says what to change.
    pub fn listen(
        &self,
        local: impl Into<IpListenEndpoint>,
        backlog: Backlog,
    ) -> Result<TcpListener<'a>, ListenError> {
        TcpListener::open(self.stack, &Flow::to(local.into()), backlog)
    }

    /// Connects to `remote` from a dynamic port: an endpoint, an address and a port, or a
    /// `SocketAddr` of `core::net`.
    ///
    /// # Errors
    /// [`ConnectError`] says why and whether to try again.
    ///
    /// # Cancel safety
    /// **Safe.** A dropped future frees its slot; a late answer is reset.
    pub async fn connect(&self, remote: impl ToEndpoint) -> Result<TcpStream<'a>, ConnectError> {
        let remote = remote.to_endpoint().ok_or(ConnectError::Unaddressable)?;
        TcpStream::connect(self.stack, remote).await
    }

    /// Binds a port for datagrams: `bind(7)` of every address of this host and of both
    /// versions of IP, `bind((address, 7))` of that one alone. Port 0 is one that nobody can
    /// foresee (RFC 6056). Needs the feature `udp`, and memory from
    /// [`Stack::add_datagrams`](crate::Stack::add_datagrams).
    ///
    /// # Errors
    /// [`BindError`] says what to change.
    #[cfg(feature = "udp")]
    pub fn bind(&self, local: impl Into<IpListenEndpoint>) -> Result<UdpSocket<'a>, BindError> {
        UdpSocket::open(self.stack, local.into())
    }

    /// A socket for echo requests (ICMP, RFC 792 and RFC 4443). Needs the feature `ping`; it
    /// takes the place of a socket for datagrams.
    ///
    /// # Errors
    /// [`BindError::TooMany`].
    #[cfg(feature = "ping")]
    pub fn pings(&self) -> Result<crate::PingSocket<'a>, BindError> {
        self.bind(0).map(crate::PingSocket::new)
    }

    /// Refuses new connections on every listener. Connections that wait in a
    /// backlog can still be accepted; then `accept` says that it is over.
    pub fn close_listeners(&self) {
        self.stack
            .with(|core| core.connections.listeners.close_all());
    }

    /// Resets every connection, as [`TcpStream::abort`] does, also those whose streams
    /// were dropped and whose peers have not closed: the last word of a host that goes
    /// away. Who waits at a stream is told that its time is over. What nobody has accepted
    /// is reset when its listener is dropped; in TIME-WAIT nothing is left to reset.
    pub fn abort_all(&self) {
        self.stack.with(|core| core.connections.abort_all());
    }

    /// Forgets what a power cycle forgets. See [`Stack::reboot`].
    pub fn reboot(&self, secret: [u8; 16]) {
        self.stack.reboot(secret);
    }

    /// Totals of the stack and the tasks.
    pub fn counters(&self) -> Counters {
        let stack = self.stack.with(|core| core.counters());
        self.tasks.counters(stack)
    }

    /// Tells `observer` every event from now on, or nobody. Needs the feature
    /// `observer`.
    #[cfg(feature = "observer")]
    pub fn set_observer(&self, observer: Option<&'a dyn Observer>) {
        self.stack.with(|core| core.host.outlet.audience = observer);
        self.tasks.set_audience(observer);
    }
}

/// Addresses and links that come and go.
#[cfg(feature = "addressing")]
impl<'a> Node<'a> {
    /// Takes `address` once nobody else on the link has it: asks for it from now on, four to seven
    /// seconds for IPv4 (RFC 5227), one to two for IPv6 (RFC 4862, 5.4). Until then
    /// the host does not answer for it. [`Stack::add_address`] takes one without asking.
    ///
    /// While it is used, another host that says it has it too is counted
    /// ([`Counters::conflicts`]) and answered once in ten seconds.
    ///
    /// ```
    /// # use cygnet::{ClaimError, Node};
    /// # use smoltcp::wire::{IpAddress, IpCidr};
    /// async fn take_one(node: Node<'_>) -> Result<IpCidr, ClaimError> {
    ///     for last in 2..254 {
    ///         let address = IpCidr::new(IpAddress::v4(192, 168, 69, last), 24);
    ///         match node.claim_address(address).await {
    ///             Err(ClaimError::InUse) => continue,
    ///             other => return other.map(|()| address),
    ///         }
    ///     }
    ///     Err(ClaimError::InUse)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ClaimError::InUse`] says to take another one.
    ///
    /// # Cancel safety
    /// **Safe.** Dropped before it is ready, the address is not taken.
    pub fn claim_address(
        &self,
        address: IpCidr,
    ) -> impl Future<Output = Result<(), ClaimError>> + use<'a> {
        let watch = Watch::claim(self.stack, address);
        core::future::poll_fn(move |cx| watch.poll(cx))
    }

    /// Uses `address` no more for anything new: no connection begins from it or to it. Those
    /// that are open go on, and with the last of them it is forgotten. False: it is none of
    /// the host's.
    pub fn retire_address(&self, address: IpAddress) -> bool {
        self.change(|core| addressing::retire(&core.connections, &mut core.host, address))
    }

    /// Forgets `address` now. What is open from it is reset (RFC 5227, 2.4), and who waits at
    /// such a stream is told that its time is over. False: it is none of the host's.
    pub fn remove_address(&self, address: IpAddress) -> bool {
        self.change(|core| addressing::remove(&mut core.connections, &mut core.host, address))
    }

    /// Has no such gateway any more.
    pub fn remove_gateway(&self, gateway: IpAddress) {
        self.change(|core| {
            core.host.addresses.remove_gateway(gateway);
            true
        });
    }

    /// What the host's network is now.
    pub fn config(&self) -> NetworkConfig {
        self.stack
            .with_quiet(|core| NetworkConfig::of(&core.host.addresses))
    }

    /// Says whether the link is up; at first it is. [`event_loop`](crate::event_loop()) asks
    /// [`Platform::is_link_up`](crate::Platform::is_link_up) and says so here. When it
    /// comes up, what was known of neighbors is forgotten, and the host's addresses are
    /// announced: it may be another network.
    pub fn set_link(&self, is_up: bool) {
        self.change(|core| addressing::set_link(&mut core.neighbors, &mut core.host, is_up));
    }

    /// Whether the link is up.
    pub fn is_link_up(&self) -> bool {
        self.config().is_link_up
    }

    /// Waits until the link is up.
    ///
    /// # Cancel safety
    /// **Safe.** It holds nothing.
    pub fn wait_link_up(&self) -> impl Future<Output = ()> + use<'a> {
        watch(self.stack, What::Link { up: true })
    }

    /// Waits until the link is down.
    ///
    /// # Cancel safety
    /// **Safe.** It holds nothing.
    pub fn wait_link_down(&self) -> impl Future<Output = ()> + use<'a> {
        watch(self.stack, What::Link { up: false })
    }

    /// Waits until the link is up and the host has an address.
    ///
    /// # Cancel safety
    /// **Safe.** It holds nothing.
    pub fn wait_config_up(&self) -> impl Future<Output = ()> + use<'a> {
        watch(self.stack, What::Config { up: true })
    }

    /// Waits until the link is down or the host has no address.
    ///
    /// # Cancel safety
    /// **Safe.** It holds nothing.
    pub fn wait_config_down(&self) -> impl Future<Output = ()> + use<'a> {
        watch(self.stack, What::Config { up: false })
    }

    /// Changes something that others wait for. False: nothing has changed.
    fn change(&self, f: impl FnOnce(&mut Core<'a>) -> bool) -> bool {
        self.stack.with(|core| {
            let changed = f(core);
            if changed {
                core.has_changed();
            }
            changed
        })
    }
}

/// Names.
#[cfg(feature = "dns")]
impl<'a> Node<'a> {
    /// The addresses of a name, in the order in which they are to be tried. An address is its
    /// own, and `localhost` is known; everything else the task
    /// [`service::dns`](crate::service::dns()) finds out, unless it was found lately.
    ///
    /// ```
    /// use cygnet::{Family, Node, ResolveError};
    ///
    /// async fn first(node: Node<'_>) -> Result<smoltcp::wire::IpAddress, ResolveError> {
    ///     let addresses = node.resolve("example.org", Family::Any).await?;
    ///     Ok(addresses[0])
    /// }
    /// # let _ = first;
    /// ```
    ///
    /// # Errors
    /// [`ResolveError`] says what to do.
    ///
    /// # Cancel safety
    /// **Safe.** A question that nobody waits for is given up.
    pub fn resolve(
        &self,
        name: &str,
        family: Family,
    ) -> impl Future<Output = Result<heapless::Vec<IpAddress, 4>, ResolveError>> + use<'a> {
        let question = Resolving::begin(self.stack, name, family);
        core::future::poll_fn(move |cx| question.poll(cx))
    }

    /// Connects to a port of the host that has this name. Its addresses are tried in turn, one
    /// version of IP after the other, the next a quarter of a second after the last, or as
    /// soon as that has failed (RFC 8305).
    ///
    /// # Errors
    /// [`ConnectToError`] says why and whether to try again.
    ///
    /// # Cancel safety
    /// **Safe.** As [`resolve`](Self::resolve) and [`connect`](Self::connect).
    pub async fn connect_to(&self, name: &str, port: u16) -> Result<TcpStream<'a>, ConnectToError> {
        let addresses = self.resolve(name, Family::Any).await;
        let addresses = in_turn(&addresses.map_err(ConnectToError::Resolve)?);
        let mut next = addresses.into_iter();
        let stack = self.stack;
        let start = || {
            next.next()
                .map(|addr| TcpStream::connect(stack, (addr, port).into()))
        };
        race(
            start,
            || self.sleep(NEXT_ADDRESS),
            ConnectError::Unaddressable,
        )
        .await
        .map_err(ConnectToError::Connect)
    }

    /// Asks these servers for names, at most three, instead of those before.
    pub fn set_dns_servers(&self, servers: &[IpAddress]) {
        self.change(|core| {
            let dns = &mut core.host.addresses.change.dns;
            *dns = servers.iter().copied().take(dns.capacity()).collect();
            core.beside.names.forget();
            true
        });
    }
}

/// "Connection Attempt Delay" (RFC 8305, 5).
#[cfg(feature = "dns")]
const NEXT_ADDRESS: Duration = Duration::from_millis(250);
