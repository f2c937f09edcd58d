//! Connections to PostgreSQL: a few, lent to one task at a time, made anew when they break.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, IsolationLevel, NoTls, Row, Statement, Transaction};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls;
use crate::store::StoreError;
use crate::store::columns::Columns;

/// Connections of one hub process. PostgreSQL allows 100 in all unless it was told otherwise.
const CONNECTIONS_MAX: usize = 16;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What is acknowledged must survive a power loss, even where the server's default says otherwise. Rows are always
/// named by key, so to read a whole table is never right, however small the planner believes that it is.
const SESSION: &str = "SELECT set_config('synchronous_commit', 'on', false) \
        WHERE current_setting('synchronous_commit') = 'off'; \
    SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; \
    SET plan_cache_mode = force_generic_plan;";

/// Values of a statement's parameters.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(code) = error.code() else {
            return Self::Unavailable(with_causes(&error));
        };
        if [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
        ]
        .contains(code)
        {
            Self::Contended
        } else if *code == SqlState::UNIQUE_VIOLATION {
            Self::Exists(
                error
                    .as_db_error()
                    .map_or("row", |error| table_word(error.table())),
            )
        } else if *code == SqlState::DISK_FULL {
            Self::Full
        } else {
            // `Display` of a server's error says no more than that there was one.
            Self::Unavailable(error.as_db_error().map_or_else(
                || error.to_string(),
                |error| format!("{}: {}", error.code().code(), error.message()),
            ))
        }
    }
}

/// What went wrong and why: of a failed handshake, `Display` tells only that it failed.
fn with_causes(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}

fn table_word(table: Option<&str>) -> &'static str {
    match table {
        Some("operation") => "operation",
        Some("receipt") => "receipt",
        Some("identifier") => "identifier",
        Some("member") => "member",
        Some("log") => "log",
        Some("block_order") => "block order",
        Some("entity") => "entity",
        Some("proposal") => "proposal",
        Some(_) | None => "row",
    }
}

impl Columns for Row {
    fn number(&self, index: usize) -> Result<i64, StoreError> {
        Ok(self.try_get(index)?)
    }

    fn number_or_null(&self, index: usize) -> Result<Option<i64>, StoreError> {
        Ok(self.try_get(index)?)
    }

    fn flag(&self, index: usize) -> Result<bool, StoreError> {
        Ok(self.try_get(index)?)
    }

    fn text(&self, index: usize) -> Result<String, StoreError> {
        Ok(self.try_get(index)?)
    }

    fn bytes(&self, index: usize) -> Result<Vec<u8>, StoreError> {
        Ok(self.try_get(index)?)
    }
}

/// Connections of one process.
pub(super) struct Pool {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

struct Connection {
    client: Client,
    statements: BTreeMap<&'static str, Statement>,
}

impl Pool {
    /// A pool without connections yet.
    pub(super) fn new(url: &str, root_certificates: Option<&Path>) -> Result<Self, StoreError> {
        let (mut config, tls) = tls::read(url, root_certificates)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        Ok(Self {
            config,
            tls,
            idle: Mutex::new(Vec::new()),
            permits: Semaphore::new(CONNECTIONS_MAX),
        })
    }

    /// A connection of its own that is not lent out, for migrations.
    pub(super) async fn connect(&self) -> Result<Client, StoreError> {
        let client = match &self.tls {
            None => followed(self.config.connect(NoTls).await?),
            Some(tls) => followed(self.config.connect(tls.clone()).await?),
        };
        client.batch_execute(SESSION).await?;
        Ok(client)
    }

    /// Lends a connection; waits while all are lent.
    pub(super) async fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let permit = self
            .permits
            .acquire()
            .await
            .expect("nobody closes the semaphore");
        let idle = self.idle().pop().filter(|idle| !idle.client.is_closed());
        let connection = match idle {
            Some(connection) => connection,
            None => Connection {
                client: self.connect().await?,
                statements: BTreeMap::new(),
            },
        };
        Ok(Lent {
            pool: self,
            connection: Some(connection),
            _permit: permit,
        })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().expect("nothing panics while it is held")
    }
}

/// The client of a connection, which a task of its own drives.
fn followed<S, T>((client, connection): (Client, tokio_postgres::Connection<S, T>)) -> Client
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: TlsStream + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "a connection to PostgreSQL broke");
        }
    });
    client
}

/// A connection on loan. It goes back when this is dropped, unless it broke.
pub(super) struct Lent<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
    _permit: SemaphorePermit<'a>,
}

impl Lent<'_> {
    /// Begins a transaction that sees what others commit meanwhile and locks what it changes.
    pub(super) async fn change(&mut self) -> Result<Session<'_>, StoreError> {
        self.begin(IsolationLevel::ReadCommitted, false).await
    }

    /// Begins a transaction that reads in one view of the data.
    pub(super) async fn view(&mut self) -> Result<Session<'_>, StoreError> {
        self.begin(IsolationLevel::RepeatableRead, true).await
    }

    async fn begin(
        &mut self,
        isolation: IsolationLevel,
        read_only: bool,
    ) -> Result<Session<'_>, StoreError> {
        let Connection { client, statements } = self
            .connection
            .as_mut()
            .expect("a connection is on loan until this is dropped");
        let transaction = client
            .build_transaction()
            .isolation_level(isolation)
            .read_only(read_only)
            .start()
            .await?;
        Ok(Session {
            transaction,
            statements,
        })
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let whole = self
            .connection
            .take()
            .filter(|connection| !connection.client.is_closed());
        self.pool.idle().extend(whole);
    }
}

/// A transaction, and the statements that its connection keeps prepared. Dropped without a commit, it is rolled back.
pub(super) struct Session<'a> {
    transaction: Transaction<'a>,
    statements: &'a mut BTreeMap<&'static str, Statement>,
}

impl Session<'_> {
    /// Rows.
    pub(super) async fn query(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let statement = self.statement(sql).await?;
        Ok(self.transaction.query(&statement, values).await?)
    }

    /// One row, or none.
    pub(super) async fn query_one(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<Option<Row>, StoreError> {
        let statement = self.statement(sql).await?;
        Ok(self.transaction.query_opt(&statement, values).await?)
    }

    /// Changes rows and says how many.
    pub(super) async fn execute(
        &mut self,
        sql: &'static str,
        values: Values<'_>,
    ) -> Result<u64, StoreError> {
        let statement = self.statement(sql).await?;
        Ok(self.transaction.execute(&statement, values).await?)
    }

    /// Makes it durable.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }

    async fn statement(&mut self, sql: &'static str) -> Result<Statement, StoreError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.transaction.prepare(sql).await?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }
}
