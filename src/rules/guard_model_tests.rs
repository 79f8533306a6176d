//! The guard against a model of the window that smoltcp keeps.
extern crate std;

use super::tests::*;
use super::*;
use proptest::prelude::*;

proptest! {
    /// Wherever the numbers are on the circle, the answer is the same.
    #[test]
    fn the_verdict_does_not_depend_on_where_the_numbers_are(
        control in prop::sample::select(std::vec![Control::Syn, Control::Rst, Control::Other]),
        seq in -300i32..300, ack in prop::option::of(-300i32..300), payload in 0u16..300,
        half_open: bool, fin: bool, turn: i32, spin: i32,
        of in prop::sample::select(std::vec![EdgeOf::Window, EdgeOf::Doubted, EdgeOf::Syn, EdgeOf::Stream]),
    ) {
        let sure = TcpSeqNumber(1050);
        let base = Knows { edge: Edge { sure, of, ..OPEN.edge }, ..OPEN };
        let turned = Knows {
            view: TcpView {
                rcv_nxt: TcpSeqNumber(base.view.rcv_nxt.0.wrapping_add(turn)),
                last_ack: TcpSeqNumber(base.view.last_ack.0.wrapping_add(turn)),
                snd_max: TcpSeqNumber(base.view.snd_max.0.wrapping_add(spin)),
                ..base.view
            },
            edge: Edge { sure: TcpSeqNumber(sure.0.wrapping_add(turn)), ..base.edge },
        };
        prop_assume!(turned.view.spoke());
        let mut one = segment(control, 1000 + seq, ack.map(|ack| 500 + ack), payload);
        let mut two = segment(
            control,
            (1000 + seq).wrapping_add(turn),
            ack.map(|ack| (500 + ack).wrapping_add(spin)),
            payload,
        );
        (one.fin, two.fin) = (fin, fin);
        prop_assert_eq!(judged(&one, &base, half_open, AT), judged(&two, &turned, half_open, AT));
    }

    /// Whatever comes and whatever left before: of what is let through smoltcp takes
    /// nothing that ends past the buffer, no FIN without all its bytes, and nothing
    /// after a FIN.
    #[test]
    fn nothing_past_the_buffer_or_the_end_is_let_through(
        capacity in prop::sample::select(std::vec![64_usize, 1000, 65_535, 65_536, 100_000, 1 << 20]),
        peer_scales: bool,
        start: i32,
        steps in prop::collection::vec((0u8..5, any::<u32>(), any::<u16>(), any::<bool>()), 1..60),
    ) {
        let mut model = Model::new(capacity, peer_scales, start);
        for (what, a, b, fin) in steps {
            match what {
                0 => model.acknowledges(b % 3 == 0),
                1 => model.reads(a as usize),
                2 => model.asks(),
                _ => model.gets(a, b, fin)?,
            }
        }
    }
}

/// smoltcp 0.14's receive side, as far as the edge goes, beside what we know of it.
/// Its SYN-ACK has left.
struct Model {
    view: Knows,
    capacity: usize,
    scale: u8,
    /// What the program has read, and what came and is not read, from `start` on.
    start: TcpSeqNumber,
    read: usize,
    came: usize,
    /// smoltcp's `remote_last_ack` and `remote_last_win`, which it always shifts.
    last: (usize, usize),
    ended: bool,
}

impl Model {
    fn new(capacity: usize, peer_scales: bool, start: i32) -> Self {
        let bits = usize::BITS - capacity.leading_zeros();
        let scale = if peer_scales {
            bits.saturating_sub(16) as u8
        } else {
            0
        };
        let start = TcpSeqNumber(start);
        let view = TcpView::of_syn(TcpSeqNumber(start.0.wrapping_sub(1)));
        let mut view = Knows { view, ..OPEN }.with(0, scale, EdgeOf::Window);
        let window = capacity.min(65_535);
        view.learn(&Outgoing {
            syn: true,
            ack: Some(start),
            seq: TcpSeqNumber(1),
            window: window as u16,
            ..NOTHING_MUCH
        });
        Model {
            view,
            capacity,
            scale,
            start,
            read: 0,
            came: 0,
            last: (0, window),
            ended: false,
        }
    }

    fn window(&self) -> usize {
        (self.capacity - (self.came - self.read)) >> self.scale
    }

    /// What smoltcp acknowledges: its FIN counts.
    fn next(&self) -> usize {
        self.came + usize::from(self.ended)
    }

    fn leaves(&mut self, payload: usize) {
        self.view.learn(&Outgoing {
            payload,
            ack: Some(self.start + self.next()),
            seq: TcpSeqNumber(2),
            window: self.window().min(65_535) as u16,
            ..NOTHING_MUCH
        });
    }

    fn acknowledges(&mut self, with_a_byte: bool) {
        self.leaves(usize::from(with_a_byte));
        self.last = (self.next(), self.window().min(65_535));
    }

    /// A keep-alive, or a probe.
    fn asks(&mut self) {
        self.leaves(1);
    }

    fn reads(&mut self, most: usize) {
        self.read += most % (self.came - self.read + 1);
    }

    fn gets(&mut self, at: u32, payload: u16, fin: bool) -> Result<(), TestCaseError> {
        // Near what matters, or anywhere.
        let edge = self.last.0 + (self.last.1 << self.scale);
        let near = |to: usize| (to as i32).wrapping_add((at >> 4) as i32 % 3000 - 1500);
        let offset = match at % 16 {
            0..=5 => self.next() as i32,
            6..=8 => near(self.next()),
            9..=11 => near(edge - usize::from(payload).min(edge)),
            12 => near(self.read + self.capacity),
            13 => near(edge),
            _ => at as i32,
        };
        let mut segment = segment(
            Control::Other,
            self.start.0.wrapping_add(offset),
            None,
            payload,
        );
        segment.fin = fin;
        match judged(&segment, &self.view, false, AT) {
            Verdict::Pass | Verdict::PassOnce | Verdict::PassEmpty => (),
            Verdict::Challenge(_) => {
                self.acknowledges(false);
                return Ok(());
            }
            Verdict::Drop(_) => return Ok(()),
        }
        // `process`, in 64 bits: nothing here is half a circle away.
        let (next, edge) = (self.next() as i64, edge as i64);
        let begins = i64::from(offset);
        let end = begins + i64::from(payload);
        let inside = match (payload == 0, next == edge) {
            (true, true) => begins == next,
            (true, false) => (next..edge).contains(&begins),
            (false, true) => false,
            (false, false) => (next..edge).contains(&begins) || (next < end && end <= edge),
        };
        if !inside {
            return Ok(());
        }
        let (from, to) = (begins.max(next), end.min(edge));
        let room = (self.read + self.capacity) as i64;
        if from < to {
            prop_assert!(to <= room, "{to} is past {room}");
            prop_assert!(!self.ended, "after the end");
        }
        if begins <= next {
            let came = self.came.max(to as usize);
            self.view.took(came - self.came);
            self.came = came;
        }
        if fin && !self.ended && begins <= next {
            prop_assert!(to == end.max(from), "a FIN without {} bytes", end - to);
            self.ended = true;
            self.view.ended();
        }
        Ok(())
    }
}
