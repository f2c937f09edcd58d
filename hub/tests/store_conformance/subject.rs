//! Databases of their own for tests.

use std::sync::Arc;

use kopilka_hub::store::{self, Store, StoreError, StoreSettings};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

const POSTGRES_VARIABLE: &str = "KOPILKA_TEST_POSTGRES";
const MISSING_POSTGRES: &str = "these tests need PostgreSQL: run `tests/run`, which starts one, or set \
    KOPILKA_TEST_POSTGRES to the connection string of a server where databases may be made, \
    such as `host=/run/postgresql user=postgres dbname=postgres`";
/// Feed partitions of test databases in PostgreSQL.
pub const PARTITIONS: u16 = 4;

/// A database that is removed in the end.
pub struct Subject {
    /// How to open it.
    pub settings: StoreSettings,
    _keep: Keep,
}

enum Keep {
    Folder { _folder: TempDir },
    Database { server: String, name: String },
}

impl Subject {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.db");
        Self {
            settings: StoreSettings::Sqlite { path },
            _keep: Keep::Folder { _folder: folder },
        }
    }

    pub async fn postgres() -> Self {
        let server = std::env::var(POSTGRES_VARIABLE).expect(MISSING_POSTGRES);
        let name = format!("kopilka_test_{:016x}", getrandom::u64().unwrap());
        connect(&server)
            .await
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        Self {
            settings: StoreSettings::Postgres {
                // The last of two settings with one name counts.
                url: format!("{server} dbname={name}"),
                partitions: PARTITIONS,
            },
            _keep: Keep::Database { server, name },
        }
    }

    /// Another process's view of the database.
    pub async fn open(&self) -> Arc<dyn Store> {
        self.try_open().await.unwrap()
    }

    pub async fn try_open(&self) -> Result<Arc<dyn Store>, StoreError> {
        store::open(&self.settings).await
    }

    /// Runs SQL behind the store's back.
    pub async fn execute(&self, sql: &str) {
        self.try_execute(sql).await.unwrap();
    }

    /// The same, with what the database says against it.
    pub async fn try_execute(&self, sql: &str) -> Result<(), String> {
        match &self.settings {
            StoreSettings::Sqlite { path } => {
                let connection = rusqlite::Connection::open(path).unwrap();
                let done = connection.execute_batch(sql);
                done.map_err(|error| error.to_string())
            }
            StoreSettings::Postgres { url, .. } | StoreSettings::PostgresVerified { url, .. } => {
                let done = connect(url).await.batch_execute(sql).await;
                done.map_err(|error| format!("{error:?}"))
            }
        }
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        let Self::Database { server, name } = self else {
            return;
        };
        let (server, sql) = (server.clone(), format!("DROP DATABASE {name} WITH (FORCE)"));
        // The test's own runtime may be shutting down.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async { connect(&server).await.batch_execute(&sql).await.unwrap() });
        });
        dropping.join().unwrap();
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
