//! The one thing about sockets that safe code cannot say. A smoltcp socket never
//! gives its buffers back, and a socket that was used once keeps traces of its peer;
//! so every connection gets a new socket on the same two buffers. [`Buffers`]
//! remembers where they are and hands them to the next socket after the last one is
//! gone. It knows where all that lies, so from here it is fetched ahead of its use,
//! on a core that can be asked to.
//!
//! Not here: who owns the memory (`storage.rs`).
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use smoltcp::iface::{SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::tcp;

use crate::prefetch::{LINE, fetch};
use crate::table::slot::{Slot, tcp_of};
use crate::table::slots::SlotId;

/// A place for one connection's socket, which begins where a cache line does, on
/// machines that have caches.
#[derive(Debug)]
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
pub struct SocketPlace<'a>(MaybeUninit<SocketStorage<'a>>);

impl SocketPlace<'_> {
    /// A place that holds nothing.
    pub const EMPTY: Self = SocketPlace(MaybeUninit::uninit());
}

/// How much of a buffer is fetched ahead: where a small request lies, and where
/// smoltcp begins to write when nothing is left to send.
const BUFFER_AHEAD: usize = 4 * LINE;

/// Where the sockets and the buffers of every slot are.
///
/// The invariant: the bytes that belong to a socket's place are referred to by the
/// socket in that place and by nothing else. `new` takes the memory away from
/// everybody, and makes the one set that refers to each place; `renew` finds the
/// bytes by where a set's socket is, and drops that before it makes new slices. No
/// other file takes a socket out of such a set.
pub(crate) struct Buffers<'a> {
    /// Only their addresses are used: the sockets belong to their sets.
    sockets: *const u8,
    rx: NonNull<u8>,
    tx: NonNull<u8>,
    rx_bytes: usize,
    /// How many bytes a connection can have written at most before they are acknowledged.
    pub(crate) tx_bytes: usize,
    slots: usize,
    memory: PhantomData<&'a mut [u8]>,
}

impl<'a> Buffers<'a> {
    /// Shares the memory out evenly among as many slots as there are sockets, and
    /// gives each slot its set.
    pub(crate) fn new(
        rx: &'a mut [u8],
        tx: &'a mut [u8],
        sockets: &'a mut [SocketPlace<'a>],
        slots: &mut [Slot<'a>],
    ) -> Self {
        let count = sockets.len();
        let mut buffers = Buffers {
            sockets: sockets.as_ptr().cast(),
            rx_bytes: rx.len().checked_div(count).unwrap_or(0),
            tx_bytes: tx.len().checked_div(count).unwrap_or(0),
            rx: NonNull::from(rx).cast(),
            tx: NonNull::from(tx).cast(),
            slots: count,
            memory: PhantomData,
        };
        for (index, (slot, place)) in slots.iter_mut().zip(sockets).enumerate() {
            let place = core::slice::from_mut(place.0.write(SocketStorage::default()));
            let mut set = SocketSet::new(place);
            buffers.fill(&mut set, index);
            *slot.set = Some(set);
        }
        buffers
    }

    /// A segment has come for this slot. When the next connection is one of
    /// thousands, its socket and its buffers are in no cache; used one after the
    /// other they are also waited for one after the other. Asked for here, as soon
    /// as the slot is known, they come at the same time.
    #[inline]
    pub(crate) fn fetch(&self, id: SlotId) {
        let slot = id.number() as usize;
        let piece = |start: *const u8, bytes| start.wrapping_add(slot * bytes);
        let socket = size_of::<SocketPlace<'_>>();
        fetch(piece(self.sockets, socket), socket);
        fetch(piece(self.rx.as_ptr(), self.rx_bytes), BUFFER_AHEAD);
        fetch(piece(self.tx.as_ptr(), self.tx_bytes), BUFFER_AHEAD);
    }

    /// The window that an empty receive buffer offers before it is scaled.
    pub(crate) fn window(&self) -> u16 {
        self.rx_bytes.min(u16::MAX.into()) as u16
    }

    /// Puts a new socket into a slot's set, on the buffers of the one that is in it.
    pub(crate) fn renew(&mut self, set: &mut SocketSet<'a>) {
        let socket: *const tcp::Socket<'_> = tcp_of(set);
        let offset = socket.addr().wrapping_sub(self.sockets.addr());
        let index = offset / size_of::<SocketPlace<'_>>();
        debug_assert!(index < self.slots, "another stack's set");
        if index < self.slots {
            set.remove(SocketHandle::default());
            self.fill(set, index);
        }
    }

    /// Puts a socket with the buffers of place `index` into an empty set, whose place
    /// that is.
    fn fill(&mut self, set: &mut SocketSet<'a>, index: usize) {
        let piece = |start: NonNull<u8>, bytes: usize| {
            // SAFETY: `start` is the beginning of memory that `new` borrowed
            // for 'a and that holds `bytes` for each of the places, of which `index`
            // is one, so the piece is inside it; the only other slice over it belonged
            // to the socket that was in this place and has been dropped (the invariant).
            // Test: `a_thousand_sockets_on_the_same_buffers`, under a sanitizer.
            unsafe { core::slice::from_raw_parts_mut(start.add(index * bytes).as_ptr(), bytes) }
        };
        let rx = piece(self.rx, self.rx_bytes);
        let tx = piece(self.tx, self.tx_bytes);
        set.add(tcp::Socket::new(
            tcp::SocketBuffer::new(rx),
            tcp::SocketBuffer::new(tx),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smoltcp::time::Duration;

    #[test]
    fn a_thousand_sockets_on_the_same_buffers() {
        let (mut rx, mut tx) = ([0; 3 * 64], [0; 3 * 32]);
        let mut places = [const { SocketPlace::EMPTY }; 3];
        let mut slots = [const { Slot::EMPTY }; 3];
        let mut buffers = Buffers::new(&mut rx, &mut tx, &mut places, &mut slots);
        for round in 0..1000 {
            for slot in &mut slots {
                buffers.renew(slot.set.as_mut().unwrap());
                let socket = slot.socket().unwrap();
                assert_eq!((socket.recv_capacity(), socket.send_capacity()), (64, 32));
                assert_eq!(socket.keep_alive(), None);
                socket.set_keep_alive(Some(Duration::from_millis(round + 1)));
            }
        }
    }
}
