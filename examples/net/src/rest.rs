//! A client of a web service: reqwless over cygnet. It asks for a swan by the service's name,
//! teaches it to swim, and says so, all over one connection.
//!
//! ```sh
//! cargo run --bin rest-client -- http://swans.example:8000/swans     # as root
//! ```
//!
//! The name server is this machine, 192.168.70.1.

use cygnet::{Elapsed, Node};
use cygnet_compat::embedded_nal_async::Nal;
use reqwless::client::HttpClient;
use reqwless::headers::ContentType;
use reqwless::request::RequestBuilder;
use serde::{Deserialize, Serialize};
use smoltcp::time::Duration;

/// What it costs at most to ask a service that does not answer.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Deserialize, Serialize)]
struct Swan {
    number: u32,
    swims: bool,
}

/// Why a swan does not swim.
#[derive(Debug)]
pub enum Error {
    /// The name, the connection, or what came over it.
    Http(reqwless::Error),
    /// The service's word.
    Status(u16),
    /// This is not a swan.
    NoSwan(serde_json_core::de::Error),
    /// It takes too long.
    Late,
}

impl From<reqwless::Error> for Error {
    fn from(error: reqwless::Error) -> Self {
        Error::Http(error)
    }
}

impl From<Elapsed> for Error {
    fn from(_: Elapsed) -> Self {
        Error::Late
    }
}

/// Makes swan 3 of the service at `url` swim.
///
/// # Errors
/// Why it does not.
pub async fn run(node: Node<'_>, url: &str) -> Result<(), Error> {
    node.timeout(PATIENCE, teach(node, url)).await?
}

async fn teach(node: Node<'_>, url: &str) -> Result<(), Error> {
    let nal = Nal(node);
    let mut client = HttpClient::new(&nal, &nal);
    let mut service = client.resource(url).await?;
    // The head of an answer and its body.
    let mut buffer = [0; 2048];
    let answer = service.get("/3").send(&mut buffer).await?;
    if !answer.status.is_successful() {
        return Err(Error::Status(answer.status.0));
    }
    let body = answer.body().read_to_end().await?;
    let (swan, _) = serde_json_core::from_slice::<Swan>(body).map_err(Error::NoSwan)?;
    println!("{swan:?}");

    let swan = Swan {
        swims: true,
        ..swan
    };
    let body = serde_json_core::to_vec::<_, 64>(&swan).expect("it is short");
    let request = service.put("/3").content_type(ContentType::ApplicationJson);
    let request = request.body(&body[..]);
    let answer = request.send(&mut buffer).await?;
    match answer.status {
        status if status.is_successful() => println!("it swims: {}", status.0),
        status => return Err(Error::Status(status.0)),
    }
    Ok(())
}
