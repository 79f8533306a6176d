use super::*;
use cygnet::TimeLimits;
use smoltcp::time::Duration;
use smoltcp::wire::IpCidr;

fn tap(words: &str) -> Result<TapConfig, Exit> {
    match parse(
        std::iter::once("sim")
            .chain(["tap"])
            .chain(words.split_whitespace()),
    )?
    .command
    {
        Command::Tap(config) => Ok(*config),
        _ => panic!("not tap"),
    }
}

fn loopback(words: &str) -> Result<LoopbackConfig, Exit> {
    match parse(std::iter::once("sim").chain(words.split_whitespace()))?.command {
        Command::Loopback(config) => Ok(config),
        _ => panic!("not loopback"),
    }
}

#[test]
fn alone_it_is_loopback() {
    let config = loopback("").unwrap();
    assert_eq!(config, loopback("loopback").unwrap());
    assert_eq!(
        (config.clients, config.requests, config.service),
        (8, 100, Service::Hello)
    );
    assert_eq!(config.latency, Duration::from_micros(50));
    assert_eq!(parse(["sim", "-v"]).unwrap().level, Level::Debug);
    assert_eq!(
        parse(["sim", "loopback", "-vv"]).unwrap().level,
        Level::Trace
    );
    assert_eq!(
        parse(["sim", "--log", "warn", "-v"]).unwrap().level,
        Level::Warn
    );
}

#[test]
fn every_flag_is_understood() {
    let config =
        loopback("loopback --clients 1000 --requests 20 --slots 64 --tasks 66 --backlog 8")
            .unwrap();
    assert_eq!(
        (config.clients, config.slots, config.tasks, config.backlog),
        (1000, 64, 66, 8)
    );
}

#[test]
fn tap_has_working_defaults() {
    let config = tap("").unwrap();
    assert_eq!(config.name, "cyg0");
    assert_eq!(config.ips, ["192.168.69.2/24".parse().unwrap()]);
    assert_eq!(config.host_ips, ["192.168.69.1/24".parse().unwrap()]);
    let serve: Vec<String> = config.serve.iter().map(Serve::to_string).collect();
    assert_eq!(serve, ["hello:5000", "echo:7", "http:80"]);
    assert_eq!((config.slots, config.drain), (64, Duration::from_secs(2)));
    assert_eq!((config.backlog, config.parked), (8, 256));
    assert_eq!(tap("--parked 0").unwrap().parked, 0);
}

#[test]
fn two_on_one_bridge_have_two_hardware_addresses() {
    let mac = |words| tap(words).unwrap().mac;
    let first = mac("");
    assert_eq!(
        first,
        mac("--name cyg0 --ip 192.168.69.2/16 --ipv6 fd69::2/64")
    );
    assert_ne!(first, mac("--name cyg1"));
    assert_ne!(first, mac("--ip 192.168.69.3/24"));
    assert_eq!(
        mac("--mac 02:63:79:67:00:01").0,
        [2, 0x63, 0x79, 0x67, 0, 1]
    );
}

#[test]
fn limits_are_given_one_by_one() {
    assert_eq!(tap("").unwrap().limits, TimeLimits::DEFAULT);
    let limits = tap("--limit exchange=30s first-byte=1.5s write=0 --limit idle=5s");
    let expected = TimeLimits {
        exchange: Some(Duration::from_secs(30)),
        first_byte: Some(Duration::from_millis(1_500)),
        idle: Some(Duration::from_secs(5)),
        ..TimeLimits::NONE
    };
    assert_eq!(limits.unwrap().limits, expected);
    let limits = tap("--limit read=1s close=2s").unwrap().limits;
    let expected = TimeLimits {
        between_reads: Some(Duration::from_secs(1)),
        close: Some(Duration::from_secs(2)),
        ..TimeLimits::DEFAULT
    };
    assert_eq!(limits, expected);
}

#[test]
fn each_version_of_ip_gets_its_host_side() {
    let config = tap("--create --ip 10.1.0.1/16 --ipv6 fd69::2/64 --gateway 10.1.0.9").unwrap();
    assert_eq!(config.ips.len(), 2);
    let hosts: Vec<IpCidr> = ["10.1.0.2/16", "fd69::1/64"]
        .map(|cidr| cidr.parse().unwrap())
        .into();
    assert_eq!(config.host_ips, hosts);
    let config = tap(
        "--create --ip 10.1.0.1/16 --ip 10.1.0.2/16 --ipv6 fd69::1/64 --ipv6 fe80::1/64 \
         --gateway fe80::9 --gateway 10.1.0.9",
    );
    let config = config.unwrap();
    assert_eq!(config.ips.len(), 4, "as many as the core takes");
    let hosts: Vec<IpCidr> = ["10.1.0.3/16", "fd69::2/64", "fe80::2/64"]
        .map(|cidr| cidr.parse().unwrap())
        .into();
    assert_eq!(config.host_ips, hosts);
    let config = tap("--ipv6 fd69::2/64 --gateway fe80::1").unwrap();
    assert_eq!(config.gateways, ["fe80::1".parse().unwrap()]);
    let config = tap("--ipv6 fd69::2/64 --serve daytime:13 chargen:19 --serve echo:7").unwrap();
    assert_eq!(config.ips.len(), 2, "--ipv6 comes on top of the default");
    assert_eq!(config.serve.len(), 3);
}

#[test]
fn each_mistake_is_one_clear_line_and_status_2() {
    for (words, says) in [
        (
            "loopback --service ftp",
            "known: hello, echo, discard, chargen, daytime",
        ),
        ("loopback --clients 0", "at least 1"),
        ("loopback --clients 16385", "at most 16384"),
        ("loopback --slots 0", "at least 1"),
        ("loopback --slots 131073", "at most 131072"),
        ("loopback --backlog 65536", "at most 65535"),
        ("loopback --tasks 1", "needs one more"),
        ("loopback --latency 5x", "no duration"),
        ("loopback --loss 2", "no rate"),
        ("loopback --format xml", "invalid value 'xml'"),
        ("loopback --bogus", "--bogus"),
        ("bogus", "bogus"),
        ("tap --slots 0", "at least 1"),
        ("tap --parked 65537", "at most 65536"),
        ("tap --serve ftp:21", "no service"),
        ("tap --serve echo:0", "port 0"),
        ("tap --serve echo:7 --serve hello:7", "same port"),
        ("tap --ip 1.2.3.4", "no ADDRESS/BITS"),
        ("tap --ip 10.0.0.1/8 --ip 10.0.0.1/16", "given twice"),
        (
            "tap --ip 10.0.0.1/8 --ip 10.0.0.2/8 --ip 10.0.0.3/8 --ipv6 fd69::2/64 --ipv6 fd69::3/64",
            "at most 4",
        ),
        (
            "tap --ip 10.0.0.1/24 --host-ip 10.0.0.1/24",
            "need one each",
        ),
        (
            "tap --ip 10.0.0.1/24 --host-ip 10.0.1.1/24",
            "in no network",
        ),
        ("tap --create --ip 10.0.0.1/32", "no room for the host"),
        ("tap --gateway 192.168.69.2", "our own address"),
        ("tap --gateway 10.0.0.1", "in no network"),
        ("tap --mac ff:ff:ff:ff:ff:ff", "not one host's address"),
        ("tap --name 1234567890123456", "16 bytes; 15 are allowed"),
        ("tap --name a/b", "cannot be an interface name"),
        ("tap --drain soon", "no duration"),
        (
            "tap --create --ip 10.0.0.1/30 --ip 10.0.0.2/30",
            "no room for the host",
        ),
        ("tap --limit 5s", "say WHAT=TIME"),
        ("tap --limit nap=5s", "no limit \"nap\"; known: first-byte"),
        ("tap --limit idle=soon", "no duration"),
        ("tap --rx 1", "64 to 16MiB"),
    ] {
        let exit = parse(std::iter::once("sim").chain(words.split_whitespace())).unwrap_err();
        assert_eq!(exit.status, 2, "{words}");
        assert!(exit.text.contains(says), "{words}: {}", exit.text);
        assert!(
            exit.text.starts_with("error: ") && !exit.text.contains('\n'),
            "{}",
            exit.text
        );
    }
}

#[test]
fn help_teaches_and_is_no_failure() {
    for (words, says) in [
        (vec!["sim", "--help"], "sim loopback --trace"),
        (
            vec!["sim", "tap", "--help"],
            "ip tuntap add dev cyg0 mode tap user $USER",
        ),
        (vec!["sim", "loopback", "--help"], "wireshark run.pcapng"),
        (vec!["sim", "--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let exit = parse(words).unwrap_err();
        assert_eq!(exit.status, 0);
        assert!(exit.text.contains(says), "{}", exit.text);
    }
}

#[test]
fn some_services_speak_by_datagrams() {
    let serve = |words: &str| {
        let config = tap(words).map_err(|exit| format!("{exit:?}"))?;
        let names = config.serve.iter().map(Serve::to_string);
        Ok::<Vec<String>, String>(names.collect())
    };
    let both = serve("--serve echo/udp:7 echo/tcp:7 daytime/udp:13 discard/udp:9");
    let expected = ["echo/udp:7", "echo:7", "daytime/udp:13", "discard/udp:9"];
    assert_eq!(both.unwrap(), expected);
    for (words, part) in [
        ("--serve hello/udp:7", "hello does not speak by datagrams"),
        ("--serve echo/sctp:7", "no transport"),
        ("--serve echo/udp:7 discard/udp:7", "have the same port"),
        ("--serve echo/udp:0", "port 0"),
    ] {
        let error = serve(words).unwrap_err();
        assert!(error.contains(part), "{words}: {error}");
    }
    let many: Vec<String> = (1..=17).map(|port| format!("echo/udp:{port}")).collect();
    let error = serve(&format!("--serve {}", many.join(" "))).unwrap_err();
    assert!(error.contains("at most 16"), "{error}");
}

#[test]
fn groups_are_heard_at_ports_of_their_own() {
    let config = tap("--hear 239.1.2.3:9 --hear [ff15::1]:10").unwrap();
    let heard: Vec<String> = config.hear.iter().map(ToString::to_string).collect();
    assert_eq!(heard, ["239.1.2.3:9", "[ff15::1]:10"]);
    let many: Vec<String> = (1..=9)
        .map(|port| format!("--hear 239.1.2.3:{port}"))
        .collect();
    for (words, said) in [
        ("--hear 239.1.2.3", "is no group and port"),
        ("--hear 10.0.0.1:9", "is not the address of a group"),
        ("--hear 239.1.2.3:0", "port 0"),
        ("--hear 239.1.2.3:7 --serve echo/udp:7", "a port of its own"),
        (&many.join(" "), "at most 8 groups"),
    ] {
        let error = tap(words).unwrap_err();
        assert!(format!("{error:?}").contains(said), "{words}: {error:?}");
    }
}

#[test]
fn an_address_of_a_dhcp_server_is_asked_for_with_a_name_and_one_fallback() {
    assert_eq!(tap("").unwrap().dhcp, None);
    let config = tap("--dhcp --hostname kettle --ip 10.0.0.9/8").unwrap();
    assert_eq!(config.dhcp.as_deref(), Some("kettle"));
    assert_eq!(config.ips, ["10.0.0.9/8".parse::<IpCidr>().unwrap()]);
    assert_eq!(tap("--dhcp").unwrap().dhcp.as_deref(), Some(""));
    for (words, said) in [
        ("--hostname kettle", "give --dhcp too"),
        ("--dhcp --hostname two_words", "is no host name"),
        ("--dhcp --ip 10.0.0.9/8 --ip 10.0.0.8/8", "one --ip is used"),
    ] {
        let error = tap(words).unwrap_err();
        assert!(format!("{error:?}").contains(said), "{words}: {error:?}");
    }
}

#[test]
fn a_name_is_asked_for_from_somebody() {
    let dig = |words: &str| {
        let words = std::iter::once("sim")
            .chain(["dig"])
            .chain(words.split_whitespace());
        parse(words).map(|invocation| match invocation.command {
            Command::Tap(config) => *config.dig.unwrap(),
            _ => panic!("not dig"),
        })
    };
    let found = dig("swan.example --dns 10.0.0.1 --dns fd00::1").unwrap();
    assert_eq!(
        (found.name.as_str(), found.servers.len()),
        ("swan.example", 2)
    );
    assert!(dig("swan.example --dhcp").unwrap().servers.is_empty());
    for (words, said) in [
        ("swan.example", "give --dns IP"),
        ("swan.example --dns swan", "is no IP address"),
        (
            "swan.example --dns 10.0.0.1 --dns 10.0.0.2 --dns 10.0.0.3 --dns 10.0.0.4",
            "at most three",
        ),
    ] {
        let error = dig(words).unwrap_err();
        assert!(format!("{error:?}").contains(said), "{words}: {error:?}");
    }
}
