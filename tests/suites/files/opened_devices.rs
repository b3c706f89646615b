//! Devices that settings open: `filesystem.devices`, `--device` and the `gpu` preset.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use sandbox_tests::{Bed, Output, skip};
use serde_json::{Value, json};

fn settings(devices: &[&str]) -> Value {
    json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": [], "devices": devices},
    })
}

/// A device that this user can open, and no sandbox has unasked.
fn device() -> Option<PathBuf> {
    let candidates = [
        "fuse",
        "kvm",
        "autofs",
        "kmsg",
        "cpu_dma_latency",
        "hwrng",
        "loop-control",
    ];
    let paths = candidates.map(|name| Path::new("/dev").join(name));
    paths.into_iter().find(|path| {
        let is_device = fs::metadata(path).is_ok_and(|found| found.file_type().is_char_device());
        is_device && fs::File::open(path).is_ok()
    })
}

/// Opens it, and tells its number.
fn open(bed: &Bed, settings: &Value, path: &Path) -> Output {
    let line = format!(": < {0} && stat -c %t:%T {0}", path.display());
    bed.srt().flat(settings).sh(&line).run()
}

fn number(path: &Path) -> String {
    let device = fs::metadata(path).unwrap().rdev();
    format!("{:x}:{:x}\n", device >> 8 & 0xfff, device & 0xff)
}

#[test]
fn a_device_is_there_only_where_it_is_listed() {
    let Some(device) = device() else {
        skip!("no device that this user can open");
    };
    let bed = Bed::new();
    let text = device.to_str().unwrap();
    open(&bed, &settings(&[]), &device).refused();
    open(&bed, &settings(&[text]), &device)
        .ok()
        .prints(number(&device));
    let line = format!(": < {text}");
    bed.srt().options(["--device", text]).sh(&line).run().ok();
    bed.srt().sh(&line).run().refused();
    // Where reads are closed, too.
    let mut closed = settings(&[text]);
    closed["presets"] = json!(["workspace"]);
    open(&bed, &closed, &device).ok();
    // What is supervised opens it as well.
    let mut supervised = settings(&[text]);
    supervised["filesystem"]["denyRead"] = json!(["**/*.closed"]);
    open(&bed, &supervised, &device).ok();
    // No other one comes with it.
    let listing = |devices: &[&str]| {
        let run = bed.srt().flat(&settings(devices));
        run.args(["ls", "/dev"]).run().ok().text()
    };
    let name = device.file_name().unwrap().to_str().unwrap();
    let more: Vec<String> = listing(&[text]).lines().map(str::to_owned).collect();
    let usual = listing(&[]);
    let added: Vec<_> = more
        .iter()
        .filter(|name| !usual.lines().any(|it| it == *name))
        .collect();
    assert_eq!(added, [name]);
}

#[test]
fn an_opened_device_itself_cannot_be_changed() {
    let Some(device) = device() else {
        skip!("no device that this user can open");
    };
    let bed = Bed::new();
    let text = device.to_str().unwrap();
    let state = || {
        let found = fs::metadata(&device).unwrap();
        (found.mode(), found.uid(), found.mtime(), found.ino())
    };
    let before = state();
    let line = format!(
        "chmod 777 {text}; chown 0:0 {text}; touch -d 2001-01-01 {text}; rm -f {text}; mv {text} /dev/other; echo x > /dev/new; true"
    );
    let output = bed.srt().flat(&settings(&[text])).sh(&line).run().ok();
    assert_eq!(state(), before, "{output}");
    assert!(
        Path::new("/dev/other").symlink_metadata().is_err()
            && Path::new("/dev/new").symlink_metadata().is_err()
    );
}

#[test]
fn what_holds_file_systems_is_no_device_to_open() {
    let bed = Bed::new();
    let is_block =
        |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_block_device());
    let mut entries = fs::read_dir("/dev").unwrap().filter_map(Result::ok);
    let block = entries.find(is_block).map(|entry| entry.path());
    let wrong = ["/dev", "/etc/passwd", "/dev/../etc", "dev/null", ""];
    for path in wrong {
        let output = bed
            .srt()
            .flat(&settings(&[path]))
            .args(["touch", "ran"])
            .run();
        assert_eq!(output.code(), Some(125), "{path}\n{output}");
    }
    for path in block
        .iter()
        .filter_map(|path| path.to_str())
        .chain(["/dev/pts", "/dev/shm"])
    {
        let output = bed
            .srt()
            .flat(&settings(&[path]))
            .args(["touch", "ran"])
            .run();
        assert_eq!(output.code(), Some(125), "{path}\n{output}");
        assert!(output.errors().contains(path), "{output}");
    }
    assert!(bed.work().join("ran").symlink_metadata().is_err());
    // What every sandbox has, and what this machine lacks, is no mistake.
    let harmless = ["/dev/null", "/dev/urandom", "/dev/srt-no-such-device"];
    let output = bed
        .srt()
        .flat(&settings(&harmless))
        .args(["touch", "ran"])
        .run()
        .ok();
    assert!(output.errors().contains("srt-no-such-device"), "{output}");
    assert!(bed.work().join("ran").symlink_metadata().is_ok());
}

#[test]
fn an_untrusted_project_opens_no_device() {
    let Some(device) = device() else {
        skip!("no device that this user can open");
    };
    let bed = Bed::new();
    let text = device.to_str().unwrap();
    let rules = json!({"sandbox": {
        "filesystem": {"devices": [text]},
        "presets": ["gpu"],
        "allowPtrace": true,
        "allowNestedUserNamespaces": true,
    }});
    bed.file("work/.claude/settings.json", rules.to_string());
    let line = format!(": < {text}");
    let held = bed.srt().sh(&line).run().refused();
    assert!(held.errors().contains("srt trust"), "{held}");
    let listed = bed.srt().args(["trust", "--dry-run"]).run();
    let listed = format!("{}{}", listed.text(), listed.errors());
    for key in [
        "devices",
        "presets",
        "allowPtrace",
        "allowNestedUserNamespaces",
    ] {
        assert!(listed.contains(key), "{listed}");
    }
    bed.srt().options(["--trust-project"]).sh(&line).run().ok();
}

#[test]
fn the_gpu_preset_opens_what_there_is() {
    let bed = Bed::new();
    // Most machines of tests have no graphics card: then it changes nothing, and says nothing.
    let output = bed
        .srt()
        .options(["--preset", "gpu"])
        .args(["ls", "/dev"])
        .run()
        .ok();
    for name in ["dri", "kfd", "nvidiactl"] {
        let is_there = Path::new("/dev").join(name).symlink_metadata().is_ok();
        assert_eq!(
            output.text().lines().any(|it| it == name),
            is_there,
            "{output}"
        );
    }
    assert!(!output.errors().contains("/dev/"), "{output}");
}
