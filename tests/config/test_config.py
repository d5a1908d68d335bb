"""Settings: where they come from, what is refused, what is never shown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bad_inputs import check_covered
from paperagent import config
from paperagent.config import dotenv, values
from paperagent.errors import ConfigError
from paths import ROOT

KEY = "sk-abcdefghijklmnopqrstuvwxyz123456"
GOOD_SECRET = "0123456789abcdef" * 2


def write(text: str | bytes, mode: int = 0o600) -> Path:
    """Write the .env of the current folder."""
    path = Path(".env")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


REFUSED: list[tuple[str, str | bytes, dict[str, str], str]] = [
    ("bad-157", "PAPERAGENT_TOP_K=3\n".encode("utf-16"), {}, "UTF-16"),
    ("bad-157", b"PAPERAGENT_MODEL=\xff\n", {}, "not UTF-8 (byte 0xff at offset 17)"),
    ("bad-158", "# fine\nPAPERAGENT_TOP_K\n", {}, "line 2: has no '='"),
    ("bad-160", "PAPERAGENT TOP K=3\n", {}, "no spaces"),
    ("bad-161", "\nPAPERAGENT_MODEL='x\n", {}, "line 2: the quote ' is never closed"),
    ("bad-164", "PAPERAGENT_MODEL=${NO_SUCH_NAME}\n", {}, "${NO_SUCH_NAME} is not defined"),
    ("bad-165", "PAPERAGENT_TOPK=3\n", {}, "did you mean PAPERAGENT_TOP_K?"),
    ("bad-166", "OPENAI_API_KEY=\n", {}, "OPENAI_API_KEY (.env line 1): is empty"),
    ("bad-166", "", {"OPENAI_API_KEY": ""}, "OPENAI_API_KEY (environment): is empty"),
    ("bad-167", "OPENAI_API_KEY=sk-xxx\n", {}, "looks like a placeholder"),
    ("bad-167", "OPENAI_API_KEY=your-key-here\n", {}, "looks like a placeholder"),
    ("bad-167", "OPENAI_API_KEY=<key>\n", {}, "looks like a placeholder"),
    ("bad-168", "", {"OPENAI_API_KEY": "sk-abc def"}, "character 7 of 10"),
    ("bad-168", "", {"OPENAI_API_KEY": "sk-abc\nX: y"}, "character 7 of 11"),
    ("bad-168", "OPENAI_API_KEY=sk-abcé\n", {}, "character 7 of 7"),
    ("bad-169", "OPENAI_BASE_URL=localhost:8080/v1\n", {}, "the scheme must be http or https"),
    ("bad-169", "OPENAI_BASE_URL=ftp://h/v1\n", {}, "the scheme must be http or https"),
    ("bad-170", "OPENAI_BASE_URL=https://h/v1/chat/completions\n", {}, "give the base URL (…/v1)"),
    ("bad-171", "OPENAI_BASE_URL=https://h/v1?key=hunter2\n", {}, "may hold a secret"),
    ("bad-171", "OPENAI_BASE_URL=https://me:hunter2@h/v1\n", {}, "credentials in the URL"),
    ("bad-172", f"OPENAI_BASE_URL=http://h/v1\nOPENAI_API_KEY={KEY}\n", {}, "ALLOW_INSECURE=1"),
    ("bad-175", "PAPERAGENT_TOP_K=ten\n", {}, "must be an integer 1..100, got 'ten'"),
    ("bad-175", "PAPERAGENT_TOP_K=0\n", {}, "must be an integer 1..100, got '0'"),
    ("bad-175", "PAPERAGENT_TOP_K=-1\n", {}, "must be an integer 1..100"),
    ("bad-175", "", {"PAPERAGENT_TOP_K": "1.5"}, "must be an integer 1..100"),
    ("bad-176", "PAPERAGENT_TIMEOUT=0\n", {}, "must be a number > 0"),
    ("bad-176", "PAPERAGENT_TIMEOUT=none\n", {}, "must be a number > 0"),
    ("bad-176", "PAPERAGENT_TIMEOUT=-1\n", {}, "must be a number > 0"),
    ("bad-176", "PAPERAGENT_TIMEOUT=1e99\n", {}, "at most 3600"),
    ("bad-176", "PAPERAGENT_PRICE=1\n", {}, "must be INPUT,OUTPUT or INPUT,OUTPUT,CACHED"),
    ("bad-176", "PAPERAGENT_PRICE=cheap,dear\n", {}, "got 'cheap,dear'"),
    ("bad-176", "PAPERAGENT_PRICE=-1,2\n", {}, "US dollars per million tokens, such as 0.1,0.5,0.01"),
    ("bad-176", "PAPERAGENT_PRICE=nan,2\n", {}, "must be INPUT,OUTPUT"),
    ("bad-179", "PAPERAGENT_HISTORY=maybe\n", {}, "must be true or false, got 'maybe'"),
    ("bad-180", "PAPERAGENT_HOME=\n", {}, "PAPERAGENT_HOME (.env line 1): is empty"),
    ("bad-180", "", {"PAPERAGENT_HOME": "$NO_SUCH_NAME/x"}, "$NO_SUCH_NAME is not defined"),
    ("bad-182", "PAPERAGENT_MODEL_DIR=/no/such/folder\n", {}, "no such folder: /no/such/folder"),
    ("bad-185", "PAPERAGENT_SMTP_URL=smtp://h:abc\n", {}, "ports: 1..65535"),
    ("bad-185", "PAPERAGENT_SMTP_URL=smtp://h:0\n", {}, "the port must be 1..65535"),
    ("bad-185", "PAPERAGENT_SMTP_URL=smtp://h:70000\n", {}, "ports: 1..65535"),
    ("bad-187", "PAPERAGENT_SMTP_URL=smtp://me@h\n", {}, "a user but no password"),
    ("bad-188", "PAPERAGENT_MAIL_FROM=nobody\n", {}, "not an email address"),
    ("bad-188", "", {"PAPERAGENT_MAIL_FROM": "a@b.c\r\nBcc: d@e.f"}, "contains a control character"),
    ("bad-188", "PAPERAGENT_MAIL_FROM=a@b.c <evil@x.y> <a@b.c>\n", {}, "not an email address"),
    ("bad-192", "PAPERAGENT_SECRET=short0123456789\n", {}, "shorter than 32 bytes"),
    ("bad-192", f"PAPERAGENT_SECRET={values.EXAMPLE_SECRET}\n", {}, "is the example"),
    ("bad-192", f"PAPERAGENT_SECRET={GOOD_SECRET},short0123456789\n", {}, "shorter than 32 bytes"),
    ("bad-192", f"PAPERAGENT_SECRET={','.join([GOOD_SECRET] * 3)}\n", {}, "holds 3 secrets"),
    ("bad-193", "PAPERAGENT_PUBLIC_URL=http://papers.example.org\n", {}, "must be https (RFC 8058"),
    ("bad-194", "PAPERAGENT_WEB_HOST=0.0.0.0\n", {}, "which needs PAPERAGENT_PUBLIC_URL; set it"),
    ("bad-196", "PAPERAGENT_FEED_URLS=arxiv=https://10.0.0.1/api\n", {}, "arxiv: a private address"),
    ("bad-196", "PAPERAGENT_FEED_URLS=s2=https://0x7f.1/api\n", {}, "s2: a private address"),
    ("bad-196", "PAPERAGENT_FEED_URLS=s2=http://example.org\n", {}, "unencrypted"),
    ("bad-196", "PAPERAGENT_FEED_URLS=nonsense=https://example.org\n", {}, "must be SERVICE=URL"),
    ("bad-197", "", {"HTTP_PROXY": "http://:bad", "OPENAI_API_KEY": KEY}, "HTTP_PROXY (environment): not a"),
    ("bad-203", "#" * 1_000_000, {}, "too large"),
]


@pytest.mark.parametrize(("row", "text", "environ", "message"), REFUSED)
def test_refuses(
    row: str, text: str | bytes, environ: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad setting is a ConfigError that names key, place and reason and shows no secret."""
    if "PAPERAGENT_HOME" in str(text):
        monkeypatch.delenv("PAPERAGENT_HOME")
    write(text)
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ConfigError) as caught:
        config.load()
    assert message in str(caught.value)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    for secret in (KEY, "hunter2", "sk-abc"):
        assert secret not in str(caught.value)


def test_row_154_missing_file_means_defaults() -> None:
    """Without a .env every setting has its default and there is nothing to warn of."""
    found = config.load()
    assert (found.top_k, found.embedder, found.answer_mode, found.warnings) == (
        10,
        "minilm",
        "extractive",
        (),
    )


def test_row_154_what_llm_mode_lacks_is_named_at_once() -> None:
    """Two settings that each need an endpoint are reported together."""
    write("PAPERAGENT_MODE=llm\nPAPERAGENT_EMBEDDER=openai:small\n")
    with pytest.raises(ConfigError, match=r"2 problems: PAPERAGENT_MODE: .* · PAPERAGENT_EMBEDDER: "):
        config.load()


def test_row_155_directory_and_named_file_that_is_missing() -> None:
    """A .env that is a folder is refused; so is a file asked for that does not exist."""
    Path(".env").mkdir()
    with pytest.raises(ConfigError, match=r"\.env: is a directory"):
        config.load()
    with pytest.raises(ConfigError, match="no such file"):
        config.load(Path("other.env"))


def test_row_155_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be opened is named with the system's reason."""
    write("")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match=r"\.env: cannot be read: Permission denied"):
        config.load()


def test_row_156_open_file_with_a_key_is_warned_about() -> None:
    """A .env that others can read is a warning only where it holds a secret."""
    write("PAPERAGENT_TOP_K=3\n", 0o644)
    assert config.load().warnings == ()
    write(f"OPENAI_API_KEY={KEY}\n", 0o644)
    (warning,) = config.load().warnings
    assert "chmod 600" in warning
    assert KEY not in warning


@pytest.mark.parametrize(
    ("row", "line", "value"),
    [
        ("bad-157", "\ufeffPAPERAGENT_MODEL=m", "m"),
        ("bad-160", "export PAPERAGENT_MODEL=m", "m"),
        ("bad-162", 'PAPERAGENT_MODEL="m"', "m"),
        ("bad-162", "PAPERAGENT_MODEL='m # $x ${y}'", "m # $x ${y}"),
        ("bad-162", r'PAPERAGENT_MODEL="a\"b\$\\c\d"', r"a\"b$\c\d".replace('\\"', '"')),
        ("bad-163", "  PAPERAGENT_MODEL =  m x  # why\r", "m x"),
        ("bad-163", "PAPERAGENT_MODEL=m#1", "m#1"),
        ("bad-164", "A=x\nPAPERAGENT_MODEL=${A}-${GIVEN}", "x-e"),
        ("bad-164", "PAPERAGENT_MODEL=a$b", "a$b"),
    ],
)
def test_reads(row: str, line: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the dotenv dialects agree on is read as people expect."""
    monkeypatch.setenv("GIVEN", "e")
    write(line + "\n")
    assert config.load().model == value


def test_row_159_duplicate_key_last_wins_with_a_warning() -> None:
    """The last of two lines counts, and the warning gives both lines."""
    write("PAPERAGENT_TOP_K=3\n\nPAPERAGENT_TOP_K=4\n")
    found = config.load()
    assert found.top_k == 4
    assert found.warnings == (".env line 3: PAPERAGENT_TOP_K was set on line 1; the last one counts",)


def test_row_165_in_the_environment_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment may hold other programs' names, so only near misses are mentioned."""
    monkeypatch.setenv("PAPERAGENT_TOPK", "3")
    monkeypatch.setenv("PAPERAGENT_SHAREDSTUFF", "3")
    assert config.load().warnings == (
        "PAPERAGENT_TOPK (environment): unknown key; did you mean PAPERAGENT_TOP_K?",
    )


def test_row_172_allowed_insecure_is_a_warning_and_loopback_is_fine() -> None:
    """http:// with a key: fine to this machine, a warning elsewhere when allowed."""
    write(f"OPENAI_BASE_URL=http://127.0.0.1:8080/v1/\nOPENAI_API_KEY={KEY}\n")
    found = config.load()
    assert (found.openai_base_url, found.warnings) == ("http://127.0.0.1:8080/v1", ())
    write(f"OPENAI_BASE_URL=http://h/v1\nOPENAI_API_KEY={KEY}\nPAPERAGENT_ALLOW_INSECURE=1\n")
    assert "unencrypted" in config.load().warnings[0]


@pytest.mark.parametrize("text", ["~/papers", "$HOME/papers", "${HOME}/papers"])
def test_row_180_home_is_expanded(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """~ and $HOME are expanded in paths."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PAPERAGENT_HOME", text)
    assert config.load().home == tmp_path / "papers"


def test_row_180_relative_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative folder counts from the current one."""
    monkeypatch.setenv("PAPERAGENT_HOME", "../x")
    assert config.load().home == Path.cwd().parent / "x"


def test_row_201_command_line_over_environment_over_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is arguments, environment, .env, default, and each value knows its place."""
    write("PAPERAGENT_TOP_K=3\nPAPERAGENT_TIMEOUT=5\nPAPERAGENT_MODEL=file\n")
    monkeypatch.setenv("PAPERAGENT_TOP_K", "4")
    monkeypatch.setenv("PAPERAGENT_MODEL", "environment")
    found = config.load(model="argument")
    shown = {s.key: (s.value, s.where) for s in found.sources()}
    assert shown["PAPERAGENT_MODEL"] == ("argument", "command line")
    assert shown["PAPERAGENT_TOP_K"] == ("4", "environment")
    assert shown["PAPERAGENT_TIMEOUT"] == ("5.0", ".env line 2")
    assert shown["PAPERAGENT_EMBEDDER"] == ("minilm", "default")


def test_row_202_secrets_are_masked() -> None:
    """No form of the settings shows more than a secret's last four characters."""
    url = "smtp://me:hunter2@h:587"
    write(
        f"OPENAI_API_KEY={KEY}\nPAPERAGENT_SMTP_URL={url}\nPAPERAGENT_SECRET={GOOD_SECRET},{GOOD_SECRET[::-1]}\n"
    )
    found = config.load()
    shown = {s.key: s.value for s in found.sources()}
    assert shown["OPENAI_API_KEY"] == "…3456"
    assert shown["PAPERAGENT_SMTP_URL"] == "…"
    assert set(found.secrets()) == {
        KEY,
        url,
        GOOD_SECRET,
        GOOD_SECRET[::-1],
        f"{GOOD_SECRET},{GOOD_SECRET[::-1]}",
    }
    for secret in (KEY[:-4], "hunter2", GOOD_SECRET[:-4], GOOD_SECRET[::-1][:-4]):
        assert secret not in f"{shown} {found!r} {found}"


def test_all_problems_at_once_even_beside_a_line_that_cannot_be_read() -> None:
    """A person mends the file once, not once per mistake."""
    write("nonsense\nPAPERAGENT_TOPK=1\nPAPERAGENT_TIMEOUT=x\n")
    with pytest.raises(ConfigError) as caught:
        config.load()
    assert str(caught.value).startswith("settings: 3 problems: ")


@pytest.mark.parametrize("value", ["test-key", "dummy", "EMPTY", "none", "sk-test-123", KEY])
def test_keys_of_local_servers_are_no_placeholders(value: str) -> None:
    """Servers without accounts take any word for a key."""
    assert values.api_key(value) == value


@pytest.mark.parametrize(
    ("embedder", "good"), [("minilm", True), ("openai:m", True), ("openai:", False), ("bert", False)]
)
def test_embedder(embedder: str, *, good: bool) -> None:
    """An embedder is one of ours or names a model of the endpoint."""
    if good:
        assert values.embedder(embedder) == embedder
    else:
        with pytest.raises(ValueError, match="minilm-fp32"):
            values.embedder(embedder)


def test_an_endpoint_makes_llm_the_mode_unless_said_otherwise() -> None:
    """The mode follows from the endpoint, and an explicit one wins."""
    write(f"OPENAI_API_KEY={KEY}\n")
    assert config.load().answer_mode == "llm"
    assert config.load(mode="extractive").answer_mode == "extractive"


@pytest.mark.parametrize(
    ("value", "prices"),
    [
        ("0.1,0.5", (0.1, 0.1, 0.5)),
        (" 0.10, .50 ,0.01", (0.1, 0.01, 0.5)),
        ("0,0", (0.0, 0.0, 0.0)),
        (None, None),
    ],
)
def test_a_price_is_input_output_and_maybe_cached(
    value: str | None, prices: tuple[float, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a price of its own cached input costs what other input does."""
    if value is not None:
        monkeypatch.setenv("PAPERAGENT_PRICE", value)
    assert config.load().prices == prices


@pytest.mark.parametrize(
    ("url", "seconds"),
    [
        (None, 60),
        ("https://api.example.org/v1", 60),
        ("http://127.0.0.1:8080/v1", 300),
        ("http://[::1]:8080/v1", 300),
        ("http://localhost:8080/v1", 300),
    ],
)
def test_a_server_on_this_machine_is_given_more_time(
    url: str | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five minutes unless said otherwise: a small computer reads its prompt slowly."""
    if url is not None:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
    assert config.load().timeout == seconds
    assert config.load(timeout=7.0).timeout == 7
    assert config.load().local_endpoint == (seconds == 300)


def test_a_default_that_hangs_on_a_wrong_setting_is_not_reported_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """One wrong setting is one problem, though the timeout follows from others."""
    monkeypatch.setenv("OPENAI_BASE_URL", "nonsense:")
    with pytest.raises(ConfigError, match=r"^settings: OPENAI_BASE_URL[^·]*$"):
        config.load()


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("localhost:8080/v1", "http://localhost:8080/v1"),
        ("127.0.0.1:11434", "http://127.0.0.1:11434/v1"),
        ("[::1]:8080/v1/", "http://[::1]:8080/v1"),
        ("192.168.1.4:8000/v1", "http://192.168.1.4:8000/v1"),
        ("gpu-box:8000", "http://gpu-box:8000/v1"),
        ("api.example.org/v1", "https://api.example.org/v1"),
        ("user:hunter2@localhost/v1", "https://HOST/…"),
    ],
)
def test_an_address_without_its_scheme_is_completed_in_the_message(value: str, meant: str) -> None:
    """http:// on this machine and its network, https:// elsewhere, and no secret repeated."""
    with pytest.raises(ValueError, match=re.escape(f"the scheme must be http or https; write {meant}")):
        values.base_url(value)


def test_example_lists_every_key_and_reads_as_nothing_set() -> None:
    """.env.example names each key once, each commented out, with nothing unknown."""
    path = ROOT / ".env.example"
    text = path.read_text(encoding="utf-8")
    named = [
        line.removeprefix("#").partition("=")[0]
        for line in text.splitlines()
        if line.startswith("#") and "=" in line
    ]
    assert [n for n in named if n.isupper()] == [s.key for s in config.load().sources()]
    assert config.load(path).warnings == ()
    for field in config.Settings.model_fields.values():
        assert f"\n# {field.description}\n#" in text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the parser fail, and what it reads has keys that are names."""
    found = dotenv.parse(text, {"A": "b"})
    assert all(dotenv._KEY.match(key) for key in found.values)


@settings(max_examples=200)
@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40))
def test_double_quoted_values_round_trip(value: str) -> None:
    """Any one-line value can be written down, and comes back exactly."""
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    found = dotenv.parse(f'A="{quoted}"', {})
    assert (found.values, found.problems) == ({"A": value}, [])


def test_import_loads_no_settings() -> None:
    """`import paperagent` leaves pydantic alone."""
    code = "import sys, paperagent; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_row_is_covered() -> None:
    """Each row of the settings' bad inputs is a test here or is named as not applying yet."""
    numbered = {f"bad-{n}" for n in (154, 155, 156, 157, 159, 160, 162, 163, 164, 165, 172, 180, 201, 202)}
    # The library's to notice (tests/store, tests/test_cli_real.py), or the server's (test_ask_terminal.py,
    # test_endpoint_check.py).
    # Mail: tests/digest/test_digest_cli.py, test_smtp.py, test_subscribers.py. Port in use: tests/web.
    elsewhere = {
        "bad-195",
        "bad-173",
        "bad-174",
        "bad-181",
        "bad-183",
        "bad-184",
        "bad-186",
        "bad-189",
        "bad-190",
    }
    check_covered("Config/.env", {row for row, *_ in REFUSED} | numbered | elsewhere)


@pytest.mark.parametrize(
    ("value", "when"),
    [
        ("auto", "auto"),
        ("Always", "always"),
        ("never", "never"),
        ("true", "always"),
        ("1", "always"),
        ("off", "never"),
        ("no", "never"),
    ],
)
def test_when_a_judge_is_asked(value: str, when: str) -> None:
    """The flag of earlier versions still means always or never."""
    write(f"PAPERAGENT_JUDGE={value}\n")
    assert config.load().judge == when
    assert config.load(judge=True).judge == "always"
    assert config.load(judge=False).judge == "never"


def test_a_judge_is_asked_where_it_is_needed() -> None:
    """The default, and what it is not."""
    assert config.load().judge == "auto"
    write("PAPERAGENT_JUDGE=sometimes\n")
    with pytest.raises(ConfigError, match="must be auto or always or never, got 'sometimes'"):
        config.load()


MAIL = {
    "PAPERAGENT_SMTP_URL": "smtp://127.0.0.1:25",
    "PAPERAGENT_MAIL_FROM": "papers@example.org",
    "PAPERAGENT_PUBLIC_URL": "https://papers.example.org",
    "PAPERAGENT_SECRET": "0123456789abcdef0123456789abcdef",
}


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"PAPERAGENT_WEB_HOST": "192.0.2.1"}, "which needs PAPERAGENT_PUBLIC_URL; set it"),
        ({"PAPERAGENT_WEB_ASK": "model"}, "WEB_ASK: model needs an endpoint"),
        (
            {"PAPERAGENT_WEB_ASK": "model", "OPENAI_API_KEY": KEY, "PAPERAGENT_WEB_MAX_COST_PER_DAY": "0"},
            "WEB_ASK: model needs a limit on cost above 0",
        ),
        ({"PAPERAGENT_WEB_USER_HEADER": "Remote-User"}, "counts only from a proxy"),
        ({"PAPERAGENT_WEB_ASKERS": "ana@example.org"}, "WEB_ASKERS: sign in by a mailed link; set"),
        ({"PAPERAGENT_WEB_READ": "signed-in"}, "WEB_READ: nobody can sign in"),
        ({"PAPERAGENT_WEB_SIGNUP": "true"}, "WEB_SIGNUP: needs emails with links"),
        ({"PAPERAGENT_WEB_ASKERS": "example.org"}, "is not an email address; write ana@example.org"),
        ({"PAPERAGENT_WEB_TRUSTED_PROXIES": "proxy"}, "must be IP addresses or networks"),
        ({"PAPERAGENT_WEB_USER_HEADER": "A: b"}, "must be the name of an HTTP header"),
    ],
)
def test_the_settings_of_the_web_page_must_fit_together(
    environ: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ConfigError, match=re.escape(message)):
        config.load()


def test_signing_up_is_open_where_mails_with_links_can_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not config.load().signup_open
    for key, value in MAIL.items():
        monkeypatch.setenv(key, value)
    assert config.load().signup_open
    assert not config.load(web_signup=False).signup_open
    loaded = config.load(web_askers=" Ana@Example.org,@EXAMPLE.com, ", web_host="::")
    assert loaded.web_askers == "ana@example.org,@example.com"


@given(
    st.dictionaries(
        st.sampled_from(["PAPERAGENT_MODEL", "OTHER"]),
        st.text(st.characters(exclude_categories=["C", "Zl", "Zp"])),
        min_size=1,
    )
)
def test_what_is_written_is_read(settings: dict[str, str]) -> None:
    """Any printable value comes back, whatever quotes, dollars and backslashes it has."""
    assume(all(value.isprintable() for value in settings.values()))
    path = write("# first\nOTHER=1\nexport OTHER=2 # last\n", mode=0o644)
    dotenv.update(path, settings)
    found = dotenv.read(path, {})
    assert not found.problems
    assert found.values == {"OTHER": "2"} | settings
    assert path.read_text(encoding="utf-8").startswith("# first\nOTHER=1\n")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_link_to_the_settings_stays_a_link(tmp_path: Path) -> None:
    """A file that other programs share is written where it is; a value with a line break is refused."""
    shared, path = tmp_path / "shared.env", Path(".env")
    path.symlink_to(shared)
    dotenv.update(path, {"PAPERAGENT_MODEL": "m"})
    assert path.is_symlink()
    assert shared.read_text(encoding="utf-8") == "PAPERAGENT_MODEL=m\n"
    with pytest.raises(ConfigError, match="control character"):
        dotenv.update(path, {"PAPERAGENT_MODEL": "a\nB=c"})
    assert [p.name for p in tmp_path.iterdir()] == ["shared.env"]
