"""A password comes from a file or from the environment, and from nowhere that all may read."""

import pytest

from drivers.credentials import CredentialError, Login, read_password

VARIABLE, NOWHERE = "HEATD_PLC", "/not/there"


def test_a_password_is_what_stands_in_its_file(tmp_path):
    file = tmp_path / "plc"
    file.write_text(" s3cret \n", encoding="utf-8")
    file.chmod(0o640)

    assert read_password(Login(name="heatd", password_file=str(file))) == " s3cret "


def test_a_password_is_what_stands_in_the_environment(monkeypatch):
    monkeypatch.setenv(VARIABLE, "s3cret")

    assert read_password(Login(name="heatd", password_env=VARIABLE)) == "s3cret"


def test_a_password_that_everybody_may_read_is_refused_and_not_told(tmp_path):
    file = tmp_path / "plc"
    file.write_text("s3cret", encoding="utf-8")
    file.chmod(0o644)

    with pytest.raises(CredentialError, match="everybody may read") as refused:
        read_password(Login(name="heatd", password_file=str(file)))

    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("login", "said"),
    [
        (Login(name="heatd", password_env=VARIABLE), "the environment has no HEATD_PLC"),
        (Login(name="heatd", password_file=NOWHERE), "cannot be read: No such file"),
    ],
)
def test_a_password_that_is_not_there_is_told(login, said):
    with pytest.raises(CredentialError, match=said):
        read_password(login)


def test_an_empty_password_file_is_told(tmp_path):
    file = tmp_path / "plc"
    file.write_text("\n", encoding="utf-8")
    file.chmod(0o600)

    with pytest.raises(CredentialError, match="is empty"):
        read_password(Login(name="heatd", password_file=str(file)))
