//! Unix sockets: what is made inside works, the host's are closed unless they are listed.

use std::{
    fs,
    os::unix::{
        fs::symlink,
        net::{UnixDatagram, UnixListener},
    },
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use sandbox_tests::{Bed, UnixWitness, host, python, race_time};
use serde_json::{Value, json};

const LIBRARY: &str = include_str!("unix_sockets.py");

/// The write root is the working directory; `listed` are the host's open sockets.
fn settings(listed: &[&str]) -> Value {
    json!({
        "network": {"allowedDomains": [], "deniedDomains": [], "allowUnixSockets": listed},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    })
}

/// A new directory in a visible place, with a short path: the address has room for 107 bytes only.
fn place(bed: &Bed) -> tempfile::TempDir {
    tempfile::tempdir_in(bed.root()).expect("a directory")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn sockets_that_are_made_inside_work() {
    let python = python!("socket");
    let bed = Bed::new();
    let work = tempfile::tempdir_in("/var/tmp").unwrap();
    let expected = "SOCK_STREAM ok\nSOCK_SEQPACKET ok\nrenamed ok\nmode ok\nlink ok\nfullqueue ok\nnonblocking ok\nthreads ok\npassed ok\npair ok\nmultiprocessing ok\n";
    for places in [&["."][..], &["/tmp", "/dev/shm"], &["sub"]] {
        for place in places {
            fs::create_dir_all(work.path().join("sub")).unwrap();
            let run = bed
                .srt()
                .flat(&settings(&[]))
                .directory(work.path())
                .py(&python, LIBRARY, &["private", place])
                .within(60.0)
                .run();
            run.ok().prints(expected);
        }
    }
    host(
        &python,
        ["-c", LIBRARY, "private", text(&work.path().join("sub"))],
    )
    .ok()
    .prints(expected);
    // Without a write root there is still the scratch.
    let closed = json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {"denyRead": [], "allowWrite": [], "denyWrite": []},
    });
    let run = bed
        .srt()
        .flat(&closed)
        .py(&python, LIBRARY, &["private", "/tmp"])
        .within(60.0);
    run.run().ok().prints(expected);
}

/// Every way to the host's sockets, wherever they are: in a place that is only read, in the write root,
/// made before the start and after it.
#[test]
fn sockets_of_the_host_are_closed() {
    let python = python!("socket");
    let bed = Bed::new();
    let (outside, work) = (place(&bed), place(&bed));
    let paths = [outside.path().join("s"), work.path().join("s")];
    // Where another socket is listed the supervisor decides on every kernel, and tells.
    for (path, listed) in paths
        .iter()
        .flat_map(|path| [(path, None), (path, Some("/nowhere/s"))])
    {
        fs::remove_file(path).unwrap_or(());
        let witness = UnixWitness::at(path);
        let run = bed
            .srt()
            .flat(&settings(&Vec::from_iter(listed)))
            .directory(work.path())
            .py(&python, LIBRARY, &["reach", text(path)])
            .run();
        assert_eq!(witness.accepted(), 0, "{run}");
        let answers = run.text();
        for way in ["path", "relative", "symlink", "directory", "descriptor"] {
            assert!(
                answers.contains(&format!("{way} refused\n")),
                "{way}: {run}"
            );
        }
        assert!(!answers.contains("HOST"), "{run}");
        let told = run.errors().contains("allowUnixSockets") && run.errors().contains(text(path));
        assert!(told || listed.is_none(), "{run}");
        let control = host(&python, ["-c", LIBRARY, "reach", text(path)]).ok();
        assert!(control.text().contains("path HOST\n"), "{control}");
        assert!(witness.accepted() > 0);
    }
}

#[test]
fn a_socket_that_the_host_makes_later_is_closed() {
    let python = python!("socket");
    let bed = Bed::new();
    let work = place(&bed);
    let path = work.path().join("later");
    let mut run = bed
        .srt()
        .flat(&settings(&[]))
        .directory(work.path())
        .py(&python, LIBRARY, &["later", "later"])
        .within(30.0)
        .spawn();
    // A socket that is made inside, removed, and made again by the host, which often gets its number.
    while work.path().join("ready").metadata().is_err() {
        assert!(!run.ended(), "{}", run.finish(Duration::from_secs(1)));
        thread::sleep(Duration::from_millis(10));
    }
    let witness = UnixWitness::at(&path);
    fs::write(work.path().join("go"), "").unwrap();
    let output = run.finish(Duration::from_secs(30));
    output.ok().prints("own\nrefused\n");
    assert_eq!(witness.accepted(), 0);
    host(&python, ["-c", LIBRARY, "connect", text(&path)])
        .ok()
        .prints("HOST\n");
    assert_eq!(witness.accepted(), 1);
}

#[test]
fn listed_sockets_are_open_and_their_neighbours_are_not() {
    let python = python!("socket");
    let bed = Bed::new();
    let (outside, work) = (place(&bed), place(&bed));
    let named = |name: &str| outside.path().join(name);
    fs::create_dir(named("d")).unwrap();
    symlink(named("d"), named("link")).unwrap();
    let witnesses: Vec<_> = ["good", "bad", "d/inner", "x.sock"]
        .map(|name| (name, UnixWitness::at(&named(name))))
        .into();
    let try_one = |listed: &str, asked: &Path| {
        bed.srt()
            .flat(&settings(&[listed]))
            .directory(work.path())
            .py(&python, LIBRARY, &["connect", text(asked)])
            .run()
    };
    let glob = named("*.sock");
    let cases = [
        ("good", "good", true),
        ("good", "bad", false),
        ("good", "d/inner", false),
        ("d", "d/inner", true),
        // An entry means the socket, not the way there.
        ("link/inner", "d/inner", true),
        ("d/inner", "link/inner", true),
        ("link/inner", "good", false),
    ];
    let cases = cases.map(|(listed, asked, open)| (named(listed), named(asked), open));
    let globs = [
        (glob.clone(), named("x.sock"), true),
        (glob, named("good"), false),
    ];
    for (listed, asked, open) in cases.into_iter().chain(globs) {
        let counts = || -> usize {
            witnesses
                .iter()
                .map(|(_, witness)| witness.accepted())
                .sum()
        };
        let before = counts();
        let run = try_one(text(&listed), &asked);
        if open {
            run.ok().prints("HOST\n");
        } else {
            run.ok().prints("refused\n");
        }
        assert_eq!(counts(), before + usize::from(open), "{listed:?} {asked:?}");
    }
    // A symlink that is made inside leads where it leads.
    let script = format!(
        "ln -s {} app && exec \"$0\" -c \"$1\" connect app",
        named("bad").display()
    );
    let listed = work.path().join("app");
    let run = bed
        .srt()
        .flat(&settings(&[text(&listed)]))
        .directory(work.path())
        .args(["sh", "-c", &script, text(&python), LIBRARY])
        .run();
    run.ok().prints("refused\n");
    assert_eq!(witnesses[1].1.accepted(), 0);
}

/// A listed name says which socket may be connected to: the command gives it to no other one.
#[test]
fn a_listed_name_is_given_to_no_other_socket_of_the_host() {
    let python = python!("socket");
    let bed = Bed::new();
    let work = place(&bed);
    for name in ["d", "e"] {
        fs::create_dir(work.path().join(name)).unwrap();
    }
    let named = |name: &str| work.path().join(name);
    let listed = UnixWitness::at(&named("d/listed"));
    let others = ["secret", "e/listed"].map(|name| UnixWitness::at(&named(name)));
    let entry = named("d/listed");
    let run = bed
        .srt()
        .flat(&settings(&[text(&entry)]))
        .directory(work.path());
    let output = run.py(&python, LIBRARY, &["moved"]).run().ok();
    assert!(!output.text().contains("HOST"), "{output}");
    assert!(output.text().ends_with("own ok\n"), "{output}");
    assert_eq!(
        others.each_ref().map(UnixWitness::accepted),
        [0, 0],
        "{output}"
    );
    drop(listed);
}

/// A command of an earlier run makes a listed name a symlink: the next one gets no socket by it.
#[test]
fn a_symlink_in_place_of_a_listed_name_leads_to_no_socket() {
    let python = python!("socket");
    let bed = Bed::new();
    let work = place(&bed);
    let other = place(&bed);
    let secret = other.path().join("secret");
    let witness = UnixWitness::at(&secret);
    fs::create_dir(work.path().join("d")).expect("a directory");
    let (app, below) = (work.path().join("app"), work.path().join("d/secret"));
    let srt = |listed: &Path| {
        let run = bed.srt().flat(&settings(&[text(listed)]));
        run.directory(work.path())
    };
    let plant = format!(
        "ln -s {0} app; mv d e && ln -s {1} d; ln -s app twice",
        text(&secret),
        text(other.path())
    );
    srt(&app).sh(&plant).run().ok();
    for listed in [&app, &below, &work.path().join("twice")] {
        let run = srt(listed).py(&python, LIBRARY, &["connect", text(listed)]);
        let output = run.run().exits(125);
        assert!(output.errors().contains("symlink"), "{output}");
        assert_eq!(witness.accepted(), 0, "{output}");
    }
    // The control: the host gets there by the names, and a command if the socket itself is listed.
    for listed in [&app, &below] {
        let control = host(&python, ["-c", LIBRARY, "connect", text(listed)]);
        control.ok().prints("HOST\n");
    }
    let run = srt(&secret).py(&python, LIBRARY, &["connect", text(&app)]);
    run.run().ok().prints("HOST\n");
    assert_eq!(witness.accepted(), 3);
}

/// An entry may list a directory, and a rule may close something in it.
#[test]
fn a_closed_place_in_a_listed_directory_is_closed() {
    let python = python!("socket");
    let bed = Bed::new();
    let (hidden, shown) = (tempfile::tempdir_in("/tmp").unwrap(), place(&bed));
    for directory in [hidden.path(), shown.path()] {
        fs::create_dir(directory.join("deny")).unwrap();
        let named = ["open", "one", "deny/two"].map(|name| directory.join(name));
        let witnesses = named.each_ref().map(|path| UnixWitness::at(path));
        let mut settings = settings(&[text(directory)]);
        settings["filesystem"]["denyRead"] = json!([directory.join("one"), directory.join("deny")]);
        for (path, open) in named.iter().zip([true, false, false]) {
            let run = || bed.srt().flat(&settings);
            let output = run()
                .py(&python, LIBRARY, &["connect", text(path)])
                .run()
                .ok();
            assert_eq!(output.text() == "HOST\n", open, "{path:?}: {output}");
            let said = run().args(["explain", "socket", text(path)]).run();
            assert_eq!(said.code(), Some(i32::from(!open)), "{said}");
        }
        assert_eq!(witnesses.each_ref().map(UnixWitness::accepted), [1, 0, 0]);
    }
}

/// `/tmp` is private: a listed socket in the host's is found by its name, also one that the host makes
/// or replaces while the command runs.
#[test]
fn a_listed_socket_in_a_private_place_is_found_by_name() {
    let python = python!("socket");
    let bed = Bed::new();
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let (listed, other) = (
        directory.path().join("listed"),
        directory.path().join("other"),
    );
    let neighbour = UnixWitness::at(&other);
    let run = |asked: &Path| {
        bed.srt()
            .flat(&settings(&[text(&listed)]))
            .py(&python, LIBRARY, &["connect", text(asked)])
            .run()
    };
    run(&listed).ok().prints("ENOENT\n");
    for _ in 0..2 {
        fs::remove_file(&listed).unwrap_or(());
        let witness = UnixWitness::at(&listed);
        run(&listed).ok().prints("HOST\n");
        assert_eq!(witness.accepted(), 1);
    }
    run(&other).ok().prints("ENOENT\n");
    assert_eq!(neighbour.accepted(), 0);
    host(&python, ["-c", LIBRARY, "connect", text(&other)])
        .ok()
        .prints("HOST\n");
    // What the listed name leads to outside is nobody's inside.
    fs::remove_file(&listed).unwrap();
    symlink(&other, &listed).unwrap();
    let before = neighbour.accepted();
    let followed = run(&listed).ok();
    assert!(
        followed.text() == "HOST\n" && neighbour.accepted() == before + 1,
        "the host's own link counts at the start\n{followed}"
    );
}

#[test]
fn abstract_names_of_the_host_are_out_of_reach() {
    let python = python!("socket");
    let bed = Bed::new();
    let witness = UnixWitness::named(bed.marker());
    let name = format!("@{}", bed.marker());
    let all = json!({
        "network": {"allowedDomains": [], "deniedDomains": [], "allowAllUnixSockets": true},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": []},
    });
    for settings in [settings(&[]), settings(&[&name]), all] {
        let run = bed
            .srt()
            .flat(&settings)
            .py(&python, LIBRARY, &["connect", &name])
            .run();
        run.ok().prints("ECONNREFUSED\n");
    }
    assert_eq!(witness.accepted(), 0);
    host(&python, ["-c", LIBRARY, "connect", &name])
        .ok()
        .prints("HOST\n");
    // Their own are theirs.
    let own = bed.srt().py(&python, LIBRARY, &["abstract"]).run();
    own.ok().prints("ok\n");
}

#[test]
fn all_unix_sockets_open_what_has_a_path() {
    let python = python!("socket");
    let bed = Bed::new();
    let outside = place(&bed);
    let path = outside.path().join("s");
    let witness = UnixWitness::at(&path);
    let all = json!({
        "network": {"allowedDomains": [], "deniedDomains": [], "allowAllUnixSockets": true},
        "filesystem": {"denyRead": [], "allowWrite": ["."], "denyWrite": ["locked"]},
    });
    bed.file("work/locked", "old");
    let line = "echo new > locked; cat locked; exec \"$0\" -c \"$1\" connect \"$2\"";
    let run = bed
        .srt()
        .flat(&all)
        .directory(outside.path())
        .args(["sh", "-c", line, text(&python), LIBRARY, text(&path)])
        .run();
    assert!(run.text().ends_with("HOST\n"), "{run}");
    assert_eq!(witness.accepted(), 1);
    // It drops no other layer.
    let run = bed
        .srt()
        .flat(&all)
        .sh("echo new > locked; unshare -Ur true && echo made")
        .run();
    assert_eq!(run.text(), "", "{run}");
    assert_eq!(fs::read(bed.work().join("locked")).unwrap(), b"old");
}

/// Where the kernel can't tell the path that a datagram goes to, there are no such sockets; where it
/// can, they reach what is made inside. Never the host's.
#[test]
fn datagrams_do_not_reach_the_host() {
    let python = python!("socket");
    let bed = Bed::new();
    let outside = place(&bed);
    let path = outside.path().join("d");
    let witness = UnixDatagram::bind(&path).unwrap();
    witness.set_nonblocking(true).unwrap();
    let mut buffer = [0; 16];
    for way in ["sendto", "connect", "sendmsg", "pair", "rawpair"] {
        let run = bed
            .srt()
            .py(&python, LIBRARY, &["datagram", way, text(&path)])
            .run();
        assert!(witness.recv(&mut buffer).is_err(), "{way}: {run}");
        assert!(
            ["EPERM\n", "EACCES\n"].contains(&run.text().as_str()),
            "{way}: {run}"
        );
        host(&python, ["-c", LIBRARY, "datagram", way, text(&path)])
            .ok()
            .prints("sent\n");
        assert_eq!(witness.recv(&mut buffer).unwrap(), 1, "{way}");
    }
}

#[test]
fn a_listed_socket_that_gives_the_host_away_is_named() {
    let bed = Bed::new();
    let cases = [
        ("/run/docker.sock", true),
        ("/var/run/docker.sock", true),
        ("/run", true),
        ("/run/user/4242/bus", true),
        ("/var/run", true),
        ("/run/user/1001", true),
        ("/run/user/*/docker.sock", true),
        ("~/.docker", true),
        ("~/.colima/*/docker.sock", true),
        ("/run/docker", true),
        ("/tmp/tmux-1001", true),
        ("/tmp/ssh-XXagent/agent.42", true),
        ("/run/user/4242/gnupg/S.gpg-agent", true),
        ("/run/user/4242/keyring", true),
        ("/run/cri-dockerd.sock", true),
        ("/srv/app/agent.sock", false),
        ("/srv/app/*.sock", false),
    ];
    for (path, loud) in cases {
        let run = bed.srt().flat(&settings(&[path])).sh("echo ran").run().ok();
        assert_eq!(run.text(), "ran\n");
        assert_eq!(
            run.errors().contains("as good as no sandbox"),
            loud,
            "{path}: {run}"
        );
    }
}

/// By where an entry leads, by what it can match, and by what lies in a directory.
#[test]
fn a_service_that_gives_the_host_away_is_named_however_it_is_listed() {
    let bed = Bed::new();
    let outside = place(&bed);
    let at = |name: &str| outside.path().join(name);
    fs::create_dir_all(at(".rd")).unwrap();
    fs::create_dir_all(at("plain")).unwrap();
    let _docker = UnixWitness::at(&at(".rd/docker.sock"));
    let _plain = UnixWitness::at(&at("plain/app.sock"));
    symlink(at(".rd/docker.sock"), at("link.sock")).unwrap();
    symlink(at(".rd"), at("linked")).unwrap();
    symlink(at("plain/app.sock"), at("harmless.sock")).unwrap();
    let holding = at("holding");
    fs::create_dir(&holding).unwrap();
    let _containerd = UnixWitness::at(&holding.join("containerd.sock"));
    for (path, loud) in [
        (at("link.sock"), true),
        (at("linked"), true),
        (at(".rd"), true),
        (holding.clone(), true),
        (holding.join("*.sock"), true),
        (at("*/containerd.sock"), true),
        (at("harmless.sock"), false),
        (at("plain"), false),
        (at("plain/*.sock"), false),
    ] {
        let path = text(&path);
        let run = bed.srt().flat(&settings(&[path])).sh("echo ran").run().ok();
        assert_eq!(run.text(), "ran\n");
        assert_eq!(
            run.errors().contains("as good as no sandbox"),
            loud,
            "{path}: {run}"
        );
        assert_eq!(
            run.errors().contains("start a container"),
            loud,
            "{path}: {run}"
        );
    }
    let link = at("link.sock");
    let told = bed
        .srt()
        .flat(&settings(&[text(&link)]))
        .args(["explain", "socket", text(&link)])
        .run()
        .ok();
    assert!(told.text().contains("start a container"), "{told}");
    let told = bed
        .srt()
        .flat(&settings(&["/nowhere"]))
        .args(["explain", "socket", text(&link)])
        .run();
    assert!(told.text().contains("but whoever connects"), "{told}");
}

/// Two ways to change one's mind while the supervisor decides (the address, the descriptor): the
/// forbidden listener sees nothing, the permitted one is reached.
#[test]
fn no_race_reaches_a_forbidden_socket() {
    let python = python!("socket");
    let bed = Bed::new();
    let outside = place(&bed);
    let (good, bad) = (outside.path().join("good"), outside.path().join("bad!"));
    let good_count = count(&good);
    let bad_count = count(&bad);
    let seconds = race_time().as_secs_f64() / 2.0;
    let seconds = seconds.to_string();
    for mode in ["address", "descriptor", "path"] {
        let before = good_count.load(Ordering::SeqCst);
        let work = place(&bed);
        let run = bed
            .srt()
            .flat(&settings(&[text(&good)]))
            .directory(work.path())
            .py(
                &python,
                LIBRARY,
                &["race", mode, text(&good), text(&bad), &seconds],
            )
            .within(300.0)
            .run()
            .ok();
        let reached = good_count.load(Ordering::SeqCst) - before;
        assert_eq!(bad_count.load(Ordering::SeqCst), 0, "{mode}: {run}");
        assert!(reached > 50, "{mode}: {reached} connections\n{run}");
        eprintln!(
            "{mode}: {reached} permitted, 0 forbidden, {}",
            run.text().trim()
        );
    }
    host(&python, ["-c", LIBRARY, "connect", text(&bad)]).ok();
    thread::sleep(Duration::from_millis(50));
    assert_eq!(bad_count.load(Ordering::SeqCst), 1);
}

/// Counts connections at once, without a pause for each question.
fn count(path: &Path) -> Arc<AtomicUsize> {
    let listener = UnixListener::bind(path).expect("a socket at a path");
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    accepted
}
