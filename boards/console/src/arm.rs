//! Semihosting: the debugger, or QEMU, prints and ends for us. Without one of
//! them a semihosting call is a hard fault, so a product does not use this file.

use core::fmt::{Arguments, Write};

use cortex_m_rt::{ExceptionFrame, exception};
use cortex_m_semihosting::{debug, hio};

/// Prints, if anybody listens.
pub fn print(words: Arguments<'_>) {
    // A whole line at a time: each call stops the machine for a while.
    let mut line = Line::new();
    let _ = line.write_fmt(words);
    line.flush();
}

struct Line {
    bytes: [u8; 80],
    used: usize,
}

impl Line {
    fn new() -> Self {
        Line {
            bytes: [0; 80],
            used: 0,
        }
    }

    fn flush(&mut self) {
        if let Ok(mut out) = hio::hstdout() {
            let _ = out.write_all(&self.bytes[..self.used]);
        }
        self.used = 0;
    }
}

impl Write for Line {
    fn write_str(&mut self, words: &str) -> core::fmt::Result {
        for &byte in words.as_bytes() {
            if self.used == self.bytes.len() {
                self.flush();
            }
            self.bytes[self.used] = byte;
            self.used += 1;
        }
        Ok(())
    }
}

/// Ends with exit status 0, or 1.
pub fn exit(success: bool) -> ! {
    debug::exit(match success {
        true => debug::EXIT_SUCCESS,
        false => debug::EXIT_FAILURE,
    });
    loop {
        cortex_m::asm::bkpt();
    }
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    crate::println!(
        "hard fault at {:#x}, called from {:#x}",
        frame.pc(),
        frame.lr()
    );
    exit(false)
}

#[exception]
unsafe fn DefaultHandler(number: i16) {
    crate::println!("interrupt {number} has no handler");
    exit(false)
}
