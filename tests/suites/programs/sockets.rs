//! Programs that talk over Unix sockets: of their own, and of services of the host.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sandbox_tests::{
    Bed, UnixWitness, host, inapplicable, is_root, need, python, skip, wait_until,
};
use serde_json::{Value, json};

fn settings(listed: &[&str]) -> Value {
    json!({
        "network": {"allowedDomains": [], "deniedDomains": [], "allowUnixSockets": listed},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    })
}

/// An agent of the host's, which ends with the test.
struct Agent(Child);

impl Agent {
    #[expect(
        clippy::disallowed_methods,
        reason = "the agent belongs to the host and runs beside the sandbox"
    )]
    fn start(program: &Path, socket: &Path) -> Self {
        let child = Command::new(program)
            .args(["-D", "-a"])
            .arg(socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("an agent");
        let limit = std::time::Duration::from_secs(10);
        assert!(wait_until(limit, || socket.symlink_metadata().is_ok()));
        Self(child)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn an_agent_is_reached_if_it_is_listed() {
    let (agent, add) = (need!("ssh-agent"), need!("ssh-add"));
    let bed = Bed::new();
    let visible = bed.outside().join("agent");
    // In the host's `/tmp`, where agents usually are, and the sandbox has its own.
    let scratch = tempfile::tempdir_in("/tmp").unwrap();
    for socket in [visible, scratch.path().join("agent")] {
        let _agent = Agent::start(&agent, &socket);
        let socket = socket.to_str().unwrap();
        let list = |listed: &[&str]| {
            let run = bed
                .srt()
                .flat(&settings(listed))
                .env("SSH_AUTH_SOCK", socket);
            run.args([add.to_str().unwrap(), "-l"]).run()
        };
        // "Could not open a connection" is 2, "no identities" 1 (ssh-add(1)).
        list(&[]).exits(2);
        list(&["/nowhere"]).exits(2);
        let output = list(&[socket]).exits(1);
        assert!(output.text().contains("no identities"), "{output}");
    }
    // One that is started inside needs no permission.
    let line = format!("{} {} -l", agent.display(), add.display());
    let output = bed.srt().flat(&settings(&[])).sh(&line).run().exits(1);
    assert!(output.text().contains("no identities"), "{output}");
}

#[test]
fn a_database_is_used_over_its_private_socket() {
    if is_root() {
        inapplicable!("PostgreSQL's server refuses to run as root");
    }
    let Some(programs) = postgres() else {
        skip!("no PostgreSQL server on this machine");
    };
    let bed = Bed::new();
    // The name of the socket is long enough by itself.
    let short = tempfile::tempdir_in(bed.root()).unwrap();
    let line = format!(
        "set -e; PATH={}:$PATH; initdb -D db -A trust -U me >log 2>&1\n\
         pg_ctl -D db -w -l log -o \"-c listen_addresses= -k $PWD\" start >&2\n\
         psql -h $PWD -U me -d postgres -Atc 'create table t (n int); insert into t select generate_series(1, 1000); select sum(n) from t'\n\
         pg_ctl -D db -w -m fast stop >&2",
        programs.display()
    );
    let run = bed
        .srt()
        .flat(&settings(&[]))
        .directory(short.path())
        .sh(&line)
        .within(120.0);
    let output = run.run().ok();
    assert!(output.text().ends_with("500500\n"), "{output}");
}

/// Where the distributions keep the server's programs.
fn postgres() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let programs = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    programs
        .filter(|programs| programs.join("initdb").metadata().is_ok())
        .max()
}

#[test]
fn python_processes_work_together() {
    let python = python!("multiprocessing");
    let bed = Bed::new();
    let program = r"
import multiprocessing as mp
def square(n): return n * n
if __name__ == '__main__':
    with mp.Pool(3) as pool: print(sum(pool.map(square, range(100))))
    with mp.Manager() as manager:
        shared = manager.dict()
        child = mp.Process(target=shared.update, args=({'key': 'value'},))
        child.start(); child.join()
        print(dict(shared))
";
    let script = bed.file("work/pool.py", program);
    let run = bed.srt().flat(&settings(&[])).within(60.0);
    let run = run.args([python.as_os_str(), script.as_os_str()]).run();
    run.ok().prints("328350\n{'key': 'value'}\n");
}

/// The socket that is as good as the host: refused, and the refusal says what it would mean.
#[test]
fn the_socket_of_docker_is_refused_with_an_explanation() {
    let curl = need!("curl");
    let bed = Bed::new();
    let socket = bed.outside().join("docker.sock");
    let witness = UnixWitness::at(&socket);
    let socket = socket.to_str().unwrap();
    let call = [
        "--max-time",
        "10",
        "-s",
        "--unix-socket",
        socket,
        "http://d/version",
    ];
    let words = || std::iter::once(curl.to_str().unwrap()).chain(call);
    // An unrelated entry, so that the supervisor decides on every kernel.
    let run = bed.srt().flat(&settings(&["/nowhere"])).args(words());
    let run = run.run().refused();
    assert_eq!(witness.accepted(), 0, "{run}");
    let told = run.errors();
    assert!(
        told.contains(socket) && told.contains("start a container"),
        "{run}"
    );
    host(&curl, call);
    assert_eq!(witness.accepted(), 1);
    if let Some(docker) = sandbox_tests::tool("docker") {
        let run = bed.srt().flat(&settings(&["/nowhere"]));
        let run = run.env("DOCKER_HOST", format!("unix://{socket}"));
        let run = run.args([docker.to_str().unwrap(), "version"]);
        let run = run.run().refused();
        assert!(run.errors().contains("start a container"), "{run}");
        assert_eq!(witness.accepted(), 1, "{run}");
    }
}
