//! Datagrams of both network abstraction layers over a wire in memory, in virtual time; and
//! crates that know nothing of cygnet over them.

#[macro_use]
mod hosts;

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};

#[cfg(feature = "ipv6")]
use ::edge_nal::MulticastV6;
use ::edge_nal::{
    MulticastV4, Readable, UdpBind, UdpConnect, UdpReceive, UdpSend, UdpSplit, UdpSplitMulticast,
};
use ::embedded_nal_async::{ConnectedUdp, UdpStack, UnconnectedUdp};
use cygnet::lab::pair;
use cygnet::service::DhcpConfig;
use cygnet::{Error, Family, HearError, RecvError, SendError, Target, service};
use cygnet_compat::{edge_nal, embedded_nal_async};
use edge_dhcp::server::{Server, ServerOptions};
use hosts::wire;
use smoltcp::time::Instant;
use smoltcp::wire::IpAddress;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Runs until `done` is true, a minute at most.
fn run(nodes: [cygnet::Node<'_>; 2], done: &Cell<bool>) {
    let [first, second] = nodes;
    let end = Instant::from_secs(60);
    pair::run(&wire(), first, second, end, |_| done.get());
    assert!(done.get());
}

/// An echo that knows nothing of cygnet.
async fn echo<N: UdpBind>(nal: N, port: u16) -> Result<(), N::Error> {
    let local = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    let mut socket = nal.bind(local).await?;
    let (mut receive, mut send) = socket.split();
    let mut bytes = [0; 64];
    loop {
        receive.readable().await?;
        let (count, from) = receive.receive(&mut bytes).await?;
        send.send(from, &bytes[..count]).await?;
    }
}

#[test]
fn edge_nal_sends_and_receives() {
    hosts!(server, client);
    let done = Cell::new(false);
    server.spawn(echo(edge_nal::Nal::new(server), 7)).unwrap();
    client
        .spawn(async {
            let nal = edge_nal::Nal::new(client);
            let bound = UdpBind::bind(&nal, at("0.0.0.0:7000"));
            let mut bound = bound.await.unwrap();
            let mut bytes = [0; 6];
            // Also to everybody.
            for to in ["10.0.0.1:7", "255.255.255.255:7"] {
                bound.send(at(to), b"a swan").await.unwrap();
                let got = bound.receive(&mut bytes).await;
                assert_eq!(got, Ok((6, at("10.0.0.1:7"))));
                assert_eq!(&bytes, b"a swan");
            }
            // What does not fit: so many bytes are there, and no more.
            bound.send(at("10.0.0.1:7"), b"a swan").await.unwrap();
            assert_eq!(bound.receive(&mut bytes[..3]).await.unwrap().0, 3);
            // A server must not end for one who cannot be answered.
            let nowhere = Target::from((IpAddress::v4(255, 255, 255, 255), 7));
            let nowhere = nowhere.from_local(IpAddress::v4(0, 0, 0, 0));
            bound.socket().send_to(b"a swan", nowhere).await.unwrap();
            for lost in ["10.0.0.1:0", "8.8.8.8:7"] {
                assert_eq!(bound.send(at(lost), b"a swan").await, Ok(()));
            }
            // Built without IPv6, it has no word for that.
            let six = bound.send(at("[fd00::1]:7"), b"a swan").await;
            assert_eq!(six.is_err(), cfg!(not(feature = "ipv6")));

            let nowhere = UdpConnect::connect(&nal, at("0.0.0.0:0"), at("8.8.8.8:7"));
            let error = nowhere.await.err();
            assert_eq!(error, Some(Error::Send(SendError::Unaddressable)));
            let connect = |port: u16| {
                let to = SocketAddr::new([10, 0, 0, 1].into(), port);
                UdpConnect::connect(&nal, at("0.0.0.0:0"), to)
            };
            let mut connected = connect(7).await.unwrap();
            // Where to is ignored.
            connected.send(at("10.0.0.9:9"), b"a pen").await.unwrap();
            assert_eq!(connected.receive(&mut bytes).await.unwrap().0, 5);
            let mut refused = connect(9).await.unwrap();
            refused.send(at("10.0.0.1:9"), b"a pen").await.unwrap();
            refused.readable().await.unwrap();
            let error = refused.receive(&mut bytes).await;
            assert_eq!(error, Err(Error::Recv(RecvError::Refused)));
            done.set(true);
        })
        .unwrap();
    run([server, client], &done);
}

/// A socket of one address hears groups that it has joined, until it leaves them.
#[test]
fn a_group_is_joined_and_left() {
    const GROUPS: [Ipv4Addr; 3] = [
        Ipv4Addr::new(224, 0, 0, 251),
        Ipv4Addr::new(239, 1, 2, 3),
        Ipv4Addr::new(239, 1, 2, 4),
    ];
    hosts!(server, client);
    let done = Cell::new(false);
    client
        .spawn(async {
            let nal = edge_nal::Nal::new(client);
            let say = async |word: &[u8]| {
                let mut bound = UdpBind::bind(&nal, at("0.0.0.0:7")).await.unwrap();
                for group in GROUPS {
                    let to = SocketAddr::new(group.into(), 7);
                    bound
                        .send(to, &[word, &group.octets()[3..]].concat())
                        .await
                        .unwrap();
                }
            };
            for word in [b"a", b"b"] {
                client.sleep(hosts::LATENCY * 10).await;
                say(word).await;
            }
        })
        .unwrap();
    server
        .spawn(async {
            let nal = edge_nal::Nal::new(server);
            let mut bound = UdpBind::bind(&nal, at("10.0.0.1:7")).await.unwrap();
            let (mut receive, _send, mut groups, _v6) = bound.split_multicast();
            let [mdns, first, second] = GROUPS;
            let any = Ipv4Addr::UNSPECIFIED;
            for group in [mdns, first, first] {
                groups.join_v4(group, any).await.unwrap();
            }
            let error = groups.join_v4(second, any).await.err();
            assert_eq!(error, Some(Error::Hear(HearError::TooMany)));
            let nobody = groups.join_v4([10, 0, 0, 9].into(), any).await.err();
            assert_eq!(nobody, Some(Error::Hear(HearError::NotAGroup)));
            let other = groups.leave_v4(second, any).await.err();
            assert_eq!(other, Some(Error::Hear(HearError::NotAGroup)));
            let mut bytes = [0; 9];
            let mut heard = async || {
                let (count, _) = receive.receive(&mut bytes).await.unwrap();
                bytes[..count].to_vec()
            };
            assert_eq!(heard().await, [b'a', 251]);
            assert_eq!(heard().await, [b'a', 3]);
            groups.leave_v4(mdns, any).await.unwrap();
            groups.join_v4(second, any).await.unwrap();
            assert_eq!(heard().await, [b'b', 3]);
            assert_eq!(heard().await, [b'b', 4]);
            done.set(true);
        })
        .unwrap();
    run([server, client], &done);
}

#[test]
fn embedded_nal_async_sends_and_receives() {
    hosts!(server, client);
    let done = Cell::new(false);
    server
        .spawn(async {
            server.spawn(echo(edge_nal::Nal::new(server), 8)).unwrap();
            let nal = embedded_nal_async::Nal(server);
            let (local, mut bound) = nal.bind_single(at("10.0.0.1:7")).await.unwrap();
            assert_eq!(local, at("10.0.0.1:7"));
            let mut bytes = [0; 64];
            loop {
                let received = bound.receive_into(&mut bytes).await;
                let (count, local, remote) = received.unwrap();
                assert_eq!(local, at("10.0.0.1:7"));
                bound.send(local, remote, &bytes[..count]).await.unwrap();
            }
        })
        .unwrap();
    client
        .spawn(async {
            let nal = embedded_nal_async::Nal(client);
            let mut bytes = [0; 9];
            let (local, mut connected) = nal.connect(at("10.0.0.1:7")).await.unwrap();
            assert_eq!(local.ip(), at("10.0.0.2:0").ip());
            assert_ne!(local.port(), 0);
            connected.send(b"a swan").await.unwrap();
            assert_eq!(connected.receive_into(&mut bytes).await, Ok(6));
            assert_eq!(&bytes[..6], b"a swan");

            let bound = nal.bind_multiple(at("0.0.0.0:7000")).await;
            let mut bound = bound.unwrap();
            for local in ["0.0.0.0:0", "10.0.0.2:7000", "10.0.0.77:7000"] {
                let sent = bound.send(at(local), at("10.0.0.1:7"), b"a pen");
                sent.await.unwrap();
                let got = bound.receive_into(&mut bytes).await;
                assert_eq!(got, Ok((5, at("10.0.0.2:7000"), at("10.0.0.1:7"))));
            }
            // From the address that it says, and if it says none, from one it has.
            let second = "10.0.0.22/24".parse().unwrap();
            client.claim_address(second).await.unwrap();
            let froms = [
                ("10.0.0.22:0", "10.0.0.1:7"),
                ("0.0.0.0:0", "255.255.255.255:8"),
            ];
            for ((from, to), expected) in froms.into_iter().zip(["10.0.0.22", "10.0.0.2"]) {
                bound.send(at(from), at(to), b"a pen").await.unwrap();
                let (_, local, _) = bound.receive_into(&mut bytes).await.unwrap();
                assert_eq!(local.ip().to_string(), expected);
            }
            let port_zero = bound.send(at("0.0.0.0:0"), at("10.0.0.1:0"), b"a pen");
            assert_eq!(port_zero.await, Ok(()));
            let (local, _bound) = nal.bind_single(at("0.0.0.0:7001")).await.unwrap();
            assert_eq!(local, at("0.0.0.0:7001"));
            assert!(nal.bind_single(at("0.0.0.0:7001")).await.is_err());
            done.set(true);
        })
        .unwrap();
    run([server, client], &done);
}

/// An unspecified address of either family is both.
#[cfg(feature = "ipv6")]
#[test]
fn both_families_are_one_socket() {
    const MDNS: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
    hosts!(server, client);
    let done = Cell::new(false);
    server.spawn(echo(edge_nal::Nal::new(server), 7)).unwrap();
    server
        .spawn(async {
            let nal = edge_nal::Nal::new(server);
            let mut bound = UdpBind::bind(&nal, at("[fe80::1]:9")).await.unwrap();
            bound.join_v6(MDNS, 0).await.unwrap();
            let mut bytes = [0; 6];
            let (_, from) = bound.receive(&mut bytes).await.unwrap();
            bound.leave_v6(MDNS, 0).await.unwrap();
            bound.send(from, b"i left").await.unwrap();
            bound.receive(&mut bytes).await.unwrap();
            panic!("it has left the group");
        })
        .unwrap();
    client
        .spawn(async {
            let nal = edge_nal::Nal::new(client);
            let mut bound = UdpBind::bind(&nal, at("[::]:7000")).await.unwrap();
            let mut bytes = [0; 6];
            for (to, from) in [
                ("[fe80::1]:7", "[fe80::1]:7"),
                ("[ff02::1]:7", "[fe80::1]:7"),
                ("10.0.0.1:7", "10.0.0.1:7"),
                ("[ff02::fb]:9", "[fe80::1]:9"),
            ] {
                bound.send(at(to), b"a swan").await.unwrap();
                let got = bound.receive(&mut bytes).await;
                assert_eq!(got, Ok((6, at(from))), "{to}");
            }
            assert_eq!(&bytes, b"i left");
            bound.send(at("[ff02::fb]:9"), b"a swan").await.unwrap();
            let nal = embedded_nal_async::Nal(client);
            let (local, mut connected) = nal.connect(at("[fe80::1]:7")).await.unwrap();
            assert_eq!(local.ip(), at("[fe80::2]:0").ip());
            connected.send(b"a swan").await.unwrap();
            assert_eq!(connected.receive_into(&mut bytes).await, Ok(6));
            done.set(true);
        })
        .unwrap();
    run([server, client], &done);
}

/// What a captive portal is made of: addresses from edge-dhcp, and edge-captive, which says
/// that every name is its host's. Our own clients believe both.
#[test]
fn a_portal_of_edge_net_gives_addresses_and_names() {
    const PORTAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    hosts!(server, 1);
    hosts!(client, 2, bare);
    let done = Cell::new(false);
    let now = || server.now().total_micros() as u64 / 1_000_000;
    server
        .spawn(async {
            let nal = edge_nal::Nal::new(server);
            let bound = UdpBind::bind(&nal, at("0.0.0.0:67")).await;
            let mut bound = bound.unwrap();
            let mut leases = Server::<_, 4>::new(now, PORTAL);
            let (mut gateway, dns) = ([PORTAL], [PORTAL]);
            let mut options = ServerOptions::new(PORTAL, Some(&mut gateway));
            options.dns = &dns;
            let mut bytes = [0; 1472];
            let run = edge_dhcp::io::server::run(&mut leases, &options, &mut bound, &mut bytes);
            run.await.unwrap();
        })
        .unwrap();
    server
        .spawn(async {
            let nal = edge_nal::Nal::new(server);
            let (mut tx, mut rx) = ([0; 512], [0; 512]);
            let ttl = core::time::Duration::from_secs(60);
            let everywhere = edge_captive::io::DEFAULT_SOCKET;
            let run = edge_captive::io::run(&nal, everywhere, &mut tx, &mut rx, PORTAL, ttl);
            run.await.unwrap();
        })
        .unwrap();
    client
        .spawn(async { service::dhcp(client, DhcpConfig::new()).await.unwrap() })
        .unwrap();
    client.spawn(service::dns(client)).unwrap();
    client
        .spawn(async {
            client.wait_config_up().await;
            let config = client.config();
            assert_eq!(config.addresses[0].to_string(), "10.0.0.50/24");
            assert_eq!(config.dns[..], [IpAddress::Ipv4(PORTAL)]);
            let found = client.resolve("connectivity.example", Family::V4).await;
            assert_eq!(found.unwrap()[..], [IpAddress::Ipv4(PORTAL)]);
            done.set(true);
        })
        .unwrap();
    run([server, client], &done);
}
