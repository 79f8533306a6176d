//! Wrong command lines: each is answered by one line that says what is allowed or what to
//! do, and by status 2; nothing is on standard output, and nothing is left behind.

mod folder;

use std::path::Path;

use folder::Folder;

/// What is typed, and what the answer says.
const LINES: &[(&str, &[&str])] = &[
    ("fly", &["unrecognized subcommand 'fly'", "see --help"]),
    ("loopbak", &["'loopback'"]),
    ("--bogus", &["unexpected argument '--bogus'", "see --help"]),
    ("--bogus tap", &["unexpected argument '--bogus'"]),
    (
        "--log loud",
        &["[possible values: off, error, warn, info, debug, trace]"],
    ),
    ("loopback --format xml", &["[possible values: table, json]"]),
    (
        "loopback --service ftp",
        &["known: hello, echo, discard, chargen, daytime"],
    ),
    ("loopback --clients 0", &["at least 1"]),
    ("--clients 16385", &["at most 16384"]),
    (
        "loopback --requests many",
        &["\"many\" is no number; at least 1"],
    ),
    ("loopback --slots 131073", &["at most 131072"]),
    (
        "loopback --slots 64 --backlog 65",
        &["more than --slots 64", "give at most 64, or more slots"],
    ),
    ("loopback --tasks 1", &["a connection needs one more"]),
    (
        "loopback --latency soon",
        &["say 50us, 1.5ms, 2s, 10m or 1h"],
    ),
    ("loopback --latency 0.5us", &["not whole microseconds"]),
    ("loopback --loss 2", &["say 1%, 0.05% or 500ppm"]),
    ("loopback --rx 1", &["choose 64 to 16MiB"]),
    ("loopback --rx 4kb", &["say 4096, 4k, 16KiB or 1MiB"]),
    ("loopback --seed x", &["give a whole number"]),
    (
        "loopback --pcap /nowhere/x.pcapng",
        &["cannot write the capture /nowhere/x.pcapng"],
    ),
    ("loopback --page /nowhere/x.html", &["/nowhere/x.html: "]),
    ("tap --name 1234567890123456", &["16 bytes; 15 are allowed"]),
    ("tap --name a/b", &["such as cyg0"]),
    ("tap --offload maybe", &["[possible values: on, off]"]),
    ("tap --serve ftp:21", &["known: hello, echo"]),
    ("tap --serve echo", &["say SERVICE:PORT, such as echo:7"]),
    ("tap --serve echo:0", &["choose 1 to 65535"]),
    ("tap --serve echo/sctp:7", &["known: tcp, udp"]),
    (
        "tap --serve hello/udp:7",
        &["these do: echo, discard, daytime"],
    ),
    ("tap --serve echo:7 hello:7", &["have the same port"]),
    ("tap --ip 192.168.69.2", &["say 192.168.69.2/24"]),
    (
        "tap --ip 192.168.69.255/24",
        &["stands for the whole network"],
    ),
    (
        "tap --ip 127.0.0.1/8",
        &["no address that a host on a link can have"],
    ),
    ("tap --ip 10.0.0.1/0", &["give a longer prefix"]),
    ("tap --ipv6 10.0.0.1/8", &["say --ip 10.0.0.1/8"]),
    (
        "tap --ip 10.0.0.1/8 --ip 10.0.0.1/8",
        &["--ip 10.0.0.1 is given twice"],
    ),
    (
        "tap --ip 10.0.0.1/8 --ip 10.0.0.2/8 --ip 10.0.0.3/8 --ip 10.0.0.4/8 --ip 10.0.0.5/8",
        &["give 5 addresses; at most 4"],
    ),
    ("tap --gateway 10.0.0.1", &["in no network of --ip"]),
    (
        "tap --gateway 192.168.69.255",
        &["not one host's address", "such as 192.168.69.1"],
    ),
    (
        "tap --gateway 192.168.69.0",
        &["not one host's address", "such as 192.168.69.1"],
    ),
    ("tap --gateway 224.0.0.1", &["not one host's address"]),
    ("tap --gateway fe80::1", &["in no network of --ip"]),
    ("tap --gateway 192.168.69.2", &["is our own address"]),
    (
        "tap --gateway 192.168.69.1 --gateway 192.168.69.9",
        &["is a second one"],
    ),
    ("tap --mac ff:ff:ff:ff:ff:ff", &["use 02:63:79:67:00:01"]),
    (
        "tap --host-ip 192.168.69.9/24",
        &["--create", "sudo ip addr add 192.168.69.9/24 dev cyg0"],
    ),
    (
        "tap --create --host-ip 192.168.69.2/24",
        &["the two sides need one each"],
    ),
    ("tap --limit 5s", &["say WHAT=TIME, such as exchange=30s"]),
    (
        "tap --limit nap=5s",
        &["known: first-byte, idle, read, write, exchange, close"],
    ),
    (
        "tap --limit idle=5s --limit idle=6s",
        &["--limit idle is given twice; give it once"],
    ),
    ("tap --hear 10.0.0.1:9", &["is not the address of a group"]),
    ("tap --hostname kettle", &["give --dhcp too"]),
    ("tap --parked 65537", &["at most 65536"]),
    ("tap --drain 99999999h", &["longer than a hundred years"]),
    ("ping swan", &["say 192.168.69.1"]),
    ("dig swan.example", &["give --dns IP, or --dhcp"]),
    ("world --scenario sunny", &["known: calm, lossy"]),
    ("world --pcap -", &["give a file, such as run.pcapng"]),
    ("world --budget x", &["give a whole number"]),
    (
        "world --page run.html --page-events 9",
        &["say A..B, such as 0..10000"],
    ),
    ("replay nothing.txt", &["nothing.txt: No such file"]),
    ("plan nothing.txt", &["nothing.txt: No such file"]),
    ("shrink nothing.txt", &["nothing.txt: No such file"]),
    ("step nothing.txt", &["nothing.txt: No such file"]),
    ("diff nothing.txt", &["<B>"]),
];

#[test]
fn each_wrong_line_is_answered_by_one_that_helps() {
    const { assert!(LINES.len() >= 40) };
    let folder = Folder::new("wrong");
    let tap = Path::new("/sys/class/net/cyg0");
    let had_tap = tap.exists();
    for &(line, says) in LINES {
        let output = folder.sim(line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert_eq!(said.lines().count(), 1, "{line}: {said}");
        assert!(said.starts_with("sim: error: "), "{line}: {said}");
        for part in says {
            assert!(said.contains(part), "{line}: {part:?} is not in {said}");
        }
        assert_eq!(output.stdout, b"", "{line}");
        let left: Vec<_> = std::fs::read_dir(&folder.0).unwrap().collect();
        assert!(left.is_empty(), "{line}: {left:?}");
        assert_eq!(tap.exists(), had_tap, "{line}");
    }
}
