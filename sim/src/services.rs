//! The services of the core by name: which `async fn` becomes a task, and how
//! long its clients may take.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Poll, Waker};

use cygnet::service::{self, DhcpConfig};
use cygnet::{Backlog, Family, Hears, ListenError, Node, TcpStream, TimeLimits};
use cygnet_compat::page::Page;
use smoltcp::time::Duration;
use smoltcp::wire::{Ipv4Address, Ipv4Cidr};

use crate::cli::values::{Serve, Service};
use crate::cli::{Dig, Pings};
use crate::observe::Out;

/// What the future of a service or of a client may need.
pub const TASK_BYTES: usize = 2048;

/// The longest datagram: what a packet of 1,500 bytes carries over IPv4.
pub const DATAGRAM_BYTES: usize = 1472;

/// Spawns the server that `what` names. `epoch` is the Unix time, in seconds,
/// of the platform's time zero; only daytime asks for it.
///
/// # Errors
/// One line: no task is free, or the tasks are too small.
pub fn spawn(
    node: Node<'_>,
    what: Serve,
    backlog: usize,
    limits: TimeLimits,
    epoch: i64,
) -> Result<(), String> {
    let backlog = Backlog(u16::try_from(backlog).unwrap_or(u16::MAX));
    macro_rules! spawn {
        ($client:expr) => {
            match node.spawn_named(
                what.service.name(),
                serve(node, what, backlog, limits, $client),
            ) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("{what} cannot be a task: {error}")),
            }
        };
    }
    match what.service {
        Service::Hello => spawn!(service::hello_client),
        Service::Echo => spawn!(service::echo_client),
        Service::Discard => spawn!(service::discard_client),
        Service::Chargen => spawn!(service::chargen_client),
        Service::Daytime => spawn!(move |stream| {
            let now = epoch + node.now().total_micros() / 1_000_000;
            service::daytime_client(stream, now)
        }),
        Service::Http => Err(format!("{what} is a page of its own")),
    }
}

/// Spawns the page that shows this host of so many slots, a quarter of which it may take.
///
/// # Errors
/// One line: no task is free.
pub fn spawn_page(
    node: Node<'static>,
    port: u16,
    backlog: usize,
    slots: usize,
) -> Result<(), String> {
    let backlog = Backlog(u16::try_from(backlog).unwrap_or(u16::MAX));
    let page: &'static Page = Box::leak(Box::new(Page::new(slots)));
    let name = Service::Http.name();
    let serves = page.serve(node, port, backlog, move |stream| {
        // Refused: the future is dropped, and with it the stream closes.
        let _ = node.spawn_named(name, Box::pin(page.connection(node, stream)));
    });
    let spawned = node.spawn_named(name, Box::pin(serves));
    spawned.map(|_| ()).map_err(|error| error.to_string())
}

/// As [`service::serve`], with limits.
async fn serve<'a, C: Future<Output = ()> + 'a>(
    node: Node<'a>,
    what: Serve,
    backlog: Backlog,
    limits: TimeLimits,
    client: impl Fn(TcpStream<'a>) -> C,
) -> Result<(), ListenError> {
    let listener = node.listen(what.port, backlog)?;
    listener.set_limits(limits);
    listener.set_name(what.service.name());
    while let Ok((stream, _peer)) = listener.accept().await {
        // Refused: the future is dropped, and with it the stream closes.
        let _ = node.spawn_named(what.service.name(), client(stream));
    }
    Ok(())
}

/// Ends the services that speak by datagrams, which know no end of a connection.
#[derive(Debug, Default)]
pub struct Stop {
    is_set: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
    /// What was asked was not answered.
    pub failed: Cell<bool>,
}

impl Stop {
    /// From now on.
    pub fn set(&self) {
        self.is_set.set(true);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// Runs a service until then.
    async fn or<E>(&self, service: impl Future<Output = Result<(), E>>) -> Result<(), E> {
        let mut service = pin!(service);
        let mut stands = false;
        poll_fn(|cx| {
            if self.is_set.get() {
                return Poll::Ready(Ok(()));
            }
            if !std::mem::replace(&mut stands, true) {
                self.waiting.borrow_mut().push(cx.waker().clone());
            }
            service.as_mut().poll(cx)
        })
        .await
    }
}

/// Spawns who asks a DHCP server for an address, under `name`, until `stop`; and who says
/// which addresses the host has, whenever that changes. `fallback` and its gateway are used
/// until a server answers.
///
/// # Errors
/// One line: no task is free.
pub fn spawn_dhcp(
    node: Node<'static>,
    (name, out): (&'static str, &'static Out),
    (fallback, gateway): (Ipv4Cidr, Option<Ipv4Address>),
    stop: &'static Stop,
) -> Result<(), String> {
    let config = DhcpConfig::new()
        .host_name(name)
        .fallback(fallback, gateway);
    let asks = stop.or(service::dhcp(node, config));
    let says = stop.or::<std::convert::Infallible>(async move {
        loop {
            node.wait_config_up().await;
            let config = node.config();
            let words = |list: &[String]| list.join(" and ");
            let all: Vec<String> = config.addresses.iter().map(ToString::to_string).collect();
            let ways: Vec<String> = config.gateways.iter().map(ToString::to_string).collect();
            let ways = match ways.is_empty() {
                true => String::new(),
                false => format!(", to other networks by {}", words(&ways)),
            };
            out.line(format_args!("the address is {}{ways}", words(&all)));
            out.flush();
            while node.config() == config {
                node.sleep(Duration::from_secs(1)).await;
            }
        }
    });
    let spawned = node.spawn_named("dhcp", Box::pin(asks));
    spawned.map_err(|error| error.to_string())?;
    let spawned = node.spawn_named("addresses", Box::pin(says));
    spawned.map(|_| ()).map_err(|error| error.to_string())
}

/// Spawns who asks for echoes, once a second, and says how far the host is.
///
/// # Errors
/// One line: no task is free.
pub fn spawn_pings(
    node: Node<'static>,
    pings: Pings,
    out: &'static Out,
    stop: &'static Stop,
) -> Result<(), String> {
    let asks = async move {
        let Ok(socket) = node.pings() else {
            return Err("no socket is free");
        };
        let (Pings { to, count }, second) = (pings, Duration::from_secs(1));
        node.wait_config_up().await;
        for number in 1..=count {
            let begin = node.now();
            match node.timeout(second, socket.ping(to, &[b's'; 56])).await {
                Ok(Ok(took)) => {
                    let micros = took.total_micros();
                    let (millis, micros) = (micros / 1_000, micros % 1_000);
                    out.line(format_args!(
                        "{to} answered {number}: {millis}.{micros:03} ms"
                    ));
                }
                Ok(Err(error)) => out.line(format_args!("{to} {number}: {error}")),
                Err(_) => out.line(format_args!("{to} did not answer {number}")),
            }
            out.flush();
            if number < count {
                node.sleep_until(begin + second).await;
            }
        }
        stop.set();
        Ok(())
    };
    let spawned = node.spawn_named("ping", Box::pin(asks));
    spawned.map(|_| ()).map_err(|error| error.to_string())
}

/// Spawns who asks name servers for the addresses of a name, and says them.
///
/// # Errors
/// One line: no task is free.
pub fn spawn_dig(
    node: Node<'static>,
    dig: &'static Dig,
    out: &'static Out,
    stop: &'static Stop,
) -> Result<(), String> {
    if !dig.servers.is_empty() {
        node.set_dns_servers(&dig.servers);
    }
    let resolves = stop.or(async move {
        service::dns(node).await;
        Ok::<(), std::convert::Infallible>(())
    });
    let asks = async move {
        node.wait_config_up().await;
        let begin = node.now();
        let found = node.resolve(&dig.name, Family::Any).await;
        let took = (node.now() - begin).total_millis();
        match found {
            Ok(addresses) => {
                for address in addresses {
                    out.line(format_args!("{} is {address}", dig.name));
                }
                out.line(format_args!("found in {took} ms"));
            }
            Err(error) => {
                stop.failed.set(true);
                out.line(format_args!("{}: {error}, after {took} ms", dig.name));
            }
        }
        out.flush();
        stop.set();
        Ok::<(), std::convert::Infallible>(())
    };
    let spawned = node.spawn_named("dns", Box::pin(resolves));
    spawned.map_err(|error| error.to_string())?;
    let spawned = node.spawn_named("dig", Box::pin(asks));
    spawned.map(|_| ()).map_err(|error| error.to_string())
}

/// Spawns who hears a group, until `stop`: what comes is counted, and thrown away.
///
/// # Errors
/// One line: no task is free.
pub fn spawn_hears(
    node: Node<'static>,
    group: SocketAddr,
    out: &'static Out,
    stop: &'static Stop,
) -> Result<(), String> {
    let hears = stop.or::<std::convert::Infallible>(async move {
        let heard = async {
            let socket = node.bind(group.port()).map_err(|error| error.to_string())?;
            let asked = socket.hear(Hears::Group(group.ip().into()));
            asked.map_err(|error| error.to_string())?;
            while socket.recv_from(&mut []).await.is_ok() {}
            Ok(())
        };
        if let Err::<(), String>(error) = heard.await {
            out.line(format_args!("{group} is not heard: {error}"));
            out.flush();
        }
        Ok(())
    });
    let spawned = node.spawn_named("hears", hears);
    spawned.map(|_| ()).map_err(|error| error.to_string())
}

/// Spawns the server by datagrams that `what` names, until `stop`; `epoch` as for [`spawn`].
///
/// # Errors
/// One line: no task is free.
pub fn spawn_datagrams<'a>(
    node: Node<'a>,
    what: Serve,
    epoch: i64,
    stop: &'a Stop,
) -> Result<(), String> {
    let port = what.port;
    let spawned = match what.service {
        Service::Echo => {
            let echo = service::echo_datagrams::<DATAGRAM_BYTES>(node, port);
            node.spawn_named("echo/udp", Box::pin(stop.or(echo)))
                .map_err(|error| error.to_string())
        }
        Service::Discard => {
            let discard = service::discard_datagrams(node, port);
            node.spawn_named("discard/udp", stop.or(discard))
                .map_err(|error| error.to_string())
        }
        Service::Daytime => {
            let daytime = service::daytime_datagrams(node, port, epoch);
            node.spawn_named("daytime/udp", stop.or(daytime))
                .map_err(|error| error.to_string())
        }
        Service::Hello | Service::Chargen | Service::Http => {
            Err("it does not speak by datagrams".into())
        }
    };
    match spawned {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{what} cannot be a task: {error}")),
    }
}
