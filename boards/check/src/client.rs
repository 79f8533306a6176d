//! Clients of the kernel's own TCP: what a person with `nc` sees, a thousand
//! times.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;

use crate::LONG;

/// A connection whose every step must end in time.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, LONG).expect("a connection");
    stream.set_read_timeout(Some(LONG)).expect("not zero");
    stream.set_write_timeout(Some(LONG)).expect("not zero");
    stream.set_nodelay(true).expect("a TCP stream");
    stream
}

/// Says something and hears `Hello World`, until the end of the stream.
pub fn hello(address: SocketAddr) {
    let mut stream = connect(address);
    stream.write_all(b"swan\n").expect("sent");
    stream.shutdown(Shutdown::Write).expect("open until now");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert_eq!(answer, "Hello World\n");
}

/// Sends `bytes`, and all of them come back.
pub fn echo(address: SocketAddr, bytes: &[u8]) {
    let mut stream = connect(address);
    let mut back = Vec::new();
    thread::scope(|scope| {
        let mut writer = stream.try_clone().expect("a handle");
        scope.spawn(move || {
            writer.write_all(bytes).expect("sent");
            writer.shutdown(Shutdown::Write).expect("open until now");
        });
        stream.read_to_end(&mut back).expect("an answer");
    });
    assert!(
        back == bytes,
        "{} of {} bytes, or others",
        back.len(),
        bytes.len()
    );
}

/// Asks for a path of the board's page, and reads until what came is enough, or to the end.
pub fn page(address: SocketAddr, path: &str, enough: impl Fn(&str) -> bool) -> (String, TcpStream) {
    let mut stream = connect(address);
    let request = format!("GET {path} HTTP/1.1\r\nHost: board\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let answer = read_on(&mut stream, enough);
    (answer, stream)
}

/// Reads on until what came is enough, or to the end.
pub fn read_on(stream: &mut TcpStream, enough: impl Fn(&str) -> bool) -> String {
    let (mut answer, mut chunk) = (Vec::new(), [0; 512]);
    loop {
        let count = stream.read(&mut chunk).expect("an answer");
        answer.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&answer);
        if count == 0 || enough(&text) {
            return text.into_owned();
        }
    }
}

/// Bytes without a pattern that a lost piece would hide in.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 69_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(next).collect()
}

/// How the board says it is.
#[derive(Debug)]
pub struct Report {
    pub stack: u64,
    pub slots: u64,
    pub accepts: u64,
    pub panics: u64,
    pub text: String,
}

/// Asks the board how it is.
pub fn report(address: SocketAddr) -> Report {
    let mut text = String::new();
    let mut stream = connect(address);
    stream.read_to_string(&mut text).expect("an answer");
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).expect(name)
    };
    Report {
        stack: number("stack "),
        slots: number("slots "),
        accepts: number("accepts "),
        panics: number("panics "),
        text: text.clone(),
    }
}
