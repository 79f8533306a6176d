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

use smoltcp::iface::{SocketSet, SocketStorage};
use smoltcp::socket::tcp;

/// A place for one connection's socket, which begins where a cache line does, on
/// machines that have caches.
#[derive(Debug)]
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
pub struct SocketPlace<'a>(MaybeUninit<SocketStorage<'a>>);

impl<'a> SocketPlace<'a> {
    /// A place that holds nothing.
    pub const EMPTY: Self = SocketPlace(MaybeUninit::uninit());

    /// A set of one socket, which is still to come.
    pub(crate) fn set(&'a mut self) -> SocketSet<'a> {
        let place = self.0.write(SocketStorage::EMPTY);
        SocketSet::new(core::slice::from_mut(place))
    }
}

/// Bytes of a cache line.
pub(crate) const LINE: usize = 64;

/// How much of a buffer is fetched ahead: where a small request lies, and where
/// smoltcp begins to write when nothing is left to send.
const BUFFER_AHEAD: usize = 4 * LINE;

/// Has the core fetch what lies there while it does something else. Nothing
/// where it cannot be asked to.
#[inline]
pub(crate) fn fetch(start: *const u8, bytes: usize) {
    for offset in (0..bytes).step_by(LINE) {
        let line = start.wrapping_add(offset);
        #[cfg(all(target_arch = "x86_64", target_feature = "sse", not(miri)))]
        // SAFETY: this is a hint, which reads nothing and for which any address
        // will do; every core with SSE has it.
        unsafe {
            core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(line.cast())
        };
        let _ = line;
    }
}

/// Where the socket and the buffers of every slot are.
///
/// The invariant: slot `n`'s bytes are referred to by the socket in slot `n`'s
/// set and by nothing else. `new` takes the memory away from everybody;
/// `renew` removes and drops the old socket before it makes new slices.
pub(crate) struct Buffers<'a> {
    /// Only to be fetched ahead: the sockets belong to their sets.
    sockets: *const u8,
    rx: NonNull<u8>,
    tx: NonNull<u8>,
    rx_bytes: usize,
    tx_bytes: usize,
    slots: usize,
    memory: PhantomData<&'a mut [u8]>,
}

impl<'a> Buffers<'a> {
    /// Shares the memory out evenly among as many slots as there are sockets.
    pub(crate) fn new(rx: &'a mut [u8], tx: &'a mut [u8], sockets: &[SocketPlace<'a>]) -> Self {
        let slots = sockets.len();
        Buffers {
            sockets: sockets.as_ptr().cast(),
            rx_bytes: rx.len().checked_div(slots).unwrap_or(0),
            tx_bytes: tx.len().checked_div(slots).unwrap_or(0),
            rx: NonNull::from(rx).cast(),
            tx: NonNull::from(tx).cast(),
            slots,
            memory: PhantomData,
        }
    }

    /// A segment has come for this slot. When the next connection is one of
    /// thousands, its socket and its buffers are in no cache; used one after the
    /// other they are also waited for one after the other. Asked for here, as soon
    /// as the slot is known, they come at the same time.
    #[inline]
    pub(crate) fn fetch(&self, slot: u32) {
        let slot = slot as usize;
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

    /// Puts a new socket with slot `slot`'s buffers into `set`, which must be
    /// the set this slot was always renewed with. False when there is no such
    /// slot; then the set is as it was. So a set that had a socket once is never
    /// without one.
    pub(crate) fn renew(&mut self, slot: u32, set: &mut SocketSet<'a>) -> bool {
        let slot = slot as usize;
        if slot >= self.slots {
            return false;
        }
        let old = set.iter().next().map(|(handle, _)| handle);
        if let Some(handle) = old {
            set.remove(handle);
        }
        let piece = |start: NonNull<u8>, bytes: usize| {
            // SAFETY: `start` is the beginning of memory that `new` borrowed
            // for 'a and that holds `bytes` for each slot, so the piece is
            // inside it; the only other slice over it belonged to the socket
            // that was removed and dropped above (the invariant).
            // Test: `a_thousand_sockets_on_the_same_buffers`, under a sanitizer.
            unsafe { core::slice::from_raw_parts_mut(start.add(slot * bytes).as_ptr(), bytes) }
        };
        let rx = piece(self.rx, self.rx_bytes);
        let tx = piece(self.tx, self.tx_bytes);
        set.add(tcp::Socket::new(
            tcp::SocketBuffer::new(rx),
            tcp::SocketBuffer::new(tx),
        ));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::slot::tcp_of;

    #[test]
    fn a_thousand_sockets_on_the_same_buffers() {
        let (mut rx, mut tx) = ([0; 3 * 64], [0; 3 * 32]);
        let mut places = [SocketStorage::EMPTY, SocketStorage::EMPTY];
        let [first, second] = &mut places;
        let mut sets = [
            SocketSet::new(core::slice::from_mut(first)),
            SocketSet::new(core::slice::from_mut(second)),
        ];
        let three = [const { SocketPlace::EMPTY }; 3];
        let mut buffers = Buffers::new(&mut rx, &mut tx, &three);
        for round in 0..1000 {
            for (slot, set) in sets.iter_mut().enumerate() {
                assert!(buffers.renew(slot as u32, set));
                let socket = tcp_of(set);
                assert_eq!((socket.recv_capacity(), socket.send_capacity()), (64, 32));
                assert_eq!(socket.keep_alive(), None);
                socket.set_keep_alive(Some(smoltcp::time::Duration::from_millis(round + 1)));
            }
        }
        assert!(!buffers.renew(3, &mut sets[0]));
        assert_eq!(sets[0].iter().count(), 1, "it keeps its socket");
    }
}
