//! One connection's life.
//!
//! ```text
//!           admit                handshake             accept
//!   Free ----------> HalfOpen ---------------> Queued ---------> Open
//!    ^ \                |  handshake deadline,    | reset          |
//!    |  \ connect       |  reset                  |                | stream
//!    |   `-> Connecting-|--------. answered       |                | dropped
//!    |            |     v         `--------------------> Open      v
//!    `------------+---- free <--------------------+----------- Closing
//!    |                   |    closed, TIME-WAIT over, reclaimed, deadline
//!    `------------------ Lent
//!         give_back          its socket is away
//! ```
//!
//! A loan is a state. While `fill_buf` or a closure holds an open slot's socket,
//! nobody reclaims it; and when the connection is over before the socket is back, a
//! reboot being the way to that, the slot is `Lent`: no flow, no deadline, in no
//! list, with a new generation, and nobody's until `give_back`. So a
//! socket never comes back into another connection's life.
//!
//! A slot is in at most one list at a time (free, half-open at one listener or
//! in its queue, TIME-WAIT), so one pair of links serves all of them. Generations tell a
//! stale handle from a live one.
//!
//! Not here: when a slot moves. [`Stack`](crate::net::Stack) decides that.

use core::mem::ManuallyDrop;
use core::task::Waker;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;

use crate::net::flow::Flow;
use crate::net::flows::{Entry, FlowEntry};
use crate::net::guard::{Edge, Known};
use crate::net::limits::Pace;
use crate::net::woken::Woken;
use crate::task::waker::{is_ours, wake_ours};

/// No deadline.
pub(crate) const FAR: Instant = Instant::from_micros_const(i64::MAX);

/// No listener.
pub(crate) const NO_PORT: u32 = u32::MAX;

/// No hardware address.
pub(crate) const NOBODY: [u8; 6] = [0; 6];

/// Where a slot is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    Free = 0,
    /// The connection is over, and a stream still has the socket.
    Lent,
    HalfOpen,
    Queued,
    Connecting,
    Open,
    Closing,
}

/// Whether a connection was cut before both sides had closed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cut {
    No = 0,
    /// By us: a deadline passed, or the program aborted it.
    ByUs,
    /// The peer has reset it.
    ByPeer,
}

/// What a program wants of a socket that is lent, for when it is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Asked {
    Nothing = 0,
    Fin,
    Abort,
}

/// What a slot knows of the time it is armed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Armed {
    /// It is as late as may be.
    Right = 0,
    /// It is not later than the shortest of smoltcp's timers that begins now: as
    /// long as it has not passed, no deadline need be looked at.
    Soon,
    /// It may be too late: of several TCP timers the first has passed, or a pass
    /// that began one was not the last. Ask.
    Perhaps,
}

/// A doubly linked list of slots; numbers counted from one, zero is the end.
#[derive(Debug)]
pub(crate) struct List {
    head: u32,
    tail: u32,
}

impl List {
    pub(crate) const EMPTY: List = List { head: 0, tail: 0 };

    pub(crate) fn is_empty(&self) -> bool {
        self.head == 0
    }

    pub(crate) fn first(&self) -> Option<u32> {
        self.head.checked_sub(1)
    }
}

/// One connection. Lives in [`Storage`](crate::net::Storage).
///
/// What every segment touches comes first, and on a machine with caches a slot
/// begins where a line does: of thousands of connections the next one is in no
/// cache, and a line that is not there costs as much as a hundred instructions.
#[repr(C)]
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
pub struct Slot<'a> {
    entry: FlowEntry,
    pub(crate) generation: u32,
    /// What the guard holds segments against.
    pub(crate) known: Known,
    pub(crate) edge: Edge,
    pub(crate) state: State,
    pub(crate) dirty: bool,
    pub(crate) cut: Cut,
    pub(crate) armed: Armed,
    /// `None` before the stack starts and while a stream has borrowed it, which
    /// only an open one can.
    pub(crate) set: ManuallyDrop<Option<SocketSet<'a>>>,
    pub(crate) rx_waker: Option<Waker>,
    pub(crate) tx_waker: Option<Waker>,
    /// The hardware address that the flow's own frames come from.
    pub(crate) peer: [u8; 6],
    pub(crate) waits_for_neighbor: bool,
    /// What the cache had learned when it began to wait for a neighbor: its epoch
    /// then, for [`audit`](crate::net::audit).
    pub(super) waits_since: u8,
    /// Handshake, connect or close deadline, whichever the state calls for. In
    /// an open stream in TIME-WAIT: when its timer must not run any more.
    pub(crate) give_up: Instant,
    pub(crate) read_at: Instant,
    pub(crate) write_at: Instant,
    /// With keep-alive: when a peer that stays silent is given up.
    pub(crate) silent_at: Instant,
    /// The limits that the service set.
    pub(crate) pace: Pace,
    prev: u32,
    next: u32,
    /// The next slot in [`Woken`]; zero: it is not in there.
    pub(super) next_woken: u32,
    /// The listener it was admitted for; [`NO_PORT`] when that is gone, and for a
    /// connection of ours.
    pub(crate) port: u32,
    /// Owners: one stream, or one or two halves.
    pub(crate) owners: u8,
    pub(crate) in_time_wait: bool,
    /// While the socket was borrowed.
    pub(crate) asked: Asked,
    /// Somebody waits for the socket to come back.
    pub(crate) missed: bool,
}

impl core::fmt::Debug for Slot<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Slot").field("state", &self.state).finish()
    }
}

impl<'a> Slot<'a> {
    /// A slot before the stack starts, all zeros.
    pub const EMPTY: Slot<'a> = Slot {
        entry: FlowEntry::EMPTY,
        generation: 0,
        known: Known::NOTHING,
        edge: Edge::NOTHING,
        state: State::Free,
        dirty: false,
        cut: Cut::No,
        armed: Armed::Right,
        set: ManuallyDrop::new(None),
        rx_waker: None,
        tx_waker: None,
        peer: NOBODY,
        waits_for_neighbor: false,
        waits_since: 0,
        give_up: Instant::ZERO,
        read_at: Instant::ZERO,
        write_at: Instant::ZERO,
        silent_at: Instant::ZERO,
        pace: Pace::EMPTY,
        prev: 0,
        next: 0,
        next_woken: 0,
        port: 0,
        owners: 0,
        in_time_wait: false,
        asked: Asked::Nothing,
        missed: false,
    };

    /// Where what a segment touches ends.
    #[cfg(test)]
    pub(crate) const COLD: usize = core::mem::offset_of!(Slot<'static>, prev);

    /// The socket, unless it is borrowed.
    pub(crate) fn socket(&mut self) -> Option<&mut tcp::Socket<'a>> {
        Some(tcp_of((*self.set).as_mut()?))
    }

    /// Whether nobody's connection is in it: a handle to it is stale.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Free | State::Lent)
    }

    /// Wakes the reader of slot `index`, which this is: at once if its waker is
    /// ours, and when the stack is free if it is another's.
    pub(crate) fn wake_rx(&mut self, index: u32, woken: &mut Woken) {
        if !wake_ours(&mut self.rx_waker) {
            woken.add(index, self);
        }
    }

    /// The same for its writer.
    pub(crate) fn wake_tx(&mut self, index: u32, woken: &mut Woken) {
        if !wake_ours(&mut self.tx_waker) {
            woken.add(index, self);
        }
    }

    /// Forgets who waits. To drop another's waker may run any code, and to wake it
    /// for nothing is allowed.
    pub(crate) fn forget_wakers(&mut self, index: u32, woken: &mut Woken) {
        for waker in [&mut self.rx_waker, &mut self.tx_waker] {
            waker.take_if(|waker| is_ours(waker));
        }
        if self.rx_waker.is_some() || self.tx_waker.is_some() {
            woken.add(index, self);
        }
    }

    /// The earliest of the slot's own deadlines, [`FAR`] when it has none. The
    /// limits of a stream that was cut, or is held in TIME-WAIT, mean nothing any
    /// more.
    pub(crate) fn due(&mut self, now: Instant) -> Instant {
        let own = self.give_up.min(self.silent_at);
        let own = own.min(self.read_at).min(self.write_at);
        let is_limited = self.state == State::Open && self.cut == Cut::No;
        match is_limited && !self.is_time_wait() {
            true => own.min(self.pace.due(now)),
            false => own,
        }
    }
}

impl Entry for Slot<'_> {
    fn entry(&self) -> &FlowEntry {
        &self.entry
    }

    fn entry_mut(&mut self) -> &mut FlowEntry {
        &mut self.entry
    }
}

/// The one socket of a set: the first, which is there from the stack's start on,
/// and another one in its place after each connection.
pub(crate) fn tcp_of<'s, 'a>(set: &'s mut SocketSet<'a>) -> &'s mut tcp::Socket<'a> {
    set.get_mut(SocketHandle::default())
}

/// All slots, the free ones, and those in TIME-WAIT.
pub(crate) struct Slots<'a> {
    slots: &'a mut [Slot<'a>],
    pub(super) free: List,
    pub(super) time_wait: List,
    used: u32,
}

impl<'a> Slots<'a> {
    /// All slots free. Each must have been given its socket set.
    pub(crate) fn new(slots: &'a mut [Slot<'a>]) -> Self {
        let mut this = Slots {
            slots,
            free: List::EMPTY,
            time_wait: List::EMPTY,
            used: 0,
        };
        this.put_in_order();
        this
    }

    /// Lists every slot as free, the first one first, whatever happened before:
    /// a new boot takes them in the same order as the first. All must be free, but
    /// for those whose socket is still away.
    pub(crate) fn put_in_order(&mut self) {
        let mut free = List::EMPTY;
        for index in 0..self.len() {
            let is_free = |slot: &mut Slot<'_>| slot.state == State::Free;
            if self.get(index).is_some_and(is_free) {
                self.push(&mut free, index);
            }
        }
        self.free = free;
    }

    pub(crate) fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    pub(crate) fn used(&self) -> u32 {
        self.used
    }

    pub(crate) fn get(&mut self, index: u32) -> Option<&mut Slot<'a>> {
        self.slots.get_mut(index as usize)
    }

    /// All of them, for the table of flows.
    pub(crate) fn all(&mut self) -> &mut [Slot<'a>] {
        self.slots
    }

    /// The flow of a slot.
    pub(crate) fn flow(&self, index: u32) -> Option<Flow> {
        self.slots.get(index as usize)?.entry.flow()
    }

    /// The slot, if it is still the one that the handle was made for.
    pub(crate) fn checked(&mut self, index: u32, generation: u32) -> Option<&mut Slot<'a>> {
        self.get(index)
            .filter(|slot| slot.generation == generation && !slot.is_over())
    }

    /// Takes a free slot and gives it a clean line.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let mut free = core::mem::replace(&mut self.free, List::EMPTY);
        let index = self.pop(&mut free);
        self.free = free;
        let slot = self.slots.get_mut(index? as usize)?;
        // Its taker says what it is; until then it can be given back.
        slot.state = State::Connecting;
        slot.give_up = FAR;
        slot.read_at = FAR;
        slot.write_at = FAR;
        slot.silent_at = FAR;
        slot.known = Known::NOTHING;
        slot.edge = Edge::NOTHING;
        slot.peer = NOBODY;
        slot.owners = 0;
        slot.waits_for_neighbor = false;
        slot.in_time_wait = false;
        slot.cut = Cut::No;
        slot.armed = Armed::Right;
        slot.asked = Asked::Nothing;
        slot.missed = false;
        self.used += 1;
        index
    }

    /// Whether a slot is free or can be reclaimed.
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty() || !self.time_wait.is_empty()
    }

    /// The slot that has been in TIME-WAIT longest without an owner.
    pub(crate) fn oldest_time_wait(&self) -> Option<u32> {
        self.time_wait.head.checked_sub(1)
    }

    /// Puts a slot at the end of the TIME-WAIT line, once.
    pub(crate) fn enter_time_wait(&mut self, index: u32) {
        let Some(slot) = self.get(index) else { return };
        if !core::mem::replace(&mut slot.in_time_wait, true) {
            let mut list = core::mem::replace(&mut self.time_wait, List::EMPTY);
            self.push(&mut list, index);
            self.time_wait = list;
        }
    }

    /// Gives a slot back; handles to it are stale from now on. It must not be
    /// in a listener's queue any more. False: its socket is away, and it is free
    /// when that is back.
    pub(crate) fn release(&mut self, index: u32) -> bool {
        let waits = self.get(index).is_some_and(|slot| slot.in_time_wait);
        if waits {
            let mut list = core::mem::replace(&mut self.time_wait, List::EMPTY);
            self.unlink(&mut list, index);
            self.time_wait = list;
        }
        let Some(slot) = self.get(index).filter(|slot| !slot.is_over()) else {
            return true;
        };
        slot.generation = slot.generation.wrapping_add(1);
        if slot.set.is_none() {
            slot.state = State::Lent;
            return false;
        }
        self.is_free(index);
        true
    }

    /// A connection is over and its socket is here: the next one may have the slot.
    pub(crate) fn is_free(&mut self, index: u32) {
        let Some(slot) = self.get(index) else { return };
        slot.state = State::Free;
        // Last freed, first used: its memory is still in the cache.
        let mut free = core::mem::replace(&mut self.free, List::EMPTY);
        self.push_front(&mut free, index);
        self.free = free;
        self.used -= 1;
    }

    pub(crate) fn push(&mut self, list: &mut List, index: u32) {
        let number = index + 1;
        let last = list.tail;
        match self.linked(last) {
            Some(tail) => tail.next = number,
            None => list.head = number,
        }
        list.tail = number;
        if let Some(slot) = self.get(index) {
            (slot.prev, slot.next) = (last, 0);
        }
    }

    fn push_front(&mut self, list: &mut List, index: u32) {
        let number = index + 1;
        let first = list.head;
        match self.linked(first) {
            Some(head) => head.prev = number,
            None => list.tail = number,
        }
        list.head = number;
        if let Some(slot) = self.get(index) {
            (slot.prev, slot.next) = (0, first);
        }
    }

    pub(crate) fn pop(&mut self, list: &mut List) -> Option<u32> {
        let index = list.head.checked_sub(1)?;
        self.unlink(list, index);
        Some(index)
    }

    pub(crate) fn unlink(&mut self, list: &mut List, index: u32) {
        let Some(slot) = self.get(index) else { return };
        let (prev, next) = (slot.prev, slot.next);
        (slot.prev, slot.next) = (0, 0);
        match self.linked(prev) {
            Some(before) => before.next = next,
            None => list.head = next,
        }
        match self.linked(next) {
            Some(after) => after.prev = prev,
            None => list.tail = prev,
        }
    }

    /// How many slots stand in a list, if its links agree both ways and all of
    /// them belong there; for [`audit`](crate::net::audit).
    pub(super) fn line(&self, list: &List, belongs: impl Fn(&Slot<'a>) -> bool) -> Option<u32> {
        let (mut count, mut last, mut number) = (0, 0, list.head);
        while number != 0 {
            let slot = self.slots.get(number as usize - 1)?;
            // A circle would come back to a slot whose `prev` is another.
            if slot.prev != last || !belongs(slot) {
                return None;
            }
            (count, last, number) = (count + 1, number, slot.next);
        }
        (list.tail == last).then_some(count)
    }

    /// The slot of this number, counted from one.
    pub(super) fn linked(&mut self, number: u32) -> Option<&mut Slot<'a>> {
        self.slots.get_mut((number as usize).checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    fn slots<'a>(memory: &'a mut [Slot<'a>]) -> Slots<'a> {
        for slot in &mut *memory {
            *slot.set = Some(SocketSet::new(&mut [][..]));
        }
        Slots::new(memory)
    }

    #[test]
    fn every_slot_can_be_taken_once_and_given_back() {
        let mut memory = [const { Slot::EMPTY }; 3];
        let mut slots = slots(&mut memory);
        for expected in 0..3 {
            let index = slots.take().unwrap();
            assert_eq!(index, expected);
            slots.get(index).unwrap().state = State::Open;
        }
        assert_eq!((slots.take(), slots.used()), (None, 3));
        slots.release(1);
        slots.release(1);
        assert_eq!(slots.used(), 2, "a second release changes nothing");
        assert_eq!(slots.take(), Some(1));
    }

    #[test]
    fn a_slot_in_which_nothing_began_can_be_given_back() {
        let mut memory = [const { Slot::EMPTY }; 1];
        let mut slots = slots(&mut memory);
        assert_eq!(slots.take(), Some(0));
        slots.release(0);
        assert_eq!((slots.used(), slots.take()), (0, Some(0)));
    }

    #[test]
    fn a_slot_whose_socket_is_away_is_nobodys_until_that_is_back() {
        let mut memory = [const { Slot::EMPTY }; 2];
        let mut slots = slots(&mut memory);
        assert_eq!((slots.take(), slots.take()), (Some(0), Some(1)));
        let slot = slots.get(1).unwrap();
        slot.state = State::Open;
        let generation = slot.generation;
        let set = slot.set.take();
        assert!(slots.release(0));
        assert!(!slots.release(1));
        assert!(slots.checked(1, generation).is_none());
        assert!(slots.checked(1, generation + 1).is_none());
        slots.put_in_order();
        assert_eq!(
            (slots.used(), slots.take(), slots.take()),
            (1, Some(0), None)
        );
        *slots.get(1).unwrap().set = set;
        slots.is_free(1);
        assert_eq!((slots.used(), slots.take()), (1, Some(1)));
    }

    #[test]
    fn a_stale_handle_is_told_so() {
        let mut memory = [const { Slot::EMPTY }; 1];
        let mut slots = slots(&mut memory);
        let index = slots.take().unwrap();
        let slot = slots.get(index).unwrap();
        slot.state = State::Open;
        let generation = slot.generation;
        assert!(slots.checked(index, generation).is_some());
        slots.release(index);
        assert!(slots.checked(index, generation).is_none());
        slots.take();
        slots.get(index).unwrap().state = State::Open;
        assert!(slots.checked(index, generation).is_none());
    }

    #[test]
    fn time_wait_gives_the_oldest_first_and_forgets_the_released() {
        let mut memory = [const { Slot::EMPTY }; 5];
        let mut slots = slots(&mut memory);
        for _ in 0..5 {
            let index = slots.take().unwrap();
            slots.get(index).unwrap().state = State::Closing;
        }
        for index in [2, 0, 3, 0] {
            slots.enter_time_wait(index);
        }
        slots.release(1); // not in it
        assert_eq!(slots.oldest_time_wait(), Some(2));
        slots.release(2);
        assert_eq!(slots.oldest_time_wait(), Some(0));
        slots.release(0);
        slots.release(3);
        assert_eq!(slots.oldest_time_wait(), None);
    }

    #[test]
    fn each_way_to_spoil_a_line_is_seen() {
        let line = |spoil: fn(&mut Slots<'_>, &mut List)| {
            let mut memory = [const { Slot::EMPTY }; 4];
            let mut slots = slots(&mut memory);
            let mut list = List::EMPTY;
            while let Some(index) = slots.take() {
                slots.get(index).unwrap().state = State::Queued;
                if index > 0 {
                    slots.push(&mut list, index);
                }
            }
            spoil(&mut slots, &mut list);
            slots.line(&list, |slot| slot.state == State::Queued)
        };
        assert_eq!(line(|_, _| ()), Some(3));
        assert_eq!(line(|_, list| *list = List::EMPTY), Some(0));
        assert_eq!(line(|slots, list| slots.push(list, 0)), Some(4));
        assert_eq!(line(|slots, _| slots.slots[2].state = State::Open), None);
        assert_eq!(line(|slots, _| slots.slots[2].prev = 4), None);
        assert_eq!(line(|slots, _| slots.slots[2].next = 0), None, "cut short");
        assert_eq!(line(|slots, _| slots.slots[2].next = 9), None, "nowhere");
        assert_eq!(line(|_, list| list.tail = 3), None);
        assert_eq!(line(|slots, _| slots.slots[3].next = 2), None, "a circle");
        assert_eq!(line(|slots, _| slots.slots[3].next = 3), None, "a circle");
    }

    proptest::proptest! {
        #[test]
        fn a_list_is_a_queue_with_removal(steps in proptest::collection::vec((0u8..3, 0u32..8), 0..200)) {
            let mut memory = [const { Slot::EMPTY }; 8];
            let mut slots = slots(&mut memory);
            while slots.take().is_some() {}
            let mut list = List::EMPTY;
            let mut model = VecDeque::new();
            for (step, index) in steps {
                match step {
                    0 if !model.contains(&index) => {
                        slots.push(&mut list, index);
                        model.push_back(index);
                    }
                    1 => assert_eq!(slots.pop(&mut list), model.pop_front()),
                    2 if model.contains(&index) => {
                        slots.unlink(&mut list, index);
                        model.retain(|&other| other != index);
                    }
                    _ => (),
                }
                assert_eq!(list.first(), model.front().copied());
                assert_eq!(list.is_empty(), model.is_empty());
            }
            let mut rest = Vec::new();
            while let Some(index) = slots.pop(&mut list) {
                rest.push(index);
            }
            assert_eq!(rest, Vec::from(model));
        }
    }
}
