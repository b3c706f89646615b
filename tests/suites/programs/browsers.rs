//! Chromium without a screen.

use std::path::PathBuf;

use sandbox_tests::{Bed, inapplicable, is_root, need, tool};
use serde_json::json;

#[test]
fn chromium_takes_a_screenshot() {
    let Some(chromium) = tool("chromium") else {
        inapplicable!("the distribution has no Chromium of its own");
    };
    if is_root() {
        inapplicable!("the browser's own profile wants an ordinary user");
    }
    let bed = Bed::new();
    let page = bed.file("work/page.html", "<h1>hello</h1>");
    bed.file("home/secret", "sentinel");
    let settings = json!({
        "network": {"allowedDomains": [], "deniedDomains": []},
        "filesystem": {
            "denyRead": ["~/secret"],
            "allowWrite": [".", "~/.config", "~/.cache", "~/.local", "~/.pki"],
            "denyWrite": [],
        },
    });
    let shot = |name: &str, address: String| {
        let path = bed.work().join(name);
        let screenshot = format!("--screenshot={}", path.display());
        let run = bed
            .srt()
            .flat(&settings)
            .within(120.0)
            .args([chromium.as_os_str()]);
        let words = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--user-data-dir=/tmp/profile",
        ];
        let output = run.args(words).args([screenshot, address]).run();
        (std::fs::read(path).ok(), output)
    };
    let (hello, output) = shot("hello.png", format!("file://{}", page.display()));
    let is_image = hello
        .as_ref()
        .is_some_and(|bytes| bytes.starts_with(b"\x89PNG"));
    assert!(is_image, "{output}");
    // It shows no more than the command may read.
    let secret = bed.home().join("secret");
    let (closed, output) = shot("closed.png", format!("file://{}", secret.display()));
    assert_ne!(closed, hello, "{output}");
    assert!(!output.text().contains("sentinel"), "{output}");
}

/// The browser's own sandbox is made of user namespaces, whose ids it maps.
#[test]
fn chromium_keeps_its_own_sandbox_where_namespaces_are_allowed() {
    let Some(chromium) = tool("chromium") else {
        inapplicable!("the distribution has no Chromium of its own");
    };
    let unshare = need!("unshare");
    if is_root() || !sandbox_tests::host(&unshare, ["-Ur", "true"]).succeeded() {
        inapplicable!("this user maps no ids on this machine");
    }
    let bed = Bed::new();
    let page = bed.file("work/page.html", "<h1>hello</h1>");
    let shot = |nested: bool| {
        let settings = json!({
            "network": {"allowedDomains": [], "deniedDomains": []},
            "filesystem": {
                "denyRead": [],
                "allowWrite": [".", "~/.config", "~/.cache", "~/.local", "~/.pki"],
                "denyWrite": [],
            },
            "allowNestedUserNamespaces": nested,
        });
        let path = bed.work().join(format!("shot-{nested}.png"));
        let run = bed.srt().flat(&settings).within(120.0);
        let run = run.args([chromium.as_os_str()]);
        let words = [
            "--headless",
            "--disable-gpu",
            "--user-data-dir=/tmp/profile",
        ];
        let more = [
            format!("--screenshot={}", path.display()),
            format!("file://{}", page.display()),
        ];
        let output = run.args(words).args(more).run();
        let is_made = std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x89PNG"));
        (is_made, output)
    };
    let (is_made, output) = shot(true);
    assert!(is_made, "{output}");
    let (is_made, output) = shot(false);
    assert!(!is_made, "{output}");
    assert!(
        output.errors().contains("allowNestedUserNamespaces"),
        "{output}"
    );
}

/// Where `playwright-core` is: a directory of packages that `SRT_TEST_PLAYWRIGHT` names, or npm's own.
fn packages() -> Option<PathBuf> {
    let named = sandbox_tests::playwright();
    let packages = named.or_else(|| {
        let root = sandbox_tests::host(&tool("npm")?, ["root", "-g"]);
        Some(PathBuf::from(root.text().trim()))
    })?;
    let has_it = packages.join("playwright-core/package.json").metadata();
    has_it.is_ok().then_some(packages)
}

const SCRIPT: &str = "
const { chromium } = require('playwright-core');
(async () => {
  const own = process.argv[2] === 'own';
  const browser = await chromium.launch({ executablePath: process.argv[3], chromiumSandbox: own });
  const page = await browser.newPage();
  await page.goto('data:text/html,<title>t</title><h1 id=a>hello</h1>');
  console.log(await page.textContent('#a'), await page.title());
  await page.screenshot({ path: 'shot.png' });
  const other = await browser.newPage();
  const file = await other.goto('file://' + process.argv[4]).then(() => other.textContent('body')).catch(() => '');
  console.log(file.includes('sentinel') ? 'READ' : 'closed');
  await browser.close();
})().catch(error => { console.error(String(error)); process.exit(1); });
";

/// Without a setting, as Playwright leaves the browser's own sandbox out; with it where namespaces are
/// allowed.
#[test]
fn playwright_drives_chromium() {
    let node = need!("node");
    let Some(chromium) = tool("chromium") else {
        inapplicable!("the distribution has no Chromium of its own");
    };
    let Some(packages) = packages() else {
        inapplicable!("playwright-core is not installed (`npm install -g playwright-core`)");
    };
    if is_root() {
        inapplicable!("the browser's own profile wants an ordinary user");
    }
    let bed = Bed::new();
    let script = bed.file("work/shot.js", SCRIPT);
    let secret = bed.file("home/secret", "sentinel");
    let run = |own: &str, nested: bool| {
        let settings = json!({
            "network": {"allowedDomains": [], "deniedDomains": []},
            "filesystem": {"denyRead": ["~/secret"], "allowWrite": ["."], "denyWrite": []},
            "allowNestedUserNamespaces": nested,
        });
        let srt = bed
            .srt()
            .flat(&settings)
            .within(120.0)
            .env("NODE_PATH", &packages);
        let srt = srt
            .args([&node, &script])
            .args([own])
            .args([&chromium, &secret]);
        let output = srt.run();
        let shot = bed.work().join("shot.png");
        let is_made = std::fs::read(&shot).is_ok_and(|bytes| bytes.starts_with(b"\x89PNG"));
        std::fs::remove_file(shot).ok();
        (is_made, output)
    };
    let maps = tool("unshare")
        .is_some_and(|unshare| sandbox_tests::host(&unshare, ["-Ur", "true"]).succeeded());
    for (own, nested, works) in [
        ("none", false, true),
        ("own", true, true),
        ("own", false, false),
    ] {
        if own == "own" && !maps {
            continue;
        }
        let (is_made, output) = run(own, nested);
        assert_eq!(is_made, works, "{own} {nested}\n{output}");
        let answer = if works { "hello t\nclosed\n" } else { "" };
        assert_eq!(output.text(), answer, "{own} {nested}\n{output}");
    }
}
