"""Presets from elsewhere: a hub that speaks the API of Hugging Face's client, and indexes with hashes."""

import json
import os
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from hub_server import TOKEN, serving_hub
from processes import run_python

import leaky_zoo
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks import LeakyMLP
from leaky_zoo.zoo import ChangedFileError, HashedIndex, MissingFileError, Preset, save_to_preset, write_index
from leaky_zoo.zoo.addresses import HubAddress, IndexAddress, address_of
from leaky_zoo.zoo.hub import fetch_from_hub

pytest.importorskip("huggingface_hub")
NAME = "small_net"


@pytest.fixture(scope="module")
def network():
    return LeakyMLP((4,), 3, width=5, depth=5, input_range=[0, 16], class_names=["a", "b", "c"], name=NAME)


@pytest.fixture(scope="module")
def folder(network, tmp_path_factory):
    """A folder of two presets, with an index."""
    place = tmp_path_factory.mktemp("zoo")
    x = np.random.default_rng(0).uniform(0, 16, (5, 4))
    for name in (NAME, "other_net"):
        save_to_preset(network, place / name, golden_inputs=x, metrics={"test": {"loss": 1.0, "accuracy": 0.5}})
    write_index(place)
    return place


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub on this machine, with an empty cache."""
    from huggingface_hub import constants

    with serving_hub() as (served, url):
        monkeypatch.setenv("HF_ENDPOINT", url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))  # for commands
        yield served


@pytest.fixture
def web(folder, tmp_path, monkeypatch):
    """A copy of the folder, and the URL that serves it."""
    monkeypatch.setenv("LEAKY_ZOO_CACHE", str(tmp_path / "cache"))
    copy = tmp_path / "served"
    shutil.copytree(folder, copy)

    class Quiet(SimpleHTTPRequestHandler):
        asked = []  # noqa: RUF012

        def log_message(self, *words):
            self.asked.append(self.path)

    Quiet.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=copy))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield copy, f"http://127.0.0.1:{server.server_port}", Quiet.asked
    server.shutdown()
    server.server_close()
    thread.join()


def change(content):
    """The same bytes with one bit of one of them turned."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def command(*words):
    done = run_python("-m", "leaky_zoo", *words)
    return done.returncode, done.stdout, done.stderr


def test_addresses_are_told_from_names_and_paths(tmp_path):
    assert address_of("hf://a/b@1.0") == HubAddress("a", "b", "1.0") and address_of("hf://a").name is None
    assert address_of("hf://a/b@1.0").text == "hf://a/b@1.0"
    assert address_of("https://x.org/zoo#net") == IndexAddress("https://x.org/zoo/index.json", "net")
    assert address_of("zoo/index.json") == IndexAddress("zoo/index.json", None)
    for other in ("net", "./net", "zoo/net", str(tmp_path), "zoo#net"):
        assert address_of(other) is None
    for wrong in ("hf://", "hf://a/b/c", "hf://a b/c", "hf://a/b@", "index.json#"):
        with pytest.raises(InvalidInputError, match="Received"):
            address_of(wrong)


def test_saved_to_a_hub_and_loaded_from_it(hub, network, tmp_path):
    x = np.random.default_rng(1).uniform(0, 16, (5, 4)).astype("float32")
    address = save_to_preset(network, "hf://somebody/small_net", golden_inputs=x)
    assert address == f"hf://somebody/small_net@{hub.commits['somebody/small_net'][-1][0]}"
    for name in ("hf://somebody/small_net", address):
        loaded = leaky_zoo.from_preset(name)
        np.testing.assert_array_equal(loaded.predict_on_batch(x), network.predict_on_batch(x))
        assert loaded.output_description == network.output_description
    with pytest.raises(InvalidInputError, match="overwrite=True"):
        save_to_preset(network, "hf://somebody/small_net")
    (row,) = leaky_zoo.list_presets("hf://somebody/small_net")
    assert row["name"] == NAME and row["address"] == "hf://somebody/small_net"
    assert [row["address"] for row in leaky_zoo.list_presets("hf://somebody")] == ["hf://somebody/small_net"]


def test_overwriting_leaves_no_file_behind(hub, network):
    x = np.zeros((3, 4))
    save_to_preset(network, "hf://somebody/small_net", golden_inputs=x)
    save_to_preset(network, "hf://somebody/small_net", overwrite=True)
    assert "golden.npz" not in hub.commits["somebody/small_net"][-1][1]
    assert Preset.open("hf://somebody/small_net").golden is None


def test_a_revision_can_be_pinned(hub, network):
    first = save_to_preset(network, "hf://somebody/small_net")
    other = LeakyMLP((4,), 3, width=6, depth=5, name=NAME)
    second = save_to_preset(other, "hf://somebody/small_net", overwrite=True)
    assert leaky_zoo.from_preset(first).config.width == 5
    assert leaky_zoo.from_preset(second).config.width == leaky_zoo.from_preset("hf://somebody/small_net").config.width
    with pytest.raises(InvalidInputError, match="revision"):
        leaky_zoo.from_preset("hf://somebody/small_net@" + "1" * 40)


@pytest.mark.parametrize("file", ["model.weights.h5", "config.json", "golden.npz"])
def test_a_changed_byte_on_a_hub_is_refused(hub, network, file):
    save_to_preset(network, "hf://somebody/small_net", golden_inputs=np.zeros((3, 4)))
    files = hub.commits["somebody/small_net"][-1][1]
    hub.commit("somebody/small_net", {**files, file: change(files[file])})
    with pytest.raises(ChangedFileError, match=f"{file} has changed"):
        leaky_zoo.from_preset("hf://somebody/small_net")


def test_a_hub_that_says_no_is_a_sentence(hub, network, monkeypatch):
    with pytest.raises(InvalidInputError, match="no such repository"):
        leaky_zoo.from_preset("hf://somebody/nothing")
    hub.commit("somebody/empty", {"README.md": b"nothing"})
    with pytest.raises(MissingFileError, match="hf://somebody/empty is not a preset"):
        leaky_zoo.from_preset("hf://somebody/empty")
    monkeypatch.setenv("HF_TOKEN", "wrong")
    with pytest.raises(InvalidInputError, match="hub refuses"):
        save_to_preset(network, "hf://somebody/small_net")
    with pytest.raises(InvalidInputError, match="small letters"):
        save_to_preset(network, "hf://somebody/Small_Net")


def test_a_home_that_cannot_be_written_names_the_variable_that_helps():
    """In a process of its own: the hub's client reads HF_HOME when it is imported."""
    environment = {name: value for name, value in os.environ.items() if name not in ("HF_HOME", "HF_HUB_CACHE")}
    done = subprocess.run(
        [sys.executable, "-m", "leaky_zoo", "info", "hf://a/b"], capture_output=True, text=True, check=False,
        env=environment | {"HOME": "/dev/null", "HF_ENDPOINT": "http://127.0.0.1:9"},
    )  # fmt: skip
    assert done.returncode == 1 and "set HF_HOME to a folder that can" in done.stderr


def test_without_a_network_the_cache_answers_or_a_sentence(hub, network, monkeypatch):
    save_to_preset(network, "hf://somebody/small_net")
    leaky_zoo.from_preset("hf://somebody/small_net")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert leaky_zoo.from_preset("hf://somebody/small_net").config.width == 5
    with pytest.raises(InvalidInputError, match=r"127.0.0.1:9 cannot be reached"):
        leaky_zoo.from_preset("hf://somebody/other")


def test_only_what_is_asked_for_is_fetched(hub, network):
    save_to_preset(network, "hf://somebody/small_net")
    hub.asked.clear()
    fetch_from_hub(address_of("hf://somebody/small_net"), ["metadata.json"])
    assert {each.rpartition("/")[2] for each in hub.asked if "/resolve/" in each} == {"metadata.json"}


def test_commands_take_addresses(hub, network, tmp_path):
    address = save_to_preset(network, "hf://somebody/small_net", golden_inputs=np.zeros((3, 4)))
    code, out, _ = command("info", address)
    assert code == 0 and "from 0 to 16" in out and "a, b, c" in out
    code, out, _ = command("list", "hf://somebody")
    assert code == 0 and "hf://somebody/small_net" in out
    code, out, err = command("export", address, "--out", tmp_path / "net.onnx", "--json")
    assert code == 0, err
    assert leaky_zoo.inspect_onnx(tmp_path / "net.onnx")["leaky_zoo.preset"]["name"] == NAME


def test_an_index_in_a_folder(folder):
    assert [row["name"] for row in leaky_zoo.list_presets(str(folder))] == ["other_net", NAME]
    address = f"{folder / 'index.json'}#{NAME}"
    assert {row["address"] for row in leaky_zoo.list_presets(source=str(folder))} >= {address}
    assert leaky_zoo.from_preset(address).name == leaky_zoo.from_preset(f"{folder}#{NAME}").name == NAME
    with pytest.raises(InvalidInputError, match="add #NAME"):
        leaky_zoo.from_preset(str(folder / "index.json"))
    with pytest.raises(InvalidInputError, match="names no preset"):
        leaky_zoo.from_preset(f"{folder}#nothing")


def test_an_index_on_the_web(web, network):
    _, url, asked = web
    assert [row["address"] for row in leaky_zoo.list_presets(url)] == [
        f"{url}/index.json#other_net", f"{url}/index.json#{NAME}"
    ]  # fmt: skip
    preset = Preset.open(f"{url}#{NAME}")
    np.testing.assert_array_equal(preset.network.get_weights()[0], network.get_weights()[0])
    asked.clear()
    Preset.open(f"{url}#{NAME}")
    assert asked == ["/index.json"]  # the rest is in the cache


@pytest.mark.parametrize("file", ["model.weights.h5", "metadata.json"])
def test_a_changed_byte_on_the_web_is_refused_and_not_kept(web, file):
    copy, url, _ = web
    path = copy / NAME / file
    path.write_bytes(change(path.read_bytes()))
    for _ in range(2):
        with pytest.raises(ChangedFileError, match=f"{file} has changed"):
            leaky_zoo.from_preset(f"{url}#{NAME}")


def test_a_local_index_trusts_no_server(web, folder, tmp_path):
    """Whoever changes weights and metadata together passes the preset's own hashes, not those of a local index."""
    copy, url, _ = web
    own = tmp_path / "own"
    shutil.copytree(folder, own)
    index = write_index(own, base=url)
    assert Preset.open(f"{index}#{NAME}").name == NAME
    shutil.rmtree(tmp_path / "cache")
    shutil.rmtree(copy / NAME)
    save_to_preset(LeakyMLP((4,), 3, width=5, depth=5, name=NAME), copy / NAME)
    write_index(copy)
    assert Preset.open(f"{url}#{NAME}").name == NAME  # its own index says so
    with pytest.raises(ChangedFileError, match="has changed"):
        Preset.open(f"{index}#{NAME}")


def test_an_index_that_is_none_is_refused(tmp_path, web):
    _, url, _ = web
    good = {"leaky_zoo_index": 1, "presets": {"net": {"metadata.json": "0" * 64}}}
    HashedIndex.read(str(write(tmp_path, good)))
    for wrong in (
        {}, [], {**good, "leaky_zoo_index": 2}, {**good, "presets": {"../net": {"metadata.json": "0" * 64}}},
        {**good, "presets": {"net": {"../x": "0" * 64, "metadata.json": "0" * 64}}}, {**good, "presets": {"net": {}}},
        {**good, "more": 1},
    ):  # fmt: skip
        with pytest.raises(InvalidInputError, match=r"index\.json"):
            HashedIndex.read(str(write(tmp_path, wrong)))
    with pytest.raises(InvalidInputError, match="404"):
        HashedIndex.read(f"{url}/none/index.json")
    with pytest.raises(InvalidInputError, match="over https"):
        HashedIndex.read("http://zoo.example/index.json")
    with pytest.raises(InvalidInputError, match="holds no folder of a preset"):
        write_index(tmp_path)


def write(folder, value):
    (folder / "index.json").write_text(json.dumps(value))
    return folder / "index.json"


def test_the_command_writes_an_index(folder, tmp_path):
    copy = tmp_path / "my zoo"
    shutil.copytree(folder, copy)
    (copy / "index.json").unlink()
    code, out, err = command("index", copy)
    assert code == 0 and NAME in out and f"'{copy / 'index.json'}#{NAME}'" in err.replace("other_net", NAME)
    assert HashedIndex.read(str(copy / "index.json")).presets == HashedIndex.read(str(folder / "index.json")).presets
