use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::Duration;
use crate::scenario::Scenario;
use crate::stage::{Staging, run};

/// Fields of a message: their numbers, and what they hold.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)),
            1 => {
                let (eight, rest) = bytes.split_first_chunk().unwrap();
                bytes = rest;
                Value::Number(u64::from_le_bytes(*eight))
            }
            2 => {
                let length = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(value)
            }
            wire => panic!("wire type {wire}"),
        };
        found.push((key >> 3, value));
    }
    found
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Value<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let length = 1 + bytes.iter().position(|byte| byte & 0x80 == 0).unwrap();
    let (number, rest) = bytes.split_at(length);
    *bytes = rest;
    let digits = number.iter().rev();
    digits.fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f))
}

fn number(fields: &[(u64, Value<'_>)], field: u64) -> Option<u64> {
    let found = fields.iter().find(|(number, _)| *number == field);
    found.map(|(_, value)| match value {
        Value::Number(number) => *number,
        Value::Bytes(_) => panic!("field {field} is no number"),
    })
}

fn bytes<'b>(fields: &[(u64, Value<'b>)], field: u64) -> Option<&'b [u8]> {
    let found = fields.iter().find(|(number, _)| *number == field);
    found.map(|(_, value)| match value {
        Value::Bytes(bytes) => *bytes,
        Value::Number(_) => panic!("field {field} is a number"),
    })
}

fn traced(scenario: &str, seed: u64) -> Vec<u8> {
    let plan = Scenario::named(scenario).unwrap();
    let plan = plan.plan(seed, Duration::from_secs(10));
    let trace = Rc::new(RefCell::new(Perfetto::new(&plan, Vec::new())));
    let staging = Staging {
        seed: Some(seed),
        watch: Some(Box::new(Rc::clone(&trace))),
        ..Staging::default()
    };
    run(&plan, staging);
    let trace = Rc::try_unwrap(trace).ok().unwrap().into_inner();
    trace.trace.into_inner()
}

#[test]
fn slices_are_whole_time_goes_on_and_a_frame_is_followed_to_the_task_it_wakes() {
    for (scenario, seed) in [("chaos", 1), ("chaos", 4), ("reboot", 2)] {
        let trace = traced(scenario, seed);
        assert_eq!(
            trace,
            traced(scenario, seed),
            "the same run, the same bytes"
        );
        let (mut last, mut open, mut polls) = (0, BTreeMap::new(), 0);
        let (mut known, mut flows) = (BTreeSet::new(), BTreeMap::<u64, Vec<String>>::new());
        for (_, packet) in fields(&trace) {
            let Value::Bytes(packet) = packet else {
                panic!("a packet is a message");
            };
            let packet = fields(packet);
            if let Some(track) = bytes(&packet, 60) {
                assert!(known.insert(number(&fields(track), 1).unwrap()));
                continue;
            }
            let at = number(&packet, 8).unwrap();
            assert!(at >= last);
            last = at;
            let event = fields(bytes(&packet, 11).unwrap());
            let track = number(&event, 11).unwrap();
            assert!(known.contains(&track), "a track is named before it is used");
            let depth: &mut i32 = open.entry(track).or_default();
            match number(&event, 9).unwrap() {
                1 => *depth += 1,
                2 => *depth -= 1,
                _ => (),
            }
            assert!((0..=1).contains(depth), "slices are one after the other");
            let name = bytes(&event, 23).unwrap_or_default();
            let name = String::from_utf8(name.to_vec()).unwrap();
            polls += usize::from(name == "poll");
            if let Some(flow) = number(&event, 47) {
                flows.entry(flow).or_default().push(name);
            }
        }
        let whole = |names: &&Vec<String>| {
            names.starts_with(&["send".into(), "recv".into()]) && names.contains(&"wake".into())
        };
        assert!(flows.values().filter(whole).count() > 50, "{scenario}");
        assert!(flows.values().all(|names| names[0] == "send"));
        assert!(polls > 100);
        // Nothing lasts but the server's wait for the next connection.
        assert_eq!(open.values().sum::<i32>(), 1, "{scenario}");
    }
}

#[test]
fn what_cannot_be_written_is_told_once() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let plan = Scenario::named("calm").unwrap();
    let plan = plan.plan(1, Duration::from_secs(1));
    let mut trace = Perfetto::new(&plan, Full);
    let error = trace.finish().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(trace.finish().is_ok());
}
