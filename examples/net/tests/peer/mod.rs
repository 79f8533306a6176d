//! A small web server for tests, on a thread of its own that ends with the process.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

/// A request: its first line, and its body.
pub type Asked = (String, String);

/// Serves what `answer` makes of a request, which is all of an HTTP answer, and tells of each.
pub fn serve(port: u16, answer: fn(&str) -> String) -> Receiver<Asked> {
    let listener = TcpListener::bind(("0.0.0.0", port)).unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let tell = tell.clone();
            // Whoever goes away in the middle has his reasons.
            std::thread::spawn(move || client(stream, answer, tell));
        }
    });
    told
}

fn client(
    stream: TcpStream,
    answer: fn(&str) -> String,
    tell: Sender<Asked>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let (mut first, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim();
            if first.is_empty() {
                first = line.to_owned();
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body = String::from_utf8(body).unwrap();
        stream.write_all(answer(&first).as_bytes())?;
        let _ = tell.send((first, body));
    }
}
