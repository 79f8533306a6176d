//! Both network abstraction layers over a wire in memory, in virtual time.

#[macro_use]
mod hosts;

use std::cell::Cell;

use ::edge_nal::{Close, Readable, TcpAccept, TcpBind, TcpConnect, TcpShutdown, TcpSplit};
use cygnet::lab::pair;
use cygnet::{Error, StreamError};
use cygnet_compat::{edge_nal, embedded_nal_async};
use embedded_io_async::{Read, Write};
use hosts::wire;
use smoltcp::time::Instant;

/// Two handlers in one task, as edge-http has them, that know nothing of cygnet.
async fn serve<N: TcpBind>(nal: N) -> Result<(), N::Error> {
    let listener = nal.bind("0.0.0.0:7".parse().unwrap()).await?;
    let handler = || async {
        loop {
            let (peer, mut socket) = listener.accept().await?;
            assert_eq!(peer.ip().to_string(), "10.0.0.2");
            let mut bytes = [0; 64];
            loop {
                let (mut reader, mut writer) = socket.split();
                reader.readable().await?;
                match reader.read(&mut bytes).await? {
                    0 => break,
                    count => writer.write_all(&bytes[..count]).await?,
                }
            }
            socket.close(Close::Both).await?;
        }
    };
    futures_util::future::try_join(handler(), handler())
        .await
        .map(|(never, _): ((), ())| never)
}

async fn ask<C: Read + Write>(connection: &mut C) -> Result<(), C::Error> {
    connection.write_all(b"a swan").await?;
    connection.flush().await?;
    let mut answer = [0; 6];
    let mut got = 0;
    while got < answer.len() {
        got += connection.read(&mut answer[got..]).await?;
    }
    assert_eq!(&answer, b"a swan");
    Ok(())
}

#[test]
fn code_for_either_layer_runs_unchanged() {
    hosts!(server, client);
    let done = Cell::new(0);
    server.spawn(serve(edge_nal::Nal::new(server))).unwrap();
    client
        .spawn(async {
            let at = "10.0.0.1:7".parse().unwrap();
            let edge = edge_nal::Nal::new(client);
            let mut first = edge.connect(at).await.unwrap();
            let embedded = embedded_nal_async::Nal(client);
            let connect = ::embedded_nal_async::TcpConnect::connect(&embedded, at);
            let mut second = connect.await.unwrap();
            ask(&mut second).await.unwrap();
            ask(&mut first).await.unwrap();
            first.close(Close::Write).await.unwrap();
            let error = first.write(b"x").await.unwrap_err();
            assert_eq!(error, Error::Stream(StreamError::Closed));
            first.close(Close::Read).await.unwrap();
            assert_eq!(first.read(&mut [0]).await, Ok(0));
            drop((first, second));
            let mut third = edge.connect(at).await.unwrap();
            ask(&mut third).await.unwrap();
            third.abort().await.unwrap();
            assert!(third.read(&mut [0]).await.is_err());
            let nobody = edge.connect("10.0.0.1:9".parse().unwrap()).await;
            let refused = Error::Connect(cygnet::ConnectError::Refused);
            assert_eq!(nobody.err(), Some(refused));
            // Built without IPv6.
            let six = edge.connect("[fd00::1]:9".parse().unwrap()).await;
            assert!(six.is_err());
            done.set(1);
        })
        .unwrap();
    pair::run(&wire(), server, client, Instant::from_secs(60), |_| {
        done.get() == 1
    });
    assert_eq!(done.get(), 1);
}
