//! A fresh database on the PostgreSQL server that the environment names.

use anyhow::Context;
use tokio_postgres::NoTls;

/// A connection string such as `host=/tmp user=postgres dbname=postgres`, of a role that may create databases.
pub const VARIABLE: &str = "KOPILKA_TEST_POSTGRES";

/// A database of this run.
pub struct Database {
    base: String,
    name: String,
    /// How to reach it.
    pub url: String,
}

impl Database {
    /// Makes a database; none when no server is named.
    pub async fn create() -> anyhow::Result<Option<Self>> {
        let Ok(base) = std::env::var(VARIABLE) else {
            return Ok(None);
        };
        let name = format!("kopilka_measure_{}", std::process::id());
        execute(&base, &format!("CREATE DATABASE {name}")).await?;
        // A later word takes the place of an earlier one.
        let url = format!("{base} dbname={name}");
        Ok(Some(Self { base, name, url }))
    }

    /// Drops it, whoever is connected.
    pub async fn drop(self) -> anyhow::Result<()> {
        execute(
            &self.base,
            &format!("DROP DATABASE {} WITH (FORCE)", self.name),
        )
        .await
    }
}

async fn execute(url: &str, statement: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .with_context(|| format!("cannot reach the server that {VARIABLE} names"))?;
    let driver = tokio::spawn(connection);
    client.batch_execute(statement).await?;
    drop(client);
    driver.await??;
    Ok(())
}
