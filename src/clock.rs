//! Time, named once: the program waits and gives up by this, and tests put another in its place.

use std::time::{Duration, Instant, SystemTime};

/// What tells the time and waits.
pub trait Clock {
    /// This moment, for measuring; never goes back.
    fn now(&self) -> Instant;

    /// This moment on the calendar, for the dates in answers.
    fn date(&self) -> SystemTime;

    /// Waits.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()>;

    /// What `future` gives, or `None` if it takes longer than `limit`.
    fn within<F: Future>(&self, limit: Duration, future: F) -> impl Future<Output = Option<F::Output>>;
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

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn within<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        tokio::time::timeout(limit, future).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_clock_waits_and_gives_up() {
        let time = Duration::from_millis(30);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let began = Instant::now();
        runtime.block_on(SystemClock.sleep(time));
        assert!(began.elapsed() >= time);
        assert_eq!(runtime.block_on(SystemClock.within(time, std::future::pending::<()>())), None);
        assert!(began.elapsed() >= 2 * time);
        assert_eq!(runtime.block_on(SystemClock.within(time, async { 7 })), Some(7));
    }
}
