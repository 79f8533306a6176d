//! Lossy wires, lying servers, links that flap.

use super::*;

/// A wire that loses and repeats: an address all the same, and never one whose time is over.
#[test]
fn a_lossy_wire_costs_time_and_nothing_else() {
    for seed in 0..60 {
        let faults = Faults {
            seed,
            loss_ppm: 300_000,
            duplicate_ppm: 100_000,
            ..LAN
        };
        let mut first = None;
        let mut without = 0;
        served_with(
            DhcpConfig::new(),
            Server::honest(600),
            faults,
            3000,
            |node, now| {
                let used = has(node, given());
                if used {
                    first.get_or_insert(now);
                }
                without += u32::from(first.is_some() && !used);
            },
        );
        let first = first.unwrap_or_else(|| panic!("seed {seed}: no address"));
        assert!(first < seconds(900), "seed {seed}: {first}");
    }
}

/// The link goes down and comes up: the server is asked whether the lease holds, and no
/// address is asked for anew (RFC 2131, 3.2).
#[test]
fn a_lease_is_confirmed_when_the_link_comes_up() {
    let mut flaps = 0;
    let seen = served(Server::honest(3600), 200, |node, now| {
        if flaps == 0 && now > seconds(50) {
            node.set_link(false);
            flaps = 1;
        } else if flaps == 1 && now > seconds(60) {
            node.set_link(true);
            flaps = 2;
        }
        assert!(now < seconds(10) || has(node, given()), "{now}");
    });
    assert_eq!(kinds(&seen), [Discover, Request, Request]);
    let confirms = &seen[2];
    assert_eq!(
        (confirms.wants, confirms.server, confirms.has),
        (Some(GIVEN), None, None)
    );
    assert!(confirms.to_all);
}

/// A lease ends also while the link is down, and is not announced when it comes up again.
#[test]
fn a_lease_ends_while_the_link_is_down() {
    let (mut given_up, mut used_again) = (None, None);
    served(Server::honest(100), 400, |node, now| {
        if now > seconds(20) {
            node.set_link(now > seconds(300));
        }
        match has(node, given()) {
            false if now > seconds(20) => drop(given_up.get_or_insert(now)),
            true if given_up.is_some() => drop(used_again.get_or_insert(now)),
            _ => (),
        }
    });
    let (given_up, used_again) = (given_up.expect("given up"), used_again.expect("a new one"));
    assert!(
        given_up > seconds(90) && given_up < seconds(110),
        "{given_up}"
    );
    assert!(
        used_again > seconds(304) && used_again < seconds(312),
        "{used_again}"
    );
}

/// The server is silent when the link comes up just before the end: the wait for its word does
/// not make the lease longer.
#[test]
fn a_lease_ends_while_it_is_being_confirmed() {
    let silent = Server {
        silent_after: Some(seconds(20)),
        ..Server::honest(100)
    };
    let mut given_up = None;
    served(silent, 200, |node, now| {
        node.set_link(now < seconds(93) || now > seconds(96));
        if !has(node, given()) && now > seconds(20) {
            given_up.get_or_insert(now);
        }
    });
    let given_up = given_up.expect("given up");
    assert!(given_up > seconds(99), "{given_up}");
}

/// Another network: the server there says no, and the address is given up at once.
#[test]
fn a_lease_of_another_network_is_given_up() {
    let mut flaps = 0;
    let mut server = Server::honest(3600);
    server.refuses_after = Some(seconds(55));
    let mut given_up = None;
    let seen = served(server, 80, |node, now| {
        if flaps == 0 && now > seconds(50) {
            node.set_link(false);
            flaps = 1;
        } else if flaps == 1 && now > seconds(60) {
            node.set_link(true);
            flaps = 2;
        }
        if now > seconds(10) && !has(node, given()) {
            given_up.get_or_insert(now);
        }
    });
    let at = given_up.expect("given up");
    assert!(at > seconds(60) && at < seconds(62), "{at}");
    assert!(kinds(&seen[2..]).contains(&Discover), "and it asks again");
}

/// Says that another host has the given address, to everybody.
fn theirs(wire: &Wire<64>, now: Instant) {
    let mut arp = vec![0xff; 6];
    arp.extend([2, 0, 0, 0, 0, 7, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    arp.extend([
        2, 0, 0, 0, 0, 7, 10, 0, 0, 100, 0, 0, 0, 0, 0, 0, 10, 0, 0, 100,
    ]);
    assert!(wire.ends().1.inject(now, &arp));
}

/// RFC 5227, 2.4 (b): an address in use is defended once; when another host says again within
/// ten seconds that it has it, it is given up, declined, and another asked for.
#[test]
fn an_address_that_another_host_goes_on_to_say_it_has_is_given_up() {
    for (second, is_given_up) in [(35, true), (45, false)] {
        client!(node, 1);
        client!(other, 2, addresses: [IpCidr::new(SERVER.into(), 24)]);
        let log = RefCell::new(Vec::new());
        let mut server = Server::honest(3600);
        server.after_decline = Some(Ipv4Address::new(10, 0, 0, 101));
        server.start(other, &log);
        let client = async move { dhcp(node, DhcpConfig::new()).await.unwrap() };
        node.spawn(Box::pin(client)).unwrap();
        let wire: Wire<64> = Wire::new(LAN);
        let mut times = [30, second].map(seconds).into_iter().peekable();
        let (mut given_up, mut other_one) = (None, None);
        watch(node, other, &wire, seconds(80), |now| {
            if times.next_if(|at| *at <= now).is_some() {
                theirs(&wire, now);
            }
            if now > seconds(10) && !has(node, given()) {
                given_up.get_or_insert(now);
            }
            let after = IpCidr::new(IpAddress::v4(10, 0, 0, 101), 24);
            if has(node, after) {
                other_one.get_or_insert(now);
            }
        });
        let given_up = given_up.map(|at| at.secs());
        assert_eq!(given_up.is_some(), is_given_up, "{second}: {given_up:?}");
        assert_eq!(other_one.is_some(), is_given_up, "{second}");
        if is_given_up {
            assert_eq!(given_up, Some(second));
            assert_eq!(kinds(&log.borrow()[2..4]), [Decline, Discover]);
        }
    }
}

/// Changes an answer.
type Lie = fn(&mut smoltcp::wire::DhcpRepr<'static>);

/// What a lying server says is no lease, or a harmless one; nothing panics, nothing spins.
#[test]
fn lies_are_no_leases() {
    let lies: [(&str, Lie); 9] = [
        ("another number", |reply| reply.transaction_id ^= 1),
        ("another host", |reply| {
            reply.client_hardware_address.0[5] ^= 1
        }),
        ("nobody's address", |reply| {
            reply.your_ip = Ipv4Address::UNSPECIFIED
        }),
        ("everybody's address", |reply| {
            reply.your_ip = Ipv4Address::BROADCAST
        }),
        ("a group's address", |reply| {
            reply.your_ip = Ipv4Address::new(224, 0, 0, 1)
        }),
        ("this host's other name", |reply| {
            reply.your_ip = Ipv4Address::new(127, 0, 0, 1)
        }),
        ("no time", |reply| reply.lease_duration = Some(0)),
        ("without its time", |reply| reply.lease_duration = None),
        ("from nobody", |reply| reply.server_identifier = None),
    ];
    for (what, lie) in lies {
        let mut server = Server::honest(3600);
        server.lies = Some(lie);
        let seen = served(server, 300, |node, _| {
            assert!(node.config().addresses.is_empty(), "{what}");
        });
        assert!(seen.len() < 12, "{what}: {} questions in 300 s", seen.len());
    }
}

/// Only a server's port is a server's.
#[test]
fn an_answer_from_another_port_is_none() {
    let mut server = Server::honest(3600);
    server.elsewhere = true;
    let seen = served(server, 100, |node, _| {
        assert!(node.config().addresses.is_empty());
    });
    assert!(kinds(&seen).iter().all(|kind| *kind == Discover));
}

/// A lease without a router, a mask or names is a lease (smoltcp#445).
#[test]
fn a_lease_needs_no_router_no_mask_and_no_names() {
    let mut server = Server::honest(3600);
    server.lies = Some(|reply| {
        (reply.router, reply.subnet_mask, reply.dns_servers) = (None, None, None);
    });
    let mut last = None;
    served(server, 30, |node, _| last = Some(node.config()));
    let config = last.unwrap();
    assert_eq!(config.addresses[..], [IpCidr::new(GIVEN.into(), 8)]);
    assert!(config.gateways.is_empty() && config.dns.is_empty());
}
