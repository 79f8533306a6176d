//! The machine that `sim` runs on: its clock, its readiness, its signals.
//!
//! Waiting is one `ppoll` over four descriptors: the device, one that tells of its
//! link, an eventfd that wakers on other threads write to, and a socket that signal
//! handlers write to.
//! Its timeout has nanoseconds, so a deadline of 50 µs is 50 µs and not a whole
//! millisecond, and a host with nothing to do sleeps in the kernel.
//!
//! To sleep and be woken costs more than to serve a frame, here and on the side
//! that has to wake us. So while frames come fast, [`Platform::wait`] first looks
//! for the next one for a moment ([`HostPlatform::set_spin`]), and sleeps at once
//! as soon as one took longer than that. A host that is idle spins once, then
//! sleeps for good.
//!
//! The wake-up that must not be lost is the one between the loop's last look at
//! its ready tasks and the sleep. The eventfd keeps it: it stays readable until
//! [`Platform::wait`] has drained it. Wakes from the loop's own thread need no
//! system call, since the loop looks before it sleeps; that is nearly all of them.
//!
//! Not here: what to do when a signal came. [`StopFlag`] says that one did.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration as Clocked, Instant as Clock};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use smoltcp::phy::Device;
use smoltcp::time::{Duration, Instant};

use cygnet::Platform;

/// The signals that ask to stop, and the exit status of a second one: a shell's number
/// for a program that ended by it.
const STOPS: [(i32, i32); 3] = [(SIGHUP, 129), (SIGINT, 130), (SIGTERM, 143)];

/// A device whose frames arrive through a file descriptor.
pub trait Readable {
    /// The descriptor that is readable when a frame is there.
    fn fd(&self) -> BorrowedFd<'_>;
    /// Whether a frame was taken from the descriptor and not yet received.
    fn has_buffered(&self) -> bool;
    /// Takes a frame from the descriptor if one is there, without waiting; then
    /// as [`has_buffered`](Readable::has_buffered).
    fn look(&mut self) -> bool {
        self.has_buffered()
    }
    /// The descriptor that is readable when the link came up or went down, if one is.
    fn link_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    /// Hears that it did, without waiting.
    fn hear_link(&mut self) {}
    /// Whether it is up, as far as that was heard.
    fn is_link_up(&self) -> bool {
        true
    }
    /// When what was noted of frames is to be written down, if anything is.
    fn notes_due_at(&self) -> Option<Instant> {
        None
    }
    /// Writes it down, or says once that it cannot be.
    fn write_notes(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Set once somebody asked the program to stop. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets it. The next Ctrl-C then ends the process at once.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// From now on the first SIGINT, SIGTERM or SIGHUP sets it; a second one ends the
    /// process at once, with status 130, 143 or 129. A SIGHUP that is ignored already,
    /// as under `nohup`, stays ignored. Call it once per process: handlers are never
    /// taken back.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn on_signals(&self) -> io::Result<()> {
        for (signal, status) in stops() {
            let flag = &self.0;
            // In this order: the first signal finds the flag clear and sets it;
            // the second finds it set.
            signal_hook::flag::register_conditional_shutdown(signal, status, flag.clone())?;
            signal_hook::flag::register(signal, flag.clone())?;
        }
        Ok(())
    }
}

/// [`STOPS`], as far as whoever started this process wants them heard.
fn stops() -> impl Iterator<Item = (i32, i32)> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let deaf = ignores_hangups(&status);
    STOPS
        .into_iter()
        .filter(move |&(signal, _)| signal != SIGHUP || !deaf)
}

/// Whether a process that `/proc` describes so ignores SIGHUP.
fn ignores_hangups(status: &str) -> bool {
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 << (SIGHUP - 1) != 0)
}

/// A device, this machine's clock and its signals. One per process: wakes from
/// other threads ([`poke`]) have no address.
pub struct HostPlatform<D> {
    device: D,
    start: Clock,
    wake: &'static OwnedFd,
    signal: Option<UnixStream>,
    /// What handlers write to.
    signal_in: Option<UnixStream>,
    stop: StopFlag,
    device_gone: bool,
    spin: Clocked,
    /// The last wait was shorter than `spin`.
    quick: bool,
    _on_loop_thread: OnLoopThread,
}

impl<D: Device + Readable> HostPlatform<D> {
    /// A host whose time starts now.
    ///
    /// # Errors
    /// The kernel has no descriptor left: close some.
    pub fn new(device: D) -> io::Result<HostPlatform<D>> {
        Ok(HostPlatform {
            device,
            start: Clock::now(),
            wake: wake_fd()?,
            signal: None,
            signal_in: None,
            stop: StopFlag::default(),
            device_gone: false,
            spin: Clocked::ZERO,
            quick: true,
            _on_loop_thread: OnLoopThread,
        })
    }

    /// How long to look for the next frame before sleeping, while frames come
    /// that fast. Zero, the default, is to sleep at once; so it is on a machine
    /// with one processor, where whoever sends the next frame needs that one.
    pub fn set_spin(&mut self, spin: Duration) {
        let processors = std::thread::available_parallelism();
        self.spin = match processors {
            Ok(several) if several.get() > 1 => spin.into(),
            _ => Clocked::ZERO,
        };
    }

    /// [`StopFlag::on_signals`] for [`HostPlatform::stop_flag`]; the first
    /// signal also ends a wait.
    ///
    /// # Errors
    /// The kernel has no descriptor left: close some.
    pub fn handle_signals(&mut self) -> io::Result<()> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        self.stop.on_signals()?;
        for (signal, _) in stops() {
            // After the flag: whoever is woken sees it set.
            signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
        }
        (self.signal, self.signal_in) = (Some(read), Some(write));
        Ok(())
    }

    /// A flag that this signal sets, which also ends a wait. After
    /// [`handle_signals`](Self::handle_signals).
    ///
    /// # Errors
    /// The kernel has no descriptor left: close some.
    pub fn flag_on(&self, signal: i32) -> io::Result<Arc<AtomicBool>> {
        let flag = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal, flag.clone())?;
        if let Some(write) = &self.signal_in {
            signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
        }
        Ok(flag)
    }

    /// The flag that says when to stop.
    pub fn stop_flag(&self) -> StopFlag {
        self.stop.clone()
    }

    /// Whether the device was taken away while running; the stop flag is then
    /// set too, since no frame can come any more.
    pub fn device_gone(&self) -> bool {
        self.device_gone
    }

    /// The device, to read its statistics.
    pub fn get_ref(&self) -> &D {
        &self.device
    }

    /// The device, for good: to finish a capture.
    pub fn into_device(self) -> D {
        self.device
    }

    fn elapsed(&self) -> Instant {
        Instant::from_micros(i64::try_from(self.start.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    /// Looks for a frame, a wake or a signal until `limit` passed. True when one
    /// is there.
    fn look(&mut self, start: Clock, limit: Clocked) -> bool {
        while !self.device.look() {
            if WAKE_PENDING.load(Ordering::Acquire) {
                // Or it would end every later wait at once.
                drain_wake(self.wake);
                return true;
            }
            if self.stop.is_set() {
                return true;
            }
            if start.elapsed() >= limit {
                return false;
            }
            std::hint::spin_loop();
        }
        true
    }

    fn poll(&mut self, timeout: Option<Duration>) {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.secs() as i64,
            tv_nsec: (timeout.total_micros() % 1_000_000) as i64 * 1_000,
        });
        // Where there is no descriptor to wait for, the wake fd stands in and is
        // asked for no event.
        let nothing = || PollFd::from_borrowed_fd(self.wake.as_fd(), PollFlags::empty());
        let mut fds = [
            PollFd::from_borrowed_fd(self.wake.as_fd(), PollFlags::IN),
            self.signal
                .as_ref()
                .map_or_else(nothing, |fd| PollFd::new(fd, PollFlags::IN)),
            if self.device_gone {
                nothing()
            } else {
                PollFd::from_borrowed_fd(self.device.fd(), PollFlags::IN)
            },
            match self.device.link_fd() {
                Some(fd) if !self.device_gone => PollFd::from_borrowed_fd(fd, PollFlags::IN),
                _ => nothing(),
            },
        ];
        // An error here can only be EINTR (a signal: return) or a kernel without
        // memory (return too: the caller looks again).
        let Ok(1..) = poll(&mut fds, timeout.as_ref()) else {
            return;
        };
        let [wake, signal, device, link] = fds.map(|fd| fd.revents());
        if !wake.is_empty() {
            drain_wake(self.wake);
        }
        if let (Some(fd), false) = (&self.signal, signal.is_empty()) {
            while matches!(rustix::io::read(fd, &mut [0; 16]), Ok(1..)) {}
        }
        if device.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
            // If it were polled again it would be "ready" for ever, and burn a core.
            self.device_gone = true;
            self.stop.set();
        }
        if !link.is_empty() {
            self.device.hear_link();
        }
    }
}

impl<D: Device + Readable> Platform for HostPlatform<D> {
    type Device = D;

    fn device(&mut self) -> &mut D {
        &mut self.device
    }

    fn now(&mut self) -> Instant {
        self.elapsed()
    }

    fn is_link_up(&mut self) -> bool {
        self.device.is_link_up()
    }

    fn wait(&mut self, deadline: Option<Instant>) {
        ON_LOOP_THREAD.set(true);
        if self.device.has_buffered() {
            return;
        }
        // `elapsed` rounds down, so the rest is never too short: after the wait
        // the deadline has passed.
        let left = |now: Instant| {
            deadline.map(|deadline| match now < deadline {
                true => deadline - now,
                false => Duration::ZERO,
            })
        };
        let timeout = left(self.elapsed());
        if timeout == Some(Duration::ZERO) {
            return;
        }
        let start = Clock::now();
        if self.quick && !self.spin.is_zero() && !self.stop.is_set() {
            let limit = timeout.map_or(self.spin, |left| self.spin.min(left.into()));
            if self.look(start, limit) {
                return;
            }
        }
        let timeout = left(self.elapsed());
        if timeout != Some(Duration::ZERO) {
            self.poll(timeout);
        }
        self.quick = start.elapsed() < 2 * self.spin;
    }
}

static WAKE: OnceLock<OwnedFd> = OnceLock::new();
/// A wake was written and not yet drained: further ones add nothing.
static WAKE_PENDING: AtomicBool = AtomicBool::new(false);

thread_local! {
    static ON_LOOP_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Takes the mark off a thread whose loop is over: it may wake another's.
struct OnLoopThread;

impl Drop for OnLoopThread {
    fn drop(&mut self) {
        ON_LOOP_THREAD.set(false);
    }
}

/// Ends the wait of the process's [`HostPlatform`] from another thread. The
/// loop's own thread calls it for nothing. Never blocks.
///
/// Call it after making what the loop should see visible.
pub fn poke() {
    // Before there is one nobody waits, and whoever begins to looks first.
    if !ON_LOOP_THREAD.get()
        && let Some(wake) = WAKE.get()
        && !WAKE_PENDING.swap(true, Ordering::AcqRel)
    {
        // It can only fail when the counter is full, and then it is readable.
        let _ = rustix::io::write(wake, &1u64.to_ne_bytes());
    }
}

fn wake_fd() -> io::Result<&'static OwnedFd> {
    if WAKE.get().is_none() {
        let fd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let _ = WAKE.set(fd); // if another thread was first, its one serves
    }
    WAKE.get().ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn drain_wake(wake: &OwnedFd) {
    let _ = rustix::io::read(wake, &mut [0; 8]);
    // After the read: a poke in between writes nothing and needs nothing, because
    // this wait ends now and the caller looks at what the poke made visible. The
    // other order could leave the flag set with nothing to read, for ever.
    WAKE_PENDING.swap(false, Ordering::AcqRel);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::tests::Queue;
    use smoltcp::phy::DeviceCapabilities;

    /// A device of which only the descriptor matters.
    struct Pipe(UnixStream, Queue);

    impl Readable for Pipe {
        fn fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
        fn has_buffered(&self) -> bool {
            false
        }
    }

    impl Device for Pipe {
        type RxToken<'a> = <Queue as Device>::RxToken<'a>;
        type TxToken<'a> = <Queue as Device>::TxToken<'a>;
        fn receive(&mut self, now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
            self.1.receive(now)
        }
        fn transmit(&mut self, now: Instant) -> Option<Self::TxToken<'_>> {
            self.1.transmit(now)
        }
        fn capabilities(&self) -> DeviceCapabilities {
            self.1.capabilities()
        }
    }

    fn host() -> (HostPlatform<Pipe>, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        let device = Pipe(near, Queue::default());
        (HostPlatform::new(device).unwrap(), far)
    }

    #[test]
    fn a_hangup_that_is_ignored_stays_ignored() {
        let status = |mask| format!("Name:\tsim\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\n");
        assert!(ignores_hangups(&status("0000000000001001")));
        assert!(!ignores_hangups(&status("0000000000001000")));
        assert!(!ignores_hangups(""));
    }

    /// One test, because pokes and signals belong to the process.
    #[test]
    fn a_wait_ends_for_each_of_its_reasons() {
        use std::io::Write;
        let (mut host, mut far) = host();

        for spin in [0, 20, 1000] {
            host.spin = Clocked::from_micros(spin); // also with one processor
            host.quick = true;

            // A deadline: never early; one in the past, at once.
            let deadline = host.now() + Duration::from_micros(300);
            host.wait(Some(deadline));
            assert!(host.now() >= deadline);
            host.wait(Some(Instant::ZERO));

            // A waker on another thread, many times over. A lost one would hang.
            for _ in 0..100 {
                let other = std::thread::spawn(|| (0..3).for_each(|_| poke()));
                host.wait(None);
                other.join().unwrap();
            }
            // A wake ends a wait or two, and not every one from then on.
            let sleeps = (0..5).any(|_| {
                let deadline = host.now() + Duration::from_micros(300);
                host.wait(Some(deadline));
                host.now() >= deadline
            });
            assert!(sleeps, "wakes are not forgotten");
        }
        // The loop's own thread does not poke itself.
        poke();
        let mut polled = [PollFd::new(host.wake, PollFlags::IN)];
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        drain_wake(host.wake);
        poke();
        assert_eq!(poll(&mut polled, Some(&zero)), Ok(0));

        // A frame.
        far.write_all(b"frame").unwrap();
        host.wait(None);

        // A signal.
        let (mut host, far) = self::host();
        host.handle_signals().unwrap();
        let stop = host.stop_flag();
        assert!(!stop.is_set());
        signal_hook::low_level::raise(SIGTERM).unwrap();
        assert!(stop.is_set());
        host.wait(None);

        // A device that goes away ends one wait and asks to stop; later waits sleep.
        let (mut host, gone) = self::host();
        drop(gone);
        host.wait(None);
        assert!(host.device_gone() && host.stop_flag().is_set());
        let deadline = host.now() + Duration::from_micros(300);
        host.wait(Some(deadline));
        assert!(host.now() >= deadline, "the device no longer ends a wait");
        drop(far);
    }
}
