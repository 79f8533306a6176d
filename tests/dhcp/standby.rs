//! What is used until a server answers: an address that was set, or one for the link alone.

use super::*;

fn fallback() -> Ipv4Cidr {
    Ipv4Cidr::new(Ipv4Address::new(192, 168, 69, 2), 24)
}

/// Without an answer the fallback is used after three seconds and the time to ask for it; when
/// a server comes it gives way (dhcpcd#337: it goes on asking).
#[test]
fn a_fallback_is_used_until_a_server_answers() {
    let gateway = Ipv4Address::new(192, 168, 69, 1);
    let config = DhcpConfig::new().fallback(fallback(), Some(gateway));
    let mut server = Server::honest(3600);
    (server.silent_after, server.back_at) = (Some(Instant::ZERO), Some(seconds(100)));
    let (mut first, mut last, mut leased) = (None, None, None);
    served_with(config, server, LAN, 400, |node, now| {
        let used = has(node, IpCidr::Ipv4(fallback()));
        if used {
            first.get_or_insert(now);
            last = Some(now);
        }
        if has(node, given()) {
            leased.get_or_insert(now);
            assert!(!used || Some(now) == leased, "both at {now}");
            let theirs = node.config().gateways.contains(&gateway.into());
            assert!(!theirs || Some(now) == leased);
        }
    });
    let (first, last, leased) = (first.unwrap(), last.unwrap(), leased.unwrap());
    assert!((seconds(6)..seconds(11)).contains(&first), "{first}");
    assert!(leased > seconds(100) && leased < seconds(180), "{leased}");
    assert!(last <= leased && last > leased - SEC);
}

/// A server that answers at once is never kept waiting for a fallback.
#[test]
fn a_server_in_time_leaves_no_room_for_a_fallback() {
    let config = DhcpConfig::new().fallback(fallback(), None);
    served_with(config, Server::honest(3600), LAN, 60, |node, _| {
        assert!(!has(node, IpCidr::Ipv4(fallback())));
    });
}

/// RFC 3927: an address for the link, out of the range that is for it.
#[test]
fn an_address_for_the_link_is_drawn() {
    let mut server = Server::honest(3600);
    server.silent_after = Some(Instant::ZERO);
    let mut used = Vec::new();
    served_with(
        DhcpConfig::new().link_local(),
        server,
        LAN,
        100,
        |node, _| {
            for address in node.config().addresses {
                if !used.contains(&address) {
                    used.push(address);
                }
            }
        },
    );
    let [IpCidr::Ipv4(cidr)] = used[..] else {
        panic!("{used:?}");
    };
    assert_eq!(
        (cidr.address().octets()[..2].to_vec(), cidr.prefix_len()),
        (vec![169, 254], 16)
    );
    assert!((1..255).contains(&cidr.address().octets()[2]));
}
