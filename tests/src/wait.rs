//! Waiting for a condition, never for a time.

use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

/// Time between two looks at a condition.
pub const POLL: Duration = Duration::from_millis(20);

/// Looks until `probe` gives something, for at most `bound`; `what` says in the error what did not come.
pub async fn until<T>(
    what: &str,
    bound: Duration,
    mut probe: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = probe().await? {
            return Ok(found);
        }
        if started.elapsed() > bound {
            bail!("{what}: not within {} s", bound.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}
