//! A node shows itself in a browser: its tasks and what each waits for, its connections, its
//! counters, live. No alloc, and one connection costs no more than a picoserve's.
//!
//! | path | what it is |
//! |---|---|
//! | `/` | the page: one file, nothing from elsewhere |
//! | `/events` | server-sent events: `status`, whenever something happened |
//! | `/status.json` | the same once |
//! | `/metrics` | Prometheus' text format 0.0.4 |
//!
//! Who looks must not be in the way of whom they look at. The page serves at most a quarter of
//! the slots, and never more than [`PLACES`] clients; everybody else is told 503 and when to
//! come again, one after the other. Who looks is told at most four times a second, and only
//! if something happened that is none of the page's own doing; every ten seconds in any case,
//! so that a client that vanished is found out. It changes nothing, and what it shows is no
//! secret: no bytes of streams, no keys.
//!
//! ```
//! use cygnet::{Backlog, Node};
//! use cygnet_compat::page::Page;
//!
//! // `page` is in a static, such as a `StaticCell` of the crate `static_cell`; it takes two of
//! // the node's eight slots. A task needs 7 KiB on a 32-bit machine: where the rows of
//! // tasks are smaller, `spawn_in` has a place for it.
//! fn start(node: Node<'static>, page: &'static Page) {
//!     let serves = page.serve(node, 80, Backlog(2), move |stream| {
//!         let _ = node.spawn_named("http", page.connection(node, stream));
//!     });
//!     node.spawn_named("http", serves).unwrap();
//! }
//! # let (_, _) = (start, Page::new(8));
//! ```
//!
//! Not here: what is told (`status.rs`, `metrics.rs`), and how it looks (`page.html`).

mod metrics;
mod pieces;
mod status;
mod totals;

use core::cell::Cell;

use cygnet::task::TaskState;
use cygnet::{Backlog, ListenError, Node, TcpStream, TimeLimits};
use picoserve::response::chunked::{ChunkWriter, ChunkedResponse, Chunks, ChunksWritten};
use picoserve::response::sse::{EventData, EventDataWriter, EventSource, EventWriter};
use picoserve::response::{EventStream, File};
use picoserve::routing::{get, get_service};
use picoserve::{Config, Router, Timeouts};
use smoltcp::time::{Duration, Instant};

use crate::picoserve::connection;
use pieces::{Piece, Pieces};

/// The most clients that a page serves at once.
pub const PLACES: usize = 16;

/// The longest head of a request.
const HEAD: usize = 1024;

/// Between two refreshes.
const QUARTER: Duration = Duration::from_millis(250);

/// So much later than it should a task may wake.
const LATE: Duration = Duration::from_millis(10);

/// Without a refresh for so long there is one, so that a client that vanished is found out.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Who is told 503 has so long to ask, and so long to close.
const REFUSAL: Duration = Duration::from_secs(1);

static CONFIG: Config = Config::new(Timeouts {
    start_read_request: picoserve::time::Duration::from_secs(2),
    read_request: picoserve::time::Duration::from_secs(2),
    write: picoserve::time::Duration::from_secs(5),
    ..Timeouts::const_default()
});

const PAGE: &str = include_str!("page.html");

const REFUSED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\n\
    Connection: close\r\nContent-Type: text/plain\r\nContent-Length: 39\r\n\r\n\
    too many look at this page; come again\n";

/// What a page knows of itself.
#[derive(Debug)]
pub struct Page {
    /// The task in each place that is taken.
    places: [Cell<Option<Task>>; PLACES],
    /// How many places there are.
    most: usize,
    /// The task that accepts.
    accepts: Cell<Option<u32>>,
    port: Cell<u16>,
    is_over: Cell<bool>,
    /// What the node looked like in which turn.
    seen: Cell<(Instant, u64)>,
}

/// A task of the page, by its number once it has run.
type Task = Option<u32>;

impl Page {
    /// A page for a node with so many slots, of which it takes a quarter. Of fewer than four it
    /// takes none, and tells everybody 503.
    pub const fn new(slots: usize) -> Page {
        Page {
            places: [const { Cell::new(None) }; PLACES],
            most: if slots / 4 < PLACES {
                slots / 4
            } else {
                PLACES
            },
            accepts: Cell::new(None),
            port: Cell::new(0),
            is_over: Cell::new(false),
            seen: Cell::new((Instant::ZERO, 0)),
        }
    }

    /// Listens on `port` and hands each client that has a place to `spawn`, which makes a task
    /// of [`connection`](Page::connection) wherever there is room for one. Ends when the
    /// listener is closed, and with it within a quarter of a second who is told events.
    ///
    /// # Errors
    /// [`ListenError`] when the port cannot be listened on.
    ///
    /// # Cancel safety
    /// **Safe.** Clients that are served go on; connections that were not accepted are reset.
    pub async fn serve<'a>(
        &'a self,
        node: Node<'a>,
        port: u16,
        backlog: Backlog,
        spawn: impl Fn(TcpStream<'a>),
    ) -> Result<(), ListenError> {
        let listener = node.listen(port, backlog)?;
        // Who does not agree to a close holds a slot no longer than who is refused.
        listener.set_limits(TimeLimits {
            close: Some(REFUSAL),
            ..TimeLimits::DEFAULT
        });
        listener.set_name("http");
        self.port.set(port);
        self.is_over.set(false);
        self.accepts.set(running(node));
        while let Ok((stream, _peer)) = listener.accept().await {
            if self.taken() < self.most {
                spawn(stream);
            } else {
                refuse(node, stream).await;
            }
        }
        self.is_over.set(true);
        Ok(())
    }

    /// Serves one client, which has one of the places until this is over.
    ///
    /// # Cancel safety
    /// **Safe.** The stream closes in the background.
    pub fn connection<'a>(
        &'a self,
        node: Node<'a>,
        stream: TcpStream<'a>,
    ) -> impl Future<Output = ()> + use<'a> {
        let place = self.take();
        async move {
            let Some(place) = place else { return };
            place.0.set(Some(running(node)));
            let view = View { node, page: self };
            let app = Router::new()
                .route("/", get_service(File::html(PAGE)))
                .route(
                    "/events",
                    get(move || async move { EventStream(Live(view)) }),
                )
                .route("/status.json", get(move || async move { once(view, JSON) }))
                .route("/metrics", get(move || async move { once(view, METRICS) }));
            connection::<HEAD, _>(node, stream, &app, &CONFIG).await;
        }
    }

    fn taken(&self) -> usize {
        let taken = |place: &&Cell<Option<Task>>| place.get().is_some();
        self.places.iter().filter(taken).count()
    }

    fn take(&self) -> Option<Place<'_>> {
        let place = self.places.iter().find(|place| place.get().is_none())?;
        place.set(Some(None));
        Some(Place(place))
    }

    /// Whether a task is one of the page's own.
    fn is_own(&self, task: u32) -> bool {
        let serves = |place: &Cell<Option<Task>>| place.get() == Some(Some(task));
        self.accepts.get() == Some(task) || self.places.iter().any(serves)
    }
}

/// One of a page's places, free again when this is dropped.
struct Place<'p>(&'p Cell<Option<Task>>);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

/// The task that asks.
fn running(node: Node<'_>) -> Task {
    let mut tasks = node.waiting();
    let task = tasks.find(|task| task.state == TaskState::Running);
    task.map(|task| task.task)
}

/// Hears what is asked, says that there is no place, and resets who does not close in time.
async fn refuse(node: Node<'_>, mut stream: TcpStream<'_>) {
    let asked = async {
        let mut last = [0; 4];
        while last != *b"\r\n\r\n" {
            let read = stream.read_with(|bytes| {
                for byte in bytes.iter() {
                    last.rotate_left(1);
                    last[3] = *byte;
                    if last == *b"\r\n\r\n" {
                        break;
                    }
                }
                (bytes.len(), bytes.len())
            });
            if !matches!(read.await, Ok(1..)) {
                break;
            }
        }
    };
    // Who has asked for nothing by now is answered all the same.
    let _ = node.timeout(REFUSAL, asked).await;
    let told = async {
        stream.write_all(REFUSED).await.ok()?;
        stream.shutdown();
        while let Ok(1..) = stream.read_with(|bytes| (bytes.len(), bytes.len())).await {}
        stream.acknowledged().await.ok()
    };
    if !matches!(node.timeout(REFUSAL, told).await, Ok(Some(_))) {
        stream.abort();
    }
}

/// A page, and the node that it shows.
#[derive(Clone, Copy)]
struct View<'a> {
    node: Node<'a>,
    page: &'a Page,
}

/// What is told whenever something happens.
struct Live<'a>(View<'a>);

impl EventSource for Live<'_> {
    async fn write_events<W: picoserve::io::Write>(
        self,
        mut events: EventWriter<'_, W>,
    ) -> Result<(), W::Error> {
        let View { node, page } = self.0;
        let mut told: Option<(Instant, u64)> = None;
        while !page.is_over.get() {
            let (now, seen) = (node.now(), self.0.seen());
            let is_news = told.is_none_or(|(at, last)| last != seen || now >= at + HEARTBEAT);
            if is_news {
                events.write_event("status", self.0).await?;
                told = Some((now, seen));
            }
            node.sleep_until(next_refresh(node.now())).await;
        }
        Ok(())
    }
}

/// The next quarter of a second that is not at once. Everybody's is the same, so that the node
/// is looked at in one turn for all; who wakes a little late is not late the next time.
fn next_refresh(now: Instant) -> Instant {
    let quarter = QUARTER.total_micros() as i64;
    let most = now.total_micros() + quarter + quarter - LATE.total_micros() as i64;
    Instant::from_micros(most - most % quarter)
}

impl EventData for View<'_> {
    async fn write_to<W: picoserve::io::Write>(
        self,
        event: &mut EventDataWriter<W>,
    ) -> Result<(), W::Error> {
        let mut piece = Piece::new();
        let mut pieces = Pieces::new(self, status::tell);
        while pieces.next(&mut piece) {
            event.write(&piece).await?;
        }
        Ok(())
    }
}

/// What a text is called, and who tells it.
type Kind = (&'static str, pieces::Tell);

const JSON: Kind = ("application/json", status::tell);
const METRICS: Kind = ("text/plain; version=0.0.4; charset=utf-8", metrics::tell);

/// A body of many pieces.
struct Once<'a> {
    content_type: &'static str,
    pieces: Pieces<'a>,
}

fn once(view: View<'_>, (content_type, tell): Kind) -> ChunkedResponse<Once<'_>> {
    ChunkedResponse::new(Once {
        content_type,
        pieces: Pieces::new(view, tell),
    })
}

impl Chunks for Once<'_> {
    fn content_type(&self) -> &'static str {
        self.content_type
    }

    async fn write_chunks<W: picoserve::io::Write>(
        mut self,
        mut chunks: ChunkWriter<W>,
    ) -> Result<ChunksWritten, W::Error> {
        let mut piece = Piece::new();
        while self.pieces.next(&mut piece) {
            chunks.write_chunk(piece.as_bytes()).await?;
        }
        chunks.finalize().await
    }
}

#[cfg(test)]
mod tests {
    use super::{Instant, next_refresh};

    #[test]
    fn who_wakes_late_is_in_time_the_next_time() {
        for (now, next) in [
            (0, 250),
            (3, 250),
            (9, 250),
            (11, 500),
            (250, 500),
            (499, 750),
        ] {
            let expected = Instant::from_millis(next);
            assert_eq!(next_refresh(Instant::from_millis(now)), expected, "{now}");
        }
    }
}
