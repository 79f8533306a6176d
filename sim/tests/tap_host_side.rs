//! What can be wrong on the host's side: each is met here, `sim tap` says it, and the
//! command that it prints mends it. And the commands that the banner prints work. They need
//! root; see `netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

mod netns;

use std::time::{Duration, Instant};

use netns::{LONG, Netns, Sim, V4, connect, echo, text};
use rustix::process::Signal;

/// Waits until `sim` has said this.
fn says(sim: &Sim, words: &str) {
    let start = Instant::now();
    while !sim.stdout().contains(words) {
        assert!(start.elapsed() < LONG, "no {words:?} in\n{}", sim.stdout());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The commands that a text prints, each on a line of its own, two spaces in.
fn commands<'t>(said: &'t str, program: &str) -> Vec<&'t str> {
    let lines = said.lines().filter_map(|line| line.strip_prefix("  "));
    lines.filter(|line| line.starts_with(program)).collect()
}

/// Does what is printed; whoever runs this is root already.
fn mend(netns: &Netns, said: &str) {
    let commands = commands(said, "sudo ");
    assert!(!commands.is_empty(), "{said}");
    for command in commands {
        netns.does(command.strip_prefix("sudo ").unwrap());
    }
}

/// A TAP that is up, and nothing more.
fn tap(netns: &Netns, name: &str) {
    netns.does(&format!("ip tuntap add dev {name} mode tap"));
    netns.does(&format!("ip link set {name} up"));
}

fn serves(netns: &Netns, ip: &str) -> bool {
    netns.inside(|| connect(ip, 7).is_ok_and(|mut stream| echo(&mut stream, b"swan").is_ok()))
}

fn ends(mut sim: Sim) -> String {
    sim.signal(Signal::INT);
    assert!(sim.end(Duration::from_secs(20)).success());
    sim.stdout()
}

#[test]
fn an_interface_that_is_missing_or_down_is_made_by_the_commands() {
    let Some(netns) = Netns::new(&[]) else { return };
    let refused = || {
        let mut sim = Sim::spawn(&netns, "tap --ipv6 fd69::2/64");
        assert_eq!(sim.end(Duration::from_secs(20)).code(), Some(2));
        sim.stderr()
    };
    let missing = refused();
    assert!(
        missing.contains("there is no interface \"cyg0\""),
        "{missing}"
    );
    mend(&netns, &missing);
    let sim = Sim::spawn(&netns, "tap --ipv6 fd69::2/64").serving();
    assert!(serves(&netns, V4) && serves(&netns, "fd69::2"));
    assert!(!ends(sim).contains("warning"));

    netns.does("ip link set cyg0 down");
    let down = refused();
    let (_, command) = down.trim_end().split_once("bring it up: sudo ").unwrap();
    netns.does(command);
    // What was of IPv6 went with the link.
    let sim = Sim::spawn(&netns, "tap").serving();
    assert!(serves(&netns, V4));
    assert!(!ends(sim).contains("warning"));
}

#[test]
fn an_address_that_nobody_here_reaches_is_reached_by_the_command() {
    let Some(netns) = Netns::new(&[]) else { return };
    tap(&netns, "cyg0");
    for (ip, words, has) in [
        (V4, "", "cyg0 has no address"),
        (
            "10.0.0.2",
            "--ip 10.0.0.2/24",
            "cyg0 has addresses only in 192.168.69.0/24",
        ),
        ("fd69::2", "--ipv6 fd69::2/64", "cyg0 has no address"),
    ] {
        let sim = Sim::spawn(&netns, &format!("tap {words}")).serving();
        let warning = format!("warning: this machine's programs do not reach {ip}: {has}; ");
        says(&sim, &warning);
        says(&sim, " dev cyg0");
        assert!(!serves(&netns, ip), "{words}");
        mend(&netns, &sim.stdout());
        assert!(serves(&netns, ip), "{words}");
        assert_eq!(ends(sim).matches("warning").count(), 1);
        // And it is not said again.
        let sim = Sim::spawn(&netns, &format!("tap {words}")).serving();
        assert!(!ends(sim).contains("warning"));
    }
}

/// A bridge with `cyg0` and another host, in a namespace of its own, at `eth0`.
fn bridge(netns: &Netns, other: &Netns) {
    tap(netns, "cyg0");
    netns.does("ip link add br0 type bridge");
    netns.does(&format!(
        "ip link add port0 type veth peer name eth0 netns {}",
        other.name()
    ));
    for port in ["cyg0", "port0"] {
        netns.does(&format!("ip link set {port} master br0 up"));
    }
    netns.does("ip link set br0 up");
    netns.does("ip addr add 192.168.69.1/24 dev br0");
    other.does("ip link set eth0 up");
}

#[test]
fn another_host_with_our_address_is_heard_and_the_command_takes_another() {
    let Some(netns) = Netns::new(&[]) else { return };
    let Some(other) = Netns::new(&[]) else { return };
    bridge(&netns, &other);
    other.does("ip addr add 192.168.69.2/24 dev eth0");
    let sim = Sim::spawn(&netns, "tap").serving();
    says(&sim, "answers for our address 192.168.69.2; ");
    says(&sim, "/24\n");
    let said = ends(sim);
    // The address of the bridge counts: nobody says that the TAP has none.
    assert_eq!(said.matches("warning").count(), 1, "{said}");
    let again = commands(&said, "sim tap ");
    let words = again[0].strip_prefix("sim ").unwrap();
    let sim = Sim::spawn(&netns, words).serving();
    let ip = words
        .rsplit_once(' ')
        .unwrap()
        .1
        .strip_suffix("/24")
        .unwrap();
    assert!(serves(&netns, ip) && serves(&other, ip));
    assert!(!ends(sim).contains("warning"));
}

#[test]
fn two_hosts_with_one_hardware_address_both_say_so() {
    let Some(netns) = Netns::new(&[]) else { return };
    let Some(other) = Netns::new(&[]) else { return };
    bridge(&netns, &other);
    tap(&netns, "cyg1");
    netns.does("ip link set cyg1 master br0");
    let mac = "--mac 02:00:00:00:00:07";
    let first = Sim::spawn(&netns, &format!("tap {mac}")).serving();
    assert!(serves(&netns, V4));
    assert!(!first.stdout().contains("warning"));
    let words = format!("tap --name cyg1 --ip 192.168.69.3/24 {mac}");
    let second = Sim::spawn(&netns, &words).serving();
    for sim in [&first, &second] {
        says(sim, "has our hardware address 02-00-00-00-00-07, ");
        says(sim, " --mac 02-");
    }
    let said = ends(second);
    assert_eq!(said.matches("warning").count(), 1, "{said}");
    let again = commands(&said, "sim tap ");
    let words = again[0].strip_prefix("sim ").unwrap();
    let second = Sim::spawn(&netns, words).serving();
    assert!(serves(&netns, V4) && serves(&netns, "192.168.69.3"));
    assert!(!ends(second).contains("warning"));
    assert_eq!(ends(first).matches("warning").count(), 1);
}

#[test]
fn every_command_of_the_banner_works() {
    let Some(netns) = Netns::new(&["nc", "curl", "ping", "sh"]) else {
        return;
    };
    let words = "--ipv6 fd69::2/64 --ipv6 fe80::2/64 --slots 64 \
        --serve hello:5000 echo:7 discard:9 chargen:19 daytime:13 echo/udp:7 daytime/udp:13";
    let sim = Sim::start(&netns, words);
    let banner = sim.stdout();
    let lines = banner.lines().filter_map(|line| line.strip_prefix("  "));
    let lines: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once("  ")).collect();
    assert_eq!(lines.len(), 3 * 8, "seven services and ping: {banner}");
    let ask = |command: &str| {
        let command = command.trim().replace("ping ", "ping -c 1 ");
        let line = match command.contains('|') {
            true => command,
            // Whoever types does not end at once.
            false => format!("(echo swan; sleep 1) | timeout 2 {command}"),
        };
        let mut shell = netns.command("sh");
        // `chargen` goes on for ever.
        let done = shell.args(["-c", &format!("{line} | head -c 300")]);
        let done = done.output().unwrap();
        (
            line,
            text(&done),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )
    };
    std::thread::scope(|scope| {
        let asked: Vec<_> = lines
            .iter()
            .map(|&(name, command)| (name, scope.spawn(move || ask(command))))
            .collect();
        for (name, asked) in asked {
            let (line, answer, errors) = asked.join().unwrap();
            let expected = match name.trim() {
                "hello" => "Hello World",
                "echo" | "echo/udp" => "swan",
                "chargen" => "ABCDEFG",
                "daytime" | "daytime/udp" => "20",
                "ping" => "1 received",
                // It answers nothing; that it took all shows in the end.
                _ => "",
            };
            assert!(answer.contains(expected), "{line}: {answer:?} {errors}");
            assert!(!errors.contains("refused"), "{line}: {errors}");
        }
    });
    let out = ends(sim);
    assert!(
        out.contains("to discard:9\n") && !out.contains("warning"),
        "{out}"
    );
}
