"""story.py BINARY PORT TRANSPORT[:MODE]: tells story.json with the official Python SDK, the 1.x or the 2.x one,
whichever is installed. PORT is for the network server; TRANSPORT is stdio, sse or http; MODE (2.x) is the client's
way to negotiate the protocol. Prints a line per check; exits 1 when one failed. story.mjs is its twin."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path

import anyio
from mcp import ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

try:
    from mcp import Client, MCPError
except ImportError:
    from mcp import McpError as MCPError

    Client = None

BINARY, PORT, (TRANSPORT, _, MODE) = sys.argv[1], sys.argv[2], sys.argv[3].partition(":")
TITLE = f"python mcp {version('mcp')} {sys.argv[3]}"
# Seconds a call may take; waits that are answered ask for 30. Under an emulator the first one compiles the policies for minutes.
PATIENCE = int(os.environ.get("PATIENCE", "25"))


class Server:
    """The network server."""

    url = f"http://127.0.0.1:{PORT}"

    def __init__(self, home: Path):
        self.log = home / "server.log"
        self.env = {**os.environ, "TEAM_TABLE_DB": str(home / "table.db"), "TEAM_TABLE_TRANSPORT": "streamable-http",
                    "TEAM_TABLE_HOST": "127.0.0.1", "TEAM_TABLE_PORT": PORT}
        self.start()

    def start(self):
        self.process = subprocess.Popen([BINARY], env=self.env, stderr=self.log.open("a"))
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                return urllib.request.urlopen(f"{self.url}/readyz").close()
            except OSError:
                time.sleep(0.05)
        raise ChildProcessError(f"the server does not come up: {self.log.read_text()[-400:]}")

    def stop(self):
        self.process.terminate()
        if (status := self.process.wait(15)) != 0:
            raise ChildProcessError(f"the server stopped with status {status}: {self.log.read_text()[-400:]}")


async def connect(stack: AsyncExitStack, home: Path, server: Server | None, token: str | None):
    """A connected client of whoever holds `token`."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if TRANSPORT == "stdio":
        env = {"TEAM_TABLE_DB": str(home / "table.db"), "TEAM_TABLE_TOKEN": token or ""}
        transport = stdio_client(StdioServerParameters(command=BINARY, env=env), errlog=(home / "server.log").open("a"))
    elif TRANSPORT == "sse":
        transport = sse_client(f"{server.url}/sse", headers=headers)
    else:
        http = await stack.enter_async_context(create_mcp_http_client(headers=headers))
        transport = streamable_http_client(f"{server.url}/mcp", http_client=http)
    if Client:
        return await stack.enter_async_context(Client(transport, mode=MODE or "auto"))
    read, write, *_ = await stack.enter_async_context(transport)
    session = await stack.enter_async_context(ClientSession(read, write))
    await session.initialize()
    return session


def mismatch(expected, actual, kept: dict, at: str = "result") -> str | None:
    """Where `actual` is not what is expected: objects may have more members, all else is equal."""
    if isinstance(expected, str) and expected.startswith("$"):
        expected = kept[expected[1:]]
    if isinstance(expected, dict) and "~" in expected:
        found = isinstance(actual, str) and re.search(expected["~"], actual)
        return None if found else f"{at} is {actual!r}, not like {expected['~']}"
    if isinstance(expected, dict) and isinstance(actual, dict):
        parts = ((value, actual.get(key), f"{at}.{key}") for key, value in expected.items())
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        parts = ((value, actual[i], f"{at}[{i}]") for i, value in enumerate(expected))
    else:
        same = type(expected) is type(actual) and expected == actual
        return None if same else f"{at} is {actual!r}, not {expected!r}"
    return next(filter(None, (mismatch(value, got, kept, where) for value, got, where in parts)), None)


def judge(step: dict, result: dict, kept: dict) -> str | None:
    """What is wrong with the result of a tool call."""
    body, code = result["structuredContent"], step.get("error")
    if json.loads(result["content"][0]["text"]) != body:
        return "content and structuredContent differ"
    if bool(result["isError"]) != bool(code):
        return f"answered {body}"
    if code and not (body["code"] == code and body["error"] and body["hint"]):
        return f"refused with {body}"
    return mismatch(step.get("expect", {}), body, kept)


class Story:
    def __init__(self, home: Path):
        self.home, self.kept, self.clients, self.failed = home, {}, {}, 0
        self.server = None if TRANSPORT == "stdio" else Server(home)

    async def tell(self, steps: list[dict]):
        stack = AsyncExitStack()
        try:
            for step in steps:
                if "connect" in step:
                    await self.connect(stack, step["connect"])
                elif "restart" not in step:
                    if not await self.check(step) and "keep" in step:
                        break  # the rest builds on it
                elif TRANSPORT == "http":  # the clients do not notice
                    self.server.stop()
                    self.server.start()
                else:  # their connection is the server's process
                    await stack.aclose()
                    if self.server:
                        self.server.stop()
                        self.server.start()
                    await self.connect(stack, list(self.clients))
        finally:
            await stack.aclose()
            if self.server:
                self.server.stop()

    async def connect(self, stack: AsyncExitStack, names: list[str]):
        for name in names:
            self.clients[name] = await connect(stack, self.home, self.server, self.kept.get(f"{name}_token"))
            await self.clients[name].list_tools()  # as an agent does: from then on results are held to their schemas

    async def check(self, step: dict) -> bool:
        try:
            async with anyio.create_task_group() as both:
                if "meanwhile" in step:
                    both.start_soon(self.later, step["meanwhile"])
                wrong = await self.ask(step)
        except* Exception as group:
            wrong = "; ".join(f"{type(error).__name__}: {error}" for error in group.exceptions)
        self.failed += wrong is not None
        print(f"{'ok' if wrong is None else 'FAILED'} {TITLE}: {step['check']}{f': {wrong}' if wrong else ''}", flush=True)
        return wrong is None

    async def later(self, step: dict):
        await anyio.sleep(step["after"])
        if not await self.check(step):
            raise RuntimeError("see above")

    async def ask(self, step: dict) -> str | None:
        client, progress = self.clients[step["by"]], []
        if "tools" in step:
            return mismatch(step["tools"], sorted(tool.name for tool in (await client.list_tools()).tools), self.kept)
        args = {name: self.fill(value) for name, value in step.get("args", {}).items()}

        async def on_progress(done, total, message):
            progress.append(done)

        try:
            with anyio.fail_after(PATIENCE):
                result = await client.call_tool(step["tool"], args, progress_callback=on_progress if "progress" in step else None)
        except MCPError as error:
            code = error.error.code
            return None if code == step.get("protocol_error") else f"JSON-RPC error {code}: {error}"
        if "protocol_error" in step:
            return f"answered {result}"
        result = result.model_dump(mode="json", by_alias=True)
        wrong = judge(step, result, self.kept)
        if not wrong:
            self.kept |= {name: result["structuredContent"][key] for name, key in step.get("keep", {}).items()}
            if "progress" in step and not progress:
                return "no progress was reported"
        return wrong

    def fill(self, value):
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        return self.kept[value[1:]] if isinstance(value, str) and value.startswith("$") else value


async def main():
    with tempfile.TemporaryDirectory() as home:
        story = Story(Path(home))
        await story.tell(json.loads(Path(__file__).with_name("story.json").read_text()))
    sys.exit(story.failed > 0)


anyio.run(main)
