//! A hub that serves while commands change its store.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::{Value, json};

use super::bench::Bench;

/// A serving hub; killed if a test fails before it is stopped.
struct Serving {
    child: Child,
    log: BufReader<ChildStderr>,
    http: String,
}

impl Serving {
    fn start(bench: &Bench) -> Self {
        let mut child = bench
            .command(&["run", "--log-format", "json"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let http = loop {
            line.clear();
            assert_ne!(
                log.read_line(&mut line).unwrap(),
                0,
                "the hub ended before it served"
            );
            let event: Value = serde_json::from_str(&line).unwrap();
            if let Some(address) = event["http"].as_str() {
                break address.to_owned();
            }
        };
        Self { child, log, http }
    }

    /// Sends one request and reads the status and the JSON body.
    fn call(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n{headers}\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (
            status,
            serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())),
        )
    }

    /// Asks it to stop; its exit code and the rest of its log.
    fn stop(mut self) -> (Option<i32>, String) {
        let process = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &process])
                .status()
                .unwrap()
                .success()
        );
        let code = self.child.wait().unwrap().code();
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        (code, rest)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Already gone after `stop`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn commands_work_beside_a_serving_hub() {
    let bench = Bench::new();
    let hub = Serving::start(&bench);
    assert_eq!(hub.call("GET", "/readyz", "", "").0, 204);
    bench.furnish();
    let add = ["staff", "add", "--login", "olga", "--role", "owner"];
    assert!(bench.run(&add, "correct horse battery\n").status.success());

    let body = json!({ "login": "olga", "password": "correct horse battery" }).to_string();
    let (status, session) = hub.call("POST", "/v1/sessions", "", &body);
    assert_eq!(status, 201, "{session}");
    let bearer = format!(
        "authorization: Bearer {}\r\n",
        session["token"].as_str().unwrap()
    );
    let (status, programmes) = hub.call("GET", "/v1/programmes", &bearer, "");
    assert_eq!((status, &programmes["items"][0]["id"]), (200, &json!("p1")));
    let till = json!({ "name": "1" }).to_string();
    assert_eq!(
        hub.call("POST", "/v1/stores/s1/tills", &bearer, &till).0,
        201
    );
    assert_eq!(
        bench.json(&["till", "list", "--store", "s1"])[0]["id"],
        "t1"
    );
    let (status, metrics) = hub.call("GET", "/metrics", "", "");
    assert_eq!(status, 200);
    assert!(
        metrics
            .as_str()
            .unwrap()
            .contains("process_start_time_seconds"),
        "{metrics}"
    );

    let (code, log) = hub.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("the hub has stopped"), "{log}");
    assert!(!log.contains("correct horse"));
}

#[test]
fn an_address_that_is_taken_has_an_exit_code() {
    let bench = Bench::new();
    let hub = Serving::start(&bench);
    let (code, told) = bench.fails(&["run", "--http-listen", &hub.http]);
    assert_eq!(code, 5, "{told}");
}
