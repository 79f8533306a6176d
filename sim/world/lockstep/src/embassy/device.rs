//! The network driver: the frames of a turn in, frames for its answer out. There is
//! always room to send, and the link is always up: what a link does is the world's.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};

use crate::message::FRAME_BYTES;

/// Frames that a card holds for a program that does not look.
const RING: usize = 64;

/// What is on its way between driver and turns.
#[derive(Debug, Default)]
pub(super) struct Queues {
    arrived: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
    waker: Option<Waker>,
}

/// A driver for `embassy_net::new`.
#[derive(Debug)]
pub struct Device {
    hardware: [u8; 6],
    queues: Rc<RefCell<Queues>>,
}

impl Device {
    pub(super) fn new(hardware: [u8; 6], queues: Rc<RefCell<Queues>>) -> Device {
        Device { hardware, queues }
    }
}

impl Queues {
    /// Frames arrive: wakes whoever receives.
    pub(super) fn arrive(queues: &RefCell<Queues>, frames: Vec<Vec<u8>>) {
        if frames.is_empty() {
            return;
        }
        let waker = {
            let mut queues = queues.borrow_mut();
            let room = RING.saturating_sub(queues.arrived.len());
            queues.arrived.extend(frames.into_iter().take(room));
            queues.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What was sent since the last turn.
    pub(super) fn take_sent(queues: &RefCell<Queues>) -> Vec<Vec<u8>> {
        std::mem::take(&mut queues.borrow_mut().sent)
    }
}

/// A frame that is being received.
#[derive(Debug)]
pub struct Received(Vec<u8>);

/// Room for a frame that is to be sent.
#[derive(Debug)]
pub struct Room(Rc<RefCell<Queues>>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, f: F) -> R {
        f(&mut self.0)
    }
}

impl TxToken for Room {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.borrow_mut().sent.push(frame);
        result
    }
}

impl Driver for Device {
    type RxToken<'a> = Received;
    type TxToken<'a> = Room;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received, Room)> {
        let mut queues = self.queues.borrow_mut();
        match queues.arrived.pop_front() {
            Some(frame) => Some((Received(frame), Room(Rc::clone(&self.queues)))),
            None => {
                queues.waker = Some(cx.waker().clone());
                None
            }
        }
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Room> {
        Some(Room(Rc::clone(&self.queues)))
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = *FRAME_BYTES.end();
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.hardware)
    }
}
