//! What is wrong around us on the host's side, and the command that mends it: this machine's
//! programs do not reach an address of ours; another host answers for it; another host has
//! our hardware address. Each is a warning and not the end: the first is as it should be
//! where only others come, and the others may go away.
//!
//! The first is read from what the kernel tells of its interfaces (`proc(5)`). The others
//! are heard: at the start everybody is asked, once, who has our addresses (RFC 5227,
//! 2.1.1), and whoever answers is heard as the frames come.
//!
//! Not here: an interface that is not there, not ours, or down. That is `tap_error.rs`.

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use cygnet::event::{Event, Observer};
use smoltcp::phy::{Device, TxToken as _};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, IpAddress, IpCidr, Ipv4Address, Ipv4Cidr, Ipv4Packet, Ipv6Cidr, Ipv6Packet,
};

use crate::cli::TapConfig;
use crate::cli::values::{mac_for, neighbor};
use crate::observe::Out;

/// The interface that leads to ours: itself, or the bridge that it is a port of.
pub fn way_to(name: &str) -> String {
    let master = std::fs::read_link(format!("/sys/class/net/{name}/master"));
    let bridge = master.ok().and_then(|path| {
        let bridge = path.file_name()?;
        Some(bridge.to_string_lossy().into_owned())
    });
    bridge.unwrap_or_else(|| name.into())
}

/// A warning for each address of ours that this machine's programs do not reach.
pub fn unreached(config: &TapConfig) -> Vec<String> {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    let way = way_to(&config.name);
    let mut there = networks_v4(&read("/proc/thread-self/net/route"), &way);
    there.extend(networks_v6(&read("/proc/thread-self/net/if_inet6"), &way));
    if there.is_empty() && way != config.name {
        // A bridge without an address is for others.
        return Vec::new();
    }
    let mut warnings = Vec::new();
    for (i, ip) in config.ips.iter().enumerate() {
        let is_v4 = matches!(ip, IpCidr::Ipv4(_));
        let same = |other: &IpCidr| other.contains_addr(&ip.address());
        // A DHCP server may give another one; and one warning for each network is enough.
        let is_asked_for = is_v4 && config.dhcp.is_some();
        let is_told = config.ips[..i].iter().any(same);
        if is_asked_for || is_told || there.iter().any(same) {
            continue;
        }
        let Some(host) = neighbor(*ip, &config.ips) else {
            continue;
        };
        let version = |other: &&IpCidr| matches!(other, IpCidr::Ipv4(_)) == is_v4;
        let others = there.iter().filter(version).filter(|it| !is_for_link(it));
        let others: Vec<String> = others.map(ToString::to_string).collect();
        let has = match others.is_empty() {
            true => String::from("no address"),
            false => format!("addresses only in {}", others.join(" and ")),
        };
        let (address, nodad) = (ip.address(), if is_v4 { "" } else { " nodad" });
        warnings.push(format!(
            "warning: this machine's programs do not reach {address}: {way} has {has}; give \
             another --ip, or:\n  sudo ip addr add {host} dev {way}{nodad}"
        ));
    }
    warnings
}

fn is_for_link(cidr: &IpCidr) -> bool {
    matches!(cidr, IpCidr::Ipv6(cidr) if cidr.address().is_unicast_link_local())
}

/// The networks of IPv4 that are at this interface, from `/proc/net/route`.
fn networks_v4(routes: &str, name: &str) -> Vec<IpCidr> {
    let network = |line: &str| {
        // Iface, Destination, Gateway, Flags, RefCnt, Use, Metric, Mask, ...
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(words.get(at)?, 16).ok();
        if words.first() != Some(&name) || number(2)? != 0 {
            return None;
        }
        // In the order of the network, read as a number of this machine.
        let address = Ipv4Addr::from(number(1)?.to_ne_bytes());
        let bits = number(7)?.count_ones() as u8;
        (bits > 0).then(|| IpCidr::Ipv4(Ipv4Cidr::new(address, bits)))
    };
    routes.lines().filter_map(network).collect()
}

/// The addresses of IPv6 that this interface has, with their networks, from
/// `/proc/net/if_inet6`.
fn networks_v6(addresses: &str, name: &str) -> Vec<IpCidr> {
    let network = |line: &str| {
        // Address, number, prefix, scope, flags and name.
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.get(5) != Some(&name) {
            return None;
        }
        let address = Ipv6Addr::from(u128::from_str_radix(words[0], 16).ok()?);
        let bits = u8::from_str_radix(words[2], 16).ok()?;
        (bits <= 128).then(|| IpCidr::Ipv6(Ipv6Cidr::new(address, bits)))
    };
    addresses.lines().filter_map(network).collect()
}

/// Hears who else on the link thinks that it is us.
pub struct Neighborhood {
    name: String,
    mac: EthernetAddress,
    ips: Vec<IpCidr>,
    hosts: Vec<IpCidr>,
    out: &'static Out,
    /// Whom we have warned of.
    told: RefCell<Vec<IpAddress>>,
    has_twin: Cell<bool>,
    /// When everybody is to be asked, if anybody is, and how long again and again.
    asks_at: Cell<Option<Instant>>,
    until: Cell<Instant>,
}

/// As long as a twin was heard lately, everybody is asked once a second: it hears of us, and
/// switches, which have learned that we are where it is, learn where we are as soon as it is
/// gone.
const AGAIN: Duration = Duration::from_secs(1);
const LATELY: Duration = Duration::from_secs(60);

impl Neighborhood {
    /// Of the host that runs so.
    pub fn new(config: &TapConfig, out: &'static Out) -> Neighborhood {
        let is_known = |ip: &&IpCidr| config.dhcp.is_none() || matches!(ip, IpCidr::Ipv6(_));
        Neighborhood {
            name: config.name.clone(),
            mac: config.mac,
            ips: config.ips.iter().filter(is_known).copied().collect(),
            hosts: config.host_ips.clone(),
            out,
            told: RefCell::default(),
            has_twin: Cell::new(false),
            asks_at: Cell::new(Some(Instant::ZERO)),
            until: Cell::new(Instant::ZERO),
        }
    }

    /// When [`ask`](Self::ask) has something to do.
    pub fn is_due_at(&self) -> Option<Instant> {
        self.asks_at.get()
    }

    /// Asks who has our addresses, if that is to be asked. Who has our hardware address
    /// too hears its own in the question, if it is `sim`, and says so.
    pub fn ask(&self, device: &mut impl Device, now: Instant) {
        if self.asks_at.get().is_none_or(|at| now < at) {
            return;
        }
        self.asks_at
            .set((now < self.until.get()).then(|| now + AGAIN));
        for ip in &self.ips {
            if let (IpAddress::Ipv4(ours), Some(token)) = (ip.address(), device.transmit(now)) {
                token.consume(QUESTION, |frame| question(frame, self.mac, ours));
            }
        }
    }

    fn is_ours(&self, address: IpAddress) -> bool {
        self.ips.iter().any(|ip| ip.address() == address)
    }

    /// An address that answers as somebody else's.
    fn contested(&self, address: IpAddress, hardware: [u8; 6]) {
        if self.told.borrow().contains(&address) {
            return;
        }
        self.told.borrow_mut().push(address);
        let ours = self.ips.iter().find(|ip| ip.address() == address);
        let taken: Vec<IpCidr> = self.ips.iter().chain(&self.hosts).copied().collect();
        let other = ours.and_then(|ours| neighbor(*ours, &taken));
        let at = EthernetAddress(hardware);
        let again = other.map_or(String::new(), |other| {
            let ips = self.ips.iter();
            let ips = ips.map(|ip| if ip.address() == address { other } else { *ip });
            format!("\n  {}", self.command(ips))
        });
        self.warn(format!(
            "warning: another host, {at}, answers for our address {address}; end it, or take \
             another address:{again}"
        ));
    }

    /// What starts this host with these addresses.
    fn command(&self, ips: impl Iterator<Item = IpCidr>) -> String {
        let mut text = format!("sim tap --name {}", self.name);
        for ip in ips {
            let _ = write!(text, " --ip {ip}");
        }
        text
    }

    fn warn(&self, text: String) {
        self.out.line(format_args!("{text}"));
        self.out.flush();
    }

    /// A frame whose sender has our hardware address, and is not us.
    fn twin(&self, now: Instant) {
        self.until.set(now + LATELY);
        self.asks_at.set(self.asks_at.get().or(Some(now)));
        if self.has_twin.replace(true) {
            return;
        }
        let first = self
            .ips
            .first()
            .map_or(IpAddress::v4(0, 0, 0, 0), |ip| ip.address());
        let other = mac_for(&format!("not {}", self.name), first);
        let (mac, again) = (self.mac, self.command(self.ips.iter().copied()));
        self.warn(format!(
            "warning: another host on the link has our hardware address {mac}, and frames go \
             astray; give one of the two another, such as:\n  {again} --mac {other}"
        ));
    }

    /// Whose frame it is, by its addresses of IP; `None`: that does not show.
    fn sender(frame: &EthernetFrame<&[u8]>) -> Option<IpAddress> {
        let payload = frame.payload();
        match frame.ethertype() {
            EthernetProtocol::Arp => {
                let arp = ArpPacket::new_checked(payload).ok()?;
                let address =
                    |bytes: &[u8]| Some(Ipv4Address::from(<[u8; 4]>::try_from(bytes).ok()?));
                let from = address(arp.source_protocol_addr())?;
                // Who asks whether somebody has its address is nobody yet.
                match from.is_unspecified() {
                    true => address(arp.target_protocol_addr()).map(IpAddress::Ipv4),
                    false => Some(from.into()),
                }
            }
            EthernetProtocol::Ipv4 => {
                let packet = Ipv4Packet::new_checked(payload).ok()?;
                Some(packet.src_addr().into()).filter(|it: &IpAddress| !it.is_unspecified())
            }
            EthernetProtocol::Ipv6 => {
                let packet = Ipv6Packet::new_checked(payload).ok()?;
                Some(packet.src_addr().into()).filter(|it: &IpAddress| !it.is_unspecified())
            }
            _ => None,
        }
    }
}

impl Observer for Neighborhood {
    fn event(&self, now: Instant, event: &Event<'_>) {
        match *event {
            Event::Conflict { addr, hardware } => self.contested(addr, hardware),
            // What we have sent may come back, and is no twin's.
            Event::FrameIn(bytes) if bytes.get(6..12) == Some(&self.mac.0) => {
                let sender = EthernetFrame::new_checked(bytes).ok();
                let sender = sender.and_then(|frame| Self::sender(&frame));
                if sender.is_some_and(|sender| !self.is_ours(sender)) {
                    self.twin(now);
                }
            }
            _ => (),
        }
    }
}

/// How long a question is.
const QUESTION: usize = 42;

/// Asks everybody who has an address, as nobody.
fn question(frame: &mut [u8], mac: EthernetAddress, address: Ipv4Address) {
    let arp = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: mac,
        source_protocol_addr: Ipv4Address::UNSPECIFIED,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: address,
    };
    let mut frame = EthernetFrame::new_unchecked(frame);
    let ethernet = EthernetRepr {
        src_addr: mac,
        dst_addr: EthernetAddress::BROADCAST,
        ethertype: EthernetProtocol::Arp,
    };
    ethernet.emit(&mut frame);
    arp.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::tests::Queue;
    use crate::observe::tests::Paper;

    fn cidrs(list: &[&str]) -> Vec<IpCidr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernel_s_lists_are_read() {
        let routes = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n\
            eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            cyg0\t0045A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            cyg0\t0000000A\t0145A8C0\t0003\t0\t0\t0\t000000FF\t0\t0\t0\nbroken\n";
        assert_eq!(networks_v4(routes, "cyg0"), cidrs(&["192.168.69.0/24"]));
        assert_eq!(
            networks_v4(routes, "eth0"),
            [],
            "a way to others is no network"
        );
        let addresses = "00000000000000000000000000000001 01 80 10 80       lo\n\
            fd690000000000000000000000000001 02 40 00 80     cyg0\nbroken\n";
        assert_eq!(networks_v6(addresses, "cyg0"), cidrs(&["fd69::1/64"]));
        assert_eq!(networks_v6(addresses, "cyg"), []);
    }

    #[test]
    fn a_twin_is_told_once_and_what_comes_back_of_us_is_none() {
        let (paper, mac) = (Paper::default(), EthernetAddress([2, 0, 0, 0, 0, 1]));
        let out: &'static Out = Box::leak(Box::new(Out::new(Box::new(paper.clone()))));
        let hood = Neighborhood {
            name: "cyg0".into(),
            mac,
            ips: cidrs(&["10.0.0.2/24"]),
            hosts: cidrs(&["10.0.0.1/24"]),
            out,
            told: RefCell::default(),
            has_twin: Cell::new(false),
            asks_at: Cell::new(None),
            until: Cell::new(Instant::ZERO),
        };
        let hears = |mac, address: &str| {
            let mut frame = [0; QUESTION];
            question(&mut frame, mac, address.parse().unwrap());
            hood.event(Instant::ZERO, &Event::FrameIn(&frame));
        };
        hears(mac, "10.0.0.2");
        hears(EthernetAddress([2, 0, 0, 0, 0, 9]), "10.0.0.9");
        hood.event(Instant::ZERO, &Event::FrameIn(&mac.0.repeat(2)));
        assert_eq!((paper.text(), hood.is_due_at()), (String::new(), None));
        hears(mac, "10.0.0.9");
        hears(mac, "10.0.0.9");
        let conflict = Event::Conflict {
            addr: "10.0.0.2".parse().unwrap(),
            hardware: [2, 0, 0, 0, 0, 7],
        };
        hood.event(Instant::ZERO, &conflict);
        hood.event(Instant::ZERO, &conflict);
        // So that it hears of us, and again until it has been gone for a minute.
        let mut device = Queue::default();
        let mut asked = 0;
        while let Some(at) = hood.is_due_at() {
            hood.ask(&mut device, at);
            asked += 1;
        }
        assert_eq!(asked, 61);
        let text = paper.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].contains("has our hardware address 02-00-00-00-00-01"));
        assert!(lines[1].starts_with("  sim tap --name cyg0 --ip 10.0.0.2/24 --mac 02-"));
        assert!(lines[2].contains("02-00-00-00-00-07, answers for our address 10.0.0.2"));
        assert_eq!(lines[3], "  sim tap --name cyg0 --ip 10.0.0.3/24");
    }
}
