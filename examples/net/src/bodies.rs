//! Bodies that fit into no buffer: one that is read and thrown away, one that is written piece
//! by piece, and one that takes its time.

use cygnet::Node;
use embedded_io_async::Read;
use picoserve::extract::FromRequest;
use picoserve::request::{RequestBody, RequestParts};
use picoserve::response::StatusCode;
use picoserve::response::chunked::{ChunkWriter, Chunks, ChunksWritten};
use picoserve::response::sse::{EventSource, EventWriter};
use smoltcp::time::Duration;

/// How many bytes came, none of which is kept.
pub struct Received(pub usize);

impl<'r, State> FromRequest<'r, State> for Received {
    type Rejection = (StatusCode, &'static str);

    async fn from_request<R: picoserve::io::Read>(
        _: &'r State,
        parts: RequestParts<'r>,
        body: RequestBody<'r, R>,
    ) -> Result<Self, Self::Rejection> {
        // picoserve 0.20 takes a body in chunks for none, and the chunks for a request.
        if parts.headers().get("transfer-encoding").is_some() {
            return Err((StatusCode::LENGTH_REQUIRED, "say how long it is\n"));
        }
        let (length, mut bytes) = (body.content_length(), 0);
        let mut reader = body.reader();
        let mut piece = [0; 1024];
        loop {
            match reader.read(&mut piece).await {
                Ok(0) if bytes == length => return Ok(Received(bytes)),
                Ok(count @ 1..) => bytes += count,
                _ => return Err((StatusCode::BAD_REQUEST, "it was cut short\n")),
            }
        }
    }
}

/// An answer whose length nobody knows before.
pub struct Lines(pub u32);

impl Chunks for Lines {
    fn content_type(&self) -> &'static str {
        "text/plain"
    }

    async fn write_chunks<W: picoserve::io::Write>(
        self,
        mut chunks: ChunkWriter<W>,
    ) -> Result<ChunksWritten, W::Error> {
        for line in 0..self.0 {
            chunks.write_fmt(format_args!("{line}\n")).await?;
        }
        chunks.finalize().await
    }
}

/// Three events. Its end is that of the connection, which picoserve 0.20 sees only after a
/// stream that has waited for something: for time, as here, or for what it tells.
pub struct Ticks(pub Node<'static>);

impl EventSource for Ticks {
    async fn write_events<W: picoserve::io::Write>(
        self,
        mut events: EventWriter<'_, W>,
    ) -> Result<(), W::Error> {
        for tick in 0..3 {
            events.write_event("tick", format_args!("{tick}")).await?;
            self.0.sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}
