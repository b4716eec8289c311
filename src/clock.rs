//! Time: the program measures and waits by this, and tests replace it.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Tells the time and waits.
pub trait Clock {
    /// This moment, for measuring; never goes back.
    fn now(&self) -> Instant;

    /// This moment on the calendar, for the dates in responses.
    fn date(&self) -> SystemTime;

    /// Waits.
    fn sleep(&self, time: Duration);

    /// Calls `wait`, which waits for something outside the program for at most the time that it is given, and returns
    /// whether it came.
    fn wait_for(&self, limit: Duration, wait: &mut dyn FnMut(Duration) -> bool) -> bool;
}

/// The system's time.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn date(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, time: Duration) {
        thread::sleep(time);
    }

    fn wait_for(&self, limit: Duration, wait: &mut dyn FnMut(Duration) -> bool) -> bool {
        wait(limit)
    }
}
