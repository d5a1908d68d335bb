"""The systemd unit that runs the web page. ``deploy/`` has examples for proxies and containers."""

from __future__ import annotations

from pathlib import Path

from paperagent.digest.jobs import systemd_quote
from paperagent.errors import InputError, visible


def service_unit(program: Path, home: Path, *, cache: Path, user: str, env_file: Path | None = None) -> str:
    """Return a systemd unit that runs the web page and lets it write to two folders only.

    Args:
        program: The executable.
        home: The library's folder.
        cache: The folder of the embedding model.
        user: The account that runs it.
        env_file: The file with the settings, which that account must be able to read.

    Raises:
        InputError: a path or the name cannot be written in a unit.
    """
    for text in (program, home, cache, user, env_file or home):
        if not str(text).isprintable():
            raise InputError(f"unit {visible(str(text), limit=80)}: cannot be written in a unit; rename it")
    words = [str(program), "serve", *(("--env-file", str(env_file)) if env_file else ())]
    values = {
        "user": user,
        "command": " ".join(map(systemd_quote, words)),
        "home_setting": systemd_quote(f"PAPERAGENT_HOME={home}"),
        "cache_setting": systemd_quote(f"PAPERAGENT_CACHE_DIR={cache}"),
        "folders": " ".join(systemd_quote(f"-{folder}") for folder in dict.fromkeys((home, cache))),
        "protect_home": "read-only" if _in_home_folders(program, home, cache, env_file) else "yes",
    }
    return (
        _UNIT.format(**values)
        + "".join(
            f"{name}=paperagent\n"
            for name, folder, path in (
                ("StateDirectory", home, "/var/lib/paperagent"),
                ("CacheDirectory", cache, "/var/cache/paperagent"),
            )
            if folder == Path(path)
        )
        + _INSTALL
    )


def _in_home_folders(*paths: Path | None) -> bool:
    folders = (Path("/home"), Path("/root"), Path("/run/user"))
    return any(path.is_relative_to(folder) for path in paths if path for folder in folders)


_UNIT = """\
# /etc/systemd/system/paperagent.service
# Then run: systemctl daemon-reload && systemctl enable --now paperagent
[Unit]
Description=paperagent web page
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
User={user}
Environment={home_setting} {cache_setting}
ExecStart={command}
Restart=on-failure
RestartSec=2
# Invalid settings: starting again would not help.
RestartPreventExitStatus=2 3
# The exit code after SIGTERM.
SuccessExitStatus=143
TimeoutStopSec=15
MemoryMax=1G
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome={protect_home}
ReadWritePaths={folders}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
"""
_INSTALL = """
[Install]
WantedBy=multi-user.target
"""
