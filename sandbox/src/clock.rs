//! The sandbox's clock, which a test can set.

use std::sync::Mutex;

use time::{Duration, OffsetDateTime};

/// The system time plus an offset.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    moved: Mutex<Duration>,
}

impl Clock {
    /// The current time in UTC.
    pub(crate) fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + *self.moved.lock().expect("no holder panics")
    }

    /// Moves the clock forward, or back with a negative duration.
    pub(crate) fn advance(&self, by: Duration) {
        *self.moved.lock().expect("no holder panics") += by;
    }
}
