"""`vocalsketch serve` and `collect`: what is refused, libraries of one's own, proxies."""

import argparse
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from served_page import served_page
from small_networks import chirp, write_library, write_sound

from vocalsketch.commands import collect, serve
from vocalsketch.commands.actions import declare
from vocalsketch.errors import ConfigError, DatasetError, StorageError
from vocalsketch.web.server import allowed_hosts


def run(*arguments: object, command: object = serve) -> int:
    parser = argparse.ArgumentParser()
    declare(parser, command)
    return command.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-seconds", "0"], "--max-seconds is 0"),
        (["--max-megabytes", "-3"], "--max-megabytes is -3"),
        (["--port", "-1"], "--port is -1"),
        (["--port", "70000"], "--port is 70000"),
        (["--host", "192.0.2.1"], "192.0.2.1, port 7860, cannot be listened on"),
        (["--host", "no such host"], "no such host, port 7860, cannot be listened on"),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run("--index", "anything", *arguments)


def test_a_port_in_use_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="cannot be listened on.*give a --port that is free"):
            run("--index", "anything", "--port", taken.getsockname()[1])


def test_a_missing_index_or_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No index in"):
        run("--index", tmp_path / "nowhere", "--port", 0)
    with pytest.raises(DatasetError, match="is no folder of sounds"):
        run(tmp_path / "nowhere", "--port", 0)


def test_others_are_let_in_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StorageError):
        run("--index", tmp_path / "nowhere", "--host", "0.0.0.0", "--port", 0)
    assert "there is no password" in capsys.readouterr().err


def test_names_that_are_answered() -> None:
    assert "sounds.example.org" in allowed_hosts("127.0.0.1", ["sounds.example.org"])
    assert "*" not in allowed_hosts("127.0.0.1", ["sounds.example.org"])
    assert allowed_hosts("0.0.0.0", []) == ["*"]


def test_collect_needs_a_place_and_people(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--out"):
        run(tmp_path, command=collect)
    with pytest.raises(DatasetError, match="Nobody took part"):
        run("report", tmp_path, command=collect)


def test_a_library_is_indexed_while_it_is_served_and_new_files_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also under proxy variables that lead nowhere: the server asks nobody."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "socks5://127.0.0.1:9")
    monkeypatch.setenv("VOCALSKETCH_CACHE", str(tmp_path / "cache"))
    library = tmp_path / "library"
    write_sound(library / "one.wav", chirp(1))
    with served_page(tmp_path / "server", str(library)) as page:
        deadline = 600
        while not page.get("/api/state").json()["libraries"]:
            deadline -= 1
            assert deadline, page.said()
            socket.create_connection(("127.0.0.1", page.port)).close()
        [found] = page.get("/api/state").json()["libraries"]
        assert found["sounds"] == 1
        assert page.paths((library / "one.wav").read_bytes()) == ["one.wav"]


@pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx: apt-get install nginx")
@pytest.mark.parametrize("strips", [True, False])
def test_it_works_behind_nginx_under_a_path(tmp_path: Path, strips: bool) -> None:
    from small_networks import write_checkpoint

    from vocalsketch.search import build_index

    library = write_library(tmp_path / "library")
    build_index(library, tmp_path / "index", write_checkpoint(tmp_path / "x.ckpt"), progress=False)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--allow-host", "sounds.example.org", *([] if strips else ["--root-path", "/find"])]
    with served_page(tmp_path / "server", "--index", str(tmp_path / "index"), *options) as page:
        target = f"http://127.0.0.1:{page.port}{'/' if strips else ''}"
        conf = tmp_path / "nginx.conf"
        conf.write_text(
            f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}"
            f" http {{ access_log off; client_body_temp_path {tmp_path}/body;"
            f" proxy_temp_path {tmp_path}/proxy; fastcgi_temp_path {tmp_path}/f;"
            f" uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;"
            f" server {{ listen 127.0.0.1:{port}; location /find/ {{ proxy_pass {target};"
            " proxy_set_header Host $host; } } }"
        )
        proxy = subprocess.Popen(["nginx", "-c", str(conf), "-e", str(tmp_path / "error.log")])
        try:
            seen = type(page)(port, page.process, page.said)
            for _ in range(200):
                try:
                    answer = seen.get("/find/api/state", Host="sounds.example.org")
                    break
                except ConnectionRefusedError:
                    os.sched_yield()
                    subprocess.run(["sleep", "0.05"], check=True)
            assert answer.status == 200, answer.text
            assert json.loads(answer.body)["libraries"]
            assert seen.get("/find/", Host="sounds.example.org").text.count("page.js") == 1
            assert seen.get("/find/page.js", Host="sounds.example.org").status == 200
            assert seen.get("/find/", Host="evil.example").status == 400
        finally:
            proxy.terminate()
            proxy.wait(20)
