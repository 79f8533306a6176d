//! Two hosts on one wire that are no world's, told as if they were: whoever watches a
//! world can watch them. The wire keeps the order of frames, and loses some; how many it
//! has lost so far it says itself.
//!
//! Not here: the hosts, the wire, and files.

use std::cell::RefCell;
use std::collections::VecDeque;

use cygnet::event::{Event, Observer};
use smoltcp::time::Instant;

use super::fate::{FrameId, Lost, Twist, Way};
use super::ids::{End, HostId};
use super::link::Link;
use super::log::{Arrival, Happening, Watch};
use super::plan::{Place, Plan, Role};

/// How many frames the wire has lost: those of the first host, of the second.
pub type LostSoFar = Box<dyn Fn() -> [u64; 2]>;

/// See the [module](self).
pub struct Pair(RefCell<Option<State>>);

struct State {
    watch: Box<dyn Watch>,
    lost: LostSoFar,
    events: u64,
    sides: [Side; 2],
}

/// What a host sends.
#[derive(Default)]
struct Side {
    /// Of this frame nobody knows yet whether the wire has lost it.
    sent: Option<(Instant, Vec<u8>)>,
    frames: u64,
    lost: u64,
    /// Frames under way, by the event that put them on the wire.
    flying: VecDeque<u64>,
}

/// Tells of one of the two.
pub struct PairObserver<'p>(&'p Pair, usize);

impl Pair {
    /// Tells `watch`. The hosts are as in [`Pair::plan`].
    pub fn new(watch: Box<dyn Watch>, lost: LostSoFar) -> Pair {
        Pair(RefCell::new(Some(State {
            watch,
            lost,
            events: 0,
            sides: Default::default(),
        })))
    }

    /// What there is to say of the two before they run: a wire and their names.
    pub fn plan(names: [&str; 2]) -> Plan {
        let place = |name: &str, role| Place {
            name: name.into(),
            on: None,
            link: Link::LAN,
            role,
        };
        let hosts = names.map(|name| place(name, Role::Host));
        Plan {
            from: None,
            heal: Instant::ZERO,
            limit: Instant::ZERO,
            honest: false,
            places: [place("wire", Role::Link)]
                .into_iter()
                .chain(hosts)
                .collect(),
            strikes: Vec::new(),
            fates: Default::default(),
        }
    }

    /// What each host is to be observed by.
    pub fn observers(&self) -> [PairObserver<'_>; 2] {
        [PairObserver(self, 0), PairObserver(self, 1)]
    }

    /// The end: the watch is dropped.
    pub fn finish(&self) {
        if let Some(mut state) = self.0.take() {
            state.settle();
        }
    }
}

impl Observer for PairObserver<'_> {
    fn event(&self, now: Instant, event: &Event<'_>) {
        if let Some(state) = &mut *self.0.0.borrow_mut() {
            state.event(self.1, now, event);
        }
    }
}

impl State {
    fn event(&mut self, host: usize, now: Instant, event: &Event<'_>) {
        self.settle();
        let end = End::Host(HostId(host));
        if let Event::FrameIn(_) = event
            && let Some(sent) = self.sides[1 - host].flying.pop_front()
        {
            self.watch.arrived(sent, now, end, Arrival::Taken);
        }
        self.tell(now, &Happening::Host(HostId(host), now, event));
        if let Event::FrameOut(frame) = event {
            self.sides[host].sent = Some((now, frame.to_vec()));
        }
    }

    fn tell(&mut self, now: Instant, what: &Happening<'_>) {
        self.watch.happened(self.events, now, what);
        self.events += 1;
    }

    /// The wire has decided on what was sent.
    fn settle(&mut self) {
        for host in 0..2 {
            let Some((at, bytes)) = self.sides[host].sent.take() else {
                continue;
            };
            let lost = (self.lost)()[host];
            let side = &mut self.sides[host];
            let is_lost = lost > side.lost;
            side.lost = lost;
            let frame = FrameId {
                link: 0,
                way: [Way::Forth, Way::Back][host],
                number: side.frames,
            };
            side.frames += 1;
            if !is_lost {
                side.flying.push_back(self.events);
            }
            let ends = [host, 1 - host].map(|host| End::Host(HostId(host)));
            self.tell(
                at,
                &Happening::Sent {
                    frame,
                    ends: ends.into(),
                    twists: if is_lost { &[Twist::Lose] } else { &[] },
                    copies: usize::from(!is_lost),
                    lost: is_lost.then_some(Lost::Chance),
                    bytes: &bytes,
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::Story;
    use std::cell::Cell;
    use std::rc::Rc;

    /// What is told, in words.
    struct Told(Story, Rc<RefCell<Vec<String>>>);

    impl Watch for Told {
        fn happened(&mut self, number: u64, at: Instant, what: &Happening<'_>) {
            let line = self.0.line(number, at, what);
            let line = line.split(" =").next().unwrap_or_default().to_owned();
            self.1.borrow_mut().push(line);
        }

        fn arrived(&mut self, sent: u64, at: Instant, to: End, _: Arrival) {
            let to = [HostId(0), HostId(1)].map(End::Host).contains(&to);
            let line = format!("{sent} arrives at {}us {to}", at.total_micros());
            self.1.borrow_mut().push(line);
        }
    }

    #[test]
    fn a_frame_is_lost_or_comes_to_the_other_in_its_order() {
        let (lines, lost) = (Rc::default(), Rc::new(Cell::new([0, 0])));
        let story = Story::new(&Pair::plan(["a", "b"]));
        let (told, counted) = (Told(story, Rc::clone(&lines)), Rc::clone(&lost));
        let pair = Pair::new(Box::new(told), Box::new(move || counted.get()));
        let [a, b] = pair.observers();
        let at = Instant::from_micros;
        a.event(at(1), &Event::FrameOut(&[0; 20]));
        a.event(at(1), &Event::FrameOut(&[1; 20]));
        lost.set([1, 0]); // the second
        a.event(at(1), &Event::FrameOut(&[2; 20]));
        b.event(at(9), &Event::FrameIn(&[0; 20]));
        b.event(at(9), &Event::FrameOut(&[3; 20]));
        lost.set([1, 1]);
        b.event(at(9), &Event::FrameIn(&[2; 20]));
        a.event(at(10), &Event::FrameOut(&[4; 20]));
        pair.finish();
        a.event(at(11), &Event::FrameOut(&[5; 20]));
        let expected = "0 0.000001 a send 20 bytes
1 0.000001 link wire up 0
2 0.000001 a send 20 bytes
3 0.000001 link wire up 1 lose
4 0.000001 a send 20 bytes
5 0.000001 link wire up 2
1 arrives at 9us true
6 0.000009 b recv 20 bytes
7 0.000009 b send 20 bytes
8 0.000009 link wire down 0 lose
5 arrives at 9us true
9 0.000009 b recv 20 bytes
10 0.000010 a send 20 bytes
11 0.000010 link wire up 3";
        assert_eq!(lines.borrow().join("\n"), expected);
    }
}
