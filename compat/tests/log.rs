//! Events and counters arrive in `log`, at their levels.

use std::sync::Mutex;

use cygnet::event::{Counters, DropReason, Event, Observer};
use cygnet_compat::log::{Log, counters};
use log::{Level, LevelFilter, Metadata, Record};
use smoltcp::time::Instant;

struct Lines(Mutex<Vec<(Level, String)>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl log::Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        assert_eq!(record.target(), "cygnet");
        let line = (record.level(), record.args().to_string());
        self.0.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}

#[test]
fn events_and_counters_are_written_at_their_levels() {
    log::set_logger(&LINES).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let now = Instant::from_millis(1500);
    for event in [
        Event::FrameIn(&[0; 60]),
        Event::Dropped(DropReason::NoSlot),
        Event::Established { slot: 3 },
        Event::Done {
            task: 1,
            failed: true,
        },
    ] {
        Log.event(now, &event);
    }
    counters(&Counters::default());
    let lines = LINES.0.lock().unwrap();
    let levels: Vec<Level> = lines.iter().map(|(level, _)| *level).collect();
    use Level::{Debug, Info, Trace, Warn};
    assert_eq!(levels, [Trace, Warn, Debug, Warn, Info]);
    assert!(lines[0].1.ends_with("60 bytes in"), "{lines:?}");
    assert!(lines[1].1.ends_with("Dropped(NoSlot)"), "{lines:?}");
    assert!(lines[4].1.contains("frames_in: 0"), "{lines:?}");
}
