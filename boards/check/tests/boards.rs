//! The boards, booted in QEMU as a person boots them, with the kernel's TCP as
//! the client.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use check::client::{connect, echo, hello, noise, report};
use check::flood::flood;
use check::{BOARDS, Board, Dnsmasq, Netns, four_ports, has, has_qemu};

const BOARD: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const HELLO: u16 = 5000;
const ECHO: u16 = 7;
const REPORT: u16 = 79;

fn at(port: u16) -> SocketAddr {
    (BOARD, port).into()
}

#[test]
fn one_command_boots_each_board_and_it_serves_and_sleeps() {
    if !has_qemu() {
        return;
    }
    for name in BOARDS {
        let port = four_ports();
        let board = Board::on_port(name, port);
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        hello(at(port));
        echo(at(port + 1), &noise(1 << 20));
        let report = report(at(port + 2));
        assert_eq!(report.panics, 0);
        if name.starts_with("rtic") {
            // Handed over by a task that interrupts the network.
            board.says("beat 8");
        }

        // While nobody asks anything, nearly nothing is done.
        thread::sleep(Duration::from_secs(1));
        let (start, before) = (Instant::now(), board.cpu());
        thread::sleep(Duration::from_secs(5));
        let busy = (board.cpu() - before).as_secs_f64() / start.elapsed().as_secs_f64();
        println!(
            "{name}: 1 MiB echoed, stack {}, idle {:.1} %",
            report.stack,
            100.0 * busy
        );
        assert!(
            busy < 0.10,
            "{name} uses {:.1} % while it waits",
            100.0 * busy
        );
        let status = board.stop();
        assert!(status.success(), "{name}: Ctrl-C ends with {status}");
    }
}

#[test]
fn a_board_takes_the_address_that_the_network_gives_it() {
    if !has_qemu() {
        return;
    }
    for name in BOARDS {
        let port = four_ports();
        let board = Board::on_user(name, port, "dhcpstart=10.0.2.77");
        assert_eq!(board.address().as_deref(), Some("10.0.2.77"));
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        hello(at(port));
        echo(at(port + 1), &noise(100_000));
        let report = report(at(port + 2));
        assert_eq!(report.panics, 0);
        println!("{name}: an address from DHCP, stack {}", report.stack);
    }
}

/// Without a server it has the address that it was told; when one comes, the server's, and
/// what is open goes on.
#[test]
fn a_board_is_known_to_dnsmasq_by_its_name() {
    if !(has_qemu() && has("dnsmasq")) {
        return;
    }
    let Some(netns) = Netns::new() else { return };
    let board = Board::on_tap("lm3s6965evb", &netns);
    assert_eq!(board.address().as_deref(), Some("10.0.2.15"));
    netns.inside(|| {
        let mut open = connect(at(ECHO));
        let mut swan = || {
            let mut back = [0; 4];
            open.write_all(b"swan").expect("sent");
            open.read_exact(&mut back).expect("an answer");
            assert_eq!(&back, b"swan");
        };
        swan();
        let server = Dnsmasq::start(&netns);
        let leased = board.moves_from("10.0.2.15");
        let known = server.leases();
        assert!(
            known.contains(&format!(" {leased} lm3s6965evb ")),
            "{known}"
        );
        swan();
        let leased: Ipv4Addr = leased.parse().expect("an address");
        hello((leased, HELLO).into());
        echo((leased, ECHO).into(), &noise(100_000));
        let report = report((leased, REPORT).into());
        assert_eq!(report.panics, 0);
        println!("lm3s6965evb: {leased} from dnsmasq, stack {}", report.stack);
    });
}

/// Everything at once that a board on a real network has to stand.
fn stands_it_all(name: &str, most_stack: u64) {
    if !(has_qemu() && has("ping")) {
        return;
    }
    let Some(netns) = Netns::new() else { return };
    let board = Board::on_tap(name, &netns);

    for size in ["56", "1400"] {
        let mut ping = netns.command("ping");
        let ping = ping.args(["-c", "3", "-i", "0.2", "-W", "10", "-s", size, "10.0.2.15"]);
        let answered = ping.output().expect("ping");
        let words = String::from_utf8_lossy(&answered.stdout).into_owned();
        assert!(words.contains(" 0% packet loss"), "{words}");
    }

    netns.inside(|| {
        let start = Instant::now();
        (0..1000).for_each(|_| hello(at(HELLO)));
        println!(
            "{name}: 1,000 connections in a row in {:.1?}",
            start.elapsed()
        );

        let (start, all, message) = (Instant::now(), Barrier::new(100), noise(2000));
        thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| {
                    all.wait();
                    echo(at(ECHO), &message);
                });
            }
        });
        println!("{name}: 100 at once on 8 slots in {:.1?}", start.elapsed());

        let sent = flood(
            SocketAddrV4::new(BOARD, HELLO),
            1000,
            Duration::from_secs(10),
        );
        let start = Instant::now();
        (0..10).for_each(|_| hello(at(HELLO)));
        echo(at(ECHO), &noise(100_000));
        println!("{name}: {sent} SYNs; served {:.1?} later", start.elapsed());

        let report = report(at(REPORT));
        println!("{name}:\n{}", report.text);
        assert_eq!(report.panics, 0);
        assert!(report.accepts >= 1112);
        assert!((1..=8).contains(&report.slots));
        assert!(
            report.stack <= most_stack,
            "{} bytes of stack",
            report.stack
        );
        board.says(&report.text); // also over semihosting
    });
    let status = board.stop();
    assert!(status.success(), "{name}: Ctrl-C ends with {status}");
}

#[test]
fn lm3s6965evb_stands_it_all_in_6_kib_of_stack() {
    stands_it_all("lm3s6965evb", 6 * 1024);
}

#[test]
fn mps2_an385_stands_it_all() {
    stands_it_all("mps2-an385", 16 * 1024);
}

#[test]
fn riscv_virt_stands_it_all() {
    stands_it_all("riscv-virt", 16 * 1024);
}
