//! The sandbox's time, which a test can move on.

use std::sync::Mutex;

use time::{Duration, OffsetDateTime};

/// The system's time plus what it was moved by.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    moved: Mutex<Duration>,
}

impl Clock {
    /// Now, in UTC.
    pub(crate) fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + *self.moved.lock().expect("no holder panics")
    }

    /// Moves the time on, or back with a negative duration.
    pub(crate) fn advance(&self, by: Duration) {
        *self.moved.lock().expect("no holder panics") += by;
    }
}
