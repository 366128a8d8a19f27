"""`reconciler token`: made once, shown once, taken back for good."""

import re

from tests.integration.shell import Shell


def test_a_token_is_made_listed_and_revoked(shell: Shell) -> None:
    assert shell("token", "create", "ingest, Frankfurt", "--write", "--pipeline", "batch") == 0
    secret = shell.out.strip()
    assert re.fullmatch(r"rcl_[0-9a-f]{12}_[\w-]{43}", secret)
    assert shell("token", "list", "--json") == 0
    (token,) = shell.records()
    assert (token["name"], token["reads"], token["writes"]) == ("ingest, Frankfurt", False, True)
    assert (token["pipelines"], token["used_at"], token["revoked_at"]) == (["batch"], None, None)
    assert secret.rpartition("_")[2] not in shell.out
    assert shell("token", "list") == 0
    assert re.search(rf"{token['id']}  write .* batch  never used  ingest, Frankfurt", shell.out)
    assert shell("token", "revoke", token["id"]) == 0
    assert shell("token", "list") == 0
    assert "revoked 20" in shell.out
    assert shell("token", "revoke", token["id"]) == 2
    assert "token list" in shell.err


def test_a_token_must_be_for_something_and_somebody(shell: Shell) -> None:
    assert shell("token", "create", "x") == 2
    assert "--read, --write, --operate" in shell.err
    assert shell("token", "create", " ", "--read") == 2
    assert shell("token", "create", "x", "--read", "--pipeline", "nowhere") == 2
    assert "there is no pipeline 'nowhere'" in shell.err
    assert shell("token", "list") == 0
    assert "there is no token" in shell.out
