use super::*;

#[test]
fn durations_are_exact() {
    for (text, micros) in [
        ("50us", 50),
        ("1.5ms", 1_500),
        ("2s", 2_000_000),
        ("3000ns", 3),
        ("0", 0),
        ("7µs", 7),
        ("10", 10_000_000),
        ("0.5", 500_000),
        ("10m", 600_000_000),
        ("1.5m", 90_000_000),
        ("1h", 3_600_000_000),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
    }
    for bad in [
        "",
        "m",
        "5d",
        "5 m",
        "99999999h",
        "us",
        "1.s",
        ".5s",
        "-1s",
        "1 s",
        "500ns",
        "1.0001us",
        "1e3s",
        "99999999999s",
    ] {
        assert!(duration(bad).is_err(), "{bad}");
    }
}

#[test]
fn rates_are_exact() {
    for (text, expected) in [
        ("0", 0),
        ("1%", 10_000),
        ("0.05%", 500),
        ("0.0001%", 1),
        ("100%", 1_000_000),
        ("7ppm", 7),
    ] {
        assert_eq!(ppm(text), Ok(Loss(expected)), "{text}");
    }
    for bad in [
        "",
        "1",
        "%",
        "0.00001%",
        "101%",
        "-1%",
        "1.5ppm",
        "1000001ppm",
    ] {
        assert!(ppm(bad).is_err(), "{bad}");
    }
}

#[test]
fn sizes_and_numbers_have_bounds() {
    assert_eq!(
        [
            buffer_bytes("64"),
            buffer_bytes("4KiB"),
            buffer_bytes("16MiB")
        ],
        [Ok(64), Ok(4096), Ok(16 << 20)]
    );
    for (text, bytes) in [
        ("4k", 4 << 10),
        ("64K", 64 << 10),
        ("1m", 1 << 20),
        ("1M", 1 << 20),
    ] {
        assert_eq!(buffer_bytes(text), Ok(bytes), "{text}");
    }
    for bad in [
        "",
        "k",
        "63",
        "0",
        "17MiB",
        "17m",
        "4kb",
        "99999999999999999999",
    ] {
        assert!(buffer_bytes(bad).is_err(), "{bad}");
    }
    assert_eq!(at_least_one("1"), Ok(1));
    for bad in ["0", "", "-1", "x", "99999999999"] {
        assert!(at_least_one(bad).is_err(), "{bad}");
    }
}

#[test]
fn services_name_those_that_exist() {
    assert_eq!(
        "echo:7".parse(),
        Ok(Serve {
            service: Service::Echo,
            transport: Transport::Tcp,
            port: 7
        })
    );
    let unknown = "ftp:21".parse::<Serve>().unwrap_err();
    assert!(
        unknown.contains("hello, echo, discard, chargen, daytime"),
        "{unknown}"
    );
    for bad in ["echo", "echo:", "echo:0", "echo:65536", "echo:-1", ":7"] {
        assert!(bad.parse::<Serve>().is_err(), "{bad}");
    }
}

#[test]
fn a_host_has_a_host_s_address() {
    for good in [
        "192.168.69.2/24",
        "10.0.0.0/31",
        "10.0.0.1/32",
        "fd69::2/64",
        "fe80::1/64",
    ] {
        assert!(host_cidr(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "192.168.69.2",
        "192.168.69.0/24",
        "192.168.69.255/24",
        "10.0.0.1/33",
        "10.0.0.1/0",
        "127.0.0.1/8",
        "224.0.0.1/24",
        "0.0.0.0/8",
        "255.255.255.255/32",
        "::1/128",
        "fd69::/64",
        "ff02::1/64",
        "fd69::1/129",
        "1.2.3/24",
        "1.2.3.4.5/8",
    ] {
        assert!(host_cidr(bad).is_err(), "{bad}");
    }
    assert!(host_cidr_v6("10.0.0.1/24").is_err());
}

#[test]
fn the_neighbor_is_the_lowest_other_host() {
    for (ours, theirs) in [
        ("192.168.69.2/24", Some("192.168.69.1/24")),
        ("192.168.69.1/24", Some("192.168.69.2/24")),
        ("10.0.0.1/31", Some("10.0.0.0/31")),
        ("10.0.0.9/30", Some("10.0.0.10/30")),
        ("10.0.0.1/32", None),
        ("fd69::2/64", Some("fd69::1/64")),
        ("fd69::1/128", None),
        ("fd69::1/127", Some("fd69::/127")),
    ] {
        let theirs = theirs.map(|cidr| cidr.parse().unwrap());
        let ours = ours.parse().unwrap();
        assert_eq!(neighbor(ours, &[ours]), theirs, "{ours}");
    }
}

#[test]
fn a_hardware_address_follows_from_name_and_address() {
    let of = |name, ip: &str| mac_for(name, ip.parse().unwrap()).to_string();
    // Computed by another SipHash-1-3, in Python.
    assert_eq!(of("cyg0", "192.168.69.2"), "02-bb-f3-a5-44-21");
    assert_eq!(of("cyg0", "fd69::2"), "02-1b-78-41-01-7e");
    let names = ["cyg0", "cyg1", "cyg", "a", "123456789012345"];
    let ips = [
        "192.168.69.2",
        "192.168.69.3",
        "10.0.0.1",
        "fd69::2",
        "fd69::3",
    ];
    let mut all = std::collections::BTreeSet::new();
    for (name, ip) in names.iter().flat_map(|name| ips.map(|ip| (name, ip))) {
        let mac = mac_for(name, ip.parse().unwrap());
        assert!(
            mac.is_unicast() && mac.0[0] == 2,
            "{mac}: local, and of one host"
        );
        assert!(all.insert(mac.0), "{name} {ip}: {mac} is another's");
        assert_eq!(super::mac(&mac.to_string()), Ok(mac));
    }
}
