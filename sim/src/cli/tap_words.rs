//! The options of `sim tap`, and which addresses go together.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use cygnet::TimeLimits;
use smoltcp::time::Duration;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use super::server_words::{Output, Sizes};
use super::values::{
    Limit, PARKED, Serve, Service, Transport, address, at_least_one, duration, group, host_cidr,
    host_cidr_v6, host_name, is_network_or_broadcast, limit, mac, mac_for, neighbor, parked,
};
use crate::offload::Offload;
use crate::report::Format;

/// Services that speak by datagrams, at most.
pub const SOCKETS: usize = 16;

/// Addresses of a host, at most: as many as the core takes.
pub const ADDRESSES: usize = 4;

/// How many groups a host hears.
const GROUPS: usize = 8;

/// `sim tap`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct TapConfig {
    /// The interface.
    pub name: String,
    /// Make it, instead of attaching to one that exists.
    pub create: bool,
    /// Our addresses; at least one, at most four.
    pub ips: Vec<IpCidr>,
    /// The way to other networks, for each version of IP at most one.
    pub gateways: Vec<IpAddress>,
    /// The addresses of the host's side: given, or each network's lowest.
    pub host_ips: Vec<IpCidr>,
    /// Our hardware address.
    pub mac: EthernetAddress,
    /// Who answers where; no port twice.
    pub serve: Vec<Serve>,
    /// Groups that are heard, each at a port; what comes is counted.
    pub hear: Vec<SocketAddr>,
    /// How long a client may take.
    pub limits: TimeLimits,
    /// Connections the server can hold.
    pub slots: usize,
    /// Tasks the server can hold: one per slot and one per listener.
    pub tasks: usize,
    /// Connections that may wait for `accept`, per listener.
    pub backlog: usize,
    /// SYNs that may wait for a slot.
    pub parked: usize,
    /// Receive buffer of each connection.
    pub rx_bytes: usize,
    /// Transmit buffer of each connection.
    pub tx_bytes: usize,
    /// Whether checksums and segmentation are left to the kernel.
    pub offload: Offload,
    /// How long to look for the next frame before sleeping, when the last ones
    /// came that fast.
    pub spin: Duration,
    /// Show it on the terminal while it runs.
    pub top: bool,
    /// Write the frames here.
    pub pcap: Option<PathBuf>,
    /// How long open streams may finish after Ctrl-C.
    pub drain: Duration,
    /// Stop by itself after this long.
    pub run_for: Option<Duration>,
    /// How to print the final table.
    pub format: Format,
    /// Instead of serving, ask for echoes.
    pub pings: Option<Pings>,
    /// Ask a DHCP server for an address, under this name; the one of IPv4 among `ips` is
    /// used until it answers.
    pub dhcp: Option<String>,
    /// Instead of serving, ask for the addresses of a name.
    pub dig: Option<Box<Dig>>,
}

/// A question for the addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dig {
    /// The name.
    pub name: String,
    /// Who is asked; nobody: whom DHCP names.
    pub servers: Vec<IpAddress>,
}

#[derive(Args)]
pub(super) struct DigWords {
    /// The name
    #[arg(value_name = "NAME")]
    dig: String,
    /// Who is asked; repeatable, at most three [default: with --dhcp, whom that server names]
    #[arg(long, value_name = "IP", value_parser = address)]
    dns: Vec<IpAddress>,
    #[command(flatten)]
    tap: TapWords,
}

impl DigWords {
    pub(super) fn check(self) -> Result<TapConfig, String> {
        let config = self.tap.check()?;
        if self.dns.is_empty() && config.dhcp.is_none() {
            return Err("nobody is asked: give --dns IP, or --dhcp".into());
        }
        if self.dns.len() > 3 {
            return Err("at most three --dns are asked".into());
        }
        Ok(TapConfig {
            serve: Vec::new(),
            hear: Vec::new(),
            tasks: config.tasks + 2,
            dig: Some(Box::new(Dig {
                name: self.dig,
                servers: self.dns,
            })),
            ..config
        })
    }
}

/// Echo requests, one a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pings {
    /// Who is asked.
    pub to: IpAddress,
    /// How often.
    pub count: usize,
}

#[derive(Args)]
pub(super) struct PingWords {
    /// Who is asked
    #[arg(value_name = "HOST", value_parser = address)]
    host: IpAddress,
    /// How often, once a second
    #[arg(long, value_name = "N", default_value = "4", value_parser = at_least_one)]
    count: usize,
    #[command(flatten)]
    tap: TapWords,
}

impl PingWords {
    pub(super) fn check(self) -> Result<TapConfig, String> {
        let pings = Pings {
            to: self.host,
            count: self.count,
        };
        let config = self.tap.check()?;
        Ok(TapConfig {
            serve: Vec::new(),
            hear: Vec::new(),
            pings: Some(pings),
            ..config
        })
    }
}

#[derive(Args)]
#[command(
    after_help = "Once, as root, for your user (then no sudo is needed):\n  \
    sudo ip tuntap add dev cyg0 mode tap user $USER\n  \
    sudo ip addr add 192.168.69.1/24 dev cyg0\n  \
    sudo ip link set cyg0 up\n\n\
    Examples:\n  \
    sim tap                              hello on port 5000, echo on 7, a page on 80\n  \
    sudo sim tap --create                the same, on an interface that goes with it\n  \
    sim tap --top                        a screen of tasks, connections, counters\n  \
    sim tap --ipv6 fd69::2/64 --serve daytime:13\n  \
    sim tap --serve echo/udp:7 daytime/udp:13   by datagrams: nc -u 192.168.69.2 7\n  \
    sim tap --dhcp --hostname kettle     an address from the network's DHCP server\n  \
    sim tap --limit exchange=30s idle=5s    nobody holds a connection for longer\n  \
    nc 192.168.69.2 5000                 in another terminal; ping works too\n\n\
    Ctrl-C stops accepting, lets open streams finish (--drain), resets what is left and\n\
    prints a table; a second Ctrl-C quits at once. SIGTERM and SIGHUP do the same."
)]
pub(super) struct TapWords {
    /// The interface, at most 15 bytes
    #[arg(long, value_name = "NAME", default_value = "cyg0")]
    name: String,
    /// Make the interface and remove it at the end (needs root)
    #[arg(long)]
    create: bool,
    /// Our address and its network; repeatable [default: 192.168.69.2/24]
    #[arg(long, value_name = "CIDR", value_parser = host_cidr)]
    ip: Vec<IpCidr>,
    /// Our IPv6 address and its network, besides the others; repeatable
    #[arg(long, value_name = "CIDR", value_parser = host_cidr_v6)]
    ipv6: Vec<IpCidr>,
    /// Ask a DHCP server for an address; after three seconds without an answer --ip is used,
    /// and the server is asked on
    #[arg(long)]
    dhcp: bool,
    /// The name that the DHCP server is told
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    hostname: Option<String>,
    /// The way to other networks; once for IPv4, once for IPv6
    #[arg(long, value_name = "IP", value_parser = address)]
    gateway: Vec<IpAddress>,
    /// The host's address on the link, for --create; repeatable [default: each network's lowest]
    #[arg(long, value_name = "CIDR", value_parser = host_cidr)]
    host_ip: Vec<IpCidr>,
    /// Our hardware address [default: 02 and five bytes that follow from --name and
    /// the first --ip, the same in every run]
    #[arg(long, value_name = "MAC", value_parser = mac)]
    mac: Option<EthernetAddress>,
    /// Who answers where; echo/udp, discard/udp and daytime/udp speak by datagrams;
    /// http is a page that shows the host itself;
    /// repeatable [default: hello:5000 echo:7 http:80]
    #[arg(long, value_name = "SERVICE:PORT", num_args = 1..)]
    serve: Vec<Serve>,
    /// Hear what is sent to a group, and count it; routers and switches are told that we do;
    /// repeatable
    #[arg(long, value_name = "GROUP:PORT", value_parser = group)]
    hear: Vec<SocketAddr>,
    /// How long a client may take: first-byte, idle, read, write, exchange or
    /// close; repeatable [default: write=120s]
    #[arg(long, value_name = "WHAT=TIME", num_args = 1.., value_parser = limit)]
    limit: Vec<Limit>,
    #[command(flatten)]
    sizes: Sizes,
    /// Clients that may wait until a slot or a place in a backlog is free, for a
    /// hundred bytes each; one more has to try again a second later
    #[arg(long, value_name = "N", default_value_t = PARKED, value_parser = parked)]
    parked: usize,
    /// Leave checksums and the cutting of long segments to the kernel
    #[arg(long, value_name = "WHETHER", value_enum, default_value_t)]
    offload: Offload,
    /// Before sleeping, look for the next frame for so long, if frames came as
    /// fast lately; 0 to sleep at once
    #[arg(long, value_name = "TIME", default_value = "50us", value_parser = duration)]
    spin: Duration,
    /// Watch it on the terminal: tasks and what they wait for, connections, counters; keys
    /// sort, filter, pause, abort a connection. kill -USR1 prints the same as text
    #[arg(long)]
    top: bool,
    /// How long open streams may finish after Ctrl-C
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    drain: Duration,
    /// Stop by itself after this long
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    run_for: Option<Duration>,
    #[command(flatten)]
    output: Output,
}

impl TapWords {
    pub(super) fn check(self) -> Result<TapConfig, String> {
        crate::tap::check_name(&self.name).map_err(|error| error.to_string())?;
        let dhcp = match (self.dhcp, self.hostname) {
            (true, name) => Some(name.unwrap_or_default()),
            (false, None) => None,
            (false, Some(_)) => {
                return Err("--hostname is what a DHCP server is told; give --dhcp too".into());
            }
        };
        let mut ips = self.ip;
        if dhcp.is_some()
            && ips
                .iter()
                .filter(|ip| matches!(ip, IpCidr::Ipv4(_)))
                .count()
                > 1
        {
            return Err("with --dhcp one --ip is used until a server answers, not several".into());
        }
        if ips.is_empty() {
            ips.push(IpCidr::new(IpAddress::v4(192, 168, 69, 2), 24));
        }
        ips.extend(self.ipv6);
        let has_host_ip = !self.host_ip.is_empty();
        let host_ips = host_side(&ips, self.host_ip, self.create)?;
        if has_host_ip && !self.create {
            let name = &self.name;
            return Err(format!(
                "--host-ip is for the interface that --create makes; one that is there gets its \
                 address by: sudo ip addr add {} dev {name}",
                host_ips[0]
            ));
        }
        check_gateways(&self.gateway, &ips)?;
        let mut serve = self.serve;
        if serve.is_empty() {
            let usual = [
                (Service::Hello, 5000),
                (Service::Echo, 7),
                (Service::Http, 80),
            ];
            serve.extend(usual.map(|(service, port)| Serve {
                service,
                transport: Transport::Tcp,
                port,
            }));
        }
        for (i, second) in serve.iter().enumerate() {
            let same =
                |first: &&Serve| (first.transport, first.port) == (second.transport, second.port);
            if let Some(first) = serve[..i].iter().find(same) {
                return Err(format!(
                    "--serve {first} and --serve {second} have the same port"
                ));
            }
        }
        let by_datagrams = serve.iter().filter(|one| one.transport == Transport::Udp);
        let served = by_datagrams.map(|one| one.port);
        let mut ports: Vec<u16> = served
            .chain(self.hear.iter().map(SocketAddr::port))
            .collect();
        let most = SOCKETS - usize::from(dhcp.is_some());
        if ports.len() > most {
            return Err(format!(
                "at most {most} services speak by datagrams, or hear groups"
            ));
        }
        if self.hear.len() > GROUPS {
            return Err(format!("at most {GROUPS} groups are heard"));
        }
        ports.sort_unstable();
        if let Some(same) = ports.windows(2).find(|it| it[0] == it[1]) {
            return Err(format!("--hear needs a port of its own, not {}", same[0]));
        }
        let by_name = || mac_for(&self.name, ips[0].address());
        let mac = self.mac.unwrap_or_else(by_name);
        let mut limits = TimeLimits::DEFAULT;
        for (i, limit) in self.limit.iter().enumerate() {
            let what = limit.what;
            if self.limit[..i].iter().any(|before| before.what == what) {
                return Err(format!("--limit {what} is given twice; give it once"));
            }
            limit.set(&mut limits);
        }
        let backlog = self.sizes.backlog()?;
        let Sizes { slots, rx, tx, .. } = self.sizes;
        Ok(TapConfig {
            tasks: slots + serve.len() + self.hear.len() + 1 + 2 * usize::from(dhcp.is_some()),
            name: self.name,
            create: self.create,
            ips,
            gateways: self.gateway,
            host_ips,
            mac,
            serve,
            hear: self.hear,
            limits,
            slots,
            backlog,
            parked: self.parked,
            rx_bytes: rx,
            tx_bytes: tx,
            offload: self.offload,
            spin: self.spin,
            top: self.top,
            pcap: self.output.pcap,
            drain: self.drain,
            run_for: self.run_for,
            format: self.output.format,
            pings: None,
            dhcp,
            dig: None,
        })
    }
}

/// The addresses of the host's side, checked against ours.
fn host_side(ips: &[IpCidr], given: Vec<IpCidr>, create: bool) -> Result<Vec<IpCidr>, String> {
    if ips.len() > ADDRESSES {
        let found = ips.len();
        return Err(format!(
            "--ip and --ipv6 give {found} addresses; at most {ADDRESSES}"
        ));
    }
    for (i, cidr) in ips.iter().enumerate() {
        if ips[..i]
            .iter()
            .any(|other| other.address() == cidr.address())
        {
            return Err(format!("--ip {} is given twice", cidr.address()));
        }
    }
    for host in &given {
        let address = host.address();
        if ips.iter().any(|cidr| cidr.address() == address) {
            return Err(format!(
                "--host-ip and --ip are both {address}; the two sides need one each"
            ));
        }
        if !ips.iter().any(|cidr| cidr.contains_addr(&address)) {
            return Err(format!(
                "--host-ip {host} is in no network of --ip; it could not reach us"
            ));
        }
    }
    if !given.is_empty() {
        let v4 = given
            .iter()
            .filter(|host| matches!(host, IpCidr::Ipv4(_)))
            .count();
        if create && v4 > 1 {
            return Err("--create gives the host one IPv4 address; --host-ip gives more".into());
        }
        return Ok(given);
    }
    // By default, one host's address for each network; of IPv4 only one can be made.
    let mut hosts: Vec<IpCidr> = Vec::new();
    let mut v4 = false;
    for cidr in ips {
        if hosts.iter().any(|host| cidr.contains_addr(&host.address())) {
            continue;
        }
        let Some(host) = neighbor(*cidr, ips) else {
            if create {
                return Err(format!(
                    "{cidr} has no room for the host; give --host-ip or a shorter prefix"
                ));
            }
            continue;
        };
        if matches!(host, IpCidr::Ipv4(_)) {
            if create && v4 {
                continue;
            }
            v4 = true;
        }
        hosts.push(host);
    }
    Ok(hosts)
}

fn check_gateways(gateways: &[IpAddress], ips: &[IpCidr]) -> Result<(), String> {
    for (i, gateway) in gateways.iter().enumerate() {
        if ips.iter().any(|cidr| cidr.address() == *gateway) {
            return Err(format!("--gateway {gateway} is our own address"));
        }
        let near = ips.iter().find(|cidr| cidr.contains_addr(gateway));
        // A router speaks IPv6 from the address that it has for the link (RFC 4861, 4.2).
        let is_for_link = |address| match address {
            IpAddress::Ipv6(address) => address.is_unicast_link_local(),
            IpAddress::Ipv4(_) => false,
        };
        let is_near = match near {
            Some(_) => true,
            None => is_for_link(*gateway) && ips.iter().any(|ip| matches!(ip, IpCidr::Ipv6(_))),
        };
        if !gateway.is_unicast()
            || near.is_some_and(|cidr| {
                is_network_or_broadcast(IpCidr::new(*gateway, cidr.prefix_len()))
            })
        {
            return Err(format!(
                "--gateway {gateway} is not one host's address; give a router's, such as {}",
                neighbor(ips[0], ips).unwrap_or(ips[0]).address()
            ));
        }
        if !is_near {
            return Err(format!(
                "--gateway {gateway} is in no network of --ip; it could not be reached"
            ));
        }
        if gateways[..i]
            .iter()
            .any(|other| other.version() == gateway.version())
        {
            return Err(format!(
                "--gateway {gateway} is a second one for {}",
                gateway.version()
            ));
        }
    }
    Ok(())
}
