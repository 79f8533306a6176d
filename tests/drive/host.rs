//! A host's executor: tasks in a queue, and a clock that moves when nobody is in it, to where
//! the next sleep ends or the next frame arrives.

use super::*;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::Wake;

use cygnet::lab::wire::WireEnd;

thread_local! {
    static CLOCK: Cell<Instant> = const { Cell::new(Instant::ZERO) };
    static MOMENTS: RefCell<Vec<Instant>> = const { RefCell::new(Vec::new()) };
    static SLEEPS: RefCell<Vec<(Instant, Waker)>> = const { RefCell::new(Vec::new()) };
}

pub fn now() -> Instant {
    CLOCK.get()
}

/// When something happened, but for the beginning.
pub fn moments() -> Vec<Instant> {
    MOMENTS.take()
}

/// The executor's own timer.
pub struct Timer;

impl Timer {
    pub async fn until(at: Instant) {
        poll_fn(|cx| {
            if at <= now() {
                return Poll::Ready(());
            }
            SLEEPS.with_borrow_mut(|sleeps| sleeps.push((at, cx.waker().clone())));
            Poll::Pending
        })
        .await
    }

    pub async fn after(delay: Duration) {
        Timer::until(now() + delay).await;
    }
}

impl Sleeper for Timer {
    async fn sleep(&mut self, until: Option<Instant>) {
        match until {
            Some(at) => Timer::until(at).await,
            None => pending().await,
        }
    }
}

type Queue = Arc<Mutex<VecDeque<usize>>>;
type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

struct Wakes(usize, Queue);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        let mut queue = self.1.lock().unwrap();
        if !queue.contains(&self.0) {
            queue.push_back(self.0);
        }
    }
}

#[derive(Default)]
pub struct Executor<'a> {
    tasks: Vec<Option<Task<'a>>>,
    queue: Queue,
}

impl<'a> Executor<'a> {
    pub fn new() -> Self {
        CLOCK.set(Instant::ZERO);
        MOMENTS.take();
        SLEEPS.with_borrow_mut(Vec::clear);
        Executor::default()
    }

    fn waker(&self, number: usize) -> Waker {
        Waker::from(Arc::new(Wakes(number, self.queue.clone())))
    }

    /// Gives the task's waker, as an interrupt has it.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + 'a) -> Waker {
        let number = self.tasks.len();
        self.tasks.push(Some(Box::pin(task)));
        self.waker(number).wake();
        self.waker(number)
    }

    pub fn end(&mut self, number: usize) {
        self.tasks[number] = None;
    }

    /// Runs whoever is woken, at this moment.
    pub fn run_now(&mut self) {
        let mut polls = 0;
        loop {
            let next = self.queue.lock().unwrap().pop_front();
            let Some(number) = next else { return };
            polls += 1;
            assert!(polls < 100_000, "somebody spins at {}", now());
            let waker = self.waker(number);
            if let Some(task) = &mut self.tasks[number]
                && task
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_ready()
            {
                self.tasks[number] = None;
            }
        }
    }

    /// Runs until `done`, or nothing is left to happen. `next` says when a frame arrives, and
    /// wakes whoever hears of it.
    pub fn run(
        &mut self,
        next: impl Fn() -> Option<Instant>,
        interrupt: impl Fn(),
        done: impl Fn() -> bool,
    ) {
        loop {
            self.run_now();
            if done() {
                return;
            }
            let sleep = SLEEPS.with_borrow(|sleeps| sleeps.iter().map(|(at, _)| *at).min());
            let frame = next().map(|at| at.max(now()));
            let Some(at) = sleep.into_iter().chain(frame).min() else {
                return;
            };
            CLOCK.set(at.max(now()));
            MOMENTS.with_borrow_mut(|moments| moments.push(now()));
            if frame == Some(at) {
                interrupt();
            }
            let due = SLEEPS.with_borrow_mut(|sleeps| {
                let due = sleeps.extract_if(.., |(at, _)| *at <= now());
                due.collect::<Vec<_>>()
            });
            due.into_iter().for_each(|(_, waker)| waker.wake());
        }
    }
}

/// Two driven nodes and the executor that drives them.
pub struct Pair<'w> {
    pub server: Node<'static>,
    pub client: Node<'static>,
    pub executor: Executor<'w>,
    wire: &'w Wire<64>,
    drivers: [Waker; 2],
    done: std::rc::Rc<Cell<bool>>,
}

async fn drives(node: Node<'static>, end: WireEnd<'_, 64>) {
    drive(node, end, now, Timer).await;
}

pub fn pair(wire: &Wire<64>) -> Pair<'_> {
    let (server, client) = (lasting(1), lasting(2));
    let (near, far) = wire.ends();
    let mut executor = Executor::new();
    let drivers = [
        executor.spawn(drives(server, near)),
        executor.spawn(drives(client, far)),
    ];
    Pair {
        server,
        client,
        executor,
        wire,
        drivers,
        done: Default::default(),
    }
}

impl<'w> Pair<'w> {
    pub fn spawn(&mut self, task: impl Future<Output = ()> + 'w) {
        self.executor.spawn(task);
    }

    /// Runs until this task has ended.
    pub fn run(&mut self, task: impl Future<Output = ()> + 'w) {
        let done = self.done.clone();
        self.spawn(async move {
            task.await;
            done.set(true);
        });
        let (wire, drivers, done) = (self.wire, &self.drivers, &self.done);
        // The chip does not say which end a frame is for: both look.
        let interrupt = || drivers.iter().for_each(Waker::wake_by_ref);
        self.executor
            .run(|| wire.next_delivery(), interrupt, || done.get());
        assert!(done.get(), "nothing is left to happen at {}", now());
    }
}
