//! The `embedded-io-async` traits, on the stream and on its halves.
#![allow(
    clippy::needless_question_mark,
    reason = "one body converts the stream's error and leaves the halves' alone"
)]

use embedded_io_async::{BufRead, ErrorType, Read, ReadReady, Write, WriteReady};

use crate::socket::{
    OwnedReadHalf, OwnedWriteHalf, ReadError, ReadHalf, StreamError, TcpStream, WriteError,
    WriteHalf,
};

macro_rules! reader {
    ($type:ident, $error:ident, |$this:ident| $half:expr) => {
        impl Read for $type<'_> {
            async fn read(&mut self, buf: &mut [u8]) -> Result<usize, $error> {
                let $this = self;
                Ok($half.read(buf).await?)
            }
        }

        impl BufRead for $type<'_> {
            async fn fill_buf(&mut self) -> Result<&[u8], $error> {
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
            fn read_ready(&mut self) -> Result<bool, $error> {
                let $this = self;
                Ok($half.try_readable()?)
            }
        }
    };
}

macro_rules! writer {
    ($type:ident, $error:ident, |$this:ident| $half:expr) => {
        impl Write for $type<'_> {
            async fn write(&mut self, buf: &[u8]) -> Result<usize, $error> {
                let $this = self;
                Ok($half.write(buf).await?)
            }

            async fn flush(&mut self) -> Result<(), $error> {
                let $this = self;
                Ok($half.flush().await?)
            }
        }

        impl WriteReady for $type<'_> {
            fn write_ready(&mut self) -> Result<bool, $error> {
                let $this = self;
                Ok($half.try_writable()?)
            }
        }
    };
}

macro_rules! errors {
    ($($type:ident: $error:ident,)*) => {$(
        impl ErrorType for $type<'_> { type Error = $error; }
    )*};
}

errors! {
    TcpStream: StreamError,
    ReadHalf: ReadError,
    OwnedReadHalf: ReadError,
    WriteHalf: WriteError,
    OwnedWriteHalf: WriteError,
}

reader!(TcpStream, StreamError, |stream| stream.split().0);
reader!(ReadHalf, ReadError, |half| half);
reader!(OwnedReadHalf, ReadError, |half| half.0);
writer!(TcpStream, StreamError, |stream| stream.split().1);
writer!(WriteHalf, WriteError, |half| half);
writer!(OwnedWriteHalf, WriteError, |half| half.0);
