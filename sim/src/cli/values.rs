//! The values of options: text to number, and one line that says why not. Pure;
//! each error says what was wrong and what would be right.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use cygnet::TimeLimits;
use siphasher::sip::SipHasher13;
use smoltcp::time::Duration;
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

/// How many SYNs may wait for a slot, unless somebody asks for another number: a burst
/// of that many clients more than there are slots is served as fast as slots become
/// free.
pub const PARKED: usize = 256;

/// A ready-made server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Answers each request with `Hello World`.
    Hello,
    /// Sends back what it receives (RFC 862).
    Echo,
    /// Takes everything, answers nothing (RFC 863).
    Discard,
    /// Sends characters until the peer stops (RFC 864).
    Chargen,
    /// Tells the time and closes (RFC 867).
    Daytime,
    /// Shows the host itself, in a browser and to Prometheus.
    Http,
}

impl Service {
    /// All of them, in the order of their documentation.
    pub const ALL: [Service; 6] = [
        Service::Hello,
        Service::Echo,
        Service::Discard,
        Service::Chargen,
        Service::Daytime,
        Service::Http,
    ];

    /// The name that options use.
    pub const fn name(self) -> &'static str {
        match self {
            Service::Hello => "hello",
            Service::Echo => "echo",
            Service::Discard => "discard",
            Service::Chargen => "chargen",
            Service::Daytime => "daytime",
            Service::Http => "http",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Service {
    type Err = String;

    fn from_str(text: &str) -> Result<Service, String> {
        Service::ALL
            .into_iter()
            .find(|service| service.name() == text)
            .ok_or_else(|| {
                let known = Service::ALL.map(Service::name).join(", ");
                format!("there is no service {text:?}; known: {known}")
            })
    }
}

/// What a service is spoken to by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// Services that speak by datagrams.
const BY_DATAGRAMS: [Service; 3] = [Service::Echo, Service::Discard, Service::Daytime];

/// A service and the port it listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serve {
    /// What answers.
    pub service: Service,
    /// By connections or by datagrams.
    pub transport: Transport,
    /// Where; never 0.
    pub port: u16,
}

impl fmt::Display for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Tcp => "",
            Transport::Udp => "/udp",
        };
        write!(f, "{}{transport}:{}", self.service, self.port)
    }
}

impl FromStr for Serve {
    type Err = String;

    fn from_str(text: &str) -> Result<Serve, String> {
        let (service, port) = text
            .split_once(':')
            .ok_or_else(|| String::from("say SERVICE:PORT, such as echo:7 or echo/udp:7"))?;
        let (service, transport) = match service.split_once('/') {
            None | Some((_, "tcp")) => (service.trim_end_matches("/tcp"), Transport::Tcp),
            Some((service, "udp")) => (service, Transport::Udp),
            Some((_, other)) => {
                return Err(format!("there is no transport {other:?}; known: tcp, udp"));
            }
        };
        let service = service.parse()?;
        if transport == Transport::Udp && !BY_DATAGRAMS.contains(&service) {
            let known = BY_DATAGRAMS.map(Service::name).join(", ");
            return Err(format!(
                "{service} does not speak by datagrams; these do: {known}"
            ));
        }
        match port.parse() {
            Ok(0) => Err("port 0 cannot be listened on; choose 1 to 65535".into()),
            Ok(port) => Ok(Serve {
                service,
                transport,
                port,
            }),
            Err(_) => Err(format!("{port:?} is no port; choose 1 to 65535")),
        }
    }
}

/// One time limit of every connection that is accepted: what may take how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// What it limits, as the option says.
    pub(super) what: &'static str,
    field: fn(&mut TimeLimits) -> &mut Option<Duration>,
    time: Option<Duration>,
}

impl Limit {
    pub(super) fn set(self, limits: &mut TimeLimits) {
        *(self.field)(limits) = self.time;
    }
}

/// `exchange=30s`; `write=0` for no limit.
pub(super) fn limit(text: &str) -> Result<Limit, String> {
    let (what, time) = text
        .split_once('=')
        .ok_or_else(|| String::from("say WHAT=TIME, such as exchange=30s"))?;
    type Field = fn(&mut TimeLimits) -> &mut Option<Duration>;
    let fields: [(&'static str, Field); 6] = [
        ("first-byte", |limits| &mut limits.first_byte),
        ("idle", |limits| &mut limits.idle),
        ("read", |limits| &mut limits.between_reads),
        ("write", |limits| &mut limits.write_progress),
        ("exchange", |limits| &mut limits.exchange),
        ("close", |limits| &mut limits.close),
    ];
    let Some(&(what, field)) = fields.iter().find(|(name, _)| *name == what) else {
        let known = fields.map(|(name, _)| name).join(", ");
        return Err(format!("there is no limit {what:?}; known: {known}"));
    };
    let time = Some(duration(time)?).filter(|&time| time > Duration::ZERO);
    Ok(Limit { what, field, time })
}

/// How many of a million frames are lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss(pub u32);

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ppm", self.0)
    }
}

/// `1%`, `0.05%` (four decimals at most), `500ppm` or `0`.
pub(super) fn ppm(text: &str) -> Result<Loss, String> {
    let wrong = || format!("{text:?} is no rate; say 1%, 0.05% or 500ppm");
    let ppm = if text == "0" {
        Some(0)
    } else if let Some(percent) = text.strip_suffix('%') {
        decimal(percent, 4)
    } else {
        text.strip_suffix("ppm").and_then(|ppm| decimal(ppm, 0))
    };
    match ppm {
        Some(ppm @ ..=1_000_000) => Ok(Loss(ppm as u32)),
        Some(_) => Err(format!("{text:?} is more than all of them; at most 100%")),
        None => Err(wrong()),
    }
}

/// `text` times 10^places, exactly; `None` if it has more places or is no number.
fn decimal(text: &str, places: usize) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let pointed = text.contains('.') && part.is_empty();
    if whole.is_empty() || pointed || part.len() > places || !digits(whole) || !digits(part) {
        return None;
    }
    format!("{whole}{part:0<places$}").parse().ok()
}

/// `50us`, `1.5ms`, `2s`, `1000ns`, `10m`, `1h`, and `10` for seconds, as `sleep` takes
/// it: whole microseconds, the core's clock.
pub fn duration(text: &str) -> Result<Duration, String> {
    // How many places a number of the unit has until nanoseconds, and how many of the
    // last one before them it is.
    let units = [
        ("ns", 0, 1),
        ("us", 3, 1),
        ("µs", 3, 1),
        ("ms", 6, 1),
        ("s", 9, 1),
        ("m", 9, 60),
        ("h", 9, 3_600),
        ("", 9, 1),
    ];
    let nanos = units.into_iter().find_map(|(unit, places, times)| {
        let number = decimal(text.strip_suffix(unit)?, places)?;
        Some(number.saturating_mul(times))
    });
    match nanos {
        None => Err(format!(
            "{text:?} is no duration; say 50us, 1.5ms, 2s, 10m or 1h"
        )),
        Some(nanos) if nanos % 1_000 != 0 && nanos < u64::MAX => Err(format!(
            "{text:?} is not whole microseconds, which the clock counts in"
        )),
        // Nobody waits longer, and nothing added to it overflows.
        Some(nanos) if nanos > 100 * 366 * 86_400 * 1_000_000_000 => {
            Err(format!("{text:?} is longer than a hundred years"))
        }
        Some(nanos) => Ok(Duration::from_micros(nanos / 1_000)),
    }
}

/// A number of bytes: `4096`, `4k`, `16KiB` or `1MiB`, from 64 to 16 MiB.
pub fn buffer_bytes(text: &str) -> Result<usize, String> {
    let units = [
        ("KiB", 1 << 10),
        ("k", 1 << 10),
        ("K", 1 << 10),
        ("MiB", 1 << 20),
        ("m", 1 << 20),
        ("M", 1 << 20),
        ("", 1),
    ];
    let bytes = units.into_iter().find_map(|(unit, scale)| {
        let number: usize = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(scale)
    });
    match bytes {
        Some(bytes @ 64..=0x0100_0000) => Ok(bytes),
        Some(_) => Err(format!(
            "{text} bytes of buffer make no sense; choose 64 to 16MiB"
        )),
        None => Err(format!("{text:?} is no size; say 4096, 4k, 16KiB or 1MiB")),
    }
}

/// A number of things, perhaps none.
pub fn whole(text: &str) -> Result<usize, String> {
    match text {
        "0" => Ok(0),
        some => at_least_one(some),
    }
}

/// A number of things, at least one.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    between_one_and(16_777_216, text) // far beyond a machine
}

/// Slots or tasks.
pub fn places(text: &str) -> Result<usize, String> {
    between_one_and(131_072, text) // and the core's queues have twice as many
}

/// Clients of one host, each with a port of its own (RFC 6335).
pub(super) fn clients(text: &str) -> Result<usize, String> {
    between_one_and(16_384, text)
}

/// Connections in a backlog.
pub(super) fn backlog(text: &str) -> Result<usize, String> {
    between_one_and(u16::MAX.into(), text)
}

/// SYNs that wait, perhaps none.
pub(super) fn parked(text: &str) -> Result<usize, String> {
    match text {
        "0" => Ok(0),
        some => between_one_and(65_536, some),
    }
}

fn between_one_and(most: usize, text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("0 is too few; at least 1".into()),
        Ok(number) if number <= most => Ok(number),
        Ok(_) => Err(format!("{text} is too many; at most {most}")),
        Err(_) => Err(format!("{text:?} is no number; at least 1")),
    }
}

/// An address that one host can have, with its network: `192.168.69.2/24`.
pub fn host_cidr(text: &str) -> Result<IpCidr, String> {
    let cidr: IpCidr = text
        .parse()
        .map_err(|()| format!("{text:?} is no ADDRESS/BITS; say 192.168.69.2/24 or fd69::2/64"))?;
    let address = cidr.address();
    let loopback = match address {
        IpAddress::Ipv4(v4) => v4.is_loopback(),
        IpAddress::Ipv6(v6) => v6.is_loopback(),
    };
    if !address.is_unicast() || loopback {
        return Err(format!(
            "{address} is no address that a host on a link can have"
        ));
    }
    if cidr.prefix_len() == 0 {
        return Err(format!(
            "{text} would make the whole Internet one link; give a longer prefix"
        ));
    }
    if is_network_or_broadcast(cidr) {
        return Err(format!(
            "{address} stands for the whole network {text}, not for a host"
        ));
    }
    Ok(cidr)
}

/// IPv6 only, for `--ipv6`.
pub(super) fn host_cidr_v6(text: &str) -> Result<IpCidr, String> {
    match host_cidr(text)? {
        IpCidr::Ipv4(_) => Err(format!("{text} is IPv4; say --ip {text}")),
        v6 => Ok(v6),
    }
}

/// Whether an address stands for its whole network.
pub(super) fn is_network_or_broadcast(cidr: IpCidr) -> bool {
    match cidr {
        // RFC 3021: two addresses are two hosts.
        IpCidr::Ipv4(v4) if v4.prefix_len() < 31 => {
            let host_bits = u32::MAX >> v4.prefix_len();
            let host = v4.address().to_bits() & host_bits;
            host == 0 || host == host_bits
        }
        // RFC 4291, 2.6.1: the lowest is every router's.
        IpCidr::Ipv6(v6) if v6.prefix_len() < 127 => {
            v6.address().to_bits() & (u128::MAX >> v6.prefix_len()) == 0
        }
        _ => false,
    }
}

/// The lowest address in the network of `ours` that a host can have and none of `all` is:
/// what the host's side of the link gets by default. `None` in a network that is full.
pub fn neighbor(ours: IpCidr, all: &[IpCidr]) -> Option<IpCidr> {
    let above = |n: usize| {
        let address = match ours {
            IpCidr::Ipv4(v4) => {
                let network = v4.network().address().to_bits();
                IpAddress::Ipv4(network.checked_add(n as u32)?.into())
            }
            IpCidr::Ipv6(v6) => {
                let host = u128::MAX.checked_shr(v6.prefix_len().into()).unwrap_or(0);
                let network = v6.address().to_bits() & !host;
                IpAddress::Ipv6(network.checked_add(n as u128)?.into())
            }
        };
        Some(IpCidr::new(address, ours.prefix_len()))
    };
    let is_free = |cidr: &IpCidr| {
        let address = cidr.address();
        let taken = all.iter().any(|other| other.address() == address);
        !taken && ours.contains_addr(&address) && !is_network_or_broadcast(*cidr)
    };
    (0..all.len() + 2).filter_map(above).find(is_free)
}

/// A unicast hardware address: `02:63:79:67:00:01`.
pub(super) fn mac(text: &str) -> Result<EthernetAddress, String> {
    match text.parse::<EthernetAddress>() {
        Ok(mac) if mac.is_unicast() && mac.0 != [0; 6] => Ok(mac),
        Ok(_) => Err(format!(
            "{text} is not one host's address; use 02:63:79:67:00:01"
        )),
        Err(()) => Err(format!(
            "{text:?} is no hardware address; say 02:63:79:67:00:01"
        )),
    }
}

/// The hardware address of whoever is not given one: locally administered, unicast, and
/// the same in every run on every machine. 40 bits of a hash (SipHash-1-3 without a key)
/// of the interface's name, a zero and the IP address in network order, so that several
/// on one bridge are told apart, whether it is the name or the address that differs.
pub fn mac_for(name: &str, address: IpAddress) -> EthernetAddress {
    let mut text = name.as_bytes().to_vec();
    text.push(0);
    match address {
        IpAddress::Ipv4(ip) => text.extend(ip.octets()),
        IpAddress::Ipv6(ip) => text.extend(ip.octets()),
    }
    let [a, b, c, d, e, ..] = SipHasher13::new().hash(&text).to_be_bytes();
    EthernetAddress([0x02, a, b, c, d, e])
}

/// A name that a DHCP server is told.
pub(super) fn host_name(text: &str) -> Result<String, String> {
    let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    match (1..=63).contains(&text.len()) && text.bytes().all(is_in_name) {
        true => Ok(text.into()),
        false => Err(format!(
            "{text:?} is no host name; at most 63 letters, digits and hyphens, such as kettle"
        )),
    }
}

/// Another host's address: a gateway's, or a server's.
pub(super) fn address(text: &str) -> Result<IpAddress, String> {
    text.parse()
        .map_err(|()| format!("{text:?} is no IP address; say 192.168.69.1"))
}

/// A group and a port, such as `239.1.2.3:5000` or `[ff15::1]:5000`.
pub(super) fn group(text: &str) -> Result<SocketAddr, String> {
    let said = text.parse::<SocketAddr>();
    let group = said.map_err(|_| format!("{text:?} is no group and port; say 239.1.2.3:5000"))?;
    match group {
        _ if group.port() == 0 => Err("port 0 cannot be listened on; choose 1 to 65535".into()),
        _ if group.ip().is_multicast() => Ok(group),
        _ => Err(format!("{} is not the address of a group", group.ip())),
    }
}

#[cfg(test)]
mod tests;
