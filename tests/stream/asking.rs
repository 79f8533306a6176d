//! What a program may ask of a stream that it goes on to hold: where it is, what it holds,
//! whether its peer has all of it; and how its ends are told.

use super::*;
use smoltcp::socket::tcp::State;

#[test]
fn the_flush_of_embedded_io_returns_at_once_and_acknowledged_waits() {
    pair!(server, client);
    let wire: Wire<64> = Wire::new(LAN);
    let serve = async {
        let mut stream = one(server).await;
        assert_eq!(read_to_end(&mut stream).await, Ok(vec![1; 30]));
    };
    let ask = async {
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        stream.write_all(&[1; 30]).await.unwrap();
        let before = client.now();
        Write::flush(&mut stream).await.unwrap();
        stream.split().1.flush().await.unwrap();
        assert_eq!((client.now(), stream.unsent()), (before, 30));
        stream.acknowledged().await.unwrap();
        assert!(client.now() > before, "there is a wire between them");
        assert_eq!(stream.unsent(), 0);
    };
    play(&wire, server, client, serve, ask);
}

#[test]
fn the_flush_of_embedded_io_says_that_the_connection_was_cut() {
    pair!(server, client);
    let wire: Wire<64> = Wire::new(LAN);
    let serve = async { one(server).await.reset() };
    let ask = async {
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(stream.read(&mut [0; 4]).await, Err(ReadError::Reset));
        assert_eq!(stream.flush().await, Err(StreamError::Reset));
    };
    play(&wire, server, client, serve, ask);
}

/// While its FIN waits for an acknowledgement the other direction goes on.
#[test]
fn finish_waits_for_the_fin_and_reading_goes_on() {
    for target in targets(1, 7) {
        pair!(server, client);
        let wire: Wire<64> = Wire::new(LAN);
        let serve = async {
            let mut stream = one(server).await;
            assert_eq!(read_to_end(&mut stream).await, Ok(vec![5; 700]));
            assert_eq!(stream.state(), State::CloseWait);
            server.sleep(Duration::from_secs(300)).await;
            stream.write_all(b"late").await.unwrap();
            stream.finish().await.unwrap();
            stream.finish().await.unwrap(); // it is so for ever
            assert_eq!(stream.state(), State::Closed);
        };
        let ask = async {
            let mut stream = client.connect(target).await.unwrap();
            stream.write_all(&[5; 700]).await.unwrap();
            let before = client.now();
            stream.finish().await.unwrap();
            assert!(client.now() > before);
            assert_eq!((stream.state(), stream.unsent()), (State::FinWait2, 0));
            assert_eq!(stream.write(b"x").await, Err(WriteError::Closed));
            // No deadline runs, as it does for a close.
            assert_eq!(read_to_end(&mut stream).await, Ok(b"late".to_vec()));
            stream.close().await.unwrap();
        };
        play(&wire, server, client, serve, ask);
    }
}

#[test]
fn a_finish_that_nobody_acknowledges_times_out_and_can_be_waited_for_again() {
    pair!(server, client);
    let wire: Wire<64> = Wire::new(LAN);
    let serve = async {
        let mut stream = one(server).await;
        assert_eq!(read_to_end(&mut stream).await, Ok(vec![]));
    };
    let ask = async {
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        stream.set_write_timeout(Some(millis(300)));
        wire.set_faults(silence());
        assert_eq!(stream.finish().await, Err(WriteError::TimedOut));
        // A future that is dropped has ended the direction all the same.
        assert!(client.timeout(millis(1), stream.finish()).await.is_err());
        wire.set_faults(LAN);
        stream.set_write_timeout(None);
        stream.finish().await.unwrap();
    };
    play(&wire, server, client, serve, ask);
}

#[test]
fn a_stream_that_was_reset_is_held_and_everything_fails() {
    pair!(server, client);
    let wire: Wire<64> = Wire::new(LAN);
    let serve = async {
        let mut stream = one(server).await;
        stream.write_all(b"unread").await.unwrap();
        assert_eq!(stream.read(&mut [0; 4]).await, Err(ReadError::Reset));
    };
    let ask = async {
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        stream.readable().await.unwrap();
        stream.reset();
        assert!(stream.can_read() && stream.can_write(), "they do not wait");
        assert_eq!(stream.state(), State::Closed);
        assert_eq!(stream.write(b"x").await, Err(WriteError::TimedOut));
        assert_eq!(stream.close().await, Err(CloseError::TimedOut));
        client.sleep(Duration::from_secs(1)).await;
    };
    play(&wire, server, client, serve, ask);
}

#[test]
fn a_close_that_was_dropped_goes_on() {
    pair!(server, client);
    let wire: Wire<64> = Wire::new(LAN);
    let serve = async {
        let mut stream = one(server).await;
        assert_eq!(read_to_end(&mut stream).await, Ok(vec![2; 9]));
    };
    let ask = async {
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        stream.write_all(&[2; 9]).await.unwrap();
        assert!(client.timeout(millis(0), stream.close()).await.is_err());
        assert_eq!(stream.write(b"x").await, Err(WriteError::Closed));
        stream.close().await.unwrap();
    };
    play(&wire, server, client, serve, ask);
}

#[test]
fn queues_are_counted_also_while_the_other_half_lends() {
    pair!(server, client);
    let wire: Wire<64> = Wire::new(LAN);
    let serve = async {
        let mut stream = one(server).await;
        stream.write_all(b"cygnet").await.unwrap();
        stream.acknowledged().await.unwrap();
    };
    let ask = async {
        let mut stream = client.connect(v4(1, 7)).await.unwrap();
        assert!(!stream.can_read() && stream.can_write());
        assert_eq!((stream.unread(), stream.state()), (0, State::Established));
        stream.readable().await.unwrap();
        assert!(stream.can_read());
        assert_eq!(stream.unread(), 6);
        let (mut reader, mut writer) = stream.into_split();
        assert_eq!(reader.fill_buf().await, Ok(&b"cygnet"[..]));
        // What it has sent is not known meanwhile, so it may be everything.
        assert!(writer.unsent() > 0 && !writer.can_write());
        reader.consume(2);
        assert_eq!((writer.unsent(), reader.unread()), (0, 4));
        assert!(writer.can_write() && reader.can_read());
    };
    play(&wire, server, client, serve, ask);
}

#[test]
fn one_error_for_whoever_does_several_things() {
    use core::error::Error as _;
    use cygnet::{Error, ListenError};

    fn all(what: u32) -> Result<(), Error> {
        match what {
            0 => Err(ListenError::PortZero)?,
            1 => Err(ReadError::Reset)?,
            2 => Err(WriteError::Closed)?,
            _ => Err(CloseError::TimedOut)?,
        }
    }
    assert_eq!(all(0), Err(Error::Listen(ListenError::PortZero)));
    assert_eq!(all(1), Err(Error::Stream(StreamError::Reset)));
    assert_eq!(all(2), Err(Error::Stream(StreamError::Closed)));
    let error = all(3).unwrap_err();
    assert_eq!(error, Error::Stream(StreamError::TimedOut));
    assert_eq!(error.to_string(), error.source().unwrap().to_string());
}
