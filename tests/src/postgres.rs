//! Fresh databases on the PostgreSQL server that the environment names.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, bail};
use tokio_postgres::NoTls;

/// A connection string such as `host=/tmp user=kopilka dbname=kopilka_test`.
const VARIABLE: &str = "KOPILKA_TEST_POSTGRES";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Makes a database; gives its name and a connection string.
pub async fn create() -> anyhow::Result<(String, String)> {
    let base = base()?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("kopilka_e2e_{}_{number}", std::process::id());
    execute(&base, &format!("CREATE DATABASE {name}")).await?;
    let url = format!("{base} dbname={name}");
    Ok((name, url))
}

/// Drops a database, whoever is connected to it.
pub async fn drop(name: &str) -> anyhow::Result<()> {
    execute(&base()?, &format!("DROP DATABASE {name} WITH (FORCE)")).await
}

/// The connection string without its database, which a later `dbname` takes the place of.
fn base() -> anyhow::Result<String> {
    let Ok(base) = std::env::var(VARIABLE) else {
        bail!(
            "this test needs PostgreSQL: set {VARIABLE} to a connection string of a role that may create databases, \
             such as `host=/tmp user=postgres dbname=postgres`, or run `tests/run all_tests`, which starts a server"
        );
    };
    if base.contains("://") {
        bail!("{VARIABLE} must have the form `host=… user=… dbname=…`");
    }
    Ok(base)
}

async fn execute(url: &str, statement: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .with_context(|| format!("cannot reach the server that {VARIABLE} names"))?;
    let driver = tokio::spawn(connection);
    client.batch_execute(statement).await?;
    std::mem::drop(client);
    driver.await??;
    Ok(())
}
