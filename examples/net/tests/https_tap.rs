//! The client over TLS and `openssl s_server`, found by name, in a network namespace of the
//! test's own. They need root; see `sim/tests/netns/mod.rs` for what happens without.
#![cfg(target_os = "linux")]

#[path = "../../../sim/tests/nameserver/mod.rs"]
mod nameserver;
#[path = "../../../sim/tests/netns/mod.rs"]
mod netns;

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nameserver::Ways;
use net_examples::THIS_MACHINE;
use netns::{Ends, Netns};

/// A folder with certificates, that is gone afterwards.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Folder {
    /// With an authority, a server that it signs, and another authority.
    fn new(name: &str) -> Folder {
        let name = format!("cygnet-https-{name}-{}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir(&folder.0).unwrap();
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout";
        for name in ["authority", "stranger"] {
            let out = format!("-subj /CN={name} -days 9 -out");
            folder.openssl(&format!("req -x509 {key} {name}.key {out} {name}.pem"));
            folder.openssl(&format!("x509 -in {name}.pem -outform DER -out {name}.der"));
        }
        let names = "-subj /CN=swans.example -addext subjectAltName=DNS:swans.example";
        folder.openssl(&format!("req {key} server.key {names} -out server.csr"));
        let by = "-CA authority.pem -CAkey authority.key -CAcreateserial";
        let sign = "x509 -req -in server.csr -copy_extensions copy -days 9";
        folder.openssl(&format!("{sign} {by} -out server.pem"));
        folder
    }

    fn openssl(&self, line: &str) {
        let mut openssl = Command::new("openssl");
        openssl.args(line.split(' ')).current_dir(&self.0);
        let done = openssl.output().unwrap();
        assert!(done.status.success(), "{line}: {done:?}");
    }

    /// Serves its files on port 4433, and names.
    fn serve(&self, netns: &Netns) -> Ends {
        let mut server = netns.command("openssl");
        let words = "s_server -accept 4433 -key server.key -cert server.pem -WWW";
        server.args(words.split(' ')).current_dir(&self.0);
        server.stdin(Stdio::null()).stderr(Stdio::null());
        let mut server = Ends(server.stdout(Stdio::piped()).spawn().unwrap());
        let said = BufReader::new(server.0.stdout.take().unwrap());
        let mut lines = said.lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "ACCEPT"), "no server");
        std::thread::spawn(move || lines.for_each(drop));
        netns.inside(|| nameserver::serve("0.0.0.0:53", Ways::Knows(THIS_MACHINE)));
        server
    }

    /// What the client gets, and its errors.
    fn get(&self, netns: &Netns, server: &str, authority: &str) -> (Vec<u8>, String) {
        let mut client = netns.command(env!("CARGO_BIN_EXE_https-client"));
        let authority = self.0.join(format!("{authority}.der"));
        let done = client.args([server, "/swans"]).arg(authority).output();
        let done = done.unwrap();
        let errors = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.success(), errors.is_empty(), "{errors}");
        // Behind what the program says itself.
        let start = done.stdout.iter().position(|byte| *byte == b'\n').unwrap();
        (done.stdout[start + 1..].to_vec(), errors)
    }
}

/// Three megabytes, which are not all the same.
fn page() -> Vec<u8> {
    (0..3_000_000_u32)
        .map(|number| (number / 7) as u8)
        .collect()
}

#[test]
fn three_megabytes_come_over_tls_from_whom_the_authority_has_signed() {
    let Some(netns) = Netns::new(&["openssl"]) else {
        return;
    };
    let folder = Folder::new("page");
    std::fs::write(folder.0.join("swans"), page()).unwrap();
    let _server = folder.serve(&netns);
    let (got, errors) = folder.get(&netns, "swans.example:4433", "authority");
    assert_eq!(errors, "");
    assert!(got.starts_with(b"HTTP/1.0 200 ok\r\n"));
    assert!(got.ends_with(&page()), "{} bytes", got.len());
    // Somebody else has signed it, or it is somebody else's.
    for (server, authority) in [
        ("swans.example:4433", "stranger"),
        ("geese.example:4433", "authority"),
    ] {
        let (got, errors) = folder.get(&netns, server, authority);
        assert_eq!(got.len(), 0);
        assert!(errors.starts_with("Tls(InvalidCertificate)"), "{errors}");
    }
}

/// Passes on what `openssl s_server` sends, so many bytes of it.
fn cut(port: u16, bytes: usize) {
    let listener = TcpListener::bind(("0.0.0.0", port)).unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let server = TcpStream::connect("127.0.0.1:4433").unwrap();
        let (mut asks, mut asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut asks, &mut asked));
        std::io::copy(&mut server.take(bytes as u64), &mut client).unwrap();
        client.shutdown(std::net::Shutdown::Both).unwrap();
    });
}

/// Half a page is no page, wherever it was cut.
#[test]
fn a_page_that_is_cut_is_an_error() {
    let Some(netns) = Netns::new(&["openssl"]) else {
        return;
    };
    let folder = Folder::new("cut");
    std::fs::write(folder.0.join("swans"), page()).unwrap();
    let _server = folder.serve(&netns);
    for bytes in [0, 3, 100, 1000, 100_000] {
        netns.inside(|| cut(4434, bytes));
        let (got, errors) = folder.get(&netns, "swans.example:4434", "authority");
        assert!(errors.starts_with("Tls(IoError)"), "{bytes}: {errors}");
        assert!(got.len() <= bytes, "{bytes}: {}", got.len());
    }
}
