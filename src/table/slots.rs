//! All slots, and the lists in which they stand: free, dirty, in TIME-WAIT, and those
//! whose wakers are to be woken and are not ours. Such a waker may run any code, also
//! some that calls the node, so it is woken as soon as the stack is free: first come,
//! first woken, whichever direction of the slot it waits in. To wake one for nothing
//! is allowed.
//!
//! Not here: what is known of one slot (`slot.rs`), and those that wait in `accept`
//! (`listeners.rs`).

use core::ops::{Index, IndexMut};
use core::task::Waker;

use heapless::deque::DequeView;

use crate::frame::flow::Flow;
use crate::frame::link::NOBODY;
use crate::rules::guard::{Edge, TcpView};
use crate::rules::lifecycle::{Cut, State};
use crate::rules::limits::Clocks;
use crate::rules::normalise::PeerView;
use crate::table::flows::Flows;
use crate::table::list::{List, linked};
use crate::table::slot::*;
use crate::task::waker::{is_ours, wake_ours};

/// Names a slot that is there: only [`Slots`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotId(u32);

impl SlotId {
    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

/// Names one connection; stale once its slot was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotKey {
    pub(crate) id: SlotId,
    generation: u32,
}

/// The end of the list of those to be woken.
const END: u32 = u32::MAX;

/// All slots.
pub(crate) struct Slots<'a> {
    pub(crate) slots: &'a mut [Slot<'a>],
    pub(crate) dirty: &'a mut DequeView<u32>,
    pub(crate) free: List,
    pub(crate) time_wait: List,
    /// Of those to be woken: the last that came, and those before it.
    woken_last: u32,
    /// Those that came before these, the first one first.
    woken_first: u32,
    /// Wakers are to be woken that are not ours.
    pub(crate) woken: bool,
    pub(crate) used: u32,
    /// How many streams are gone whose peers have not agreed yet.
    pub(crate) closing: u32,
    /// How many wait for a neighbor's answer.
    pub(crate) waiting: u32,
}

impl<'a> Index<SlotId> for Slots<'a> {
    type Output = Slot<'a>;

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn index(&self, id: SlotId) -> &Slot<'a> {
        &self.slots[id.0 as usize]
    }
}

impl<'a> IndexMut<SlotId> for Slots<'a> {
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    fn index_mut(&mut self, id: SlotId) -> &mut Slot<'a> {
        &mut self.slots[id.0 as usize]
    }
}

impl<'a> Slots<'a> {
    /// All slots free, as they are at first. Each has been given its socket set.
    pub(crate) fn new(slots: &'a mut [Slot<'a>], dirty: &'a mut DequeView<u32>) -> Self {
        let mut this = Slots {
            slots,
            dirty,
            free: List::EMPTY,
            time_wait: List::EMPTY,
            woken_last: END,
            woken_first: END,
            woken: false,
            used: 0,
            closing: 0,
            waiting: 0,
        };
        this.put_in_order();
        this
    }

    /// Lists every slot as free, the first one first, whatever happened before:
    /// a new boot takes them in the same order as the first. All must be free, but
    /// for those whose socket is still away. None is dirty.
    pub(crate) fn put_in_order(&mut self) {
        self.dirty.clear();
        self.free = List::EMPTY;
        for id in self.ids() {
            self[id].dirty = false;
            if self[id].state == State::Free {
                self.free.push(self.slots, id.0);
            }
        }
    }

    /// Every slot.
    pub(crate) fn ids(&self) -> impl Iterator<Item = SlotId> + use<> {
        (0..self.len()).map(SlotId)
    }

    /// The slot of this number, which one of these tables has given.
    #[inline]
    pub(crate) fn id(&self, number: u32) -> SlotId {
        debug_assert!(
            number < self.len(),
            "a table knows a slot that is not there"
        );
        SlotId(number)
    }

    pub(crate) fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    /// All of them, for the tables whose links are in them.
    #[inline]
    pub(crate) fn all(&mut self) -> &mut [Slot<'a>] {
        self.slots
    }

    /// The slot that serves a flow.
    #[inline]
    pub(crate) fn find(&self, flows: &Flows<'_>, flow: &Flow) -> Option<SlotId> {
        let number = flows.find(self.slots, flow)?;
        Some(SlotId(number))
    }

    /// The flow of a slot.
    pub(crate) fn flow(&self, id: SlotId) -> Option<Flow> {
        self[id].flow()
    }

    /// Names the connection that is in a slot now.
    pub(crate) fn key(&self, id: SlotId) -> SlotKey {
        let generation = self[id].generation;
        SlotKey { id, generation }
    }

    /// The slot, if it is still the one that the handle was made for.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn checked(&mut self, key: SlotKey) -> Option<&mut Slot<'a>> {
        let slot = &mut self[key.id];
        let is_over = matches!(slot.state, State::Free | State::Lent);
        (slot.generation == key.generation && !is_over).then_some(slot)
    }

    /// Takes a free slot and gives it a clean line. Its taker says what it is; until
    /// then it can be given back.
    pub(crate) fn take(&mut self) -> Option<SlotId> {
        let id = SlotId(self.free.pop(self.slots)?);
        let slot = &mut self[id];
        debug_assert_eq!(slot.state, State::Free);
        slot.state = State::Connecting;
        slot.clocks = Clocks::none();
        (slot.view, slot.edge) = (TcpView::NOTHING, Edge::NOTHING);
        slot.heard = PeerView::NOTHING;
        (slot.peer, slot.listener) = (NOBODY, NO_LISTENER);
        (slot.cut, slot.timer) = (Cut::No, Timer::Exact);
        // Where its peer is nobody knows yet: everybody is asked.
        (slot.repeats, slot.polls, slot.mtu) = (0, 1, 0);
        slot.owners = 0;
        slot.asked = Asked::Nothing;
        (slot.questions, slot.missed, slot.spared) = (0, false, false);
        self.used += 1;
        Some(id)
    }

    /// Whether a slot is free or can be reclaimed.
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty() || !self.time_wait.is_empty()
    }

    /// The slot that has been in TIME-WAIT longest without an owner.
    pub(crate) fn oldest_time_wait(&self) -> Option<SlotId> {
        self.time_wait.first().map(SlotId)
    }

    /// The stream is gone, and the peer is still to agree.
    pub(crate) fn begin_closing(&mut self, id: SlotId) {
        self[id].state = State::Closing;
        self.closing += 1;
    }

    /// Puts a closing slot at the end of the TIME-WAIT line, once.
    pub(crate) fn enter_time_wait(&mut self, id: SlotId) {
        let slot = &mut self[id];
        if core::mem::replace(&mut slot.state, State::TimeWait) == State::Closing {
            self.closing -= 1;
            self.time_wait.push(self.slots, id.0);
        }
    }

    /// Gives a slot back; handles to it are stale from now on. It must not be
    /// in a listener's queue any more. False: its socket is away, and it is free when
    /// that is back.
    pub(crate) fn release(&mut self, id: SlotId) -> bool {
        self.set_waiting(id, None);
        let slot = &mut self[id];
        debug_assert!(!slot.state.is_over(), "a slot is given back once");
        slot.generation = slot.generation.wrapping_add(1);
        match core::mem::replace(&mut slot.state, State::Lent) {
            State::Closing => self.closing -= 1,
            State::TimeWait => self.time_wait.unlink(self.slots, id.0),
            _ => (),
        }
        let is_here = self[id].set.is_some();
        if is_here {
            self.is_free(id);
        }
        is_here
    }

    /// A connection is over and its socket is here: the next one may have the slot.
    pub(crate) fn is_free(&mut self, id: SlotId) {
        debug_assert_eq!(self[id].state, State::Lent);
        self[id].state = State::Free;
        // Last freed, first used: its memory is still in the cache.
        self.free.push_front(self.slots, id.0);
        self.used -= 1;
    }

    /// The slot has something to send, or its deadlines have moved.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(target_pointer_width = "64", inline)]
    pub(crate) fn mark_dirty(&mut self, id: SlotId) {
        let slot = &mut self.slots[id.0 as usize];
        let is_over = matches!(slot.state, State::Free | State::Lent);
        if !is_over && !core::mem::replace(&mut slot.dirty, true) {
            // One entry per slot at most, and room for every slot.
            let _ = self.dirty.push_back(id.0);
        }
    }

    /// Takes the slot that has been dirty longest.
    #[inline]
    pub(crate) fn next_dirty(&mut self) -> Option<SlotId> {
        let number = self.dirty.pop_front()?;
        self.slots[number as usize].dirty = false;
        Some(SlotId(number))
    }

    /// A slot waits for a neighbor's answer since this epoch, or not any more.
    pub(crate) fn set_waiting(&mut self, id: SlotId, since: Option<u8>) {
        let slot = &mut self.slots[id.0 as usize];
        slot.waits_since = since.unwrap_or(slot.waits_since);
        let was = core::mem::replace(&mut slot.waits_for_neighbor, since.is_some());
        self.waiting = self.waiting + u32::from(since.is_some()) - u32::from(was);
    }

    /// A neighbor answered: whoever waited for one tries again.
    pub(crate) fn retry_waiting(&mut self) {
        if self.waiting == 0 {
            return;
        }
        for id in self.ids() {
            if self[id].waits_for_neighbor {
                self.mark_dirty(id);
            }
        }
    }

    /// Wakes its reader and its writer.
    pub(crate) fn wake_both(&mut self, id: SlotId) {
        self.wake(id, true, false);
        self.wake(id, false, true);
    }

    /// Wakes a slot's writer and reader: at once those whose wakers are ours, and
    /// the others when the stack is free.
    pub(crate) fn wake(&mut self, id: SlotId, read: bool, write: bool) {
        let slot = &mut self.slots[id.0 as usize];
        let writer_left = write && !wake_ours(&mut slot.tx_waker);
        let reader_left = read && !wake_ours(&mut slot.rx_waker);
        if writer_left || reader_left {
            self.wake_others(id);
        }
    }

    /// A waker of this slot is not ours, and to be woken.
    #[cold]
    pub(crate) fn wake_others(&mut self, id: SlotId) {
        let slot = &mut self.slots[id.0 as usize];
        if slot.next_woken == 0 {
            slot.next_woken = core::mem::replace(&mut self.woken_last, id.0 + 1);
            self.woken = true;
        }
    }

    /// Forgets who waits. To drop another's waker may run any code, and to wake it
    /// for nothing is allowed.
    pub(crate) fn forget_wakers(&mut self, id: SlotId) {
        let slot = &mut self[id];
        for waker in [&mut slot.rx_waker, &mut slot.tx_waker] {
            waker.take_if(|waker| is_ours(waker));
        }
        if slot.rx_waker.is_some() || slot.tx_waker.is_some() {
            self.wake_others(id);
        }
    }

    /// The wakers of the next slot that are not ours.
    #[cold]
    pub(crate) fn pop_woken(&mut self) -> Option<[Option<Waker>; 2]> {
        if self.woken_first == END {
            let mut number = core::mem::replace(&mut self.woken_last, END);
            self.woken = false;
            while let Some(slot) = linked(self.slots, number) {
                let before = core::mem::replace(&mut slot.next_woken, self.woken_first);
                self.woken_first = core::mem::replace(&mut number, before);
            }
        }
        let slot = linked(self.slots, self.woken_first)?;
        self.woken_first = core::mem::take(&mut slot.next_woken);
        let all = [&mut slot.rx_waker, &mut slot.tx_waker];
        Some(all.map(|waker| waker.take_if(|waker| !is_ours(waker))))
    }
}

#[cfg(test)]
#[path = "slots_tests.rs"]
mod tests;
