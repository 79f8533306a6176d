//! The `embedded-io-async` traits, on the stream and on its halves, with one error for all.
//!
//! Their `flush` does not wait for the peer, as [`TcpStream::acknowledged`] does: what was
//! written is the stack's, which sends it at the end of the turn, and again if need be. A
//! server that flushed a header and waited would meet its peer's delayed acknowledgement.

use embedded_io_async::{BufRead, ErrorType, Read, ReadReady, Write, WriteReady};

use crate::socket::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, StreamError, TcpStream, WriteHalf};

macro_rules! reader {
    ($type:ident, |$this:ident| $half:expr) => {
        impl Read for $type<'_> {
            async fn read(&mut self, buf: &mut [u8]) -> Result<usize, StreamError> {
                let $this = self;
                Ok($half.read(buf).await?)
            }
        }

        impl BufRead for $type<'_> {
            async fn fill_buf(&mut self) -> Result<&[u8], StreamError> {
                let $this = self;
                Ok($half.fill_buf().await?)
            }

            fn consume(&mut self, amount: usize) {
                let $this = self;
                $half.consume(amount);
            }
        }

        impl ReadReady for $type<'_> {
            /// True also at the end of the stream: a read would not wait.
            fn read_ready(&mut self) -> Result<bool, StreamError> {
                let $this = self;
                Ok($half.try_readable()?)
            }
        }
    };
}

macro_rules! writer {
    ($type:ident, |$this:ident| $half:expr) => {
        impl Write for $type<'_> {
            async fn write(&mut self, buf: &[u8]) -> Result<usize, StreamError> {
                let $this = self;
                Ok($half.write(buf).await?)
            }

            /// Returns at once: every byte is the stack's. An error says that the
            /// connection was cut before. To wait until the peer has everything:
            /// [`acknowledged`](WriteHalf::acknowledged).
            async fn flush(&mut self) -> Result<(), StreamError> {
                let $this = self;
                Ok($half.try_flush()?)
            }
        }

        impl WriteReady for $type<'_> {
            fn write_ready(&mut self) -> Result<bool, StreamError> {
                let $this = self;
                Ok($half.try_writable()?)
            }
        }
    };
}

macro_rules! errors {
    ($($type:ident)*) => {$(
        impl ErrorType for $type<'_> { type Error = StreamError; }
    )*};
}

errors! { TcpStream ReadHalf OwnedReadHalf WriteHalf OwnedWriteHalf }

reader!(TcpStream, |stream| stream.split().0);
reader!(ReadHalf, |half| half);
reader!(OwnedReadHalf, |half| half.0);
writer!(TcpStream, |stream| stream.split().1);
writer!(WriteHalf, |half| half);
writer!(OwnedWriteHalf, |half| half.0);
