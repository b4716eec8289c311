//! A clock with which waiting takes no time, for runs that wait a lot.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant, SystemTime};

use nuget_login::clock::Clock;
use sandbox::Sandbox;

/// The system's time plus what was waited, which passes at once. The sandbox's time goes along.
pub(crate) struct FastClock<'a> {
    sandbox: &'a Sandbox,
    began: Instant,
    speed: u32,
    skipped: Cell<Duration>,
    waits: RefCell<Vec<Duration>>,
}

impl<'a> FastClock<'a> {
    /// Waits of the program's own pass at once.
    pub(crate) fn new(sandbox: &'a Sandbox) -> FastClock<'a> {
        FastClock { sandbox, began: Instant::now(), speed: 1, skipped: Cell::default(), waits: RefCell::default() }
    }

    /// Waits for the network pass in a fraction of their time besides, where nothing comes.
    pub(crate) fn impatient(sandbox: &'a Sandbox) -> FastClock<'a> {
        FastClock { speed: 20, ..FastClock::new(sandbox) }
    }

    /// The program's waits between attempts.
    pub(crate) fn waits(&self) -> Vec<Duration> {
        self.waits.borrow().clone()
    }

    /// Time since the beginning, by this clock.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now() - self.began
    }

    fn skip(&self, time: Duration) {
        self.skipped.set(self.skipped.get() + time);
        self.sandbox.advance(time.try_into().unwrap());
    }
}

impl Clock for FastClock<'_> {
    fn now(&self) -> Instant {
        Instant::now() + self.skipped.get()
    }

    fn date(&self) -> SystemTime {
        SystemTime::now() + self.skipped.get()
    }

    fn sleep(&self, time: Duration) {
        self.waits.borrow_mut().push(time);
        self.skip(time);
    }

    fn wait_for(&self, limit: Duration, wait: &mut dyn FnMut(Duration) -> bool) -> bool {
        let real = limit / self.speed;
        let came = wait(real);
        if !came {
            self.skip(limit - real);
        }
        came
    }
}
