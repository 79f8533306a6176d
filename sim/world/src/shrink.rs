//! From a run that fails to the least that still fails the same way: kinds of
//! faults go first, then hosts, then halves of the facts that are left (ddmin:
//! Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input",
//! 2002); then what is left becomes shorter, earlier and smaller. At the end no
//! single fact can go.
//!
//! Not here: what it means to fail. The caller runs each plan and says.

use smoltcp::time::{Duration, Instant};

use super::fate::{Fates, FrameId, Twist};
use super::lie::{Habit, Habits};
use super::plan::{Blow, Caller, Plan, Role, Strike, Visitor};

/// How far it is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being tried.
    pub step: &'static str,
    /// Plans run so far.
    pub runs: u64,
    /// Facts that are left.
    pub facts: usize,
}

/// Shrinks `plan`, which fails. `fails` runs a plan and says whether it still
/// fails the same way, or `None` to stop here with the best so far; `progress`
/// is told after each run.
pub fn shrink(
    plan: Plan,
    fails: impl FnMut(&Plan) -> Option<bool>,
    progress: impl FnMut(Progress),
) -> Plan {
    let mut search = Search {
        best: plan,
        fails,
        progress,
        step: "",
        runs: 0,
        over: false,
    };
    // Smaller faults can make hosts superfluous and the other way around.
    loop {
        let before = search.best.clone();
        search.kinds();
        search.hosts();
        search.facts();
        search.sizes();
        if search.over || search.best == before {
            return search.best;
        }
    }
}

/// A fact that can go without the others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fact {
    Strike(Strike),
    Fate(FrameId, Twist),
}

fn facts(plan: &Plan) -> Vec<Fact> {
    let strikes = plan.strikes.iter().map(|strike| Fact::Strike(*strike));
    let fates = plan.fates.iter();
    strikes
        .chain(fates.map(|(frame, twist)| Fact::Fate(frame, twist)))
        .collect()
}

fn with_facts(plan: &Plan, facts: impl Iterator<Item = Fact>) -> Plan {
    let (mut strikes, mut fates) = (Vec::new(), Fates::default());
    for fact in facts {
        match fact {
            Fact::Strike(strike) => strikes.push(strike),
            Fact::Fate(frame, twist) => drop(fates.add(frame, twist)),
        }
    }
    Plan {
        strikes,
        fates,
        ..plan.clone()
    }
}

/// The word of a fact's kind.
fn kind(fact: &Fact) -> &'static str {
    match fact {
        Fact::Fate(_, twist) => twist.word(),
        Fact::Strike(strike) => match strike.blow {
            Blow::Crash | Blow::Boot => "boot",
            Blow::Pause | Blow::Resume => "pause",
            Blow::Drift(_) => "drift",
            Blow::Jump(_) => "jump",
            Blow::Cut { .. } | Blow::Join => "cut",
            Blow::Link(_) => "link",
            Blow::Unplug | Blow::Plug => "unplug",
        },
    }
}

/// The plan without one place, if nothing needs that place.
fn without_place(plan: &Plan, gone: usize) -> Option<Plan> {
    if plan.places[gone].role.is_of_test() {
        return None;
    }
    if plan
        .places
        .iter()
        .any(|place| place.role.needs() == Some(gone))
    {
        return None;
    }
    let parent = plan.places[gone].on;
    let moved = |index: usize| index - usize::from(index > gone);
    let mut small = plan.clone();
    small.places.remove(gone);
    for place in &mut small.places {
        place.on = match place.on {
            Some(on) if on == gone => parent,
            on => on,
        };
        place.on = place.on.map(moved);
        if let Some(to) = place.role.needs_mut() {
            *to = moved(*to);
        }
    }
    small.strikes.retain(|strike| strike.place != gone);
    for strike in &mut small.strikes {
        strike.place = moved(strike.place);
    }
    let rest = plan
        .fates
        .iter()
        .filter(|(frame, _)| frame.link as usize != gone);
    small.fates = rest
        .map(|(frame, twist)| {
            let link = moved(frame.link as usize) as u32;
            (FrameId { link, ..frame }, twist)
        })
        .collect();
    Some(small)
}

/// The plan without each of its facts in turn, where that leaves a plan. When none
/// of these fails, nothing more can be left out.
pub fn each_without(plan: &Plan) -> Vec<Plan> {
    let all = facts(plan);
    let without = |gone: usize| {
        let rest = all.iter().enumerate().filter(|(index, _)| *index != gone);
        with_facts(plan, rest.map(|(_, fact)| *fact))
    };
    let places = (0..plan.places.len()).filter_map(|place| without_place(plan, place));
    places.chain((0..all.len()).map(without)).collect()
}

struct Search<F, P> {
    best: Plan,
    fails: F,
    progress: P,
    step: &'static str,
    runs: u64,
    over: bool,
}

impl<F: FnMut(&Plan) -> Option<bool>, P: FnMut(Progress)> Search<F, P> {
    /// Keeps `plan` if it still fails.
    fn keep(&mut self, plan: Plan) -> bool {
        if self.over || plan == self.best {
            return false;
        }
        let answer = (self.fails)(&plan);
        self.runs += 1;
        self.over = answer.is_none();
        let better = answer == Some(true);
        if better {
            self.best = plan;
        }
        (self.progress)(Progress {
            step: self.step,
            runs: self.runs,
            facts: self.best.facts(),
        });
        better
    }

    fn kinds(&mut self) {
        self.step = "kinds of faults";
        let mut kinds: Vec<&str> = facts(&self.best).iter().map(kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for gone in kinds {
            let rest = facts(&self.best)
                .into_iter()
                .filter(|fact| kind(fact) != gone);
            self.keep(with_facts(&self.best, rest));
        }
    }

    fn hosts(&mut self) {
        self.step = "hosts";
        let mut place = self.best.places.len();
        while place > 0 {
            place -= 1;
            if let Some(small) = without_place(&self.best, place) {
                self.keep(small);
            }
        }
    }

    /// ddmin on strikes and fates: tries to drop chunks, smaller and smaller ones.
    fn facts(&mut self) {
        self.step = "facts";
        let mut chunk = facts(&self.best).len().max(1);
        loop {
            let mut start = 0;
            let mut dropped = false;
            loop {
                let all = facts(&self.best);
                if start >= all.len() || self.over {
                    break;
                }
                let gone = start..(start + chunk).min(all.len());
                let rest = all.into_iter().enumerate();
                let rest = rest.filter(|(index, _)| !gone.contains(index));
                match self.keep(with_facts(&self.best, rest.map(|(_, fact)| fact))) {
                    true => dropped = true,
                    false => start += chunk,
                }
            }
            match chunk {
                1 if !dropped => return,
                1 => (),
                _ => chunk = chunk.div_ceil(2),
            }
            if self.over {
                return;
            }
        }
    }

    /// Less of everything that has a size.
    fn sizes(&mut self) {
        self.step = "sizes";
        for place in 0..self.best.places.len() {
            for change in VISITOR_CHANGES {
                while self.change_visitor(place, change) {}
            }
            for change in CALLER_CHANGES {
                while self.change_caller(place, change) {}
            }
        }
        let heals = |plan: &mut Plan, heal: Instant| {
            let after = plan.limit - plan.heal;
            (plan.heal, plan.limit) = (heal, heal + after);
        };
        loop {
            let mut small = self.best.clone();
            let half = Instant::from_micros(self.best.heal.total_micros() / 2);
            heals(&mut small, half);
            if half.total_micros() < 1000 || !self.keep(small) {
                break;
            }
        }
        self.durations();
    }

    /// Rounds and halves the durations of faults.
    fn durations(&mut self) {
        let mut index = 0;
        while index < facts(&self.best).len() && !self.over {
            loop {
                let mut all = facts(&self.best);
                let Some(smaller) = all.get(index).and_then(smaller) else {
                    break;
                };
                all[index] = smaller;
                if !self.keep(with_facts(&self.best, all.into_iter())) {
                    break;
                }
            }
            index += 1;
        }
    }

    fn change_caller(&mut self, place: usize, change: fn(&mut Caller)) -> bool {
        let mut small = self.best.clone();
        if let Role::Caller(caller) = &mut small.places[place].role {
            change(caller);
        }
        self.keep(small)
    }

    fn change_visitor(&mut self, place: usize, change: fn(&mut Visitor)) -> bool {
        let mut small = self.best.clone();
        if let Role::Visitor(visitor) = &mut small.places[place].role {
            change(visitor);
        }
        self.keep(small)
    }
}

/// A fact with half the duration.
fn smaller(fact: &Fact) -> Option<Fact> {
    let half = |time: Duration| {
        let micros = time.total_micros() / 2;
        (micros >= 1000).then(|| Duration::from_micros(micros / 1000 * 1000))
    };
    Some(match *fact {
        Fact::Fate(frame, twist) => Fact::Fate(
            frame,
            match twist {
                Twist::Lose | Twist::Flip(_) => return None,
                Twist::Late(time) => Twist::Late(half(time)?),
                Twist::Spike(time) => Twist::Spike(half(time)?),
                Twist::Hold(time) => Twist::Hold(half(time)?),
                Twist::Twice(time) => Twist::Twice(half(time)?),
            },
        ),
        Fact::Strike(strike) => Fact::Strike(match strike.blow {
            Blow::Jump(time) => Strike {
                blow: Blow::Jump(half(time)?),
                ..strike
            },
            Blow::Drift(ppm) if ppm.abs() > 1000 => Strike {
                blow: Blow::Drift(ppm / 2),
                ..strike
            },
            _ => return None,
        }),
    })
}

const CALLER_CHANGES: [fn(&mut Caller); 12] = [
    |caller| caller.visits = caller.visits.min(1),
    |caller| caller.visits /= 2,
    |caller| caller.habits = Habits::default(),
    |caller| caller.habits = caller.habits.without(Habit::Counts),
    |caller| caller.habits = caller.habits.without(Habit::Delays),
    |caller| caller.habits = caller.habits.without(Habit::Plain),
    |caller| caller.habits = caller.habits.without(Habit::Sacks),
    |caller| caller.habits = caller.habits.without(Habit::Recuts),
    |caller| caller.start = Duration::ZERO,
    |caller| caller.bytes = caller.bytes.div_ceil(2),
    |caller| caller.pause /= 2,
    |caller| caller.v6 = false,
];

const VISITOR_CHANGES: [fn(&mut Visitor); 10] = [
    |visitor| visitor.visits = visitor.visits.min(1),
    |visitor| visitor.visits = visitor.visits.min(2 * visitor.visits.min(8) / 3),
    |visitor| visitor.visits = visitor.visits.min(1 << 10).div_ceil(2),
    |visitor| visitor.lanes = visitor.lanes.div_ceil(2),
    |visitor| visitor.requests /= 2,
    |visitor| visitor.bytes = visitor.bytes.div_ceil(2),
    |visitor| visitor.start = Duration::ZERO,
    |visitor| visitor.pause = Duration::ZERO,
    |visitor| visitor.gap = Duration::ZERO,
    |visitor| visitor.v6 = false,
];

#[cfg(test)]
mod tests {
    use super::super::scenario::Scenario;
    use super::*;

    /// A chaotic plan, with fates.
    fn big() -> Plan {
        let scenario = Scenario::named("chaos").unwrap();
        let mut plan = scenario.plan(7, scenario.horizon);
        for number in 0..200 {
            let frame = FrameId {
                link: (number % 3) as u32,
                way: super::super::fate::Way::Forth,
                number,
            };
            plan.fates
                .add(frame, Twist::Late(Duration::from_millis(number)));
            if number % 2 == 0 {
                plan.fates.add(frame, Twist::Lose);
            }
        }
        plan
    }

    /// Whether a frame of this place's link, by its name, is lost.
    fn loses(plan: &Plan, name: &str, number: u64) -> bool {
        let link = plan.place(name).unwrap_or(usize::MAX) as u32;
        let mut all = plan.fates.iter();
        all.any(|(frame, twist)| (frame.link, frame.number, twist) == (link, number, Twist::Lose))
    }

    #[test]
    fn what_matters_is_left_and_nothing_else() {
        let plan = big();
        let fails = |plan: &Plan| Some(loses(plan, "c2", 32) && loses(plan, "c1", 4));
        assert_eq!(fails(&plan), Some(true));
        let mut last = usize::MAX;
        let small = shrink(plan, fails, |progress| {
            assert!(progress.facts <= last);
            last = progress.facts;
        });
        let names: Vec<&str> = small.places.iter().map(|place| &*place.name).collect();
        assert_eq!(names, ["server", "c1", "c2"]);
        assert_eq!((small.strikes.len(), small.fates.iter().count()), (0, 2));
    }

    #[test]
    fn it_stops_when_told_with_the_best_so_far() {
        let mut left = 3;
        let small = shrink(
            big(),
            |_| {
                left -= 1;
                (left > 0).then_some(true)
            },
            |_| (),
        );
        assert!(small.facts() < big().facts());
    }
}
