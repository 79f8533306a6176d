//! edge-http's server and client over our streams: both in a world where 5 % of all frames are
//! lost, with virtual time; and its server on a TAP with curl.

#[path = "../../../sim/tests/netns/mod.rs"]
mod netns;

use std::cell::Cell;
use std::fmt::{Debug, Display};
use std::rc::Rc;

use cygnet::{Backlog, Node};
use cygnet_compat::edge_nal::Nal;
use cygnet_world::{Link, Size, World};
use edge_http::Method;
use edge_http::io::Error;
use edge_http::io::client;
use edge_http::io::server::{Connection, Handler, Server};
use edge_nal::{TcpBind, TcpSplit};
use embassy_time as _;
use embedded_io_async::{Read, Write};
use net_examples::{TAP, TASK_BYTES};
use netns::{Netns, connect, text};
use smoltcp::time::Instant;

/// Says hello, and how many bytes came.
struct Counts;

impl Handler for Counts {
    type Error<E>
        = Error<E>
    where
        E: Debug;

    async fn handle<T, const N: usize>(
        &self,
        _: impl Display + Copy,
        client: &mut Connection<'_, T, N>,
    ) -> Result<(), Error<T::Error>>
    where
        T: Read + Write + TcpSplit,
    {
        let (mut bytes, mut piece) = (0, [0; 512]);
        loop {
            match client.read(&mut piece).await? {
                0 => break,
                count => bytes += count,
            }
        }
        let words = format!("Hello, {bytes} bytes\n");
        let length = words.len().to_string();
        let headers = [("Content-Length", &*length)];
        client.initiate_response(200, Some("OK"), &headers).await?;
        client.write_all(words.as_bytes()).await
    }
}

/// Four handlers, all of which accept in one task.
fn start(node: Node<'static>) {
    let task = async move {
        let nal = Nal::new(node).with_backlog(Backlog(16));
        let port = nal.bind("0.0.0.0:80".parse().expect("an address")).await;
        let mut server = Box::new(Server::<4, 2048, 32>::new());
        let handlers = server.run(None, port.expect("a free port"), Counts);
        handlers.await.expect("no end");
    };
    node.spawn_named("edge-http", Box::pin(task))
        .expect("a free task");
}

/// Asks over one connection as long as it lasts.
async fn ask(node: Node<'static>, server: std::net::SocketAddr, answers: Rc<Cell<u32>>) {
    let nal = Nal::new(node);
    let mut buffer = [0; 2048];
    let mut service: client::Connection<'_, _, 32> =
        client::Connection::new(&mut buffer, &nal, server);
    for number in 0..50_usize {
        let length = number.to_string();
        let headers = [("Host", "x"), ("Content-Length", &*length)];
        let ask = service.initiate_request(true, Method::Post, "/", &headers);
        ask.await.expect("a connection");
        service.write_all(&[7; 50][..number]).await.expect("a body");
        service.initiate_response().await.expect("an answer");
        let (mut answer, mut piece) = (Vec::new(), [0; 64]);
        while let count @ 1.. = service.read(&mut piece).await.expect("a body") {
            answer.extend_from_slice(&piece[..count]);
        }
        let expected = format!("Hello, {number} bytes\n");
        assert_eq!(String::from_utf8_lossy(&answer), expected);
        answers.set(answers.get() + 1);
    }
}

fn run(seed: u64) -> u128 {
    let mut world = World::new(seed);
    let size = Size {
        task_bytes: TASK_BYTES,
        ..Size::SMALL
    };
    let server = world.host_of("server", size, start);
    let std::net::IpAddr::V4(address) = world.address(server).into() else {
        panic!("no such address");
    };
    let target = (address, 80).into();
    let answers = Rc::new(Cell::new(0));
    let count = Rc::clone(&answers);
    let client = world.host_of("client", size, move |node| {
        for _ in 0..4 {
            let task = ask(node, target, Rc::clone(&count));
            node.spawn(task).expect("a free task");
        }
    });
    let lossy = Link {
        loss: 50_000,
        ..Link::LAN
    };
    world.connect(server, client, lossy);
    world.run_until(Instant::from_secs(900), |world| world.is_done(client));
    assert_eq!(answers.get(), 200, "seed {seed}");
    world.digest()
}

#[test]
fn every_request_over_kept_connections_is_answered_although_frames_are_lost() {
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}: not the same run twice");
    }
}

/// Its server on a TAP, in this process, as long as that lives.
fn on_tap(netns: &Netns) {
    let (started, starts) = std::sync::mpsc::channel();
    netns.inside(|| {
        std::thread::spawn(move || {
            let program = |node: Node<'static>| {
                start(node);
                // Its turn comes after the server's, which listens then.
                let task = async move { started.send(()).expect("a test that waits") };
                node.spawn(task).expect("a free task");
            };
            net_examples::on_tap(TAP, program).expect("an interface");
        });
    });
    starts.recv().expect("an interface");
}

const AT: &str = "http://192.168.70.2/";

#[test]
fn curl_is_answered_over_kept_connections_and_with_bodies_in_chunks() {
    let Some(netns) = Netns::new(&["curl"]) else {
        return;
    };
    on_tap(&netns);
    let said = netns.does(&format!("curl -sS -m 20 {AT}[1-50]"));
    assert_eq!(said, "Hello, 0 bytes\n".repeat(50));
    let head = netns.does(&format!("curl -sS -m 20 -I {AT}"));
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let file = std::env::temp_dir().join(format!("cygnet-edge-{}", std::process::id()));
    std::fs::write(&file, vec![7; 3_000_000]).expect("a file");
    for header in [
        "Expect:",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
    ] {
        let mut curl = netns.command("curl");
        curl.args(["-sS", "-m", "30", "-X", "POST", "-H", header, AT]);
        curl.arg("--data-binary")
            .arg(format!("@{}", file.display()));
        let done = curl.output().expect("curl");
        assert_eq!(text(&done), "Hello, 3000000 bytes\n", "{header}: {done:?}");
    }
    std::fs::remove_file(file).expect("a file");
}

/// More connections than handlers, of which each ends with an error: the handlers go on.
#[test]
fn chunks_that_are_none_end_their_connection_alone() {
    let Some(netns) = Netns::new(&["curl"]) else {
        return;
    };
    on_tap(&netns);
    netns.inside(|| {
        for chunks in [
            "zz\r\nhello\r\n",
            "5\r\nhelloo\r\n",
            "fffffffffffffffff\r\n",
            "",
        ] {
            for _ in 0..5 {
                let mut stream = connect("192.168.70.2", 80).expect("a connection");
                let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
                let words = format!("{head}{chunks}");
                std::io::Write::write_all(&mut stream, words.as_bytes()).expect("room");
                stream.shutdown(std::net::Shutdown::Write).expect("a FIN");
                let answer = std::io::read_to_string(stream);
                let served = answer.is_ok_and(|answer| !answer.is_empty());
                assert!(!served, "{chunks:?}");
            }
        }
    });
    let said = netns.does(&format!("curl -sS -m 20 {AT}"));
    assert_eq!(said, "Hello, 0 bytes\n");
}
