// The plugin that `team-table setup opencode` writes; the line above says what to start. It runs `team-table hook` at the events of
// a session, and shows the model what that says. A hook that fails is silent here; ~/.team-table/hooks.log says why.
import { spawn } from "node:child_process";
import { watch } from "node:fs";

const TIMEOUT = 5000; // ms
const MAX_OUTPUT = 64 * 1024;

/** Runs a hook; what it printed, and what a turn must be started with. */
function hook(event, input) {
  return new Promise((done) => {
    const said = { stdout: "", stderr: "" };
    const child = spawn(TABLE.command, ["hook", "opencode", event, ...TABLE.arguments, ...(["start", "prompt"].includes(event) ? TABLE.seat : [])], {
      stdio: ["pipe", "pipe", "pipe"],
      timeout: TIMEOUT,
    });
    for (const stream of ["stdout", "stderr"]) {
      child[stream].setEncoding("utf8").on("data", (text) => (said[stream] = (said[stream] + text).slice(0, MAX_OUTPUT)));
    }
    child.on("error", () => done({}));
    child.on("close", (code) => {
      if (code === 2) return done({ wake: said.stderr.trim() });
      try {
        done(JSON.parse(said.stdout || "{}"));
      } catch {
        done({});
      }
    });
    child.stdin.on("error", () => {});
    child.stdin.end(JSON.stringify({ hook_event_name: event, ...input }));
  });
}

export const TeamTable = async ({ client, directory }) => {
  // One opencode is one seat, whatever sessions it shows: its MCP server serves all of them. Messages go to the one used last.
  let session; // { id, agent, model }
  let busy = false;
  let bell; // what watches the bell file
  const children = new Set(); // sessions of sub-agents
  const ours = new Set(); // texts that the plugin itself sent
  let first = Promise.resolve();

  /** One hook after the other: two that run side by side could pass each other. */
  const after = (work) => (first = first.then(work, work));
  const run = (event, input = {}) => hook(event, { session_id: session.id, cwd: directory, ...input });
  const context = (said) => said.hookSpecificOutput?.additionalContext;

  const begin = async () => {
    const said = await run("start");
    const file = said.hookSpecificOutput?.watchPaths?.[0];
    if (file && !bell) {
      try {
        bell = watch(file, () => after(rung));
        bell.on("error", () => (bell = undefined));
        after(rung); // what rang before it was watched
      } catch {} // it is seen at the next step
    }
    return context(said);
  };
  // Not waited for: the turn that it starts comes back to the hooks below.
  const say = (text) => {
    ours.add(text);
    const { id, agent, model } = session;
    const failed = () => ours.delete(text);
    const started = client.session.promptAsync({ path: { id }, body: { agent, model, parts: [{ type: "text", text }] } });
    started.then((answer) => answer?.error && failed(), failed);
  };
  // While a turn runs, its next tool or its end tells what is new.
  const rung = async () => {
    if (busy || !session) return;
    const { wake } = await run("bell");
    if (wake) say(wake);
  };

  return {
    config: async (config) => {
      config.mcp ??= {};
      config.mcp["team-table"] ??= { type: "local", command: [TABLE.command, ...TABLE.arguments], enabled: true };
    },
    event: async ({ event }) => {
      const { info, sessionID = info?.id } = event.properties ?? {};
      if (event.type === "session.created" && info?.parentID) children.add(info.id);
      if (!session || sessionID !== session.id) return;
      if (event.type === "session.deleted") session = undefined;
      if (event.type === "session.compacted") session.begun = false;
      if (event.type === "session.idle") {
        await after(async () => {
          busy = false;
          if (!session) return;
          const { reason } = await run("stop");
          if (reason) say(reason);
        });
      }
    },
    "chat.message": async ({ sessionID, agent, model }, { message, parts }) => {
      if (children.has(sessionID)) return;
      await after(async () => {
        if (session?.id !== sessionID) session = { id: sessionID, begun: false };
        session.agent = agent ?? message.agent ?? session.agent;
        session.model = model ?? message.model ?? session.model;
        const prompt = parts.map((part) => part.text ?? "").join("\n");
        const source = ours.delete(prompt) ? "system" : "user";
        const news = session.begun ? [] : [await begin()];
        session.begun = true;
        news.push(context(await run("prompt", { prompt, source })));
        busy = true;
        const text = news.filter(Boolean).join("\n");
        if (text) {
          const id = `prt_${Date.now().toString(16)}${Math.random().toString(16).slice(2, 14)}`;
          parts.push({ id, sessionID, messageID: message.id, type: "text", text, synthetic: true });
        }
      });
    },
    "tool.execute.after": async ({ sessionID }, output) => {
      if (sessionID !== session?.id) return;
      await after(async () => {
        const text = context(await run("tool"));
        if (!text) return;
        // What an MCP server answered is a list of parts; what opencode's own tools did is one text.
        if (Array.isArray(output.content)) output.content.push({ type: "text", text });
        else output.output = `${output.output ?? ""}\n${text}`;
      });
    },
  };
};
