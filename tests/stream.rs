//! Streams between two hosts on the wire.
mod harness;

use cygnet::net::wire::{Faults, Wire};
use cygnet::{Backlog, Node, TcpStream};
use harness::*;

async fn echo(mut stream: TcpStream<'_>) {
    let mut buf = [0; 256];
    while let Ok(n @ 1..) = stream.read(&mut buf).await {
        if stream.write_all(&buf[..n]).await.is_err() {
            break;
        }
    }
}

async fn echo_server(node: Node<'_>) -> Result<(), cygnet::ListenError> {
    let listener = node.listen(7, Backlog(4))?;
    while let Ok((stream, _)) = listener.accept().await {
        let _ = node.spawn(echo(stream));
    }
    Ok(())
}

#[test]
fn bytes_come_back() {
    host!(server, 1, slots: 4, tasks: 8);
    host!(client, 2, slots: 4, tasks: 8);
    let wire: Wire<16> = Wire::new(Faults::default());
    let answer = core::cell::RefCell::new(Vec::new());
    server.spawn(echo_server(server)).unwrap();
    let talk = async {
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        stream.write_all(b"swan").await.unwrap();
        let mut buf = [0; 16];
        let n = stream.read(&mut buf).await.unwrap();
        answer.borrow_mut().extend_from_slice(&buf[..n]);
        stream.close().await.unwrap();
        server.close_listeners();
    };
    client.spawn(talk).unwrap();
    let end = run(&wire, server, client, seconds(60));
    assert_eq!(answer.borrow().as_slice(), b"swan");
    println!("{end} {:?}", server.counters());
    assert!(end < seconds(30));
}
