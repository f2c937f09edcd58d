//! What the hub looks after by itself: rights that ran out, and budgets of promotions after a publication.

use std::collections::BTreeMap;
use std::time::Duration;

use kopilka_crdt::ids::ProgrammeId;

use crate::app::Hub;
use crate::app::action::{ActionError, Actor};
use crate::app::entities::Programme;
use crate::app::kept;
use crate::app::resources::budgets::match_publication;

/// How often rights that have run out are looked for.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Looks after all programmes until it is aborted.
pub(super) async fn run(hub: Hub) {
    let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
    let mut matched = BTreeMap::new();
    loop {
        ticks.tick().await;
        if let Err(error) = once(&hub, &mut matched).await {
            tracing::warn!(%error, "rights and budgets could not be looked after");
        }
    }
}

/// `matched` has the publication to which each programme's budgets were brought.
///
/// It is done here and not by who publishes, so that a publication whose process died is matched too.
async fn once(hub: &Hub, matched: &mut BTreeMap<ProgrammeId, u32>) -> Result<(), ActionError> {
    for Programme {
        id, publication, ..
    } in kept::list(&*hub.store, "").await?
    {
        hub.keep_rights(id).await?;
        if publication == 0 || matched.get(&id) == Some(&publication) {
            continue;
        }
        for budget in match_publication(hub, &Actor::hub(), id).await? {
            tracing::info!(
                programme = %id,
                promotion = %budget.promotion,
                change = budget.change.0,
                left_over = budget.left_over.0,
                "a promotion's budget was brought to its limit"
            );
        }
        matched.insert(id, publication);
    }
    Ok(())
}
