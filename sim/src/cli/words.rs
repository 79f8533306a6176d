//! The options as clap reads them, their help, and what must hold between two of
//! them. What one value may be is in `values.rs`.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use cygnet::TimeLimits;
use smoltcp::config::IFACE_MAX_ADDR_COUNT;
use smoltcp::time::Duration;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use super::bench::BenchWords;
use super::selftest_words::SelftestWords;
use super::swarm_words::{MergeWords, SwarmWords};
use super::values::{
    Limit, Ppm, Serve, Service, address, at_least_one, backlog, buffer_bytes, clients, duration,
    host_cidr, host_cidr_v6, limit, mac, neighbor, parked, places, ppm,
};
use super::world_words::{DiffWords, ReplayWords, ShrinkWords, WorldWords};
use super::{Level, LoopbackConfig, TapConfig};
use crate::memory::PARKED;
use crate::offload::Offload;
use crate::report::Format;

#[derive(Parser)]
#[command(
    name = "sim",
    version,
    about = "Runs cygnet TCP servers: in this process, on a TAP interface, in a world of faults",
    after_help = "Without a command, sim is `sim loopback`: 8 clients, 100 requests each.\n\n\
        Examples:\n  \
        sim                                  a server and its clients, in one process\n  \
        sim loopback --trace --clients 2     watch every task yield and resume\n  \
        sudo sim tap --create                then, elsewhere: nc 192.168.69.2 5000\n  \
        sim world --scenario chaos --seed 7  a network in which everything goes wrong"
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Option<Words>,
    /// Say more; twice, everything
    #[arg(short, long, global = true, display_order = 100, action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// How much to say; overrides -v [default: info]
    #[arg(
        long,
        global = true,
        display_order = 100,
        value_name = "LEVEL",
        value_enum
    )]
    pub(super) log: Option<Level>,
}

#[derive(Subcommand)]
pub(super) enum Words {
    /// A server and its clients in this process, on virtual time
    Loopback(LoopbackWords),
    /// A server on a TAP interface, for this machine's own nc, curl and ping
    Tap(TapWords),
    /// A network of hosts under faults, one run from one seed
    World(WorldWords),
    /// The run of a plan, to the byte; no random number is drawn
    Replay(ReplayWords),
    /// The least of a failing plan that still fails
    Shrink(ShrinkWords),
    /// The first event at which two runs differ
    Diff(DiffWords),
    /// Many seeds of a scenario, on all cores, as many machines as there are
    Swarm(SwarmWords),
    /// The summary of a swarm that ran in several shards
    SwarmMerge(MergeWords),
    /// What a server costs, beside others
    #[command(subcommand)]
    Bench(BenchWords),
    /// Plants bugs, one at a time, and shows that each is found
    Selftest(SelftestWords),
}

#[derive(Args)]
#[command(
    after_help = "Time is virtual: the same options give the same run, event for event.\n\n\
    Examples:\n  \
    sim loopback --clients 2 --requests 3 --trace    the lesson: who waits for what\n  \
    sim loopback --clients 1000 --slots 64           more clients than places\n  \
    sim loopback --loss 1% --seed 7 --digest         a bad wire, repeatable\n  \
    sim loopback --pcap run.pcapng                   then: wireshark run.pcapng"
)]
pub(super) struct LoopbackWords {
    /// Clients, all at once
    #[arg(long, value_name = "N", default_value = "8", value_parser = clients)]
    clients: usize,
    /// Requests of each client, one after the other
    #[arg(long, value_name = "N", default_value = "100", value_parser = at_least_one)]
    requests: usize,
    /// Who answers: hello, echo, discard, chargen or daytime
    #[arg(long, value_name = "SERVICE", default_value = "hello")]
    service: Service,
    #[command(flatten)]
    sizes: Sizes,
    /// Tasks the server can hold [default: slots + 2]
    #[arg(long, value_name = "N", value_parser = places)]
    tasks: Option<usize>,
    /// Time on the wire, one way
    #[arg(long, value_name = "TIME", default_value = "50us", value_parser = duration)]
    latency: Duration,
    /// Frames lost, such as 1% or 500ppm
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = ppm)]
    loss: Ppm,
    /// Decides everything that is random
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print every yield, wake and resume with its reason and socket
    #[arg(long)]
    trace: bool,
    /// Print the digest of all events: equal digests, equal runs
    #[arg(long)]
    digest: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
#[command(
    after_help = "Once, as root, for your user (then no sudo is needed):\n  \
    sudo ip tuntap add dev cyg0 mode tap user $USER\n  \
    sudo ip addr add 192.168.69.1/24 dev cyg0\n  \
    sudo ip link set cyg0 up\n\n\
    Examples:\n  \
    sim tap                              hello on port 5000, echo on 7\n  \
    sudo sim tap --create                the same, on an interface that goes with it\n  \
    sim tap --ipv6 fd69::2/64 --serve daytime:13\n  \
    sim tap --limit exchange=30s idle=5s    nobody holds a connection for longer\n  \
    nc 192.168.69.2 5000                 in another terminal; ping works too\n\n\
    Ctrl-C stops accepting, lets open streams finish (--drain) and prints a table;\n\
    a second Ctrl-C quits at once."
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
    /// The way to other networks; once for IPv4, once for IPv6
    #[arg(long, value_name = "IP", value_parser = address)]
    gateway: Vec<IpAddress>,
    /// The host's address on the link, for --create; repeatable [default: each network's lowest]
    #[arg(long, value_name = "CIDR", value_parser = host_cidr)]
    host_ip: Vec<IpCidr>,
    /// Our hardware address
    #[arg(long, value_name = "MAC", default_value = "02:63:79:67:00:01", value_parser = mac)]
    mac: EthernetAddress,
    /// Who answers where; repeatable [default: hello:5000 echo:7]
    #[arg(long, value_name = "SERVICE:PORT", num_args = 1..)]
    serve: Vec<Serve>,
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
    /// How long open streams may finish after Ctrl-C
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    drain: Duration,
    /// Stop by itself after this long
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    run_for: Option<Duration>,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct Sizes {
    /// Connections the server can hold
    #[arg(long, value_name = "N", default_value = "64", value_parser = places)]
    slots: usize,
    /// Connections of a listener that may wait for accept
    #[arg(long, value_name = "N", default_value = "8", value_parser = backlog)]
    backlog: usize,
    /// Receive buffer of each connection, such as 4096 or 16KiB
    #[arg(long, value_name = "BYTES", default_value = "4KiB", value_parser = buffer_bytes)]
    rx: usize,
    /// Transmit buffer of each connection
    #[arg(long, value_name = "BYTES", default_value = "4KiB", value_parser = buffer_bytes)]
    tx: usize,
}

#[derive(Args)]
struct Output {
    /// Write every frame to this pcapng file, for Wireshark
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// How to print the final table
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl LoopbackWords {
    pub(super) fn check(self) -> Result<LoopbackConfig, String> {
        let Sizes {
            slots,
            backlog,
            rx,
            tx,
        } = self.sizes;
        let tasks = self.tasks.unwrap_or(slots + 2);
        if tasks < 2 {
            return Err("--tasks 1 is the listener alone; a connection needs one more".into());
        }
        Ok(LoopbackConfig {
            clients: self.clients,
            requests: self.requests,
            service: self.service,
            slots,
            tasks,
            backlog,
            rx_bytes: rx,
            tx_bytes: tx,
            latency: self.latency,
            loss: self.loss,
            seed: self.seed,
            trace: self.trace,
            digest: self.digest,
            pcap: self.output.pcap,
            format: self.output.format,
        })
    }
}

impl TapWords {
    pub(super) fn check(self) -> Result<TapConfig, String> {
        crate::tap::check_name(&self.name).map_err(|error| error.to_string())?;
        let mut ips = self.ip;
        if ips.is_empty() {
            ips.push(IpCidr::new(IpAddress::v4(192, 168, 69, 2), 24));
        }
        ips.extend(self.ipv6);
        let host_ips = host_side(&ips, self.host_ip, self.create)?;
        check_gateways(&self.gateway, &ips)?;
        let mut serve = self.serve;
        if serve.is_empty() {
            serve = vec![
                Serve {
                    service: Service::Hello,
                    port: 5000,
                },
                Serve {
                    service: Service::Echo,
                    port: 7,
                },
            ];
        }
        for (i, second) in serve.iter().enumerate() {
            if let Some(first) = serve[..i].iter().find(|first| first.port == second.port) {
                return Err(format!(
                    "--serve {first} and --serve {second} have the same port"
                ));
            }
        }
        let mut limits = TimeLimits::DEFAULT;
        for limit in self.limit {
            limit.set(&mut limits);
        }
        let Sizes {
            slots,
            backlog,
            rx,
            tx,
        } = self.sizes;
        Ok(TapConfig {
            tasks: slots + serve.len() + 1,
            name: self.name,
            create: self.create,
            ips,
            gateways: self.gateway,
            host_ips,
            mac: self.mac,
            serve,
            limits,
            slots,
            backlog,
            parked: self.parked,
            rx_bytes: rx,
            tx_bytes: tx,
            offload: self.offload,
            spin: self.spin,
            pcap: self.output.pcap,
            drain: self.drain,
            run_for: self.run_for,
            format: self.output.format,
        })
    }
}

/// The addresses of the host's side, checked against ours.
fn host_side(ips: &[IpCidr], given: Vec<IpCidr>, create: bool) -> Result<Vec<IpCidr>, String> {
    if ips.len() > IFACE_MAX_ADDR_COUNT {
        let found = ips.len();
        return Err(format!(
            "--ip and --ipv6 give {found} addresses; at most {IFACE_MAX_ADDR_COUNT}"
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
        let Some(host) = neighbor(*cidr) else {
            if create {
                return Err(format!(
                    "{cidr} has no room for the host; give --host-ip or a shorter prefix"
                ));
            }
            continue;
        };
        if ips.iter().any(|ip| ip.address() == host.address()) {
            return Err(format!(
                "the host's side of {cidr} is not obvious; give --host-ip"
            ));
        }
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
        if !ips.iter().any(|cidr| cidr.contains_addr(gateway)) {
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
