//! Hosts that give and take addresses, or know and ask for those of names, from their lines.

use smoltcp::time::Duration;

use super::lex::Options;
use super::read::Reader;
use crate::lie::{DnsQuirk, DnsQuirks, Quirk, Quirks};
use crate::plan::{DhcpClient, DhcpServer, DnsClient, DnsServer, Role};

/// The options of a line.
pub(super) const DHCP_SERVER: [&str; 4] = ["secret", "lease", "first", "count"];
pub(super) const DHCP_CLIENT: [&str; 3] = ["to", "secret", "link-local"];

pub(super) const DNS_SERVER: [&str; 1] = ["secret"];
pub(super) const DNS_CLIENT: [&str; 4] = ["to", "secret", "lanes", "pause"];

impl Reader {
    pub(super) fn dns_client(&mut self, name: &str, options: &mut Options<'_>) -> DnsClient {
        let is_server = |role: &Role| matches!(role, Role::DnsServer(_));
        let example = "a server above this line, such as `host dns dns-server`";
        DnsClient {
            to: self.named_or_only(options, is_server, "DNS server", example),
            secret: options.secret(name),
            lanes: options.number("lanes", 1, 6, 1) as u32,
            pause: options.time("pause", Duration::from_secs(1)),
        }
    }

    pub(super) fn dhcp_client(&mut self, name: &str, options: &mut Options<'_>) -> DhcpClient {
        let is_server = |role: &Role| matches!(role, Role::DhcpServer(_));
        let example = "a server above this line, such as `host dhcp dhcp-server`";
        DhcpClient {
            to: self.named_or_only(options, is_server, "DHCP server", example),
            secret: options.secret(name),
            link_local: options.flag("link-local"),
        }
    }
}

pub(super) fn dhcp_server(name: &str, options: &mut Options<'_>) -> DhcpServer {
    let mut quirks = Quirks::default();
    for quirk in Quirk::ALL {
        if options.flag(quirk.word()) {
            quirks = quirks.with(quirk);
        }
    }
    DhcpServer {
        secret: options.secret(name),
        lease: options.time("lease", Duration::from_secs(86_400)),
        first: options.number("first", 1, 60_000, 256) as u16,
        count: options.number("count", 1, 1000, 16) as u16,
        quirks,
    }
}

pub(super) fn dns_server(name: &str, options: &mut Options<'_>) -> DnsServer {
    let mut quirks = DnsQuirks::default();
    for quirk in DnsQuirk::ALL {
        if options.flag(quirk.word()) {
            quirks = quirks.with(quirk);
        }
    }
    DnsServer {
        secret: options.secret(name),
        quirks,
    }
}
