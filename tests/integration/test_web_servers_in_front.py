"""The web servers in front, with the files of deploy/: what gets through, and what they keep."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from repermit.db.connection import open_database
from tests.support.builders import make_asked, make_campaign, make_list, make_settings
from tests.support.mail_servers import free_port
from tests.support.public_pages import Pages, served
from tests.unit.web.test_security_headers import wrong_with

DEPLOY = Path(__file__).parents[2] / "deploy"
HOST = "ask.example.org"
TOKEN = "not-to-be-logged"

NGINX = """\
{user}
daemon off; master_process off; pid {folder}/pid; error_log {folder}/main.log;
events {{ worker_connections 64; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    add_header X-Content-Type-Options "the website's own" always;
    {site}
}}
"""
NGINX_WEBSITE = """\
    {limit}
    server {{
        listen 127.0.0.1:{port};
        server_name {host};
        location ~ metrics$ {{ return 200 "the website's own"; }}
        include {snippet};
    }}
"""
APACHE = """\
ServerRoot {folder}
ServerName {host}
PidFile {folder}/pid
DefaultRuntimeDir {folder}
Listen 127.0.0.1:{port}
{listen}
{user}
{modules}
ErrorLog {folder}/error.log
LogFormat "%h %r" combined
LogFormat "%h %r" common
CustomLog {folder}/access.log combined
{site}
"""
APACHE_WEBSITE = """\
<VirtualHost 127.0.0.1:{port}>
    ServerName {host}
    CustomLog {folder}/access.log combined env=!repermit
    Include {snippet}
</VirtualHost>
"""
APACHE_MODULES = (
    *("mpm_event", "alias", "authz_core", "dir", "env", "headers", "proxy", "proxy_http"),
    *("reqtimeout", "setenvif", "socache_shmcb", "ssl"),
)


PACKAGES = {"nginx": "nginx", "apache2": "apache2-bin", "caddy": "caddy"}


@dataclass(frozen=True)
class Front:
    """A web server in front; `answer` asks it for something that need be no proper address."""

    port: int
    folder: Path
    plain_port: int = 0
    """Where it speaks http alone, if `port` is for https."""

    def answer(self, target: str, *more: str, body: bytes = b"") -> tuple[int, dict[str, str], str]:
        method = "POST" if body else "GET"
        lines = [f"{method} {target} HTTP/1.1", f"Host: {HOST}", "Connection: close", *more]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join((*lines, "", "")).encode()
        with closing(self.connect()) as line:
            got = bytearray()
            # A server that has answered need not read the rest of what is sent.
            with suppress(ConnectionResetError, BrokenPipeError):
                line.sendall(head + body)
            with suppress(ConnectionResetError):
                while piece := line.recv(65_536):
                    got += piece
        first, _, rest = got.partition(b"\r\n\r\n")
        status, *headers = first.decode("latin-1").split("\r\n")
        pairs = [one.split(": ", 1) for one in headers]
        names = [name.lower() for name, _ in pairs if name != "Set-Cookie"]
        assert len(names) == len(set(names)), f"a header stands twice: {headers}"
        return int(status.split()[1]), dict(pairs), rest.decode("latin-1")

    def connect(self) -> socket.socket:
        """Open a connection, by TLS if the server has its own certificate."""
        line = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        if not self.plain_port:
            return line
        context = ssl.create_default_context(cafile=self.folder.parent / "authority.pem")
        return context.wrap_socket(line, server_hostname=HOST)

    def logged(self) -> str:
        """Return all that it has written into any file."""
        files = [one for one in self.folder.rglob("*") if one.is_file()]
        return "\n".join(one.read_text("utf-8", "replace") for one in files)


def _own_copy(file: Path, folder: Path, *, port: int, plain_port: int, upstream: int) -> str:
    """Return a file of deploy/ with nothing changed in it but where things are on this machine."""
    text = file.read_text("utf-8").replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    # What a comment tells of the port is for monitors.
    text = text.replace("/var/log/nginx/error.log", f"{folder}/error.log")
    text = text.replace(f"/etc/letsencrypt/live/{HOST}/", f"{folder.parent}/")
    text = re.sub(r"listen \[::\].*;", "", text)
    text = text.replace("listen 80;", f"listen 127.0.0.1:{plain_port};")
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
    text = text.replace("<VirtualHost *:80>", f"<VirtualHost 127.0.0.1:{plain_port}>")
    return text.replace("<VirtualHost *:443>", f"<VirtualHost 127.0.0.1:{port}>")


def _make_certificate(folder: Path) -> None:
    """Lay a certificate of the host where certbot would, below a folder of the test."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    issued = authority.issue_cert(HOST)
    issued.private_key_pem.write_to_path(folder / "privkey.pem")
    for part in issued.cert_chain_pems:
        part.write_to_path(folder / "fullchain.pem", append=True)


def _command(file: Path, folder: Path, *, port: int, plain_port: int, upstream: int) -> list[str]:
    """Write the settings of a web server, and return the command that runs it."""
    kind = file.parent.name
    conf, snippet = folder.parent / f"{kind}.conf", folder.parent / f"{kind}.snippet"
    text = _own_copy(file, folder, port=port, plain_port=plain_port, upstream=upstream)
    values = {"folder": folder, "host": HOST, "port": port, "snippet": snippet}
    is_root = os.geteuid() == 0
    if kind == "nginx":
        snippet.write_text(text, "utf-8")
        user = "user root;" if is_root else ""
        limit = "".join(re.findall(r"^# +(limit_req_zone .*)$", text, re.MULTILINE))
        site = NGINX_WEBSITE.format(limit=limit, **values) if path_of(file) else text
        conf.write_text(NGINX.format(user=user, site=site, **values), "utf-8")
        return ["nginx", "-p", str(folder), "-e", str(folder / "start.log"), "-c", str(conf)]
    if kind == "apache":
        snippet.write_text(text, "utf-8")
        modules = "\n".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so"
            for name in APACHE_MODULES
        )
        user = "User www-data\nGroup www-data" if is_root else ""
        site = APACHE_WEBSITE.format(**values) if path_of(file) else text
        listen = "" if path_of(file) else f"Listen 127.0.0.1:{plain_port}"
        filled = APACHE.format(user=user, modules=modules, site=site, listen=listen, **values)
        conf.write_text(filled, "utf-8")
        return ["apache2", "-X", "-f", str(conf)]
    text = text.replace("\n{\n", "\n{\n\tadmin off\n\tauto_https off\n", 1)
    log = f"\n\tlog {{\n\t\toutput file {folder}/access.log\n\t}}" if path_of(file) else ""
    site = f"http://{HOST}:{port} {{\n\tbind 127.0.0.1{log}"
    text, count = re.subn(r"(?m)^(?:ask|www)\.example\.org \{", site, text)
    assert count == 1
    conf.write_text(text, "utf-8")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(conf)]


@contextmanager
def running(file: Path, folder: Path, *, upstream: int) -> Iterator[Front]:
    """Run a web server with a file of deploy/, in front of a port."""
    port = free_port()
    has_tls = file.parent.name != "caddy" and not path_of(file)
    plain_port = free_port() if has_tls else 0
    folder.mkdir()
    _make_certificate(folder.parent)
    command = _command(file, folder, port=port, plain_port=plain_port, upstream=upstream)
    path = f"{os.environ['PATH']}:/usr/sbin"
    if shutil.which(command[0], path=path) is None:
        pytest.skip(
            f"there is no {command[0]} here (Debian: apt-get install {PACKAGES[command[0]]})"
        )
    env = {"PATH": path, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (
        (folder / "output.log").open("wb") as output,
        subprocess.Popen(command, env=env, stdout=output, stderr=output) as process,
    ):
        try:
            _wait_for(port, process, folder)
            yield Front(port, folder, plain_port)
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError((folder / "output.log").read_text("utf-8"))


FILES = sorted(DEPLOY.glob("*/*host*")) + sorted(DEPLOY.glob("*/path*"))
IDS = [f"{one.parent.name}-{one.name}" for one in FILES]


def path_of(file: Path) -> str:
    return "/vraag" if file.name.startswith("path") else ""


def as_usual(file: Path) -> list[str]:
    """Return which headers differ where pages share the host of a website."""
    return ["Strict-Transport-Security"] if path_of(file) else []


def is_inside(answer: tuple[int, dict[str, str], str]) -> bool:
    """Say whether an answer tells what only this machine is to know."""
    status, _, text = answer
    return "repermit_contacts" in text or ('"ok"' in text and status == 200)


@pytest.mark.everyday("nginx-path")
@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_pages_get_through_and_what_is_for_monitors_does_not(
    file: Path, sqlite_url: str, tmp_path: Path
) -> None:
    seen: list[dict[str, Any]] = []
    path = path_of(file)

    def make(_: str) -> Pages:
        settings = make_settings(database=sqlite_url, public_url=f"https://{HOST}{path}")
        pages = Pages(database, settings)
        inner = pages.app.wsgi_app

        def noting(environ: dict[str, Any], start_response: Any) -> Any:
            seen.append(dict(environ))
            return inner(environ, start_response)

        pages.app.wsgi_app = noting  # type: ignore[method-assign]
        return pages

    ports: list[int] = []

    def make_noting_port(url: str) -> Pages:
        ports.append(int(url.rpartition(":")[2]))
        return make(url)

    with open_database(sqlite_url) as database, served(make_noting_port) as pages:
        news = make_list(database)
        contact = make_asked(database, news, make_campaign(database, news))
        with running(file, tmp_path / "front", upstream=ports[0]) as front:
            _look_around(front, file, pages, contact.uid, seen)


def _look_around(
    front: Front, file: Path, pages: Pages, uid: str, seen: list[dict[str, Any]]
) -> None:
    path = path_of(file)
    link = pages.path("yes", uid)
    status, headers, _ = front.answer(f"{path}{link}", "X-Forwarded-For: 198.51.100.7")
    assert status == 200
    assert wrong_with(headers) == as_usual(file)
    # With trusted_proxies = 1 the last one counts; what the browser said is gone altogether.
    assert seen[-1]["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert front.answer(f"{path}/admin/login")[0] == 200
    # A list of some megabytes is the application's to refuse.
    count = len(seen)
    assert front.answer(f"{path}/join/news", body=bytes(3_000_000))[0] == 413
    assert len(seen) == count + 1
    if file.parent.name == "nginx":
        # The others wait for what is announced.
        status, headers, _ = front.answer(f"{path}/join/news", "Content-Length: 200000000")
        assert (status, wrong_with(headers)) == (413, as_usual(file))
    status, headers, _ = front.answer(f"{path}/elsewhere")
    assert (status, wrong_with(headers)) == (404, as_usual(file))

    for page in ("metrics", "healthz"):
        assert is_inside(_asked_directly(pages, page))
        status, headers, _ = front.answer(f"{path}/{page}")
        assert status in {403, 404}
        assert wrong_with(headers) == as_usual(file)
        for target in (
            f"{path}/{page}",
            f"{path}//{page}",
            f"/{path}/{page}",
            f"{path}/./{page}",
            f"{path}/x/../{page}",
            f"{path}/%{ord(page[0]):02x}{page[1:]}",
            f"{path}/{page}?a=b",
            f"{path}/{page}/",
            f"{path}/{page}/.",
            f"{path}/x/%2e%2e/{page}",
            f"{path}/x%2f..%2f{page}",
            f"{path}/{page};a",
            f"{path}/{page}%00",
            f"{path}{path}/{page}",
            f"http://{HOST}{path}/{page}",
        ):
            assert not is_inside(front.answer(target)), target
    assert link.rpartition("/")[2] not in front.logged()


def _asked_directly(pages: Pages, page: str) -> tuple[int, dict[str, str], str]:
    response = pages.client.get(f"/{page}")
    return response.status_code, {}, response.text


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_where_nobody_answers_the_headers_are_there_and_no_link_stands_in_a_log(
    file: Path, tmp_path: Path
) -> None:
    with running(file, tmp_path / "front", upstream=free_port()) as front:
        status, headers, _ = front.answer(f"{path_of(file)}/yes/{TOKEN}")
        assert status in {502, 503}
        assert wrong_with(headers) == as_usual(file)
    assert TOKEN not in front.logged()


@pytest.mark.parametrize("file", [one for one in FILES if one.parent.name == "nginx"], ids=str)
def test_nginx_refuses_who_asks_too_often_and_nobody_else(file: Path, tmp_path: Path) -> None:
    with running(file, tmp_path / "front", upstream=free_port()) as front:
        target = f"{path_of(file)}/yes/{TOKEN}"
        answers = []
        for _ in range(1000):
            answers.append(front.answer(target))
            if answers[-1][0] == 429:
                break
        statuses = [status for status, _, _ in answers]
        assert statuses[-1] == 429
        # A burst of a hundred passes: a whole office may be behind one address.
        assert set(statuses[:-1]) == {502}
        assert len(statuses) > 100
        assert wrong_with(answers[-1][1]) == as_usual(file)
    assert TOKEN not in front.logged()


def test_nginx_logs_no_link_when_it_has_no_connections_left(tmp_path: Path) -> None:
    """As in a burst of answers that wait: of that it tells with the request, as an alert."""
    file = DEPLOY / "nginx" / "path.conf"
    log = "error_log /var/log/nginx/error.log emerg;"
    assert all(log in one.read_text("utf-8") for one in file.parent.glob("*.conf"))
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent, ExitStack() as stack:
        port = silent.getsockname()[1]
        front = stack.enter_context(running(file, tmp_path / "front", upstream=port))
        request = f"GET {path_of(file)}/yes/{TOKEN} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
        answers: list[bytes] = []
        # Each takes two of the 64, and waits; there is one left for the last.
        while not answers:
            client = stack.enter_context(closing(front.connect()))
            client.sendall(request.encode())
            client.settimeout(0.1)
            with suppress(TimeoutError):
                answers.append(client.recv(100))
        assert answers[0].startswith(b"HTTP/1.1 500")
    assert TOKEN not in front.logged()


@pytest.mark.parametrize("kind", ["nginx", "apache"])
def test_http_leads_to_https_and_keeps_the_link_out_of_the_log(kind: str, tmp_path: Path) -> None:
    file = DEPLOY / kind / "own-host.conf"
    with running(file, tmp_path / "front", upstream=free_port()) as front:
        plain = Front(front.plain_port, front.folder)
        status, headers, _ = plain.answer(f"/yes/{TOKEN}?a=b")
        assert (status, headers["Location"]) == (301, f"https://{HOST}/yes/{TOKEN}?a=b")
        # What certbot is asked for it answers itself.
        assert plain.answer("/.well-known/acme-challenge/none")[0] == 404
    assert TOKEN not in front.logged()


def test_the_documentation_names_each_file_and_says_what_is_hidden() -> None:
    page = (DEPLOY.parent / "docs/how-to/proxy-and-tls.md").read_text("utf-8")
    for file in FILES:
        assert f"deploy/{file.parent.name}/{file.name}" in page
        text = file.read_text("utf-8")
        assert re.search(r"healthz\b.*metrics\b", text, re.DOTALL)
        assert "trusted_proxies = 1" in text
    # The address that the files pass everything to is where `serve` listens.
    web = make_settings().web
    assert (web.host, web.port) == ("127.0.0.1", 8000)
