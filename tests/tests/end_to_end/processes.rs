//! The programs as an operator sees them: exit codes, settings, health, and how they stop.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, ensure};
use kopilka_tests::{Chain, ChainPlan, Engine, Http, Scene, programs, run_to_end};
use tokio::process::Command;

use crate::load::{self, Load};

const BOUND: Duration = Duration::from_secs(20);

/// The exit code of a command, and what it printed.
async fn code(command: &mut Command) -> anyhow::Result<(i32, String)> {
    let output = run_to_end(command).await?;
    let code = output.status.code().context("ended by a signal")?;
    let text = [output.stdout, output.stderr].concat();
    Ok((code, String::from_utf8_lossy(&text).into_owned()))
}

#[tokio::test]
async fn each_failure_has_its_exit_code() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(90), async |scene| {
        let mut chain = Chain::start(scene, ChainPlan::small(&[Engine::Redb])).await?;
        let unknown_key = scene.folder().join("unknown.toml");
        std::fs::write(&unknown_key, "lisen = '127.0.0.1:1'\n")?;
        let config = unknown_key.to_string_lossy().into_owned();
        for program in [&programs().await?.hub, &programs().await?.node] {
            let name = program.display();
            for (arguments, expected) in [
                (&["frobnicate"][..], 2),
                (&["run", "--no-such-flag"], 2),
                (&["run", "--config", &config], 3),
                (&["run", "--config", "/nonexistent.toml"], 3),
                (&["--version"], 0),
                (&["--help"], 0),
            ] {
                let (code, text) = code(Command::new(program).args(arguments)).await?;
                ensure!(
                    code == expected,
                    "{name} {arguments:?} ended with {code}: {text}"
                );
            }
            let (code, help) = code(Command::new(program).arg("--help")).await?;
            ensure!(code == 0 && help.contains("Exit codes"), "{help}");
        }
        let node = &chain.nodes[0];
        let (locked, text) = code(node.command().await?.arg("run")).await?;
        ensure!(
            locked == 4,
            "a second process on one store ended with {locked}: {text}"
        );
        let (taken, text) = code(chain.hub().command().await?.arg("run")).await?;
        ensure!(
            taken == 5,
            "a second hub on one address ended with {taken}: {text}"
        );

        chain.nodes[0].stop().await?;
        let occupied = TcpListener::bind(chain.nodes[0].address)?;
        let (taken, text) = code(chain.nodes[0].command().await?.arg("run")).await?;
        ensure!(
            taken == 5,
            "a node on a taken address ended with {taken}: {text}"
        );
        drop(occupied);
        let once = chain.code(0).await?;
        chain.nodes[0].data_dir = scene.folder().join("new");
        let (fresh, text) = code(chain.nodes[0].command().await?.arg("run")).await?;
        ensure!(
            fresh == 6,
            "a node without enrolment ended with {fresh}: {text}"
        );
        chain.nodes[0].enrol(&once).await?;
        chain.nodes[0].data_dir = scene.folder().join("another");
        let (used, text) = code(chain.nodes[0].command().await?.args(["enrol", &once])).await?;
        ensure!(used == 6, "a used code ended with {used}: {text}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn settings_come_from_file_environment_and_flags() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(60), async |scene| {
        let programs = programs().await?;
        for (program, prefix) in [
            (&programs.hub, "KOPILKA_HUB"),
            (&programs.node, "KOPILKA_NODE"),
        ] {
            let file = scene.folder().join(format!("{prefix}.toml"));
            std::fs::write(
                &file,
                "http_listen = '127.0.0.1:1001'\n[log]\nlevel = 'warn'\n",
            )?;
            let show = || {
                let mut command = Command::new(program);
                command
                    .args(["run", "--print-config", "--config"])
                    .arg(&file);
                command
            };
            let mut by_environment = show();
            by_environment.env(format!("{prefix}_HTTP_LISTEN"), "127.0.0.1:1002");
            let mut by_flag = show();
            by_flag
                .env(format!("{prefix}_HTTP_LISTEN"), "127.0.0.1:1002")
                .args(["--http-listen", "127.0.0.1:1003"]);
            for (command, port) in [
                (&mut show(), 1001),
                (&mut by_environment, 1002),
                (&mut by_flag, 1003),
            ] {
                let (code, text) = code(command).await?;
                let listens = text.contains(&format!("http_listen = \"127.0.0.1:{port}\""));
                ensure!(
                    code == 0 && listens && text.contains("level = \"warn\""),
                    "{text}"
                );
            }
            let (code, text) = code(show().env(format!("{prefix}_HTTP_LISTEN"), "nowhere")).await?;
            ensure!(code == 3 && text.contains("http_listen"), "{code}: {text}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn both_programs_drain_and_answer_for_their_health() -> anyhow::Result<()> {
    Scene::run(Duration::from_secs(120), async |scene| {
        let mut chain = Chain::start(scene, ChainPlan::small(&[Engine::Redb])).await?;
        let load = Load::of(chain.nodes[0].till(), 4).await?;
        let till = chain.nodes[0].till().clone();
        let open = [
            Http::new(chain.nodes[0].address, "")?,
            Http::new(chain.hub().address, "")?,
        ];
        for http in &open {
            for path in ["/healthz", "/readyz"] {
                ensure!(http.get(path).await?.is_success(), "{path}");
            }
            let contract = http.get("/openapi.json").await?.ok()?;
            ensure!(contract["openapi"].is_string() && contract["paths"].is_object());
            let (status, metrics) = http.text("/metrics").await?;
            ensure!(
                status.is_success() && metrics.contains("# TYPE process_"),
                "{metrics}"
            );
            let lost = http.get("/v1/no-such-thing").await?;
            ensure!(lost.status == 404 || lost.status == 401, "{lost:?}");
            ensure!(
                !lost.code().is_empty(),
                "a refusal is a problem document: {lost:?}"
            );
        }

        // Asked to stop amid sales, the node ends well, and so does the hub.
        let stops = async {
            load.reaches(60).await;
            let node = chain.nodes[0].stop().await?;
            chain.nodes[0].start().await?;
            load.reaches(120).await;
            let hub = chain.hubs[0].stop().await?;
            chain.hubs[0].restart().await?;
            anyhow::Ok((node, hub))
        };
        let (stopped, sold) = tokio::join!(stops, load.sell(&till, 0..200, 4));
        let (node, hub) = stopped?;
        ensure!(
            node.code() == Some(0) && hub.code() == Some(0),
            "{node:?}, {hub:?}"
        );
        let sold = sold?;
        load::check_node(&till, &sold).await?;
        load::check_chain(&chain, &load, &sold, BOUND).await?;

        // A node that is level leaves nothing behind for its next start.
        chain.nodes[0].level(BOUND).await?;
        ensure!(chain.nodes[0].stop().await?.code() == Some(0));
        ensure!(chain.hubs[0].stop().await?.code() == Some(0));
        Ok(())
    })
    .await
}
