//! A client that has ended its side and then reads nothing for a long time.

use cygnet::event::{Deadline, Event, Observer};

use super::*;

/// A client ends its side, takes 1,000 bytes of an answer of 3,000 and as many after 35 s,
/// reads nothing for so long and then everything. Gives how many bytes it got with an end
/// behind them, how long after the last byte that it acknowledged it was reset, and which
/// deadline that was.
fn reads_nothing_for(
    pause: Duration,
    close_timeout: Option<Duration>,
) -> (Option<usize>, Option<Duration>, Vec<Deadline>) {
    let mut config = harness::config(1);
    if let Some(timeout) = close_timeout {
        config.close_timeout = timeout;
    }
    let passed = Passed::default();
    host!(server, 1, slots: 2, tasks: 8, bytes: 64, rx: 1024, tx: 4096, parked: 0, config: config);
    server.set_observer(Some(&passed));
    serve(server, move |mut stream| async move {
        let _ = stream.read(&mut [0; 8]).await;
        stream.write_all(&[b'y'; 3000]).await.unwrap();
        drop(stream);
    });
    let (mut ended, mut reset) = (None, None);
    by_hand(server, |hands| {
        let reply = hands.open(&syn(9, 1000, 7, 1));
        hands.send(&answer(&reply, TcpControl::Fin, b"get"));
        let (mut got, mut acked_at, mut room) = (0, hands.now, 1000);
        let began = hands.now;
        let says = |got: usize, fin: bool, room: usize| Seg {
            window: (room - got).min(1000) as u16,
            ..piece(&reply, TcpControl::None, 4, b"", got + usize::from(fin))
        };
        while hands.now < began + pause + SEC * 100 && ended.is_none() && reset.is_none() {
            let now_room = match hands.now - began {
                time if time < SEC * 35 => 1000,
                time if time < SEC * 35 + pause => 2000,
                _ => 5000,
            };
            if now_room > room {
                room = now_room;
                hands.send(&says(got, false, room));
            }
            for seg in hands.pass(TICK) {
                if seg.is_rst() {
                    reset.get_or_insert(hands.now - acked_at);
                    continue;
                }
                let from = seg.seq.0.wrapping_sub(reply.seq.0 + 1) as usize;
                if from == got && got < room && !seg.payload.is_empty() {
                    got = (got + seg.payload.len()).min(room);
                    acked_at = hands.now;
                }
                if seg.control == TcpControl::Fin && from + seg.payload.len() == got {
                    ended = Some(got);
                }
                hands.send(&says(got, ended.is_some(), room));
            }
        }
        if reset.is_none() {
            hands.pass(SEC);
        }
        assert_eq!(server.counters().slots_used, 0);
    });
    let passed = passed.0.take();
    assert_eq!(server.counters().expired, passed.len() as u64);
    server.set_observer(None);
    (ended, reset, passed)
}

/// The deadlines that have passed.
#[derive(Default)]
struct Passed(RefCell<Vec<Deadline>>);

impl Observer for Passed {
    fn event(&self, _: Instant, event: &Event<'_>) {
        if let Event::Expired { deadline, .. } = event {
            self.0.borrow_mut().push(*deadline);
        }
    }
}

/// A minute is no matter when `Config::close_timeout` is more. Who takes nothing for longer
/// has as long as it says, or once more as long while what is on its way has left less
/// often than five times; then it is told, and that deadline is counted.
#[test]
fn a_client_that_reads_nothing_has_as_long_as_a_close_may_take() {
    let all = reads_nothing_for(SEC * 60, Some(SEC * 90));
    assert_eq!(all, (Some(3000), None, vec![]));
    for timeout in [None, Some(SEC * 45)] {
        let least = timeout.unwrap_or(SEC * 30);
        let (ended, reset, passed) = reads_nothing_for(SEC * 100, timeout);
        assert_eq!((ended, passed), (None, vec![Deadline::Close]));
        let in_time = reset.is_some_and(|reset| reset >= least && reset < least * 2 + SEC);
        assert!(in_time, "{timeout:?}: {reset:?}");
    }
}
