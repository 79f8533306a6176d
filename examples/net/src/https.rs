//! A client over TLS 1.3: embedded-tls over cygnet. It finds a server by name, believes it if
//! its certificate is from the authority that it is told of, and gets one page.
//!
//! ```sh
//! # As root; `authority.der` is the certificate of who signs the server's.
//! cargo run --bin https-client -- swans.example:4433 /page authority.der
//! ```

use std::time::SystemTime;

use cygnet::{ConnectToError, Elapsed, Node};
use embedded_io_async::Write;
use embedded_tls::pki::CertVerifier;
use embedded_tls::{Aes128GcmSha256, Certificate, CryptoProvider, CryptoRngCore};
use embedded_tls::{TlsClock, TlsConfig, TlsConnection, TlsContext, TlsError, TlsVerifier};
use smoltcp::time::Duration;

/// How long a server may be silent, or take for its handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest record (RFC 8446, 5.2), and what is around it.
const RECORD: usize = 16_640;

/// What one page takes at most: a task with a place of its own.
pub const BYTES: usize = 40 * 1024;

/// Why there is no page.
#[derive(Debug)]
pub enum Error {
    /// The name, or the connection.
    Connect(ConnectToError),
    /// The handshake, or what came later.
    Tls(TlsError),
    /// The handshake takes too long.
    Late(Elapsed),
}

/// What can be trusted, what time it is, and chance.
struct Trust<'a, R> {
    verifier: CertVerifier<'a, Aes128GcmSha256, Clock, 4096>,
    rng: R,
}

/// This machine's; a board has none before it asked somebody, and says `None`.
struct Clock;

impl TlsClock for Clock {
    fn now() -> Option<u64> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Some(since.ok()?.as_secs())
    }
}

impl<R: CryptoRngCore> CryptoProvider for Trust<'_, R> {
    type CipherSuite = Aes128GcmSha256;
    type Signature = [u8; 0];

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut self.rng
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Aes128GcmSha256>, TlsError> {
        Ok(&mut self.verifier)
    }
}

/// Gets a page of the server `host`, whose certificate `authority` has signed, and gives what
/// comes, head and all, to `show`, piece by piece. How many bytes it was.
///
/// # Errors
/// Why there is none, or no more of it.
pub async fn get(
    node: Node<'_>,
    (host, port): (&str, u16),
    path: &str,
    authority: &[u8],
    rng: impl CryptoRngCore,
    mut show: impl FnMut(&[u8]),
) -> Result<usize, Error> {
    let connected = node.connect_to(host, port).await;
    let mut stream = connected.map_err(Error::Connect)?;
    stream.set_read_timeout(Some(PATIENCE));
    stream.set_write_timeout(Some(PATIENCE));
    let (mut read, mut written) = ([0; RECORD], [0; 2048]);
    let mut tls = TlsConnection::new(stream, &mut read, &mut written);
    let trust = Trust {
        verifier: CertVerifier::new(Certificate::X509(authority)),
        rng,
    };
    let config = TlsConfig::new().with_server_name(host);
    let opened = node.timeout(PATIENCE, tls.open(TlsContext::new(&config, trust)));
    opened.await.map_err(Error::Late)?.map_err(Error::Tls)?;

    let question = ["GET ", path, " HTTP/1.0\r\nHost: ", host, "\r\n\r\n"];
    for words in question {
        tls.write_all(words.as_bytes()).await.map_err(Error::Tls)?;
    }
    tls.flush().await.map_err(Error::Tls)?;
    let mut length = 0;
    loop {
        match tls.read_buffered().await {
            Ok(mut piece) => {
                let piece = piece.pop_all();
                show(piece);
                length += piece.len();
            }
            // The server says that this is all. Nobody else can.
            Err(TlsError::ConnectionClosed) => return Ok(length),
            Err(error) => return Err(Error::Tls(error)),
        }
    }
}
