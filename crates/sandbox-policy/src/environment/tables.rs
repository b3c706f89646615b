//! Variables by what they do: those that hold secrets, those that start programs, and those that
//! nearly every program needs.

use super::{VariableAllow, VariableDeny, VariablePattern, VariableRule};
use crate::filesystem::{Firmness, LayerId};
use crate::origin::Origin;

/// A variable of a table, or a pattern of some, with the reason why it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableVariable {
    /// A [`VariablePattern`].
    pub pattern: &'static str,
    /// What the variable does.
    pub reason: &'static str,
}

impl TableVariable {
    /// The first row of a table that names a variable.
    #[must_use]
    pub fn find(table: &'static [Self], name: &std::ffi::OsStr) -> Option<&'static Self> {
        let mut rows = table.iter();
        rows.find(|row| VariablePattern::from_table(row.pattern).matches(name))
    }
}

/// The denies of the `secrets` preset.
pub(crate) fn secret_variables(origin: &Origin, firmness: Firmness) -> Vec<VariableDeny> {
    let deny = |row: &TableVariable| VariableDeny {
        rule: rule(row.pattern, origin),
        firmness,
    };
    SECRET_VARIABLES.iter().map(deny).collect()
}

/// The rules of the `cleanEnvironment` preset: nothing passes but what nearly every program needs.
pub(crate) fn basic_variables(
    origin: &Origin,
    firmness: Firmness,
) -> (VariableDeny, Vec<VariableAllow>) {
    let allow = |row: &TableVariable| VariableAllow {
        rule: rule(row.pattern, origin),
        layer: LayerId::PRESET,
    };
    let deny = VariableDeny {
        rule: rule("*", origin),
        firmness,
    };
    (deny, BASIC_VARIABLES.iter().map(allow).collect())
}

fn rule(pattern: &'static str, origin: &Origin) -> VariableRule {
    VariableRule {
        pattern: VariablePattern::from_table(pattern),
        origin: origin.clone(),
    }
}

const fn row(pattern: &'static str, reason: &'static str) -> TableVariable {
    TableVariable { pattern, reason }
}

/// Variables that hold secrets, by the names that services and tools give them, and by the endings
/// that nearly all of them share.
pub const SECRET_VARIABLES: &[TableVariable] = &[
    row(
        "*_TOKEN",
        "tokens: GITHUB_TOKEN, NPM_TOKEN, CARGO_REGISTRY_TOKEN, …",
    ),
    row(
        "*_TOKEN_*",
        "tokens for named hosts: TF_TOKEN_app_terraform_io, …",
    ),
    row("*_token", "tokens in lower case"),
    row("*_authToken", "npm: tokens of registries"),
    row("*_auth", "npm: passwords of registries"),
    row("TOKEN", "a token"),
    row(
        "*_API_KEY",
        "keys of services: OPENAI_API_KEY, ANTHROPIC_API_KEY, …",
    ),
    row("*_APIKEY", "keys of services"),
    row("*_API_KEYS", "keys of services"),
    row("API_KEY", "a key of a service"),
    row("*_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY and its likes"),
    row("*_ACCESS_KEY_ID", "AWS: half of a key"),
    row("*_SECRET", "secrets: AZURE_CLIENT_SECRET, …"),
    row("*_SECRETS", "secrets"),
    row("*_SECRET_*", "secrets: STRIPE_SECRET_KEY, …"),
    row("SECRET", "a secret"),
    row("SECRET_*", "secrets: Django's and Rails' keys"),
    row("*_KEY_BASE", "Rails: the key of sessions"),
    row("*_MASTER_KEY", "Rails: the key of its credentials"),
    row("*_PRIVATE_KEY", "private keys"),
    row("*_SIGNING_KEY", "private keys"),
    row("*_ENCRYPTION_KEY", "keys of ciphers"),
    row("*_PASSWORD", "passwords"),
    row("*_PASSWD", "passwords"),
    row("*_PASS", "passwords"),
    row("*_PASSPHRASE", "passphrases: BORG_PASSPHRASE, …"),
    row("*_PASSCOMMAND", "borg: a command that prints a passphrase"),
    row("PASSWORD", "a password"),
    row("PGPASSWORD", "PostgreSQL: a password"),
    row("MYSQL_PWD", "MySQL: a password"),
    row("REDISCLI_AUTH", "Redis: a password"),
    row("SSHPASS", "sshpass: a password"),
    row("*_PAT", "personal access tokens"),
    row("*_CREDENTIAL", "credentials"),
    row("*_CREDENTIALS", "credentials, or the file that holds them"),
    row(
        "*_CREDENTIALS_*",
        "credentials: CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE, …",
    ),
    row("*_CREDENTIAL_FILE*", "files that hold credentials"),
    row(
        "*_CONNECTION_STRING",
        "addresses of databases with passwords in them",
    ),
    row("*_DSN", "addresses of services with keys in them"),
    row(
        "DATABASE_URL",
        "the address of a database, mostly with a password",
    ),
    row("*_DATABASE_URL", "addresses of databases"),
    row(
        "REDIS_URL",
        "the address of a database, mostly with a password",
    ),
    row(
        "MONGODB_URI",
        "the address of a database, mostly with a password",
    ),
    row(
        "MONGO_URL",
        "the address of a database, mostly with a password",
    ),
    row("AMQP_URL", "the address of a queue, mostly with a password"),
    row(
        "*_WEBHOOK_URL",
        "addresses that whoever knows them may post to",
    ),
    row("AWS_SESSION_TOKEN", "AWS: a token"),
    row("AWS_CONTAINER_*", "AWS: where a container gets keys"),
    row("AWS_WEB_IDENTITY_*", "AWS: where a process gets keys"),
    row("DOCKER_AUTH_CONFIG", "Docker: passwords of registries"),
    row("KUBECONFIG", "Kubernetes: the file with its credentials"),
    row("VAULT_*", "Vault: tokens and keys"),
    row("OP_SESSION_*", "1Password: open sessions"),
    row("OP_SERVICE_ACCOUNT_*", "1Password: tokens"),
    row("BW_SESSION", "Bitwarden: an open session"),
    row("BW_CLIENTSECRET", "Bitwarden: a secret"),
    row("GIT_ASKPASS", "git: a program that prints passwords"),
    row("SSH_ASKPASS", "ssh: a program that prints passphrases"),
    row("SUDO_ASKPASS", "sudo: a program that prints passwords"),
    row(
        "VSCODE_GIT_*",
        "VS Code: a socket that gives passwords to git",
    ),
    row("*_COOKIE", "cookies of sessions"),
    row("ACTIONS_ID_TOKEN_*", "GitHub Actions: identities of jobs"),
    row("ACTIONS_RUNTIME_*", "GitHub Actions: tokens of jobs"),
];

/// Variables by which a program, before or beside what it was called for, loads code or starts
/// another program. Whoever sets one of them decides what runs.
pub const STARTUP_VARIABLES: &[TableVariable] = &[
    row(
        "LD_*",
        "the dynamic loader: libraries for every program (ld.so(8))",
    ),
    row("DYLD_*", "macOS: libraries for every program (dyld(1))"),
    row(
        "GCONV_PATH",
        "the C library: modules that convert characters",
    ),
    row(
        "GLIBC_TUNABLES",
        "the C library: how it allocates and loads",
    ),
    row("LOCPATH", "the C library: locale data"),
    row("BASH_ENV", "bash: a script before every script"),
    row("ENV", "sh: a script before interactive shells"),
    row("BASH_FUNC_*", "bash: functions in place of commands"),
    row("PROMPT_COMMAND", "bash: a command before every prompt"),
    row("PS4", "shells: expanded for each traced command"),
    row("SHELLOPTS", "bash: options of every shell"),
    row("BASHOPTS", "bash: options of every shell"),
    row("ZDOTDIR", "zsh: where its start-up files are"),
    row("FPATH", "ksh, zsh: functions in place of commands"),
    row("IFS", "shells: where words end"),
    row("PATH", "which programs names mean"),
    row(
        "PYTHONSTARTUP",
        "Python: a script before interactive sessions",
    ),
    row("PYTHONPATH", "Python: modules in place of others"),
    row("PYTHONHOME", "Python: where its library is"),
    row("PYTHONUSERBASE", "Python: modules of the user"),
    row("PYTHONINSPECT", "Python: a prompt after the script"),
    row(
        "PYTHONBREAKPOINT",
        "Python: a function that breakpoints call",
    ),
    row("PYTHONEXECUTABLE", "Python: what it takes itself for"),
    row("PYTHONWARNINGS", "Python: names modules to import"),
    row("PERL5OPT", "Perl: options, which load modules"),
    row("PERL5LIB", "Perl: modules in place of others"),
    row("PERLLIB", "Perl: modules in place of others"),
    row("PERL5DB", "Perl: code before a debugged program"),
    row("RUBYOPT", "Ruby: options, which load files"),
    row("RUBYLIB", "Ruby: files in place of others"),
    row("NODE_OPTIONS", "Node: options, which load files"),
    row("NODE_PATH", "Node: modules"),
    row("BUN_OPTIONS", "Bun: options, which load files"),
    row("JAVA_TOOL_OPTIONS", "Java: options, which load agents"),
    row("_JAVA_OPTIONS", "Java: options, which load agents"),
    row("JDK_JAVA_OPTIONS", "Java: options, which load agents"),
    row("CLASSPATH", "Java: classes"),
    row("MAVEN_OPTS", "Maven: options of Java"),
    row("GRADLE_OPTS", "Gradle: options of Java"),
    row(
        "DOTNET_STARTUP_HOOKS",
        "Microsoft .NET: assemblies before the program",
    ),
    row("CORECLR_*", "Microsoft .NET: a library as profiler"),
    row("COR_*", "Microsoft .NET: a library as profiler"),
    row("PHPRC", "PHP: its settings, which load files"),
    row("PHP_INI_SCAN_DIR", "PHP: its settings, which load files"),
    row("LUA_INIT*", "Lua: code before the script"),
    row("LUA_PATH*", "Lua: modules"),
    row("LUA_CPATH*", "Lua: libraries"),
    row("R_PROFILE*", "R: a script at start"),
    row("R_ENVIRON*", "R: variables at start"),
    row("JULIA_*", "Julia: where code is loaded from"),
    row("ERL_*", "Erlang: options, which run code"),
    row("ELIXIR_ERL_OPTIONS", "Elixir: options, which run code"),
    row("GUILE_LOAD_*", "Guile: modules"),
    row("EMACSLOADPATH", "Emacs: code"),
    row("VIMINIT", "Vim: commands at start"),
    row("EXINIT", "vi: commands at start"),
    row(
        "GIT_*",
        "git: programs for ssh, diffs, editors, hooks; its settings",
    ),
    row("SSH_ASKPASS", "ssh: a program"),
    row("SUDO_ASKPASS", "sudo: a program"),
    row("EDITOR", "a program for editing"),
    row("VISUAL", "a program for editing"),
    row("PAGER", "a program for reading"),
    row("*_PAGER", "programs for reading"),
    row("MANPAGER", "man: a program for reading"),
    row("LESSOPEN", "less: a program for each file"),
    row("LESSCLOSE", "less: a program for each file"),
    row("BROWSER", "a program for addresses"),
    row("SHELL", "which shell programs start"),
    row("MAKEFLAGS", "make: options, which evaluate code"),
    row("GNUMAKEFLAGS", "make: options, which evaluate code"),
    row("MAKEFILES", "make: makefiles before every makefile"),
    row("CC", "a program for compiling"),
    row("CXX", "a program for compiling"),
    row("RUSTC*", "Cargo: programs in place of the compiler"),
    row("RUSTFLAGS", "rustc: options, which name linkers"),
    row("CARGO_*", "Cargo: its settings, which name programs"),
    row("GOFLAGS", "Go: options, which name programs"),
    row("GOTOOLCHAIN", "Go: which programs it is"),
    row("npm_config_*", "npm: its settings, which name programs"),
    row("NPM_CONFIG_*", "npm: its settings, which name programs"),
    row("PIP_*", "pip: its settings, where packages come from"),
    row("UV_*", "uv: its settings, where packages come from"),
    row("RSYNC_RSH", "rsync: a program"),
    row("CVS_RSH", "cvs: a program"),
    row("TAR_OPTIONS", "tar: options, which start programs"),
    row("PSQLRC", "psql: commands at start"),
    row("PKG_CONFIG*", "pkg-config: options for compilers"),
    row(
        "OPENSSL_CONF",
        "OpenSSL: its settings, which load libraries",
    ),
    row("OPENSSL_MODULES", "OpenSSL: libraries"),
    row("OPENSSL_ENGINES", "OpenSSL: libraries"),
    row("GTK_MODULES", "GTK: libraries"),
    row("QT_PLUGIN_PATH", "Qt: libraries"),
    row("GIO_EXTRA_MODULES", "GLib: libraries"),
    row("TERMINFO*", "terminal descriptions"),
];

/// Variables that say who, where and on what terminal, and hold no secret.
pub const BASIC_VARIABLES: &[TableVariable] = &[
    row("PATH", "where programs are"),
    row("HOME", "the home directory"),
    row("USER", "the user's name"),
    row("LOGNAME", "the user's name"),
    row("SHELL", "the user's shell"),
    row("PWD", "the working directory, as shells name it"),
    row("OLDPWD", "the working directory before"),
    row("SHLVL", "how deep shells are nested"),
    row("TMPDIR", "where temporary files go"),
    row("TERM", "the terminal's kind"),
    row("COLORTERM", "the terminal's colours"),
    row("TERM_PROGRAM", "the terminal's program"),
    row("COLUMNS", "the terminal's width"),
    row("LINES", "the terminal's height"),
    row("NO_COLOR", "no colours"),
    row("FORCE_COLOR", "colours"),
    row("CLICOLOR", "colours"),
    row("CLICOLOR_FORCE", "colours"),
    row("LS_COLORS", "colours of listings"),
    row("LANG", "the language"),
    row("LANGUAGE", "the languages"),
    row("LC_*", "the language, by use"),
    row("TZ", "the time zone"),
    row("EDITOR", "the user's editor"),
    row("VISUAL", "the user's editor"),
    row("PAGER", "the user's pager"),
    row("XDG_CONFIG_HOME", "where settings are"),
    row("XDG_CACHE_HOME", "where caches are"),
    row("XDG_DATA_HOME", "where data are"),
    row("XDG_STATE_HOME", "where states are"),
    row("CI", "no person is there"),
    row("DEBIAN_FRONTEND", "no person is there"),
    row("SOURCE_DATE_EPOCH", "the time that builds write down"),
    row("CARGO_HOME", "Rust: where its files are"),
    row("RUSTUP_HOME", "Rust: where its files are"),
    row("RUSTUP_TOOLCHAIN", "Rust: which version"),
    row("GOPATH", "Go: where its files are"),
    row("GOROOT", "Go: where it is"),
    row("JAVA_HOME", "Java: where it is"),
    row("NVM_DIR", "Node: where its versions are"),
    row("PNPM_HOME", "Node: where pnpm's programs are"),
    row("VIRTUAL_ENV", "Python: the environment in use"),
    row("CONDA_PREFIX", "Python: the environment in use"),
    row("PYENV_ROOT", "Python: where its versions are"),
    row("PYTHONUNBUFFERED", "Python: output at once"),
    row("PYTHONDONTWRITEBYTECODE", "Python: no caches"),
    row("SSL_CERT_FILE", "whose certificates count"),
    row("SSL_CERT_DIR", "whose certificates count"),
    row("NIX_SSL_CERT_FILE", "whose certificates count"),
    row("REQUESTS_CA_BUNDLE", "whose certificates count"),
    row("CURL_CA_BUNDLE", "whose certificates count"),
    row("NODE_EXTRA_CA_CERTS", "whose certificates count"),
];
