"""Opening storages, and waiting for those that do not answer."""

from pathlib import Path

import optuna
import pytest

from vocalsketch.errors import ConfigError, StorageError
from vocalsketch.sweep.run import Place
from vocalsketch.sweep.storages import WAITS, check_exists, open_storage, patiently, shown


@pytest.mark.parametrize("url", ["sqlite:///{}/deep/study.db", "journal:{}/deep/study.log"])
def test_what_one_storage_writes_another_reads(tmp_path: Path, url: str) -> None:
    url = url.format(tmp_path)
    study = optuna.create_study(storage=open_storage(url), study_name="s")
    study.optimize(lambda trial: 0.5, n_trials=1)
    again = optuna.load_study(storage=open_storage(url), study_name="s")
    assert again.best_value == 0.5


def test_a_storage_that_is_down_is_asked_again_ever_later_and_then_named() -> None:
    waited: list[float] = []
    url = "postgresql://someone:secret@127.0.0.1:9/studies"  # nothing listens on port 9
    with pytest.raises(StorageError) as error:
        open_storage(url, sleep=waited.append)
    assert waited == list(WAITS)
    assert "postgresql://someone:***@127.0.0.1:9/studies does not answer" in str(error.value)
    assert "secret" not in str(error.value)


def test_a_storage_that_comes_back_is_used() -> None:
    answers = [OSError("away"), OSError("away"), "here"]

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return str(answer)

    assert patiently(ask, "journal:x", sleep=lambda seconds: None) == "here"


@pytest.mark.parametrize(
    ("url", "message"),
    [("redis://host", "storage is 'redis://host': give sqlite:///FILE"), ("grpc://host", "HOST")],
)
def test_another_kind_of_storage_is_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_storage(url)


@pytest.mark.parametrize("kind", ["sqlite:///", "journal:"])
def test_a_file_that_is_not_there_is_not_made_by_looking(tmp_path: Path, kind: str) -> None:
    place = Place("tiny_study", f"{kind}{tmp_path / 'study.db'}", tmp_path)
    with pytest.raises(ConfigError, match=r"No study at .*study\.db: begin one"):
        place.load()
    assert not (tmp_path / "study.db").exists()


def test_only_files_are_looked_for_before_a_storage_is_opened() -> None:
    check_exists("postgresql://me:secret@host/studies")
    check_exists("grpc://host:13000")


def test_a_folder_that_cannot_be_made_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path}/file/deep/study.db"
    with pytest.raises(StorageError, match=r"Cannot make the folder .*file/deep \(Not a dir"):
        open_storage(url, sleep=lambda seconds: pytest.fail("it waited"))


def test_a_password_is_never_shown() -> None:
    assert shown("postgresql://me:a:b@c@db/x") == "postgresql://me:***@db/x"
    assert shown("postgresql+psycopg://me:s3cret@db/x") == "postgresql+psycopg://me:***@db/x"
    assert shown("sqlite:////tmp/study.db") == "sqlite:////tmp/study.db"
