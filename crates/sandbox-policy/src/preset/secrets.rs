//! The `secrets` preset: where people and programs keep keys, passwords and sessions.

use super::{PresetPath, WORKSPACE_SECRETS, row};
use crate::environment::{
    VariableAllow, VariableDeny, basic_variables, secret_variables as denies,
};
use crate::filesystem::{Firmness, PathRule, ReadDeny};
use crate::origin::Origin;
use crate::path::AbsolutePath;
use crate::pattern::PathPattern;

/// The file half of the `secrets` preset: a deny for each of [`SECRET_PATHS`] in the home directory
/// and of [`WORKSPACE_SECRETS`]. An allow of the very path, or of one inside, re-opens.
#[must_use]
pub fn secret_paths(
    home: Option<&AbsolutePath>,
    origin: &Origin,
    firmness: Firmness,
) -> Vec<ReadDeny> {
    let in_home = home.into_iter().flat_map(|home| {
        // The table's paths are relative and clean (a test says so), so none is left out.
        SECRET_PATHS
            .iter()
            .filter_map(|row| AbsolutePath::resolve(home, row.path).ok())
    });
    let system = WORKSPACE_SECRETS
        .iter()
        .map(|row| AbsolutePath::from_clean(row.path));
    let deny = |path| ReadDeny {
        rule: PathRule {
            pattern: PathPattern::Subtree(path),
            origin: origin.clone(),
        },
        firmness,
    };
    in_home.chain(system).map(deny).collect()
}

/// The other half: a deny for each of [`crate::SECRET_VARIABLES`].
#[must_use]
pub fn secret_variables(origin: &Origin, firmness: Firmness) -> Vec<VariableDeny> {
    denies(origin, firmness)
}

/// The `cleanEnvironment` preset: a deny of all variables, and the allows of
/// [`crate::BASIC_VARIABLES`].
#[must_use]
pub fn clean_environment(
    origin: &Origin,
    firmness: Firmness,
) -> (VariableDeny, Vec<VariableAllow>) {
    basic_variables(origin, firmness)
}

/// Paths of the home directory that hold secrets, on Linux and macOS. Those of the other system are
/// harmless: nothing is there.
pub const SECRET_PATHS: &[PresetPath] = &[
    row(".ssh", "private keys, and which hosts they open"),
    row(".gnupg", "private keys"),
    row(".config/gnupg", "private keys"),
    row(".config/age", "private keys"),
    row(".config/sops", "private keys"),
    row(".pki", "private keys of certificates"),
    row(".minisign", "private keys"),
    row(".sigstore", "sessions for signing"),
    row(".aws", "AWS: keys and sessions"),
    row(".azure", "Azure: tokens"),
    row(".config/gcloud", "Google Cloud: tokens"),
    row(".gsutil", "Google Cloud: tokens"),
    row(".boto", "AWS and Google Cloud: keys"),
    row(".oci", "Oracle Cloud: keys"),
    row(".aliyun", "Alibaba Cloud: keys"),
    row(".bluemix", "IBM Cloud: tokens"),
    row(".config/doctl", "DigitalOcean: tokens"),
    row(".config/hcloud", "Hetzner Cloud: tokens"),
    row(".config/linode-cli", "Linode: tokens"),
    row(".config/scw", "Scaleway: keys"),
    row(".s3cfg", "S3: keys"),
    row(".config/rclone", "rclone: passwords of all its stores"),
    row(".fly", "Fly.io: tokens"),
    row(".wrangler", "Cloudflare: tokens"),
    row(".config/.wrangler", "Cloudflare: tokens"),
    row(".cloudflared", "Cloudflare: keys of tunnels"),
    row(".config/netlify", "Netlify: tokens"),
    row(".local/share/com.vercel.cli", "Vercel: tokens"),
    row(".config/heroku", "Heroku: tokens"),
    row(".config/railway", "Railway: tokens"),
    row(".railway", "Railway: tokens"),
    row(".config/stripe", "Stripe: keys"),
    row(".kube", "Kubernetes: credentials of clusters"),
    row(".config/helm", "Helm: passwords of repositories"),
    row(".minikube", "Kubernetes: private keys"),
    row(".docker/config.json", "Docker: passwords of registries"),
    row(".docker/contexts", "Docker: private keys of hosts"),
    row(
        ".config/containers/auth.json",
        "Podman: passwords of registries",
    ),
    row(".terraform.d/credentials.tfrc.json", "Terraform: tokens"),
    row(".terraformrc", "Terraform: tokens"),
    row(".pulumi/credentials.json", "Pulumi: tokens"),
    row(".vault-token", "Vault: a token"),
    row(".git-credentials", "git: passwords"),
    row(".config/git/credentials", "git: passwords"),
    row(".config/gh", "GitHub: tokens"),
    row(".config/hub", "GitHub: tokens"),
    row(".config/glab-cli", "GitLab: tokens"),
    row(".config/tea", "Gitea: tokens"),
    row(".netrc", "passwords of hosts"),
    row("_netrc", "passwords of hosts"),
    row(".authinfo", "passwords of hosts"),
    row(".authinfo.gpg", "passwords of hosts"),
    row(".npmrc", "npm: tokens of registries"),
    row(".yarnrc.yml", "Yarn: tokens of registries"),
    row(".config/pnpm/auth.ini", "pnpm: tokens of registries"),
    row(".pypirc", "Python: passwords of registries"),
    row(
        ".config/pypoetry/auth.toml",
        "Poetry: passwords of registries",
    ),
    row(".local/share/uv/credentials", "uv: passwords of registries"),
    row(".cargo/credentials", "Rust: tokens of registries"),
    row(".cargo/credentials.toml", "Rust: tokens of registries"),
    row(".gem/credentials", "Ruby: tokens of registries"),
    row(".local/share/gem/credentials", "Ruby: tokens of registries"),
    row(".bundle/config", "Ruby: passwords of registries"),
    row(".m2/settings.xml", "Maven: passwords of registries"),
    row(
        ".m2/settings-security.xml",
        "Maven: the key of its passwords",
    ),
    row(
        ".gradle/gradle.properties",
        "Gradle: passwords of registries",
    ),
    row(
        ".nuget/NuGet/NuGet.Config",
        "NuGet: passwords of registries",
    ),
    row(
        ".config/NuGet/NuGet.Config",
        "NuGet: passwords of registries",
    ),
    row(".composer/auth.json", "Composer: tokens"),
    row(".config/composer/auth.json", "Composer: tokens"),
    row(".hex/hex.config", "Elixir: tokens of registries"),
    row(".sbt/credentials", "sbt: passwords of registries"),
    row(".ivy2/.credentials", "sbt: passwords of registries"),
    row(".condarc", "Conda: tokens of channels"),
    row(".huggingface", "Hugging Face: tokens"),
    row(".cache/huggingface/token", "Hugging Face: a token"),
    row(".cache/huggingface/stored_tokens", "Hugging Face: tokens"),
    row(".kaggle", "Kaggle: keys"),
    row(
        ".local/share/jupyter/runtime",
        "Jupyter: keys of running kernels",
    ),
    row(".pgpass", "PostgreSQL: passwords"),
    row(".my.cnf", "MySQL: passwords"),
    row(".mylogin.cnf", "MySQL: passwords"),
    row(".mongorc.js", "MongoDB: passwords"),
    row(".claude/.credentials.json", "Claude Code: tokens"),
    row(".codex/auth.json", "Codex: tokens"),
    row(".gemini/oauth_creds.json", "Gemini: tokens"),
    row(".config/github-copilot", "Copilot: tokens"),
    row(".local/share/opencode/auth.json", "OpenCode: tokens"),
    row(".continue/.env", "Continue: keys"),
    row(".env", "keys of services"),
    row(".config/op", "1Password: sessions"),
    row(".config/1Password", "1Password: the vault"),
    row(".config/Bitwarden", "Bitwarden: the vault"),
    row(".config/Bitwarden CLI", "Bitwarden: the vault"),
    row(".config/keepassxc", "KeePassXC: its settings"),
    row(".password-store", "pass: the vault"),
    row(".local/share/pass", "pass: the vault"),
    row(".local/share/gopass", "gopass: the vault"),
    row(".lastpass", "LastPass: sessions"),
    row(".local/share/keyrings", "GNOME: the keyrings"),
    row(".gnome2/keyrings", "GNOME: the keyrings"),
    row(".local/share/kwalletd", "KDE: the wallets"),
    row(".kde/share/apps/kwallet", "KDE: the wallets"),
    row(".kde4/share/apps/kwallet", "KDE: the wallets"),
    row("Library/Keychains", "macOS: the keychains"),
    row("Library/Cookies", "macOS: sessions of websites"),
    row("Library/Accounts", "macOS: accounts"),
    row(
        "Library/Application Support/1Password",
        "1Password: the vault",
    ),
    row(
        "Library/Group Containers/2BUA8C4S2C.com.1password",
        "1Password: the vault",
    ),
    row(
        "Library/Application Support/Bitwarden",
        "Bitwarden: the vault",
    ),
    row(".mozilla", "Firefox: passwords and sessions"),
    row(".config/mozilla", "Firefox: passwords and sessions"),
    row(".librewolf", "LibreWolf: passwords and sessions"),
    row(".waterfox", "Waterfox: passwords and sessions"),
    row(".zen", "Zen: passwords and sessions"),
    row(".thunderbird", "Thunderbird: mail and passwords"),
    row(".config/google-chrome", "Chrome: passwords and sessions"),
    row(
        ".config/google-chrome-beta",
        "Chrome: passwords and sessions",
    ),
    row(
        ".config/google-chrome-unstable",
        "Chrome: passwords and sessions",
    ),
    row(".config/chromium", "Chromium: passwords and sessions"),
    row(".config/BraveSoftware", "Brave: passwords and sessions"),
    row(".config/microsoft-edge", "Edge: passwords and sessions"),
    row(".config/vivaldi", "Vivaldi: passwords and sessions"),
    row(".config/opera", "Opera: passwords and sessions"),
    row("snap/firefox", "Firefox of snapd: passwords and sessions"),
    row("snap/chromium", "Chromium of snapd: passwords and sessions"),
    row("snap/brave", "Brave of snapd: passwords and sessions"),
    row(
        "snap/thunderbird",
        "Thunderbird of snapd: mail and passwords",
    ),
    row(
        ".var/app/org.mozilla.firefox",
        "Firefox of Flatpak: passwords and sessions",
    ),
    row(
        ".var/app/org.mozilla.Thunderbird",
        "Thunderbird of Flatpak: mail and passwords",
    ),
    row(
        ".var/app/com.google.Chrome",
        "Chrome of Flatpak: passwords and sessions",
    ),
    row(
        ".var/app/org.chromium.Chromium",
        "Chromium of Flatpak: passwords and sessions",
    ),
    row(
        ".var/app/com.brave.Browser",
        "Brave of Flatpak: passwords and sessions",
    ),
    row(
        ".var/app/com.microsoft.Edge",
        "Edge of Flatpak: passwords and sessions",
    ),
    row(
        "Library/Application Support/Firefox",
        "Firefox: passwords and sessions",
    ),
    row(
        "Library/Application Support/Google/Chrome",
        "Chrome: passwords and sessions",
    ),
    row(
        "Library/Application Support/Google/Chrome Beta",
        "Chrome: passwords and sessions",
    ),
    row(
        "Library/Application Support/Google/Chrome Canary",
        "Chrome: passwords and sessions",
    ),
    row(
        "Library/Application Support/Chromium",
        "Chromium: passwords and sessions",
    ),
    row(
        "Library/Application Support/BraveSoftware",
        "Brave: passwords and sessions",
    ),
    row(
        "Library/Application Support/Microsoft Edge",
        "Edge: passwords and sessions",
    ),
    row(
        "Library/Application Support/Vivaldi",
        "Vivaldi: passwords and sessions",
    ),
    row(
        "Library/Application Support/Arc",
        "Arc: passwords and sessions",
    ),
    row("Library/Safari", "Safari: history and sessions"),
    row(
        "Library/Containers/com.apple.Safari",
        "Safari: history and sessions",
    ),
    row("Library/Mail", "macOS: mail"),
    row("Library/Messages", "macOS: messages"),
    row(".config/Signal", "Signal: messages and their key"),
    row(
        "Library/Application Support/Signal",
        "Signal: messages and their key",
    ),
    row(".config/Slack", "Slack: sessions"),
    row("Library/Application Support/Slack", "Slack: sessions"),
    row(".config/discord", "Discord: sessions"),
    row("Library/Application Support/discord", "Discord: sessions"),
    row(".config/Element", "Element: sessions"),
    row(".bitcoin", "Bitcoin: wallets"),
    row(".ethereum", "Ethereum: wallets"),
    row(".electrum", "Electrum: wallets"),
    row(".config/solana", "Solana: keys"),
    row(".monero", "Monero: wallets"),
    row(".Xauthority", "the key of the X server"),
    row(".ICEauthority", "the key of the session manager"),
    row(".config/weechat", "WeeChat: passwords"),
    row(".irssi", "irssi: passwords"),
    row(".msmtprc", "msmtp: passwords"),
    row(".config/msmtp", "msmtp: passwords"),
    row(".mbsyncrc", "isync: passwords"),
    row(".fetchmailrc", "fetchmail: passwords"),
    row(".muttrc", "mutt: passwords"),
    row(".config/openvpn", "OpenVPN: keys"),
    row(".cert", "NetworkManager: keys"),
    row(".wireguard", "WireGuard: keys"),
    row(".tsh", "Teleport: sessions"),
    row(".bash_history", "commands typed, passwords among them"),
    row(".zsh_history", "commands typed, passwords among them"),
    row(".zsh_sessions", "commands typed, passwords among them"),
    row(".zhistory", "commands typed, passwords among them"),
    row(".histfile", "commands typed, passwords among them"),
    row(".sh_history", "commands typed, passwords among them"),
    row(".ksh_history", "commands typed, passwords among them"),
    row(".history", "commands typed, passwords among them"),
    row(
        ".local/share/fish/fish_history",
        "commands typed, passwords among them",
    ),
    row(
        ".config/nushell/history.txt",
        "commands typed, passwords among them",
    ),
    row(
        ".config/nushell/history.sqlite3",
        "commands typed, passwords among them",
    ),
    row(
        ".local/share/atuin",
        "commands typed, and the key of their copies",
    ),
    row(
        ".local/state/bash/history",
        "commands typed, passwords among them",
    ),
    row(
        ".local/state/zsh/history",
        "commands typed, passwords among them",
    ),
    row(".python_history", "lines typed"),
    row(".node_repl_history", "lines typed"),
    row(".irb_history", "lines typed"),
    row(".psql_history", "lines typed, passwords among them"),
    row(".mysql_history", "lines typed, passwords among them"),
    row(".mariadb_history", "lines typed, passwords among them"),
    row(".sqlite_history", "lines typed"),
    row(".rediscli_history", "lines typed, passwords among them"),
    row(".lesshst", "what was searched for"),
    row(".viminfo", "pieces of files, passwords among them"),
    row(
        ".local/share/nvim/shada",
        "pieces of files, passwords among them",
    ),
    row(
        ".local/state/nvim/shada",
        "pieces of files, passwords among them",
    ),
    row(".wget-hsts", "which hosts were visited"),
];
