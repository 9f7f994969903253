"""Opening storages, and waiting for those that do not answer."""

from pathlib import Path

import optuna
import pytest
from sqlalchemy.exc import OperationalError

from vocalsketch.errors import ConfigError, StorageError
from vocalsketch.sweep.storage import WAITS, open_storage, patiently, shown


@pytest.mark.parametrize(
    "name", ["deep", "what?", "take #2", "50 % {more}", "a?b=c&d", "h\u00f6rt", "it's"]
)
def test_what_one_storage_writes_another_reads_whatever_its_folder_is_called(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{name}/study.db"
    study = optuna.create_study(storage=open_storage(url), study_name="s")
    study.optimize(lambda trial: 0.5, n_trials=1)
    again = optuna.load_study(storage=open_storage(url), study_name="s")
    assert again.best_value == 0.5
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "study.db").stat().st_size > 0


def test_a_storage_that_is_down_is_asked_again_ever_later_and_then_named() -> None:
    waited: list[float] = []
    url = "postgresql://someone:secret@127.0.0.1:9/studies"  # nothing listens on port 9
    with pytest.raises(StorageError) as error:
        open_storage(url, sleep=waited.append)
    assert waited == list(WAITS)
    assert "postgresql://someone:***@127.0.0.1:9/studies does not answer" in str(error.value)
    assert "secret" not in str(error.value)


def test_a_storage_that_comes_back_is_used() -> None:
    answers = [
        OperationalError("", {}, OSError("away")),
        OperationalError("", {}, OSError("away")),
        "here",
    ]

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, OperationalError):
            raise answer
        return str(answer)

    assert patiently(ask, "sqlite:///x", sleep=lambda seconds: None) == "here"


@pytest.mark.parametrize("url", ["redis://host", "grpc://host:1", "journal:x", "mysql://host/x"])
def test_another_kind_of_storage_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=f"storage is '{url}': give sqlite:///FILE or postgresql"):
        open_storage(url)


@pytest.mark.parametrize(
    "password", ["p@ss:w/rd", "@", "a@b", ":/@x", "ge/hei:m@", "50%@#?", "x@y?z", "x/y@z/w:v"]
)
def test_a_password_that_is_not_encoded_is_refused_and_no_part_of_it_is_shown(
    password: str,
) -> None:
    with pytest.raises(ConfigError) as error:
        open_storage(f"postgresql://me:{password}@host/studies")
    assert "storage is 'postgresql://me:***@host/studies'" in str(error.value)
    assert "percent-encoded, %40 for @" in str(error.value)


@pytest.mark.parametrize("password", ["a:b", "a/b", "a%40b", "a#b", "a%3Ab"])
def test_a_password_that_is_understood_is_used_and_not_shown(password: str) -> None:
    waited: list[float] = []
    url = f"postgresql://me:{password}@127.0.0.1:9/studies"
    with pytest.raises(StorageError) as error:
        open_storage(url, sleep=waited.append)
    assert "postgresql://me:***@127.0.0.1:9/studies does not answer" in str(error.value)
    assert password not in str(error.value)


def test_a_folder_that_cannot_be_made_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path}/file/deep/study.db"
    with pytest.raises(StorageError, match=r"Cannot write .*file/deep.*\(Not a dir"):
        open_storage(url, sleep=lambda seconds: pytest.fail("it waited"))


def test_a_password_is_never_shown() -> None:
    assert shown("postgresql://me:a:b@c@db/x") == "postgresql://me:***@db/x"
    assert shown("postgresql+psycopg://me:s3cret@db/x") == "postgresql+psycopg://me:***@db/x"
    assert shown("sqlite:////tmp/a:b@c.db") == "sqlite:////tmp/a:b@c.db"
    assert shown("postgresql://db/x?user=me&password=s3cret") == (
        "postgresql://db/x?user=me&password=***"
    )
