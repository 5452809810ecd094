"""What the README shows runs."""

import re

from tests.support.paths import ROOT

README = ROOT / "README.md"


async def test_the_example_of_the_readme_runs(mongodb, database_name, monkeypatch):
    """The Python block is carried out as it stands, and leaves an ordered checkout."""
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    api = names["Recovery"]
    monkeypatch.setitem(names, "Recovery", lambda uri: api(uri, database=database_name))
    await names["report"](mongodb)
    async with api(mongodb, database=database_name) as recovery:
        kept = await recovery.get("shop.example", "1042")
        assert kept.status == "ordered"
        await recovery._client.drop_database(database_name)


def test_what_the_readme_points_to_is_there():
    """Every file that the README names exists."""
    text = README.read_text()
    named = set(re.findall(r"(?:src=\"|\]\()((?!http)[^\")#]+)", text)) | set(
        re.findall(r"`(recovery/[a-z_/.]+)`", text)
    )
    assert named
    for name in named:
        assert (README.parent / name).exists(), name
