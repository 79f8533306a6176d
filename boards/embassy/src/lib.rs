//! What a chip's crate gives an embassy firmware: a driver for the network card and one for
//! the time. Both programs have it, unchanged.
#![no_std]

#[path = "../../mps2-an385/src/lan9118.rs"]
mod lan9118;

use core::cell::{Cell, RefCell};
use core::task::{Context, Waker};

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::Mutex;
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState};
use embassy_sync::waitqueue::AtomicWaker;
use embassy_time_queue_utils::queue_generic::ConstGenericQueue;
use lan9118::Lan9118;
use smoltcp::phy::{self, Device};
use smoltcp::time::Instant;
use static_cell::ConstStaticCell;

pub const MAC: [u8; 6] = [0x02, 0, 0, 0x03, 0x85, 0x02];
const HERTZ: u32 = 25_000_000;
const MTU: usize = 1514;

static CARD: ConstStaticCell<Lan9118> = ConstStaticCell::new(Lan9118::new());
static ARRIVED: AtomicWaker = AtomicWaker::new();

/// Starts both.
pub fn start() -> Ethernet {
    let core = cortex_m::Peripherals::take().expect("taken once");
    let mut tick = core.SYST;
    tick.set_clock_source(SystClkSource::Core);
    tick.set_reload(HERTZ / 1000 - 1);
    tick.clear_current();
    tick.enable_interrupt();
    tick.enable_counter();
    let card = CARD.take();
    card.start(MAC);
    Ethernet {
        card,
        frame: [0; MTU],
    }
}

/// This chip has no source of entropy; one that has is asked here.
pub fn entropy() -> [u8; 16] {
    *b"not a secret yet"
}

/// What is left of it where a seed has eight bytes.
pub fn seed() -> u64 {
    u64::from_le_bytes(*b"a secret")
}

/// The network card.
pub struct Ethernet {
    card: &'static mut Lan9118,
    frame: [u8; MTU],
}

impl Driver for Ethernet {
    type RxToken<'a> = Rx<'a>;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Rx<'_>, Tx<'_>)> {
        ARRIVED.register(cx.waker());
        if !self.card.listen() {
            return None;
        }
        let (received, room) = self.card.receive(Instant::ZERO)?;
        let length = phy::RxToken::consume(received, |bytes| {
            self.frame[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        });
        Some((Rx(&mut self.frame[..length]), Tx(room)))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Tx<'_>> {
        self.card.transmit(Instant::ZERO).map(Tx)
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(MAC)
    }
}

/// A frame that came.
pub struct Rx<'a>(&'a mut [u8]);

/// Room for one that leaves.
pub struct Tx<'a>(lan9118::TxToken<'a>);

impl embassy_net_driver::RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl embassy_net_driver::TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        phy::TxToken::consume(self.0, length, f)
    }
}

/// The time in milliseconds, and who sleeps.
struct Clock {
    millis: Mutex<Cell<u64>>,
    queue: Mutex<RefCell<ConstGenericQueue<8>>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    millis: Mutex::new(Cell::new(0)),
    queue: Mutex::new(RefCell::new(ConstGenericQueue::new())),
});

impl embassy_time_driver::Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.millis.borrow(cs).get())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            // The next tick looks at it in any case.
            let _ = self.queue.borrow_ref_mut(cs).schedule_wake(at, waker);
        });
    }
}

#[exception]
fn SysTick() {
    critical_section::with(|cs| {
        let now = CLOCK.millis.borrow(cs).get() + 1;
        CLOCK.millis.borrow(cs).set(now);
        let _ = CLOCK.queue.borrow_ref_mut(cs).next_expiration(now);
    });
}

/// The vectors from 0 to the Ethernet controller's; nobody else interrupts.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
pub static __INTERRUPTS: [Option<extern "C" fn()>; lan9118::IRQ as usize + 1] = {
    let mut vectors = [None; lan9118::IRQ as usize + 1];
    vectors[lan9118::IRQ as usize] = Some(ethernet as extern "C" fn());
    vectors
};

extern "C" fn ethernet() {
    lan9118::on_interrupt();
    ARRIVED.wake();
}
