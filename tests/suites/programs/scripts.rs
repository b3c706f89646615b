//! Interpreters and their package managers' groundwork.

use sandbox_tests::{Bed, Origin, need, need_names, python};
use serde_json::json;

#[test]
fn a_python_environment_is_made_and_used() {
    let python = python!("venv", "ensurepip", "json", "sqlite3");
    let bed = Bed::new();
    bed.srt()
        .args([python.to_str().unwrap(), "-m", "venv", "env"])
        .within(180.0)
        .run()
        .ok();
    bed.file("work/env/lib/marker/own_module.py", "ANSWER = 42\n");
    let line = "./env/bin/python -c 'import sys, json, sqlite3; sys.path.insert(0, \"env/lib/marker\"); import own_module; print(sys.prefix != sys.base_prefix, own_module.ANSWER)'";
    bed.srt()
        .sh(line)
        .within(60.0)
        .run()
        .ok()
        .prints("True 42\n");
    bed.srt()
        .sh("./env/bin/python -m pip --version")
        .within(60.0)
        .run()
        .ok();
    bed.srt()
        .sh("./env/bin/python -m pip --disable-pip-version-check list")
        .within(60.0)
        .run()
        .ok();
}

#[test]
fn node_runs_scripts_and_workers() {
    let node = need!("node");
    let bed = Bed::new();
    let program = r"
const { Worker } = require('worker_threads'); const { execFileSync } = require('child_process'); const fs = require('fs');
fs.writeFileSync('made', 'by node'); console.log(execFileSync('cat', ['made']).toString());
new Worker('require(`worker_threads`).parentPort.postMessage(42)', { eval: true }).on('message', n => console.log(n));
";
    bed.srt()
        .args([node.to_str().unwrap(), "-e", program])
        .within(60.0)
        .run()
        .ok()
        .prints("by node\n42\n");
}

#[test]
fn nodes_fetch_reaches_an_allowed_name() {
    need_names!();
    let node = need!("node");
    let bed = Bed::new();
    let origin = Origin::start();
    let (allowed, other) = (
        format!("fetch.test:{}", origin.port()),
        format!("other.test:{}", origin.port()),
    );
    let settings = json!({
        "network": {"allowedDomains": [allowed, format!("127.0.0.1:{}", origin.port())], "deniedDomains": []},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    });
    let program = "fetch(process.argv[1]).then(r => r.text()).then(t => process.stdout.write(t)).catch(e => { console.error(e.cause ?? e); process.exit(1) })";
    let fetch = |host: &str| {
        let url = format!("http://{host}/");
        let srt = bed
            .srt()
            .flat(&settings)
            .hosts(&[("fetch.test", "127.0.0.1"), ("other.test", "127.0.0.1")]);
        srt.args([node.to_str().unwrap(), "-e", program, &url])
            .within(60.0)
            .run()
    };
    let denied = fetch(&other);
    assert!(!denied.text().contains("ORIGIN"), "{denied}");
    assert_eq!(origin.accepted(), 0);
    // Where fetch knows no proxy variables (before Node 22.21) it goes the transparent way.
    let output = fetch(&allowed);
    output.ok().prints("ORIGIN GET / 0\n");
}

#[test]
fn shells_and_text_tools_behave() {
    let bed = Bed::new();
    let bash = need!("bash");
    let line = "set -euo pipefail; diff <(printf 'a\\nb\\n') <(printf 'a\\nb\\n'); mapfile -t l < <(seq 3); echo ${#l[@]}; cat <<< here; time true; exec 5>&1; echo five >&5; [[ -t 0 ]] || echo pipe; coproc cat; echo co >&${COPROC[1]}; read -u ${COPROC[0]} x; echo $x";
    bed.srt()
        .args([bash.to_str().unwrap(), "-c", line])
        .run()
        .ok()
        .prints("3\nhere\nfive\npipe\nco\n");
    bed.srt().sh("seq 1000 | sort -rn | head -3 | tr '\\n' ' '; seq 5 | xargs -P 3 -n 1 echo | wc -l | tr -d ' '").run().ok().prints("1000 999 998 5\n");
    bed.srt()
        .sh("mkdir a && echo x > a/f && tar cf a.tar a && rm -r a && tar xf a.tar && cat a/f")
        .run()
        .ok()
        .prints("x\n");
    bed.srt()
        .sh("sleep 0.1 & wait $! && echo waited; (trap 'echo bye' EXIT; exit 3); echo $?")
        .run()
        .ok()
        .prints("waited\nbye\n3\n");
}
