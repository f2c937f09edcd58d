//! A PostgreSQL of its own that takes TLS connections only, with a certificate made for the test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kopilka_hub::store::{self, StoreError, StoreSettings};
use tempfile::TempDir;

use crate::subject::PARTITIONS;

const ADMIT_TLS_ONLY: &str = "hostssl all all 127.0.0.1/32 trust\n";

/// Stops when it is dropped.
struct Server {
    folder: TempDir,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let server = Self { folder, port };
        certificate(&server.path("server"), "localhost");
        if is_root() {
            // PostgreSQL refuses to run as root, and its key must be its own.
            done(
                Command::new("chown")
                    .args(["-R", "postgres"])
                    .arg(server.folder.path()),
            );
        }
        let data = server.path("data");
        done(
            server
                .program("initdb")
                .args(["--username=kopilka", "--auth=trust", "--pgdata"])
                .arg(&data),
        );
        std::fs::write(data.join("pg_hba.conf"), ADMIT_TLS_ONLY).unwrap();
        let folder = server.folder.path().display();
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='{folder}' -c ssl=on \
             -c ssl_cert_file='{folder}/server.crt' -c ssl_key_file='{folder}/server.key'"
        );
        let log = server.path("log");
        let mut start = server.program("pg_ctl");
        start
            .args(["start", "--wait", "--options", &options, "--pgdata"])
            .arg(&data);
        done(start.arg("--log").arg(&log));
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program of PostgreSQL, run by a user that it accepts.
    fn program(&self, name: &str) -> Command {
        let program = programs().join(name);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.folder.path());
        command
    }

    /// A connection string with a name for the server, which stands at 127.0.0.1 whatever it is called.
    fn url(&self, host: &str, more: &str) -> String {
        let port = self.port;
        format!("host={host} hostaddr=127.0.0.1 port={port} user=kopilka dbname=postgres {more}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.path("data");
        let mut stop = self.program("pg_ctl");
        let _ = stop
            .args(["stop", "--mode=immediate", "--pgdata"])
            .arg(data)
            .output();
    }
}

/// A port that nobody listens at.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn is_root() -> bool {
    let user = done(Command::new("id").arg("-u"));
    user.stdout.trim_ascii() == b"0"
}

/// Debian keeps the programs of PostgreSQL out of the path.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let folders = versions.map(|version| version.unwrap().path().join("bin"));
    let mut whole: Vec<_> = folders.filter(|bin| bin.join("initdb").exists()).collect();
    whole.sort();
    whole.pop().expect("PostgreSQL is installed")
}

/// `path`.crt, signed by itself for one host, and `path`.key.
fn certificate(path: &Path, host: &str) {
    let mut request = Command::new("openssl");
    request.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
    ]);
    request.args(["-nodes", "-days", "2", "-subj", "/CN=kopilka test"]);
    request.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    request.args(["-addext", &format!("subjectAltName=DNS:{host}")]);
    request.arg("-out").arg(path.with_extension("crt"));
    request.arg("-keyout").arg(path.with_extension("key"));
    done(&mut request);
}

fn done(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}");
    output
}

fn verified(url: String, root_certificates: PathBuf) -> StoreSettings {
    StoreSettings::PostgresVerified {
        url,
        partitions: PARTITIONS,
        root_certificates,
    }
}

#[tokio::test]
async fn the_server_proves_who_it_is() {
    let server = Server::start();
    let roots = server.path("server.crt");
    let full = "sslmode=verify-full";
    let settings = verified(server.url("localhost", full), roots.clone());
    let store = store::open(&settings).await.unwrap();
    store.ping().await.unwrap();

    certificate(&server.path("other"), "localhost");
    let refused = [
        (server.url("elsewhere", full), roots, "not valid for name"),
        (
            server.url("localhost", full),
            server.path("other.crt"),
            "invalid peer certificate",
        ),
    ];
    for (url, roots, reason) in refused {
        let outcome = store::open(&verified(url, roots)).await.err();
        let is_told =
            matches!(&outcome, Some(StoreError::Unavailable(text)) if text.contains(reason));
        assert!(is_told, "{reason}: {outcome:?}");
    }
}

#[tokio::test]
async fn encryption_alone_is_to_be_had_too() {
    let server = Server::start();
    let open = async |more: &str| {
        let settings = StoreSettings::Postgres {
            url: server.url("elsewhere", more),
            partitions: PARTITIONS,
        };
        store::open(&settings).await
    };
    open("sslmode=require").await.unwrap().ping().await.unwrap();
    let in_clear = open("").await.err();
    assert!(
        matches!(&in_clear, Some(StoreError::Unavailable(text)) if text.contains("no encryption")),
        "{in_clear:?}"
    );
}
