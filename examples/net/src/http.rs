//! A web server: picoserve over cygnet, as it would be over anything else.
//!
//! ```sh
//! cargo run --bin http     # as root: it makes an interface
//! curl http://192.168.70.2/swans/3
//! ```

use core::convert::Infallible;
use core::future::pending;

use cygnet::{Backlog, Node};
use cygnet_compat::picoserve::serve;
use picoserve::extract::Form;
use picoserve::response::chunked::ChunkedResponse;
use picoserve::response::sse::EventStream;
use picoserve::response::ws::{Message, SocketRx, SocketTx, WebSocketCallback, WebSocketUpgrade};
use picoserve::response::{File, Json};
use picoserve::routing::{PathRouter, get, get_service, parse_path_segment, post};
use picoserve::{Config, Router, Timeouts, time::Duration};
use serde::{Deserialize, Serialize};

use crate::bodies::{Lines, Received, Ticks};

const PAGE: &str = include_str!("page.html");

/// How long a WebSocket may be silent.
const SILENCE: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(60);

static CONFIG: Config = Config::new(Timeouts {
    persistent_start_read_request: Duration::from_secs(30),
    read_request: Duration::from_secs(60),
    ..Timeouts::const_default()
})
.keep_connection_alive();

#[derive(Serialize)]
struct Swan {
    number: u32,
    swims: bool,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

/// The routes.
pub fn app(node: Node<'static>) -> Router<impl PathRouter> {
    Router::new()
        .route("/", get_service(File::html(PAGE)))
        .route(
            ("/swans", parse_path_segment()),
            get(|number| async move {
                Json(Swan {
                    number,
                    swims: true,
                })
            }),
        )
        .route(
            "/names",
            post(|Form(Name { name })| async move { format!("Hello {name}\n") }),
        )
        .route(
            "/upload",
            post(|Received(bytes)| async move { format!("{bytes}\n") }),
        )
        .route(
            "/long",
            get(|| async { ChunkedResponse::new(Lines(10_000)) }),
        )
        .route(
            "/events",
            get(move || async move { EventStream(Ticks(node)) }),
        )
        .route(
            "/echo",
            get(async move |upgrade: WebSocketUpgrade| upgrade.on_upgrade(Echo(node))),
        )
}

/// Serves them on port 80.
pub fn start(node: Node<'static>) {
    let app = Box::leak(Box::new(app(node)));
    let http = serve::<2048, _>(node, 80, Backlog(16), app, &CONFIG);
    node.spawn_named("http", http).expect("a free task");
}

/// Says back what it is told, until it is told nothing for a minute: picoserve has no limit
/// for that, and a client that vanished would be waited for without end.
struct Echo(Node<'static>);

impl WebSocketCallback for Echo {
    async fn run<R: picoserve::io::Read, W: picoserve::io::Write<Error = R::Error>>(
        self,
        mut rx: SocketRx<R>,
        mut tx: SocketTx<W>,
    ) -> Result<(), W::Error> {
        let mut buffer = [0; 1024];
        loop {
            let next = rx.next_message(&mut buffer, pending::<Infallible>());
            let Ok(next) = self.0.timeout(SILENCE, next).await else {
                return tx.close((1001, "silent for a minute")).await;
            };
            match next?.ignore_never_b() {
                Ok(Message::Text(text)) => tx.send_text(text).await?,
                Ok(Message::Binary(bytes)) => tx.send_binary(bytes).await?,
                Ok(Message::Ping(bytes)) => tx.send_pong(bytes).await?,
                Ok(Message::Pong(_)) => (),
                Ok(Message::Close(_)) => return tx.close(None).await,
                Err(error) => return tx.close((error.code(), "no such message")).await,
            }
        }
    }
}
