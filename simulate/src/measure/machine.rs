//! The machine that figures belong to, as Linux describes it.

use std::fs;
use std::path::Path;

/// What a reader needs to judge figures from another machine.
pub fn describe(folder: &Path) -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    vec![
        ("Processor", format!("{} × {}", cores, processor())),
        (
            "Memory",
            field("/proc/meminfo", "MemTotal").unwrap_or_else(unknown),
        ),
        ("Kernel", read("/proc/sys/kernel/osrelease")),
        ("File system of the data", file_system(folder)),
        (
            "UDP receive buffer allowed",
            format!("{} bytes", read("/proc/sys/net/core/rmem_max")),
        ),
        (
            "Build",
            if cfg!(debug_assertions) {
                "debug: these figures mean little"
            } else {
                "release"
            }
            .to_owned(),
        ),
    ]
}

/// What other work keeps the processors busy: the load average over a minute. To be read before the run, which is work too.
pub fn load_average() -> String {
    let text = read("/proc/loadavg");
    text.split_whitespace()
        .next()
        .unwrap_or("unknown")
        .to_owned()
}

/// Bytes of resident memory of a process: now, and at its peak.
pub fn resident(process: u32) -> Option<(u64, u64)> {
    let path = format!("/proc/{process}/status");
    let bytes = |name: &str| -> Option<u64> {
        let text = field(&path, name)?;
        let kibibytes: u64 = text.split_whitespace().next()?.parse().ok()?;
        kibibytes.checked_mul(1_024)
    };
    Some((bytes("VmRSS")?, bytes("VmHWM")?))
}

fn processor() -> String {
    field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// The file system that the longest mount point above the folder names.
fn file_system(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let above = mounts.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (device, point, kind) = (words.next()?, words.next()?, words.next()?);
        let device = device.rsplit('/').next().unwrap_or(device);
        folder
            .starts_with(point)
            .then(|| (point.len(), format!("{kind} on {device}")))
    });
    above
        .max_by_key(|(length, _)| *length)
        .map_or_else(unknown, |(_, text)| text)
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| unknown(), |text| text.trim().to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}
